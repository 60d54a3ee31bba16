"""What a refund may become at the provider, and what it waits for. Pure, like the domain that it is a part of."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from payment.domain import IllegalTransition


class RefundStatus(StrEnum):
    """What has become of a refund."""

    SUBMITTED = "submitted"
    PENDING = "pending"
    UNKNOWN = "unknown"
    BLOCKED = "blocked"  # not at the provider: the payment is disputed
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SETTLED = "settled"  # the buyer got it another way
    OVERPAID = "overpaid"  # the buyer got it another way, and from the provider


class RefundTrigger(StrEnum):
    """What moves a refund. The first three are facts of the provider's refund object."""

    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    UNANSWERED = "unanswered"
    POSTPONED = "postponed"  # refused for a reason that passes, such as an empty balance
    RETRIED = "retried"  # sent once more after it had failed
    DISPUTED = "disputed"  # not done, since the payment is disputed
    CLEARED = "cleared"  # the dispute that blocked it is won
    LOST = "lost"  # the dispute that blocked it is lost
    SETTLED = "settled"  # staff paid it another way


class Waiting(StrEnum):
    """What a refund that has neither succeeded nor failed waits for."""

    PROVIDER = "provider"
    BALANCE = "balance"
    CUSTOMER_ACTION = "customer_action"
    UNKNOWN = "unknown"


IN_RESERVE = frozenset({RefundStatus.SUBMITTED, RefundStatus.PENDING, RefundStatus.UNKNOWN, RefundStatus.BLOCKED})
"""The amount is promised and has not left."""
GIVEN_BACK = frozenset({RefundStatus.SUCCEEDED, RefundStatus.SETTLED, RefundStatus.OVERPAID})
"""The buyer has it."""
PENDING_REFUND_DISPUTED = "charge_for_pending_refund_disputed"
"""Why the provider failed a refund that was pending when its charge was disputed (docs.stripe.com/refunds)."""

_T = RefundTrigger
_LIVE = {
    _T.PENDING: RefundStatus.PENDING,
    _T.SUCCEEDED: RefundStatus.SUCCEEDED,
    _T.FAILED: RefundStatus.FAILED,
    _T.UNANSWERED: RefundStatus.UNKNOWN,
    _T.POSTPONED: RefundStatus.PENDING,
    _T.DISPUTED: RefundStatus.BLOCKED,
    _T.SETTLED: RefundStatus.SETTLED,
}
_FACTS = (_T.PENDING, _T.SUCCEEDED, _T.FAILED, _T.UNANSWERED, _T.POSTPONED, _T.DISPUTED)
_ROWS: Mapping[RefundStatus, Mapping[RefundTrigger, RefundStatus]] = {
    RefundStatus.SUBMITTED: _LIVE,
    RefundStatus.PENDING: _LIVE,
    RefundStatus.UNKNOWN: _LIVE,
    RefundStatus.BLOCKED: dict.fromkeys(_FACTS, RefundStatus.BLOCKED)
    | {
        _T.PENDING: RefundStatus.PENDING,
        _T.SUCCEEDED: RefundStatus.SUCCEEDED,
        _T.CLEARED: RefundStatus.SUBMITTED,
        _T.LOST: RefundStatus.FAILED,
        _T.SETTLED: RefundStatus.SETTLED,
    },
    # The bank may send the money back for 30 days (docs.stripe.com/api/refunds); whatever else is heard was read earlier.
    RefundStatus.SUCCEEDED: dict.fromkeys((_T.PENDING, _T.SUCCEEDED, _T.UNANSWERED), RefundStatus.SUCCEEDED)
    | {_T.FAILED: RefundStatus.FAILED, _T.SETTLED: RefundStatus.OVERPAID},
    RefundStatus.FAILED: dict.fromkeys((*_FACTS, _T.LOST), RefundStatus.FAILED)
    | {_T.RETRIED: RefundStatus.SUBMITTED, _T.SETTLED: RefundStatus.SETTLED},
    RefundStatus.SETTLED: dict.fromkeys((*_FACTS, _T.SETTLED), RefundStatus.SETTLED)
    | {_T.SUCCEEDED: RefundStatus.OVERPAID},
    RefundStatus.OVERPAID: dict.fromkeys((*_FACTS, _T.SETTLED), RefundStatus.OVERPAID)
    | {_T.FAILED: RefundStatus.SETTLED},
}
REFUND_TRANSITIONS: Mapping[tuple[RefundStatus, RefundTrigger], RefundStatus] = MappingProxyType(
    {(status, trigger): target for status, row in _ROWS.items() for trigger, target in row.items()}
)


def next_refund_status(status: RefundStatus, trigger: RefundTrigger) -> RefundStatus:
    """Raises IllegalTransition for a pair that REFUND_TRANSITIONS does not have."""
    try:
        return REFUND_TRANSITIONS[status, trigger]
    except KeyError:
        raise IllegalTransition(status, trigger) from None


def meaning_of_refund(
    fact: RefundTrigger, failure_code: str | None, status: RefundStatus, *, is_outside: bool
) -> RefundTrigger:
    """What a fact triggers: a refund that failed since its payment is disputed waits for the dispute instead.

    One that was made by hand (`is_outside`) ends: nobody here decided it, so it is never made anew.
    """
    met_a_dispute = fact is _T.FAILED and failure_code == PENDING_REFUND_DISPUTED
    return _T.DISPUTED if met_a_dispute and status in IN_RESERVE and not is_outside else fact
