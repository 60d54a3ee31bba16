"""Every query of every dashboard finds something in a real Prometheus that has scraped the running stack."""

from __future__ import annotations

import asyncio
import os
import time
from datetime import timedelta

import pytest

from sandbox.launcher import monitoring
from sandbox.story.shop import ShopError
from tests.deploy.grafana.test_dashboards import latencies, queries
from tests.e2e.collector import Collector
from tests.e2e.stack import Stack, contact, until

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(not monitoring.installed(), reason="the sandbox goes on without Prometheus"),
]

DECLINED = "4000000000000002"
NOTHING_TO_SHOW = {"Days until certificates and keys end", "Available at the provider, in minor units"}
"""The sandbox has no certificate, and payment asks for its balance every five minutes only."""


async def test_every_panel_has_something_to_show(stack: Stack, collector: Collector) -> None:
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
    if "TEST_STACK_HOME" in os.environ:
        return  # that stack sends its spans elsewhere

    async def lead_nowhere() -> list[str]:
        known = {span.trace for span in collector.seen()}
        found = await asyncio.gather(*(_traces(stack, query) for _, query in latencies()))
        return [place for (place, _), traces in zip(latencies(), found, strict=True) if not traces & known]

    async def all_lead_to_traces() -> bool:
        return not await lead_nowhere()

    try:
        await until(all_lead_to_traces, "latencies lead to no trace", 60)
    except AssertionError:
        assert await lead_nowhere() == []


async def _traces(stack: Stack, query: str) -> set[str]:
    """Of the exemplars of a query, as Grafana asks for them."""
    now = time.time()
    asked = {"query": query, "start": str(now - 3600), "end": str(now + 60)}
    answer = await stack.http.get(f"{stack.status['prometheus']}/api/v1/query_exemplars", params=asked)
    assert answer.is_success, f"{query}: {answer.text}"
    return {exemplar["labels"]["trace_id"] for each in answer.json()["data"] for exemplar in each["exemplars"]}
