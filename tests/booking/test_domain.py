"""The heart: every status with every trigger, the seats, and which tickets can be given back."""

from __future__ import annotations

from itertools import product
from uuid import UUID

import pytest
from booking import domain
from booking.domain import RefundState, Seats, Status, TicketStatus, Trigger
from chassis.errors import Conflict, Invalid
from contracts.money import Money

P, A, C, X, Z = (
    Status.PENDING_PAYMENT,
    Status.PAYMENT_AUTHORIZED,
    Status.CONFIRMED,
    Status.EXPIRED,
    Status.CANCELLED,
)

AFTER: dict[Trigger, dict[Status, Status | None]] = {
    Trigger.PAYMENT_AUTHORIZED: {P: A, A: A, C: None, X: A, Z: None},
    Trigger.PAYMENT_SUCCEEDED: {P: C, A: C, C: None, X: C, Z: None},
    Trigger.PAYMENT_FAILED: {P: X, A: X, C: None, X: None, Z: None},
    Trigger.HOLD_ENDED: {P: X, A: None, C: None, X: None, Z: None},
    Trigger.CANCELLATION: {P: Z, A: Z, C: Z, X: None, Z: None},
    Trigger.TICKETS_GIVEN_BACK: {P: None, A: None, C: C, X: None, Z: None},
    Trigger.EVENT_CANCELLED: {P: Z, A: Z, C: Z, X: None, Z: None},
}

ONE, TWO, THREE = (UUID(int=number) for number in (1, 2, 3))


@pytest.mark.parametrize(("status", "trigger"), list(product(Status, Trigger)))
def test_every_pair_is_decided(status: Status, trigger: Trigger) -> None:
    """A pair leads where this table says; one without a target is refused, with the state in the answer."""
    expected = AFTER[trigger][status]
    if expected is not None:
        assert domain.next_status(status, trigger) is expected
        return
    with pytest.raises(domain.IllegalTransition) as refused:
        domain.next_status(status, trigger)
    assert refused.value.extra == {"state": status}
    assert trigger in refused.value.detail


def test_a_cancelled_event_ends_what_is_not_over() -> None:
    """Its batches look for exactly the states in which a ticket still occupies a seat."""
    assert set(domain.ENDED_BY_EVENT) == {status for status in Status if sum(domain.OCCUPIES[status])}


def test_nothing_leads_out_of_cancelled() -> None:
    assert not [status for status, _ in domain.TRANSITIONS if status is Z]


@pytest.mark.parametrize(("before", "after"), list(product(Status, Status)))
def test_seats_follow_the_status(before: Status, after: Status) -> None:
    """What a way through the states adds up to is what the last state occupies, and no state occupies a seat twice."""
    by = domain.seats_between(before, after)
    occupied = domain.OCCUPIES[before]
    assert Seats(occupied.held + by.held, occupied.sold + by.sold) == domain.OCCUPIES[after]
    assert sum(domain.OCCUPIES[after]) == (1 if after in {P, A, C} else 0)


def test_a_free_booking_is_confirmed_at_once() -> None:
    assert domain.first_status(Money(0, "EUR")) is C
    assert domain.first_status(Money(1, "EUR")) is P


@pytest.mark.parametrize(
    ("price", "refunded", "failed", "awaited", "expected"),
    [
        (100, 0, 0, False, RefundState.NONE),
        (0, 0, 0, False, RefundState.NONE),
        (100, 0, 0, True, RefundState.PENDING),
        (100, 50, 0, True, RefundState.PARTIALLY_REFUNDED),
        (100, 50, 0, False, RefundState.PARTIALLY_REFUNDED),
        (100, 50, 50, True, RefundState.REFUND_FAILED),
        (100, 0, 100, True, RefundState.REFUND_FAILED),
        (100, 100, 50, True, RefundState.REFUNDED),
        (100, 100, 0, False, RefundState.REFUNDED),
    ],
)
def test_what_the_customer_sees_of_refunds(
    price: int,
    refunded: int,
    failed: int,
    awaited: bool,  # noqa: FBT001  # a table's column
    expected: RefundState,
) -> None:
    state = domain.refund_state(Money(price, "EUR"), refunded_minor=refunded, failed_minor=failed, awaited=awaited)
    assert state is expected


@pytest.mark.parametrize("status", Status)
def test_a_ticket_is_worth_what_its_booking_is_until_it_is_given_back(status: Status) -> None:
    worth = {P: TicketStatus.HELD, A: TicketStatus.HELD, C: TicketStatus.VALID, X: TicketStatus.EXPIRED}
    assert domain.ticket_status(status, given_back=False) is worth.get(status, TicketStatus.CANCELLED)
    assert domain.ticket_status(status, given_back=True) is TicketStatus.CANCELLED


@pytest.mark.parametrize(
    ("asked", "expected"), [([], (ONE, TWO)), ([TWO], (TWO,)), ([TWO, ONE], (ONE, TWO)), ([ONE], (ONE,))]
)
def test_tickets_that_are_left_can_be_given_back(asked: list[UUID], expected: tuple[UUID, ...]) -> None:
    """None named: all that are left."""
    assert domain.given_back(asked, [ONE, TWO, THREE], [ONE, TWO]) == expected


@pytest.mark.parametrize("asked", [[THREE], [ONE, THREE]])
def test_a_ticket_is_given_back_once(asked: list[UUID]) -> None:
    """What is left is named, and nothing of the request is done."""
    with pytest.raises(Conflict) as refused:
        domain.given_back(asked, [ONE, TWO, THREE], [ONE, TWO])
    assert refused.value.extra == {"state": "given_back", "left": [str(ONE), str(TWO)]}


@pytest.mark.parametrize(
    ("asked", "field"),
    [([UUID(int=9)], "ticket_ids.0"), ([ONE, ONE], "ticket_ids.1"), ([ONE, UUID(int=9)], "ticket_ids.1")],
)
def test_what_is_no_ticket_of_the_booking_is_refused(asked: list[UUID], field: str) -> None:
    with pytest.raises(Invalid, match=field):
        domain.given_back(asked, [ONE, TWO, THREE], [ONE, TWO])
