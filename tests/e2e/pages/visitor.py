"""What a person does with the pages: by what stands on them, as it is read, clicked and typed."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.async_api import ConsoleMessage, FrameLocator, Locator, Page, expect

from sandbox.story.shop import Json
from tests.e2e.stack import Stack, contact

CARD = "4242424242424242"
CARD_WITH_3DS = "4000002760003184"
DECLINED = "4000000000009995"
"""Published test cards: docs.stripe.com/testing."""

AXE = Path("frontend/node_modules/axe-core/axe.min.js").read_text()

EXPECTED_IN_CONSOLE = re.compile(r"Failed to load resource|net::ERR")
"""Chromium notes each answer that is no success; what the page makes of it is the tests' to see."""


class Visitor:
    """One browser. `errors` are those that no page should have: of scripts, and of the policy of what may be loaded."""

    def __init__(self, stack: Stack, page: Page) -> None:
        self.stack = stack
        self.page = page
        self.context = page.context
        self.errors: list[str] = []
        self.context.on("console", self._note)
        self.context.on("weberror", lambda error: self.errors.append(str(error.error)))

    def _note(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not EXPECTED_IN_CONSOLE.search(message.text):
            self.errors.append(message.text)

    async def sees(self, text: str | re.Pattern[str], within_s: float = 20) -> None:
        """Waits for a heading with this text."""
        await expect(self.heading(text).first).to_be_visible(timeout=within_s * 1000)

    def heading(self, text: str | re.Pattern[str]) -> Locator:
        return self.page.get_by_role("heading", name=text)

    def button(self, name: str | re.Pattern[str]) -> Locator:
        return self.page.get_by_role("button", name=name)

    async def choose(self, event: Json, quantity: int = 1, **who: str) -> None:
        """Fills in the event's page."""
        person = {**contact(), **who}
        await self.page.goto(f"/events/{event['id']}")
        await self.page.get_by_label("Number of tickets, Stalls").select_option(str(quantity))
        await self.page.get_by_label("Name").fill(person["name"])
        await self.page.get_by_label("E-mail address").fill(person["email"])
        await self.page.get_by_label("I have read and accept the refund terms above.").check()

    async def reserve(self, event: Json, quantity: int = 1, **who: str) -> str:
        """Books seats by the event's page; returns the booking's id once it can be paid."""
        await self.choose(event, quantity, **who)
        await self.button("Reserve and pay").click()
        await self.sees("Pay for your tickets")
        return self.booking_id

    @property
    def booking_id(self) -> str:
        found = re.search(r"/bookings/([0-9a-f-]{36})", self.page.url)
        assert found, self.page.url
        return found[1]

    @property
    def card_form(self) -> FrameLocator:
        return self.page.frame_locator("iframe[name^=__privateStripeFrame]").first

    async def enter_card(self, number: str = CARD) -> None:
        await self.card_form.locator("[name=number]").fill(number)
        await self.card_form.locator("[name=expiry]").fill("12 / 34")
        await self.card_form.locator("[name=cvc]").fill("123")

    async def pay(self, number: str = CARD) -> None:
        await self.enter_card(number)
        await self.button(re.compile("^Pay ")).click()

    async def answer_challenge(self, answer: str) -> None:
        """Complete or fail, on the bank's page over the shop's."""
        await self.challenge.get_by_role("button", name=f"{answer} authentication").click()

    @property
    def challenge(self) -> FrameLocator:
        return self.page.frame_locator("dialog iframe")

    async def is_challenged(self) -> None:
        """Waits for the bank's page."""
        await self.challenge.get_by_role("button", name="Complete authentication").wait_for()

    async def book(self, event: Json, quantity: int = 1, **who: str) -> str:
        """From the event to the tickets."""
        booking_id = await self.reserve(event, quantity, **who)
        await self.pay()
        await self.sees("You are booked")
        return booking_id

    async def sign_in(self, role: str, path: str = "/staff", name: str = "") -> None:
        """Through the sandbox's issuer, which believes everybody."""
        await self.page.goto(path)
        await self.page.locator("form").wait_for()
        if name:
            await self.page.locator("[name=sub]").fill(name)
        await self.page.locator(f"button[name=role][value={role}]").click()
        await expect(self.page.get_by_role("navigation", name="Dashboard")).to_be_attached()

    async def violations(self) -> list[str]:
        """What axe finds that is serious or worse (WCAG 2.2 AA), by rule and place."""
        await self.page.evaluate(AXE)
        found = await self.page.evaluate("axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa']})")
        return [
            f"{violation['id']}: {', '.join(str(node['target']) for node in violation['nodes'])}"
            for violation in found["violations"]
            if violation["impact"] in {"serious", "critical"}
        ]
