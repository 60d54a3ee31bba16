"""A merchant's page under a strict Content-Security-Policy, and the stand-in that its Stripe.js comes from."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import stripe
from aiohttp import web
from playwright.async_api import FrameLocator, Page, expect

from tests.sandbox.stripe.conftest import PUBLISHABLE_KEY, Standin, listening, running

FOLDER = Path(__file__).parent
WATCH = """
if (window.top === window) {
  window.received = [];
  window.shifted = 0;
  addEventListener("message", ({ data }) => window.received.push(JSON.stringify(data)));
  new PerformanceObserver((list) => list.getEntries().forEach((entry) => (window.shifted += entry.value))).observe({
    type: "layout-shift",
    buffered: true,
  });
}
addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) => refused(`${violatedDirective} ${blockedURI}`));
"""


@dataclass
class Shop:
    """The merchant's page in a browser. `refused` is what its policy, or a frame's, has stopped."""

    page: Page
    standin: Standin
    url: str
    refused: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    async def open(self, **options: str) -> stripe.PaymentIntent:
        """Open the page for a new payment and wait until its Payment Element is ready."""
        intent = await self.standin.client.v1.payment_intents.create_async(
            {"amount": 5000, "currency": "eur", "capture_method": "manual"}
        )
        await self.visit(intent, **options)
        await self.page.locator("body[data-ready]").wait_for()
        return intent

    async def visit(self, intent: stripe.PaymentIntent, **options: str) -> None:
        await self.page.goto(f"{self.url}/?{urlencode({'secret': intent.client_secret} | options)}")

    @property
    def element(self) -> FrameLocator:
        return self.page.frame_locator("iframe[name^=__privateStripeFrame]").first

    @property
    def challenge(self) -> FrameLocator:
        return self.page.frame_locator("dialog iframe")

    async def fill(self, number: str, expiry: str = "1230", cvc: str = "123") -> None:
        for name, value in (("number", number), ("expiry", expiry), ("cvc", cvc)):
            await self.element.locator(f"[name={name}]").press_sequentially(value)

    async def pay(self) -> None:
        await self.page.get_by_role("button", name="Pay now").click()

    async def result(self) -> Any:
        """What confirmPayment, or before it elements.submit, resolved to."""
        shown = self.page.locator("#result")
        await expect(shown).to_contain_text("{")
        return json.loads(str(await shown.text_content()))

    async def happened(self, name: str) -> list[dict[str, Any]]:
        events = await self.page.evaluate("happened")
        return [event for each, event in events if each == name]

    async def status(self, intent: stripe.PaymentIntent) -> str:
        return str((await self.standin.client.v1.payment_intents.retrieve_async(intent.id)).status)


def policy(origin: str) -> str:
    return (
        f"default-src 'none'; script-src 'self' {origin}; style-src 'self' 'nonce-r4nd0m'; frame-src {origin}; "
        f"connect-src 'self' {origin}; img-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )


@pytest.fixture
async def standin(tmp_path: Path) -> AsyncIterator[Standin]:
    async with running(tmp_path / "stripe", webhook_retry_seconds=(0.05,)) as started:
        yield started


@pytest.fixture
async def shop(standin: Standin, page: Page) -> AsyncIterator[Shop]:
    """Its page fails the test for whatever a policy refuses and for any error of a script."""

    async def index(request: web.Request) -> web.Response:
        text = (FOLDER / "shop.html").read_text()
        text = text.replace("%STRIPE_JS%", f"{standin.url}/stripe.js").replace("%KEY%", PUBLISHABLE_KEY)
        text = text.replace("%SECRET%", request.query.get("secret", ""))
        headers = {"Content-Security-Policy": policy(standin.url)}
        return web.Response(text=text, content_type="text/html", headers=headers)

    async def back(_request: web.Request) -> web.Response:
        return web.Response(text="<!doctype html><title>Back</title>", content_type="text/html")

    async def icon(_request: web.Request) -> web.Response:
        return web.Response(status=204)

    app = web.Application()
    app.router.add_get("/", index)
    app.router.add_get("/back", back)
    app.router.add_get("/favicon.ico", icon)
    app.router.add_static("/", FOLDER)
    async with listening(app) as url:
        # Another site than the stand-in's, as a merchant's is.
        made = Shop(page, standin, url.replace("127.0.0.1", "localhost"))
        await page.expose_binding("refused", lambda _source, what: made.refused.append(what))
        await page.add_init_script(WATCH)
        page.on("pageerror", lambda error: made.errors.append(str(error)))
        yield made
        await page.close()
    assert (made.refused, made.errors) == ([], [])
