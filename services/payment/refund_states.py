"""What a refund may become at the provider. Pure, like the domain that it is a part of."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from payment.domain import IllegalTransition


class RefundStatus(StrEnum):
    """What has become of a refund at the provider."""

    SUBMITTED = "submitted"
    PENDING = "pending"
    UNKNOWN = "unknown"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class RefundTrigger(StrEnum):
    """What moves a refund. The first three are facts of the provider's refund object."""

    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    UNANSWERED = "unanswered"
    POSTPONED = "postponed"  # refused for a reason that passes, such as an empty balance
    RETRIED = "retried"  # approved once more after it had failed


_REFUND_LIVE = {
    RefundTrigger.PENDING: RefundStatus.PENDING,
    RefundTrigger.SUCCEEDED: RefundStatus.SUCCEEDED,
    RefundTrigger.FAILED: RefundStatus.FAILED,
    RefundTrigger.UNANSWERED: RefundStatus.UNKNOWN,
    RefundTrigger.POSTPONED: RefundStatus.PENDING,
}
_REFUND_ROWS: Mapping[RefundStatus, Mapping[RefundTrigger, RefundStatus]] = {
    RefundStatus.SUBMITTED: _REFUND_LIVE,
    RefundStatus.PENDING: _REFUND_LIVE,
    RefundStatus.UNKNOWN: _REFUND_LIVE,
    # The bank may send the money back for 30 days (docs.stripe.com/api/refunds); whatever else is heard was read earlier.
    RefundStatus.SUCCEEDED: dict.fromkeys(
        (RefundTrigger.PENDING, RefundTrigger.SUCCEEDED, RefundTrigger.UNANSWERED), RefundStatus.SUCCEEDED
    )
    | {RefundTrigger.FAILED: RefundStatus.FAILED},
    RefundStatus.FAILED: dict.fromkeys(RefundTrigger, RefundStatus.FAILED)
    | {RefundTrigger.RETRIED: RefundStatus.SUBMITTED},
}
REFUND_TRANSITIONS: Mapping[tuple[RefundStatus, RefundTrigger], RefundStatus] = MappingProxyType(
    {(status, trigger): target for status, row in _REFUND_ROWS.items() for trigger, target in row.items()}
)


def next_refund_status(status: RefundStatus, trigger: RefundTrigger) -> RefundStatus:
    """Raises IllegalTransition for a pair that REFUND_TRANSITIONS does not have."""
    try:
        return REFUND_TRANSITIONS[status, trigger]
    except KeyError:
        raise IllegalTransition(status, trigger) from None
