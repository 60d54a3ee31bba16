"""What the routes of refund campaigns give. Money is minor units with a currency; instants are UTC."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from contracts.money import Money
from pydantic import BaseModel, Field

from refund.campaign_rules import CampaignState


class CampaignTotal(BaseModel):
    """What a campaign gives back in one currency."""

    refunded: Money = Field(description="accepted by the provider, or paid another way")
    outstanding: Money = Field(description="queued, or on its way")
    failed: Money = Field(description="with staff")


class CampaignProgress(BaseModel):
    """How far a campaign is. `done` and `bookings` only grow; a late booking adds to `bookings`."""

    event_id: UUID
    name: str | None = Field(description="of the event; absent while only bookings have told of its cancellation")
    state: CampaignState
    bookings: int
    done: int = Field(description="bookings that have had an outcome, as last looked at")
    items: dict[str, int] = Field(
        description="bookings by state: queued, skipped, or the status of their refund; absent states have none"
    )
    totals: list[CampaignTotal]
    started_at: datetime
    finished_at: datetime | None
    as_of: datetime
    rate_per_s: float = Field(description="outcomes a second over the last minute")
    estimated_end: datetime | None = Field(
        description="absent when nothing is awaited, or what is left waits for others"
    )


class PlannedTotal(BaseModel):
    """What would go back in one currency, and what the provider's balance lacks for it."""

    amount: Money
    available_minor: int | None = Field(description="at the provider; absent when it was never read")
    shortfall_minor: int | None
    read_at: datetime | None


class CampaignPlan(BaseModel):
    """What cancelling the event now would refund."""

    event_id: UUID
    bookings: int
    totals: list[PlannedTotal]


class CampaignItemRead(BaseModel):
    """A booking of a campaign."""

    booking_id: UUID
    payment_id: UUID
    refund_id: UUID | None
    state: str
    reason: str | None = Field(description="why it was skipped, or why its refund failed")
    amount: Money = Field(description="of its refund; where none is recorded, what is left to refund")
    queued_at: datetime
    handled_at: datetime | None = Field(description="when the campaign decided on it")
    updated_at: datetime | None = Field(description="when its refund last changed")


class CampaignItemPage(BaseModel):
    """Bookings of a campaign, oldest id first."""

    items: list[CampaignItemRead]
    next_cursor: UUID | None = Field(description="give it as `cursor` for the next page; absent on the last")
