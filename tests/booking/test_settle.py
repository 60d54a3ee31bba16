"""What payment and refund tell, in any order and more than once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import permutations
from typing import Any
from uuid import UUID, uuid4

import pytest
from contracts.booking import BookingConfirmed, BookingExpired, SeatsSecured, SeatsUnavailable
from contracts.event import Event
from contracts.money import Money
from contracts.payment import PaymentAuthorized, PaymentFailed, PaymentSucceeded
from contracts.refund import RefundCompleted, RefundDeclined, RefundFailed, RefundSettledManually

from tests.booking.conftest import TICKET, BoxOffice, Payment, payment_of, refund_of
from tests.support.service import eventually


async def told(office: BoxOffice, booking: dict[str, Any]) -> list[Event]:
    """What the booking published after it was placed; its events are numbered without gaps."""
    events = [found for found in await office.service.outbox() if str(found.subject) == booking["id"]]
    assert [found.version for found in events] == list(range(1, len(events) + 1))
    return events[1:]


async def deliver(office: BoxOffice, *events: Event) -> None:
    for event in events:
        await office.service.deliver_and_wait(event)


async def expired_and_sold_out(office: BoxOffice) -> tuple[dict[str, Any], dict[str, Any]]:
    """An event of two seats, and a booking of both whose hold ended and whose seats are somebody else's now."""
    event = await office.create_event({**TICKET, "capacity": 2})
    booking = await office.book(event, 2)
    await office.expire(booking)
    await office.book(event, 1)
    return event, booking


async def test_authorized_seats_do_not_expire(office: BoxOffice) -> None:
    event = await office.create_event()
    payment = payment_of(await office.book(event))
    await deliver(office, payment.authorized())
    read = await office.read(payment.booking)
    assert (read["hold_expires_at"], read["payment_id"]) == (None, str(payment.id))
    (secured,) = await told(office, payment.booking)
    assert isinstance(secured, SeatsSecured)
    assert secured.payment_id == payment.id


async def test_confirmation_carries_the_tickets(office: BoxOffice) -> None:
    payment = payment_of(await office.book(await office.create_event(), 3))
    await deliver(office, payment.authorized(), payment.succeeded())
    shown = await office.read(payment.booking)
    confirmed = (await told(office, payment.booking))[-1]
    assert isinstance(confirmed, BookingConfirmed)
    issued = office.service.sealer.unseal_json(confirmed.tickets, "booking.tickets")
    assert {ticket["line_id"]: ticket["code"] for ticket in issued} == {t["id"]: t["code"] for t in shown["tickets"]}
    assert len({ticket["code"] for ticket in issued}) == 3
    assert (confirmed.payment_id, confirmed.total) == (payment.id, Money(12600, "EUR"))


async def test_a_method_that_is_captured_at_once_is_confirmed_in_one_step(office: BoxOffice) -> None:
    event = await office.create_event()
    payment = payment_of(await office.book(event))
    await deliver(office, payment.succeeded())
    assert (await office.read(payment.booking))["status"] == "confirmed"
    assert [type(e) for e in await told(office, payment.booking)] == [BookingConfirmed]
    assert await office.seats(event) == [(0, 1)]


@pytest.mark.parametrize("captured", [False, True])
async def test_late_money_takes_free_seats_again(office: BoxOffice, captured: bool) -> None:  # noqa: FBT001  # both ways
    event = await office.create_event({**TICKET, "capacity": 2})
    payment = payment_of(await office.book(event, 2))
    await office.expire(payment.booking)
    assert await office.seats(event) == [(0, 0)]
    await deliver(office, payment.succeeded() if captured else payment.authorized())
    assert await office.seats(event) == [(0, 2) if captured else (2, 0)]
    expected = BookingConfirmed if captured else SeatsSecured
    assert [type(e) for e in await told(office, payment.booking)] == [BookingExpired, expected]


