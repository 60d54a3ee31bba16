"""When the provider is asked again, and how long until its silence proves something. Pure, like the domain."""

from __future__ import annotations

from datetime import timedelta

from payment.dispute_states import CLOSED, DisputeStatus
from payment.domain import Status
from payment.refund_states import RefundStatus, Waiting

ABSENCE_PROVEN_AFTER = timedelta(seconds=120)
"""What the provider does not show this long after the last request for it does not exist: its search lags by up to a minute
(docs.stripe.com/search), and we stop waiting for an answer after ten seconds."""


FEE_CHECK_EVERY = timedelta(minutes=1)
"""The provider's fee may be booked a little after the capture."""

_POLL_S = (4, 8, 15, 15, 30)
_UNKNOWN_S = (2, 10, 60, 300, 1_800, 21_600, 86_400)
_IDLE_S = (60, 300, 1_800, 21_600)
_REFUND_POLL_S = (5, 15, 30, 30, 30, 60, 300, 1_800, 21_600)
_REFUND_WATCH_S = tuple(days * 86_400 for days in (1, 2, 4, 7, 16))
"""After a refund has succeeded it is looked at for 30 days."""
_DISPUTE_S = (60, 600, 3_600)
_BLOCKED_S = (5, 30, 60, 300, 3_600)
FAILED_RETRY_EVERY = timedelta(days=1)
"""How often a refund is sent anew that failed and that nobody else decides on."""
BALANCE_AFTER_A_LACK = timedelta(seconds=10)
"""Refunds have met an empty balance: what is there is of interest now."""
LISTING_OVERLAP = timedelta(minutes=5)
"""A list of the provider's may lag behind by so much."""
LISTING_HELD_BACK_MAX = timedelta(days=1)
"""How long the list begins before a refund that could not be taken over yet."""


def next_check(status: Status, checks: int, *, hold_is_over: bool) -> timedelta | None:
    """How long until the provider is asked again; `checks` were made since the status last changed. None: never.

    A payment that a buyer may be working on is asked for often, so that it settles within a minute without any webhook.
    """
    match status:
        case Status.UNKNOWN | Status.CAPTURING:
            return _delay(_UNKNOWN_S, checks)
        case Status.CREATED | Status.REQUIRES_PAYMENT_METHOD | Status.REQUIRES_ACTION | Status.PROCESSING:
            return _delay(_IDLE_S if hold_is_over else _POLL_S, checks)
        case Status.AUTHORIZED:
            return _delay(_IDLE_S, checks)
        case _:
            return None


def next_refund_check(status: RefundStatus, checks: int, waits_for: Waiting | None = None) -> timedelta | None:
    """The same for a refund. One that waits for money or for the buyer is asked about rarely: the provider tells when it goes on."""
    match status:
        case RefundStatus.FAILED:
            return None
        case RefundStatus.BLOCKED:
            return _delay(_BLOCKED_S, checks)
        case RefundStatus.PENDING if waits_for in {Waiting.BALANCE, Waiting.CUSTOMER_ACTION}:
            return _delay(_IDLE_S, checks)
        case RefundStatus.SUCCEEDED | RefundStatus.SETTLED | RefundStatus.OVERPAID:
            return _delay(_REFUND_WATCH_S, checks) if checks < len(_REFUND_WATCH_S) else None
        case RefundStatus.UNKNOWN | RefundStatus.SUBMITTED:
            return _delay(_UNKNOWN_S, checks)
        case RefundStatus.PENDING:
            return _delay(_REFUND_POLL_S, checks)


def next_dispute_check(status: DisputeStatus, checks: int) -> timedelta | None:
    """The same for a dispute."""
    return None if status in CLOSED else _delay(_DISPUTE_S, checks)


def _delay(schedule: tuple[int, ...], checks: int) -> timedelta:
    return timedelta(seconds=schedule[min(checks, len(schedule) - 1)])


def after_silence(checks: int) -> timedelta:
    """How long until an operation is tried again that was refused or not answered `checks` times."""
    return _delay(_UNKNOWN_S, checks)


def after_rate_limit(retry_after_s: float, checks: int, spread: int) -> timedelta:
    """At least what the provider asks for, doubled each time up to two minutes, and spread by an id so that not all come back at once."""
    seconds = min(120.0, retry_after_s * 2 ** min(checks, 10))
    return timedelta(seconds=max(retry_after_s, seconds) * (1 + (spread % 1000) / 1000))


def after_postponement(checks: int) -> timedelta:
    """How long until a refund is sent again that the provider's balance did not cover."""
    return _delay(_IDLE_S, checks)
