"""What a booking may cost: statements in each transaction, and SQL that is compiled only once."""

from __future__ import annotations

from uuid import uuid4

from chassis import sql
from contracts.event import Event
from contracts.money import Money
from contracts.refund import RefundCompleted, RefundFailed, RefundSettledManually

from tests.booking.conftest import TICKET, BoxOffice, booking_body, payment_of, refund_of
from tests.support.statements import statements_of

STATEMENTS_MAX = 4


OTHERS = ("SKIP LOCKED", "published_at")
"""What relay, sweeps and gauges ask."""


async def consumed(office: BoxOffice, event: Event) -> list[str]:
    with statements_of(office.service.app.state.database, *OTHERS) as seen:
        await office.service.deliver_and_wait(event)
    return [statement for _, statement in seen]


async def test_placing_a_booking_takes_four_statements(office: BoxOffice) -> None:
    """The event; the booking with its tickets and its message; the seats, late; the answer. For any number of tickets."""
    event = await office.create_event(TICKET, {**TICKET, "name": "Rang"})
    with statements_of(office.service.app.state.database, *OTHERS) as seen:
        answer = await office.post("/bookings", booking_body(event, 12, 8))
    assert answer.status_code == 201
    assert len(seen) <= STATEMENTS_MAX, seen
    assert "UPDATE ticket_types" in seen[-2][1]


async def test_the_sql_of_a_booking_is_compiled_once(office: BoxOffice) -> None:
    """Whatever was bought before, the next booking's statements come from the cache."""
    event = await office.create_event(TICKET, {**TICKET, "name": "Rang"})
    await office.post("/bookings", booking_body(event, 1))
    shapes = sql.shapes_compiled()
    assert (await office.post("/bookings", booking_body(event, 3, 2))).status_code == 201
    assert sql.shapes_compiled() == shapes


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
