"""What refund publishes, on the exchange `refund.events`. The aggregate is the refund."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from pydantic import Field

from contracts.event import Event
from contracts.money import Money

RefundReason = Literal[
    "customer_cancelled",
    "staff_cancelled",
    "event_cancelled",
    "seats_unavailable",
    "goodwill",
    "duplicate",
    "made_outside",
    "other",
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
    for_cancellation: bool | None = Field(
        None,
        description="whether booking tells of a cancellation, of the booking or of tickets, that this refund follows from; "
        "absent in older events",
    )


class RefundFailed(Event, type="refund.failed.v1", subject="refund_id"):
    """The refund did not reach the buyer, at once or after it had been accepted; staff take it on."""

    refund_id: UUID
    booking_id: UUID
    payment_id: UUID
    amount: Money
    reason: str
    had_succeeded: bool = Field(
        default=False, description="the provider had accepted it before, so the buyer was told that it was sent"
    )


class RefundDeclined(Event, type="refund.declined.v1", subject="refund_id"):
    """The policy gives nothing back for this cancellation."""

    refund_id: UUID
    booking_id: UUID
    rule: str = Field(description="the policy's rule that decided, in words")


class RefundAwaitingApproval(Event, type="refund.awaiting-approval.v1", subject="refund_id"):
    """A refund above the limit waits for a second person."""

    refund_id: UUID
    booking_id: UUID
    payment_id: UUID
    amount: Money
    reason: RefundReason


class RefundSettledManually(Event, type="refund.settled-manually.v1", subject="refund_id"):
    """The buyer got the amount another way than by the provider; payment may not give it back once more."""

    refund_id: UUID
    booking_id: UUID
    payment_id: UUID
    amount: Money
    reason: RefundReason


class RefundCampaignStarted(Event, type="refund.campaign-started.v1", subject="event_id"):
    """All captured bookings of a cancelled event are being refunded."""

    event_id: UUID
    name: str
    bookings: int = Field(ge=0)
    totals: tuple[Money, ...] = Field(description="what goes back, one amount for each currency")


class RefundCampaignFinished(Event, type="refund.campaign-finished.v1", subject="event_id"):
    """Every booking of the campaign has an outcome. Published again when a late booking was added and has one too."""

    event_id: UUID
    name: str
    refunded: int = Field(ge=0)
    failed: int = Field(ge=0, description="these are with staff")
    totals: tuple[Money, ...] = Field(description="what went back, one amount for each currency")
