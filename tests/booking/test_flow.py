from __future__ import annotations

from contracts.booking import BookingConfirmed, BookingPlaced, SeatsSecured

from tests.booking.conftest import BoxOffice, payment_of


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
