"""What a booking may cost: statements in each transaction, and SQL that is compiled only once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from contracts.event import Event
from contracts.money import Money
from contracts.refund import RefundCompleted, RefundFailed, RefundSettledManually
from sqlalchemy import event as sqlalchemy_event

from tests.booking.conftest import TICKET, BoxOffice, booking_body, payment_of, refund_of

STATEMENTS_MAX = 4


@contextmanager
def statements(office: BoxOffice) -> Iterator[list[tuple[str, str]]]:
    """Text and cache state of the statements that the service runs, without those of its relay, sweeps and gauges."""
    engine = office.service.app.state.database.engine.sync_engine
    seen: list[tuple[str, str]] = []

    def record(_: Any, cursor: Any, statement: str, parameters: Any, context: Any, *rest: Any) -> None:
        if "SKIP LOCKED" not in statement and "published_at" not in statement:
            seen.append((statement, context.cache_hit.name))

    sqlalchemy_event.listen(engine, "before_cursor_execute", record)
    try:
        yield seen
    finally:
        sqlalchemy_event.remove(engine, "before_cursor_execute", record)


async def consumed(office: BoxOffice, event: Event) -> list[str]:
    with statements(office) as seen:
        await office.service.deliver_and_wait(event)
    return [statement for statement, _ in seen]


async def test_placing_a_booking_takes_four_statements(office: BoxOffice) -> None:
    """The event; the booking with its tickets and its message; the seats, late; the answer. For any number of tickets."""
    event = await office.create_event(TICKET, {**TICKET, "name": "Rang"})
    with statements(office) as seen:
        answer = await office.post("/bookings", booking_body(event, 12, 8))
    assert answer.status_code == 201
    assert len(seen) <= STATEMENTS_MAX, seen
    assert "UPDATE ticket_types" in seen[-2][0]


async def test_the_sql_of_a_booking_is_compiled_once(office: BoxOffice) -> None:
    """Whatever was bought before, the next booking's statements come from the cache."""
    event = await office.create_event(TICKET, {**TICKET, "name": "Rang"})
    await office.post("/bookings", booking_body(event, 1))
    with statements(office) as seen:
        assert (await office.post("/bookings", booking_body(event, 3, 2))).status_code == 201
    assert {state for _, state in seen} == {"CACHE_HIT"}, [text for text, state in seen if state != "CACHE_HIT"]


async def test_a_consumed_event_takes_four_statements(office: BoxOffice) -> None:
    """Also the one that takes seats again after the hold: the inbox's, the booking's, the seats', the change with its message."""
    event = await office.create_event()
    payment = payment_of(await office.book(event))
    assert len(await consumed(office, payment.authorized())) <= STATEMENTS_MAX
    assert len(await consumed(office, payment.succeeded())) <= STATEMENTS_MAX

    late = payment_of(await office.book(event))
    await office.expire(late.booking)
    assert len(await consumed(office, late.authorized())) <= STATEMENTS_MAX
    assert len(await consumed(office, late.failed())) <= STATEMENTS_MAX


async def test_events_of_a_cancelled_event_and_refunds_take_four_statements(office: BoxOffice) -> None:
    """The capture that ends its booking: the inbox's, the booking's, the change with its message, the seats'."""
    event = await office.create_event(TICKET, {**TICKET, "name": "Rang"})
    paid = payment_of(await office.book(event, 2, 2))
    await office.service.deliver_and_wait(paid.succeeded())
    held, authorized = [payment_of(await office.book(event, 2, 2)) for _ in range(2)]
    await office.cancel_event_unswept(event)
    assert len(await consumed(office, authorized.authorized())) <= STATEMENTS_MAX
    seen = await consumed(office, held.succeeded())
    assert len(seen) <= STATEMENTS_MAX
    assert "UPDATE ticket_types" in seen[-1]
    for cls in (RefundCompleted, RefundFailed, RefundSettledManually):
        refund = refund_of(paid.booking, cls, uuid4(), 2, Money(4200, "EUR"))
        assert len(await consumed(office, refund)) <= STATEMENTS_MAX
