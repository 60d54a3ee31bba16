"""Many at once: seats are never sold twice, and every counter equals a recount."""

from __future__ import annotations

import asyncio
from collections import Counter
from uuid import uuid4

from contracts.booking import BookingCancelled, BookingConfirmed, BookingExpired, SeatsSecured, SeatsUnavailable

from tests.booking.conftest import TICKET, BoxOffice, booking_body, payment_of
from tests.support.service import eventually

BUYERS = 300
SEATS = 50


async def test_fifty_seats_are_sold_fifty_times(office: BoxOffice) -> None:
    """Whoever gets none is told so. Buyers who are asked to come back do, with their key, and are not served twice."""
    event = await office.create_event({**TICKET, "capacity": SEATS})
    answers = await asyncio.gather(*(office.post("/bookings", booking_body(event)) for _ in range(BUYERS)))
    assert Counter(answer.status_code for answer in answers) == {201: SEATS, 409: BUYERS - SEATS}
    assert {answer.json()["state"] for answer in answers if answer.status_code == 409} == {"sold_out"}
    assert await office.seats(event) == [(SEATS, 0)]


async def test_several_types_bought_in_any_order_never_lock_each_other(office: BoxOffice) -> None:
    """Half of the buyers name the types the other way round; a circle of waiting would end in an error."""
    event = await office.create_event({**TICKET, "capacity": 60}, {**TICKET, "name": "Rang", "capacity": 45})
    bodies = [booking_body(event, 2, 1) for _ in range(60)]
    for body in bodies[::2]:
        body["items"].reverse()
    answers = await asyncio.gather(*(office.post("/bookings", body) for body in bodies))
    assert Counter(answer.status_code for answer in answers) == {201: 30, 409: 30}
    assert await office.seats(event) == [(60, 0), (30, 0)]


async def test_one_key_at_once_is_one_booking(office: BoxOffice) -> None:
    """Twenty clicks with one key, also on the last seat, get twenty equal answers."""
    event = await office.create_event({**TICKET, "capacity": 1})
    body, key = booking_body(event), uuid4().hex
    answers = await asyncio.gather(*(office.post("/bookings", body, key=key) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert await office.seats(event) == [(1, 0)]


async def test_expiry_races_with_payment(office: BoxOffice) -> None:
    """Each booking is either expired first and secured again, or secured and not expired: held seats equal secured ones."""
    rounds = 20
    event = await office.create_event({**TICKET, "capacity": rounds})
    payments = [payment_of(await office.book(event)) for _ in range(rounds)]

    async def race(index: int) -> None:
        await asyncio.gather(
            office.end_hold(payments[index].booking), office.service.deliver_and_wait(payments[index].authorized())
        )

    await asyncio.gather(*(race(index) for index in range(rounds)))
    for payment in payments:
        assert (await office.read(payment.booking))["status"] == "payment_authorized"
    assert await office.seats(event) == [(rounds, 0)]


async def test_cancellation_races_with_payment(office: BoxOffice) -> None:
    """One order or the other, told as such: a booking ends cancelled and its seats free, whatever came first."""
    rounds = 20
    event = await office.create_event({**TICKET, "capacity": rounds})
    payments = [payment_of(await office.book(event)) for _ in range(rounds)]
    await asyncio.gather(
        *(office.cancel(payment.booking) for payment in payments),
        *(office.service.deliver_and_wait(payment.authorized()) for payment in payments),
    )
    told = await office.service.outbox()
    for payment in payments:
        events = [type(e) for e in told if str(e.subject) == payment.booking["id"]][1:]
        assert events in ([SeatsSecured, BookingCancelled], [BookingCancelled, SeatsUnavailable])
    assert await office.seats(event) == [(0, 0)]


async def test_two_late_payments_want_the_last_seat(office: BoxOffice) -> None:
    event = await office.create_event({**TICKET, "capacity": 1})
    first = payment_of(await office.book(event))
    await office.expire(first.booking)
    second = payment_of(await office.book(event))
    await office.expire(second.booking)
    await asyncio.gather(*(office.service.deliver_and_wait(p.succeeded()) for p in (first, second)))
    ids = {first.booking["id"], second.booking["id"]}
    told = [type(e) for e in await office.service.outbox() if str(e.subject) in ids]
    assert Counter(told)[BookingConfirmed] == Counter(told)[SeatsUnavailable] == 1
    assert await office.seats(event) == [(0, 1)]


async def test_a_cancel_button_pressed_often(office: BoxOffice) -> None:
    event = await office.create_event()
    booking = await office.book(event)
    answers = await asyncio.gather(*(office.cancel(booking) for _ in range(10)))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 409: 9}
    assert await office.seats(event) == [(0, 0)]


async def test_a_sale_while_holds_end(office: BoxOffice) -> None:
    """Seats that come free are sold again while others still fall due; nothing is counted twice."""
    event = await office.create_event({**TICKET, "capacity": 20})
    first = [await office.book(event) for _ in range(20)]
    await asyncio.gather(*(office.end_hold(booking) for booking in first))

    async def bought() -> bool:
        answers = await asyncio.gather(*(office.post("/bookings", booking_body(event)) for _ in range(5)))
        assert {answer.status_code for answer in answers} <= {201, 409}
        return await office.seats(event) == [(20, 0)] and await expired() == 20

    async def expired() -> int:
        ids = {booking["id"] for booking in first}
        return len([e for e in await office.service.outbox_of(BookingExpired) if str(e.booking_id) in ids])

    await eventually(bought)
