"""What refund publishes, on the exchange `refund.events`. The aggregate is the refund."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from pydantic import Field

from contracts.event import Event
from contracts.money import Money

RefundReason = Literal[
    "customer_cancelled", "staff_cancelled", "event_cancelled", "seats_unavailable", "goodwill", "duplicate", "other"
]


class RefundApproved(Event, type="refund.approved.v1", subject="refund_id"):
    """An amount is to go back to the buyer: payment reserves it and calls the provider."""

    refund_id: UUID
    booking_id: UUID
    payment_id: UUID
    amount: Money
    reason: RefundReason


class RefundCompleted(Event, type="refund.completed.v1", subject="refund_id"):
    """The provider accepted the refund."""

    refund_id: UUID
    booking_id: UUID
    payment_id: UUID
    amount: Money
    reason: RefundReason


class RefundFailed(Event, type="refund.failed.v1", subject="refund_id"):
    """The refund did not reach the buyer, at once or after it had been accepted; staff take it on."""

    refund_id: UUID
    booking_id: UUID
    payment_id: UUID
    amount: Money
    reason: str


class RefundDeclined(Event, type="refund.declined.v1", subject="refund_id"):
    """The policy gives nothing back for this cancellation."""

    refund_id: UUID
    booking_id: UUID
    rule: str = Field(description="the policy's rule that decided, in words")
