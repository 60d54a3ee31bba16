from __future__ import annotations

import asyncio

import pytest

from sandbox.story.play import Story
from sandbox.story.shop import Bought, Json, Shop
from sandbox.story.timeline import Timeline
from tests.e2e.stack import Stack

pytestmark = pytest.mark.timeout(600)


async def test_the_story_ends_as_it_should_each_time(stack: Stack) -> None:
    """Three stories through the command that a newcomer uses, and nothing differs anywhere after them."""
    told = await stack.boxoffice("story", "--times", "3")
    assert told.count("confirmed, 2 tickets issued") == 3
    assert told.count("succeeded: 25.00 EUR of 50.00 EUR") == 3
    await stack.verify()


class FragileShop(Shop):
    """A shop in which one service is killed when a certain request is sent, or a certain thing was observed."""

    def __init__(self, stack: Stack, service: str, moment: str) -> None:
        super().__init__(stack.status)
        self.killed = 0
        self._stack = stack
        self._service = service
        self._moment = moment

    def reached(self, what: str) -> None:
        if self._moment in what and not self.killed:
            self.killed += 1
            self._stack.kill(self._service)

    async def ask(self, service: str, method: str, path: str, **more: object) -> Json:
        """The kill meets the request on its way."""
        asked = asyncio.ensure_future(super().ask(service, method, path, **more))  # type: ignore[arg-type]  # passed on
        await asyncio.sleep(0)
        self.reached(f"{method} {path}")
        return await asked


class DeadlyTimeline(Timeline):
    """Tells the shop what was observed."""

    def __init__(self, shop: FragileShop) -> None:
        super().__init__(quiet=True)
        self._shop = shop

    def say(self, who: str, at: object, what: str) -> None:
        super().say(who, at, what)  # type: ignore[arg-type]  # passed on
        self._shop.reached(what)


@pytest.mark.parametrize(
    ("service", "moment"),
    [
        ("booking", "POST /api/bookings"),
        ("payment", "POST /api/payments"),
        ("payment", "3-D Secure passed"),
        ("booking", "authorized: reserved"),
        ("payment", "seats secured"),
        ("notification", "captured"),
        ("refund", "/cancel"),
        ("payment", "cancelled by the customer"),
        ("refund", "refund accepted"),
    ],
)
async def test_a_killed_service_does_not_change_how_the_story_ends(whole: Stack, service: str, moment: str) -> None:
    """A service is killed (-9) at a step of a running story and started again: the same end, and nothing differs."""
    async with FragileShop(whole, service, moment) as shop:
        bought: Bought = await Story(shop, DeadlyTimeline(shop)).play()
        assert shop.killed == 1
        booking = await shop.read(bought)
    assert (booking["status"], booking["refund_state"], booking["refunded_minor"]) == (
        "cancelled",
        "partially_refunded",
        2500,
    )
    await whole.verify()