async def test_late_money_finds_its_seats_sold(office: BoxOffice) -> None:
    """Of two seats one is free: none is taken, and payment is told why."""
    event, booking = await expired_and_sold_out(office)
    payment = payment_of(booking)
    await deliver(office, payment.authorized())
    assert await office.seats(event) == [(1, 0)]
    expired, unavailable = await told(office, booking)
    assert isinstance(expired, BookingExpired)
    assert isinstance(unavailable, SeatsUnavailable)
    assert (unavailable.reason, unavailable.payment_id) == ("sold_out", payment.id)
    read = await office.read(booking)
    assert (read["status"], read["refund_state"]) == ("expired", "none")


async def test_one_sold_out_type_leaves_the_others_free(office: BoxOffice) -> None:
    """What had been taken of the first type is given back in the same transaction."""
    event = await office.create_event({**TICKET, "capacity": 5}, {**TICKET, "name": "Rang", "capacity": 1})
    payment = payment_of(await office.book(event, 3, 1))
    await office.expire(payment.booking)
    await office.book({**event, "ticket_types": event["ticket_types"][1:]})
    await deliver(office, payment.authorized())
    assert await office.seats(event) == [(0, 0), (1, 0)]
    assert isinstance((await told(office, payment.booking))[-1], SeatsUnavailable)


async def test_captured_money_without_seats_goes_back(office: BoxOffice) -> None:
    event, booking = await expired_and_sold_out(office)
    payment = payment_of(booking)
    await deliver(office, payment.succeeded())
    assert isinstance((await told(office, booking))[-1], SeatsUnavailable)
    assert (await office.read(booking))["refund_state"] == "pending"
    assert await office.seats(event) == [(1, 0)]


async def test_refused_once_is_refused_for_good(office: BoxOffice) -> None:
    """Seats that come free again change nothing: refund and payment were told that the money goes back."""
    event = await office.create_event({**TICKET, "capacity": 1})
    booking = await office.book(event)
    await office.expire(booking)
    other = await office.book(event)
    payment = payment_of(booking)
    await deliver(office, payment.authorized())
    await office.cancel(other)
    await deliver(office, payment.authorized(), payment.succeeded())
    assert await office.seats(event) == [(0, 0)]
    assert [type(e) for e in await told(office, booking)] == [BookingExpired, SeatsUnavailable, SeatsUnavailable]
    read = await office.read(booking)
    assert (read["status"], read["refund_state"]) == ("expired", "pending")


async def test_money_for_a_cancelled_booking(office: BoxOffice) -> None:
    """An authorization is answered, a capture is refund's; neither brings the booking back."""
    event = await office.create_event()
    payment = payment_of(await office.book(event))
    await office.cancel(payment.booking)
    await deliver(office, payment.authorized())
    last = (await told(office, payment.booking))[-1]
    assert isinstance(last, SeatsUnavailable)
    assert last.reason == "booking_cancelled"
    await deliver(office, payment.succeeded())
    assert (await told(office, payment.booking))[-1] == last
    read = await office.read(payment.booking)
    assert (read["status"], read["refund_state"]) == ("cancelled", "pending")
    assert await office.seats(event) == [(0, 0)]


@pytest.mark.parametrize("authorized", [False, True])
async def test_a_failed_payment_frees_the_seats(office: BoxOffice, authorized: bool) -> None:  # noqa: FBT001  # both ways
    event = await office.create_event()
    payment = payment_of(await office.book(event))
    if authorized:
        await deliver(office, payment.authorized())
    await deliver(office, payment.failed())
    assert (await office.read(payment.booking))["status"] == "expired"
    assert isinstance((await told(office, payment.booking))[-1], BookingExpired)
    assert await office.seats(event) == [(0, 0)]


