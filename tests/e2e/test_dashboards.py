"""Every query of every dashboard finds something in a real Prometheus that has scraped the running stack."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from sandbox.launcher import monitoring
from sandbox.story.shop import ShopError
from tests.deploy.grafana.test_dashboards import queries
from tests.e2e.stack import Stack, contact, until

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(not monitoring.installed(), reason="the sandbox goes on without Prometheus"),
]

DECLINED = "4000000000000002"
NOTHING_TO_SHOW = {"Days until certificates and keys end", "Available at the provider, in minor units"}
"""The sandbox has no certificate, and payment asks for its balance every five minutes only."""


async def test_every_panel_has_something_to_show(stack: Stack) -> None:
    await stack.scraped()
    event = await stack.shop.create_event("Dashboards", timedelta(days=30), capacity=50)
    bought = await stack.shop.book(event, 1, contact())
    opened = await stack.shop.open_payment(bought)
    with pytest.raises(ShopError):
        await stack.shop.enter_card(opened, DECLINED)
    await stack.buy(bought)
    await stack.shop.quote(bought)
    await stack.shop.cancel(bought)
    await stack.shop.ask(
        "notification", "GET", f"/api/notifications?booking_id={bought.id}", headers=await stack.shop.staff()
    )

    async def empty() -> list[str]:
        found = await asyncio.gather(*(stack.series(query) for _, query in queries()))
        places = [place for (place, _), series in zip(queries(), found, strict=True) if not series]
        return [place for place in places if place.partition(": ")[2] not in NOTHING_TO_SHOW]

    async def all_show() -> bool:
        return not await empty()

    try:
        await until(all_show, "panels are empty", 60)
    except AssertionError:
        assert await empty() == []
