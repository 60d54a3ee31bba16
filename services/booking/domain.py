"""The heart of booking: what may happen to a booking and its tickets, which seats they occupy meanwhile.

What they cost stands in `prices`, when an event is in `dates`.

Pure: no clock, no database. Instants are aware datetimes, amounts are integers in minor units.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import Literal, NamedTuple
from uuid import UUID

from chassis.errors import Conflict, Invalid
from contracts.money import Money

TICKETS_MAX = 20
"""Tickets in one booking."""


class Status(StrEnum):
    PENDING_PAYMENT = "pending_payment"
    PAYMENT_AUTHORIZED = "payment_authorized"
    CONFIRMED = "confirmed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


class Trigger(StrEnum):
    PAYMENT_AUTHORIZED = "payment authorized"
    PAYMENT_SUCCEEDED = "payment succeeded"
    PAYMENT_FAILED = "payment failed"
    HOLD_ENDED = "hold ended"
    CANCELLATION = "cancellation"
    TICKETS_GIVEN_BACK = "giving tickets back"
    EVENT_CANCELLED = "cancellation of the event"


class TicketStatus(StrEnum):
    """What a ticket is worth. Derived from its booking, never stored."""

    HELD = "held"
    VALID = "valid"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


Refusal = Literal["sold_out", "booking_cancelled", "event_cancelled"]
"""Why a payment gets no seats."""

CancelledBy = Literal["customer", "staff", "event"]


class RefundState(StrEnum):
    """What a customer sees about money that goes back. Derived, never stored."""

    NONE = "none"
    PENDING = "pending"
    PARTIALLY_REFUNDED = "partially_refunded"
    REFUNDED = "refunded"
    REFUND_FAILED = "refund_failed"


TRANSITIONS: Mapping[tuple[Status, Trigger], Status] = MappingProxyType(
    {
        (Status.PENDING_PAYMENT, Trigger.PAYMENT_AUTHORIZED): Status.PAYMENT_AUTHORIZED,
        (Status.PENDING_PAYMENT, Trigger.PAYMENT_SUCCEEDED): Status.CONFIRMED,
        (Status.PENDING_PAYMENT, Trigger.PAYMENT_FAILED): Status.EXPIRED,
        (Status.PENDING_PAYMENT, Trigger.HOLD_ENDED): Status.EXPIRED,
        (Status.PENDING_PAYMENT, Trigger.CANCELLATION): Status.CANCELLED,
        # A payment that is authorized anew asks anew; its seats are still held.
        (Status.PAYMENT_AUTHORIZED, Trigger.PAYMENT_AUTHORIZED): Status.PAYMENT_AUTHORIZED,
        (Status.PAYMENT_AUTHORIZED, Trigger.PAYMENT_SUCCEEDED): Status.CONFIRMED,
        (Status.PAYMENT_AUTHORIZED, Trigger.PAYMENT_FAILED): Status.EXPIRED,
        (Status.PAYMENT_AUTHORIZED, Trigger.CANCELLATION): Status.CANCELLED,
        (Status.CONFIRMED, Trigger.CANCELLATION): Status.CANCELLED,
        # Some tickets go, the booking goes on with the others; before it is paid it is one price for all of them.
        (Status.CONFIRMED, Trigger.TICKETS_GIVEN_BACK): Status.CONFIRMED,
        (Status.PENDING_PAYMENT, Trigger.EVENT_CANCELLED): Status.CANCELLED,
        (Status.PAYMENT_AUTHORIZED, Trigger.EVENT_CANCELLED): Status.CANCELLED,
        (Status.CONFIRMED, Trigger.EVENT_CANCELLED): Status.CANCELLED,
        # Money that comes after the hold takes the seats again, if they are free.
        (Status.EXPIRED, Trigger.PAYMENT_AUTHORIZED): Status.PAYMENT_AUTHORIZED,
        (Status.EXPIRED, Trigger.PAYMENT_SUCCEEDED): Status.CONFIRMED,
    }
)


ENDED_BY_EVENT = tuple(status for status, trigger in TRANSITIONS if trigger is Trigger.EVENT_CANCELLED)
"""The states of bookings that a cancelled event ends; those in the others are over already."""


class IllegalTransition(Conflict):
    """It cannot happen to a booking in this state."""

    def __init__(self, status: Status, trigger: Trigger) -> None:
        super().__init__(f"A booking in the state {status} does not allow: {trigger}.", state=status)


class SoldOut(Conflict):
    """There are not enough seats; `left` says how many of each ticket type."""

    def __init__(self, left: Mapping[UUID, int]) -> None:
        free = [{"ticket_type_id": str(type_id), "available": seats} for type_id, seats in left.items()]
        super().__init__("There are not enough seats left.", state="sold_out", left=free)


def next_status(status: Status, trigger: Trigger) -> Status:
    """The state after `trigger`. Raises IllegalTransition for a pair that TRANSITIONS does not have."""
    try:
        return TRANSITIONS[status, trigger]
    except KeyError:
        raise IllegalTransition(status, trigger) from None


class Seats(NamedTuple):
    """Seats that are added to the counters of a ticket type."""

    held: int
    sold: int

    def times(self, tickets: int) -> Seats:
        """The same for several tickets."""
        return Seats(self.held * tickets, self.sold * tickets)

    def plus(self, other: Seats) -> Seats:
        """Both together."""
        return Seats(self.held + other.held, self.sold + other.sold)


NO_SEATS = Seats(held=0, sold=0)

OCCUPIES: Mapping[Status, Seats] = MappingProxyType(
    {
        Status.PENDING_PAYMENT: Seats(held=1, sold=0),
        Status.PAYMENT_AUTHORIZED: Seats(held=1, sold=0),
        Status.CONFIRMED: Seats(held=0, sold=1),
        Status.EXPIRED: NO_SEATS,
        Status.CANCELLED: NO_SEATS,
    }
)
"""Of each ticket that was not given back."""


def seats_between(before: Status, after: Status) -> Seats:
    """What a transition adds to the counters for each ticket."""
    return Seats(OCCUPIES[after].held - OCCUPIES[before].held, OCCUPIES[after].sold - OCCUPIES[before].sold)


def ticket_status(status: Status, *, given_back: bool) -> TicketStatus:
    """What a ticket of a booking in `status` is worth."""
    if given_back:
        return TicketStatus.CANCELLED
    match status:
        case Status.PENDING_PAYMENT | Status.PAYMENT_AUTHORIZED:
            return TicketStatus.HELD
        case Status.CONFIRMED:
            return TicketStatus.VALID
        case Status.EXPIRED:
            return TicketStatus.EXPIRED
        case Status.CANCELLED:
            return TicketStatus.CANCELLED


def given_back(asked: Sequence[UUID], tickets: Sequence[UUID], left: Sequence[UUID]) -> tuple[UUID, ...]:
    """The tickets that a request gives back, of a booking's `tickets` those `left`: all of them unless some are `asked` for.

    Raises Invalid for one that is named twice or is not the booking's, Conflict, saying what is left, for one that is gone.
    """
    for position, ticket in enumerate(asked):
        if ticket not in tickets:
            raise Invalid(f"ticket_ids.{position}", "there is no such ticket in this booking")
        if ticket in asked[:position]:
            raise Invalid(f"ticket_ids.{position}", "is named twice")
    if not set(asked) <= set(left):
        raise Conflict(
            "Not all of these tickets are left to be given back.",
            state="given_back",
            left=[str(ticket) for ticket in left],
        )
    return tuple(ticket for ticket in left if not asked or ticket in asked)


def first_status(price: Money) -> Status:
    """A booking that costs nothing is confirmed at once."""
    return Status.PENDING_PAYMENT if price else Status.CONFIRMED


def refund_state(price: Money, *, refunded_minor: int, failed_minor: int, awaited: bool) -> RefundState:
    """What goes back: `awaited` tells that something should, while nothing has."""
    if refunded_minor and refunded_minor >= price.amount_minor:
        return RefundState.REFUNDED
    if failed_minor:
        return RefundState.REFUND_FAILED
    if refunded_minor:
        return RefundState.PARTIALLY_REFUNDED
    return RefundState.PENDING if awaited else RefundState.NONE