async def test_a_failure_after_the_end_changes_nothing(office: BoxOffice) -> None:
    event = await office.create_event()
    expired, cancelled = payment_of(await office.book(event)), payment_of(await office.book(event))
    await office.expire(expired.booking)
    await office.cancel(cancelled.booking)
    for payment in (expired, cancelled):
        before = await told(office, payment.booking)
        await deliver(office, payment.failed())
        assert await told(office, payment.booking) == before


async def test_the_same_event_twice_has_one_effect(office: BoxOffice) -> None:
    event = await office.create_event()
    payment = payment_of(await office.book(event, 2))
    for message in (payment.authorized(), payment.succeeded()):
        event_id = await office.service.deliver_and_wait(message)
        await office.service.deliver(message, event_id)
        await office.service.deliver(message, event_id)
        await office.service.deliver_and_wait(message)  # under another id: the version is old
    assert [type(e) for e in await told(office, payment.booking)] == [SeatsSecured, BookingConfirmed]
    assert await office.seats(event) == [(0, 2)]


def histories() -> list[tuple[str, tuple[str, ...]]]:
    """Each history of a payment, in every order of arrival, with the state in which it must end."""
    ended = {
        ("authorized", "succeeded"): "confirmed",
        ("authorized", "failed"): "expired",
        ("authorized", "authorized", "succeeded"): "confirmed",
    }
    return [(state, order) for history, state in ended.items() for order in set(permutations(enumerate(history)))]


@pytest.mark.parametrize(("state", "order"), histories())
async def test_any_order_ends_alike(office: BoxOffice, state: str, order: Sequence[tuple[int, str]]) -> None:
    event = await office.create_event()
    payment = payment_of(await office.book(event))
    for index, what in order:
        payment.version = index
        await deliver(office, getattr(payment, what)())
    assert (await office.read(payment.booking))["status"] == state
    assert await office.seats(event) == [(0, 1) if state == "confirmed" else (0, 0)]
    ends = [e for e in await told(office, payment.booking) if isinstance(e, BookingConfirmed | BookingExpired)]
    assert len(ends) == 1


@pytest.mark.parametrize("amount", [Money(4199, "EUR"), Money(4201, "EUR"), Money(4200, "USD")])
async def test_another_amount_confirms_nothing(office: BoxOffice, amount: Money) -> None:
    """It is parked for a person; the booking stays as it is and can still be paid rightly."""
    event = await office.create_event()
    payment = payment_of(await office.book(event))
    before = await office.service.parked(PaymentSucceeded)
    await office.service.deliver(payment.succeeded(amount))
    await parked(office, PaymentSucceeded, before + 1)
    assert (await office.read(payment.booking))["status"] == "pending_payment"
    await deliver(office, payment.succeeded())
    assert (await office.read(payment.booking))["status"] == "confirmed"


async def test_a_second_payment_of_a_booking_is_parked(office: BoxOffice) -> None:
    booking = await office.book(await office.create_event())
    await deliver(office, payment_of(booking).authorized())
    before = await office.service.parked(PaymentAuthorized)
    await office.service.deliver(payment_of(booking).authorized())
    await parked(office, PaymentAuthorized, before + 1)


async def test_what_cannot_be_is_parked(office: BoxOffice) -> None:
    """A payment that fails after it was captured, and money for a booking that does not exist."""
    payment = payment_of(await office.book(await office.create_event()))
    await deliver(office, payment.succeeded())
    before = await office.service.parked(PaymentFailed)
    await office.service.deliver(payment.failed())
    await office.service.deliver(Payment({**payment.booking, "id": str(uuid4())}, uuid4()).failed())
    await parked(office, PaymentFailed, before + 2)
    assert (await office.read(payment.booking))["status"] == "confirmed"


async def parked(office: BoxOffice, event: type[Event], count: int) -> None:
    async def arrived() -> bool:
        return await office.service.parked(event) == count

    await eventually(arrived)


async def refunded(office: BoxOffice, booking: dict[str, Any]) -> tuple[str, int]:
    read = await office.read(booking)
    return read["refund_state"], read["refunded_minor"]


