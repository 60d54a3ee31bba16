"""One purchase is one trace: from the browser's requests over gateway, outbox and broker to the mail."""

from __future__ import annotations

import os
from datetime import timedelta

import pytest

from sandbox.story.shop import Json, Shop
from tests.e2e.collector import Collector, Seen
from tests.e2e.stack import Stack, contact, until

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif("TEST_STACK_HOME" in os.environ, reason="that stack sends its spans elsewhere"),
]

WHOLE = {
    ("booking", "POST /bookings"),
    ("payment", "process payment.booking-placed"),
    ("payment", "POST /payments"),
    ("payment", "provider authorize"),
    ("payment", "POST /payments/{payment_id}/sync"),
    ("booking", "process booking.payment-authorized"),
    ("payment", "process payment.booking-seats-secured"),
    ("payment", "due payment-checks"),
    ("booking", "process booking.payment-succeeded"),
    ("notification", "process notification.booking-confirmed"),
    ("notification", "due mails"),
}
TRIES = 4
"""Where a webhook or the schedule looks at the provider before the browser's hint does, what follows is in another trace."""


async def test_a_purchase_is_one_trace_from_the_browser_to_the_mail(stack: Stack, collector: Collector) -> None:
    event = await stack.shop.create_event("Traced", timedelta(days=30), capacity=TRIES)
    async with stack.without_webhooks():
        for _ in range(TRIES):
            browser, trace = await bought_in_a_trace(stack, event)
            found = await spans_of(collector, trace)
            if {(span.service, span.name) for span in found} >= WHOLE:
                break
    assert WHOLE - {(span.service, span.name) for span in found} == set()
    known = {span.id for span in found} | {browser}
    assert [span for span in found if span.parent not in known] == [], "spans that hang in the air"


async def bought_in_a_trace(stack: Stack, event: Json) -> tuple[str, str]:
    """Buys as a browser that begins a trace; its own span's id, and the trace's."""
    browser, trace = os.urandom(8).hex(), os.urandom(16).hex()
    async with Shop(stack.status) as shop:
        shop._http.headers["traceparent"] = f"00-{trace}-{browser}-01"
        visitor = Stack(stack.running, shop, stack.http)
        await visitor.buy(await shop.book(event, 1, contact()))
    return browser, trace


async def spans_of(collector: Collector, trace: str) -> list[Seen]:
    """Once the mail's is among them: services send what they have every five seconds. Or what there is after a while."""

    async def look() -> list[Seen] | None:
        found = [span for span in collector.seen() if span.trace == trace]
        return found if {(span.service, span.name) for span in found} >= WHOLE else None

    try:
        return await until(look, "the trace is not whole", 20)
    except AssertionError:
        return [span for span in collector.seen() if span.trace == trace]
