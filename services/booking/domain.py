"""The heart of booking: what may happen to a booking, which seats it occupies meanwhile, what it costs, and when an event is.

Pure: no clock, no database. Instants are aware datetimes, amounts are integers in minor units.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from itertools import pairwise
from types import MappingProxyType
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

from chassis.errors import Conflict, Invalid
from contracts.money import InvalidMoney, Money, chargeable, total

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
        # Money that comes after the hold takes the seats again, if they are free.
        (Status.EXPIRED, Trigger.PAYMENT_AUTHORIZED): Status.PAYMENT_AUTHORIZED,
        (Status.EXPIRED, Trigger.PAYMENT_SUCCEEDED): Status.CONFIRMED,
    }
)


class IllegalTransition(Conflict):
    """It cannot happen to a booking in this state."""

    def __init__(self, status: Status, trigger: Trigger) -> None:
        super().__init__(f"A booking in the state {status} does not allow: {trigger}.", state=status)


class PaymentMismatch(Exception):
    """What was paid is not what the booking costs, or another payment pays it: a person must look."""


def next_status(status: Status, trigger: Trigger) -> Status:
    """The state after `trigger`. Raises IllegalTransition for a pair that TRANSITIONS does not have."""
    try:
        return TRANSITIONS[status, trigger]
    except KeyError:
        raise IllegalTransition(status, trigger) from None


class Seats(NamedTuple):
    """Seats that each ticket of a booking adds to the counters of its type."""

    held: int
    sold: int


OCCUPIES: Mapping[Status, Seats] = MappingProxyType(
    {
        Status.PENDING_PAYMENT: Seats(held=1, sold=0),
        Status.PAYMENT_AUTHORIZED: Seats(held=1, sold=0),
        Status.CONFIRMED: Seats(held=0, sold=1),
        Status.EXPIRED: Seats(held=0, sold=0),
        Status.CANCELLED: Seats(held=0, sold=0),
    }
)


def seats_between(before: Status, after: Status) -> Seats:
    """What a transition adds to the counters for each ticket."""
    return Seats(OCCUPIES[after].held - OCCUPIES[before].held, OCCUPIES[after].sold - OCCUPIES[before].sold)


def first_status(price: Money) -> Status:
    """A booking that costs nothing is confirmed at once."""
    return Status.PENDING_PAYMENT if price else Status.CONFIRMED


def sales_open(now: datetime, starts_at: datetime, cancelled_at: datetime | None) -> None:
    """Raises Conflict once the event is cancelled or has started."""
    if cancelled_at is not None:
        raise Conflict("The event is cancelled.", state="cancelled")
    if now >= starts_at:
        raise Conflict("The event has started; it is not sold any more.", state="started")


def customer_may_cancel(now: datetime, starts_at: datetime, status: Status) -> None:
    """Raises Conflict once the event has started: then only staff cancel."""
    if now >= starts_at:
        raise Conflict("The event has started; the booking cannot be cancelled any more.", state=status)


def tax_included(gross_minor: int, rate_bp: int) -> int:
    """The tax within a gross price: what is left of it above the net price, which is rounded half up."""
    divisor = 10_000 + rate_bp
    return gross_minor - (2 * gross_minor * 10_000 + divisor) // (2 * divisor)


def price_of(gross_minor: Iterable[int], currency: str) -> Money:
    """The sum of the tickets. Raises Invalid when the provider could not charge it."""
    try:
        return chargeable(total((Money(amount, currency) for amount in gross_minor), currency))
    except InvalidMoney as error:
        raise Invalid("items", f"the total cannot be charged: {error}") from None


def pays(amount: Money, price: Money) -> None:
    """Raises PaymentMismatch unless `amount` is exactly `price`."""
    if amount != price:
        raise PaymentMismatch(f"the payment is of {amount}, the booking costs {price}")


def check_tiers(tiers: Sequence[tuple[int, int]]) -> None:
    """Refund tiers are (hours before the start, percent). Raises Invalid unless both fall strictly from each tier to the next."""
    for (hours, percent), (next_hours, next_percent) in pairwise(tiers):
        if next_hours >= hours or next_percent >= percent:
            raise Invalid("refund_policy.tiers", "hours_before and percent must both fall from each tier to the next")


def refund_state(price: Money, *, refunded_minor: int, failed_minor: int, awaited: bool) -> RefundState:
    """What goes back: `awaited` tells that something should, while nothing has."""
    if refunded_minor and refunded_minor >= price.amount_minor:
        return RefundState.REFUNDED
    if failed_minor:
        return RefundState.REFUND_FAILED
    if refunded_minor:
        return RefundState.PARTIALLY_REFUNDED
    return RefundState.PENDING if awaited else RefundState.NONE


def instant(field: str, local: datetime, zone: ZoneInfo, fold: int | None) -> datetime:
    """The UTC instant of a wall-clock time. An hour that clocks show twice means the first, unless `fold` is 1.

    Raises Invalid, naming `field`, for a time that clocks skip.
    """
    resolved = local.replace(tzinfo=zone, fold=fold or 0).astimezone(UTC)
    if resolved.astimezone(zone).replace(tzinfo=None, fold=0) != local.replace(fold=0):
        raise Invalid(field, "does not exist: clocks are put forward over it")
    return resolved


def check_times(starts_at: datetime, ends_at: datetime) -> None:
    """Raises Invalid unless the event ends after its start."""
    if ends_at <= starts_at:
        raise Invalid("local_end", "must be after local_start")