async def test_refunds_add_up(office: BoxOffice) -> None:
    payment = payment_of(await office.book(await office.create_event()))
    booking = payment.booking
    await deliver(office, payment.succeeded())
    assert await refunded(office, booking) == ("none", 0)
    await deliver(office, refund_of(booking, RefundCompleted, uuid4(), 2, Money(1200, "EUR")))
    assert await refunded(office, booking) == ("partially_refunded", 1200)
    await deliver(office, refund_of(booking, RefundCompleted, uuid4(), 2, Money(3000, "EUR")))
    assert await refunded(office, booking) == ("refunded", 4200)


@pytest.mark.parametrize("order", list(permutations((2, 3, 4))))
async def test_the_last_word_on_a_refund_counts(office: BoxOffice, order: tuple[int, ...]) -> None:
    """It completed, failed later, and was tried again: whatever the order of arrival, the last version tells."""
    payment = payment_of(await office.book(await office.create_event()))
    await deliver(office, payment.succeeded())
    await office.cancel(payment.booking)
    refund_id = uuid4()
    said = {2: RefundCompleted, 3: RefundFailed, 4: RefundCompleted}
    expected = {2: ("refunded", 4200), 3: ("refund_failed", 0), 4: ("refunded", 4200)}
    newest = 0
    for version in order:
        newest = max(newest, version)
        await deliver(office, refund_of(payment.booking, said[version], refund_id, version, Money(4200, "EUR")))
        assert await refunded(office, payment.booking) == expected[newest]


@pytest.mark.parametrize("order", list(permutations((2, 3, 4))))
async def test_what_staff_settle_another_way_counts(office: BoxOffice, order: tuple[int, ...]) -> None:
    """It was sent, came back from the bank, and was paid by hand, all of it or a part: the last version tells, with its amount."""
    payment = payment_of(await office.book(await office.create_event()))
    await deliver(office, payment.succeeded())
    await office.cancel(payment.booking)
    refund_id = uuid4()
    said = {
        2: refund_of(payment.booking, RefundCompleted, refund_id, 2, Money(4200, "EUR")),
        3: refund_of(payment.booking, RefundFailed, refund_id, 3, Money(4200, "EUR")),
        4: refund_of(payment.booking, RefundSettledManually, refund_id, 4, Money(4000, "EUR")),
    }
    expected = {2: ("refunded", 4200), 3: ("refund_failed", 0), 4: ("partially_refunded", 4000)}
    for position, version in enumerate(order):
        await deliver(office, said[version])
        assert await refunded(office, payment.booking) == expected[max(order[: position + 1])]


async def test_a_refund_is_awaited_until_refund_says_that_there_is_none(office: BoxOffice) -> None:
    """Booking does not judge the policy: what refund declines is not pending any more."""
    payment = payment_of(await office.book(await office.create_event()))
    await deliver(office, payment.succeeded())
    await office.cancel(payment.booking)
    assert await refunded(office, payment.booking) == ("pending", 0)
    booking_id = UUID(payment.booking["id"])
    declined = RefundDeclined(
        version=1, occurred_at=datetime.now(UTC), refund_id=uuid4(), booking_id=booking_id, rule="too late"
    )
    await deliver(office, declined)
    assert await refunded(office, payment.booking) == ("none", 0)


async def test_more_than_was_paid_never_goes_back(office: BoxOffice) -> None:
    payment = payment_of(await office.book(await office.create_event()))
    await deliver(office, payment.succeeded())
    before = await office.service.parked(RefundCompleted)
    await office.service.deliver(refund_of(payment.booking, RefundCompleted, uuid4(), 2, Money(4201, "EUR")))
    await office.service.deliver(refund_of(payment.booking, RefundCompleted, uuid4(), 2, Money(100, "USD")))
    await parked(office, RefundCompleted, before + 2)
    assert await refunded(office, payment.booking) == ("none", 0)
