from __future__ import annotations

from booking.domain import Status
from contracts.booking import BookingConfirmed, BookingPlaced, SeatsSecured

from tests.booking.conftest import TICKET, BoxOffice, booking_body, payment_of


async def test_booking_is_held_authorized_and_confirmed(office: BoxOffice) -> None:
    """Seats are held until the money is authorized, the buyer's from then on, and sold with it; each step is one event."""
    event = await office.create_event()
    booking = await office.book(event, 2)
    assert (booking["status"], booking["total"]) == (
        "pending_payment",
        {"amount_minor": 8400, "currency": "EUR"},
    )
    assert await office.seats(event) == [(2, 0)]
    payment = payment_of(booking)
    await office.service.deliver_and_wait(payment.authorized())
    assert (await office.read(booking))["status"] == "payment_authorized"
    await office.service.deliver_and_wait(payment.succeeded())
    confirmed = await office.read(booking)
    assert confirmed["status"] == "confirmed"
    assert await office.seats(event) == [(0, 2)]
    assert all(len(ticket["code"]) == 26 for ticket in confirmed["tickets"])
    events = [found for found in await office.service.outbox() if str(found.subject) == booking["id"]]
    assert [(type(found), found.version) for found in events] == [
        (BookingPlaced, 1),
        (SeatsSecured, 2),
        (BookingConfirmed, 3),
    ]


async def test_states_are_counted(office: BoxOffice) -> None:
    """Once committed, and not for what was refused."""
    before = await counted(office)
    event = await office.create_event({**TICKET, "capacity": 1})
    booking = await office.book(event)
    assert (await office.post("/bookings", booking_body(event))).status_code == 409
    await office.service.deliver_and_wait(payment_of(booking).authorized())
    await office.cancel(booking)
    assert [after - earlier for after, earlier in zip(await counted(office), before, strict=True)] == [1, 1, 0, 0, 1]


async def counted(office: BoxOffice) -> list[float]:
    lines = (await office.service.client.get("/metrics")).text.splitlines()
    found = dict(line.rsplit(" ", 1) for line in lines if line.startswith("bookings_total"))
    return [float(found.get(f'bookings_total{{status="{status}"}}', 0)) for status in Status]
