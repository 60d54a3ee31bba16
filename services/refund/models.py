"""Tables of refund: what it knows of each booking, the refunds, and what both rest on."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, MetaData
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

_AT = DateTime(timezone=True)


class Table(SQLModel):
    """Base of this service's tables."""

    metadata = MetaData()


class Booking(Table, table=True):
    """What other services said about a booking, each fact once and in whatever order it came.

    `lines` and `policy` are as BookingPlaced states them. `given_back`: ids of the tickets that were given back before the booking ended,
    `undecided`: the requests among them that wait for what was placed and paid. `cancelled_line_ids`: what ended with the booking,
    `cancelled_dates`: the event's dates then, as BookingCancelled states them.

    Of the money, `promised_minor` is the sum of the refunds that have their amount (all but failed and declined), of which
    `outside_minor` was made at the provider; `unavailable_minor` is what payment says is no longer there although no refund of ours took
    it, `lost_minor` what the bank took in disputes. `fee_kept_minor`: of the flat fee, what decisions about tickets have kept.
    `dispute_id` is one that is open; it and `lost_minor` follow from the booking's disputes.
    """

    __tablename__ = "bookings"

    booking_id: UUID = Field(primary_key=True)

    placed_at: datetime | None = Field(default=None, sa_type=_AT)
    event_id: UUID | None = None
    starts_at: datetime | None = Field(default=None, sa_type=_AT)
    timezone: str | None = None
    total_minor: int | None = Field(default=None, sa_type=BigInteger)
    currency: str | None = None
    policy: dict[str, Any] | None = Field(default=None, sa_type=JSONB)
    lines: list[dict[str, Any]] | None = Field(default=None, sa_type=JSONB)

    payment_id: UUID | None = None
    captured_minor: int | None = Field(default=None, sa_type=BigInteger)
    captured_currency: str | None = None

    confirmed_at: datetime | None = Field(default=None, sa_type=_AT)
    free: bool | None = None

    cancelled_by: str | None = None
    cancelled_was: str | None = None
    cancel_received_at: datetime | None = Field(default=None, sa_type=_AT)
    seats_unavailable_at: datetime | None = Field(default=None, sa_type=_AT)
    cancelled_line_ids: list[str] | None = Field(default=None, sa_type=JSONB)
    cancelled_dates: dict[str, Any] | None = Field(default=None, sa_type=JSONB(none_as_null=True))
    given_back: list[str] = Field(default_factory=list, sa_type=JSONB)
    undecided: list[dict[str, Any]] = Field(default_factory=list, sa_type=JSONB)

    decided_at: datetime | None = Field(default=None, sa_type=_AT)
    promised_minor: int = Field(default=0, sa_type=BigInteger)
    outside_minor: int = Field(default=0, sa_type=BigInteger)
    unavailable_minor: int = Field(default=0, sa_type=BigInteger)
    lost_minor: int = Field(default=0, sa_type=BigInteger)
    fee_kept_minor: int = Field(default=0, sa_type=BigInteger)
    dispute_id: UUID | None = None
    dispute_version: int = 0

    @property
    def remaining_minor(self) -> int:
        """Of what was captured, what may still be refunded. What was made outside may leave less than nothing, which is nothing."""
        gone = self.promised_minor + self.unavailable_minor + self.lost_minor
        return max(0, (self.captured_minor or 0) - gone)


class Refund(Table, table=True):
    """A decision about money that goes back, and what became of it. `trace` is a refund.domain.Decision.

    `note`, `evidence` and `payout_details` are sealed. `waiting_for` is PaymentRefundPending's `why`. `updated_at`: since when it has its
    status. `version` counts its events.
    """

    __tablename__ = "refunds"

    id: UUID = Field(primary_key=True)
    booking_id: UUID
    payment_id: UUID
    status: str
    amount_minor: int = Field(sa_type=BigInteger)
    currency: str
    reason: str
    ground: str
    trace: dict[str, Any] = Field(sa_type=JSONB)
    requested_by: str
    note: str | None = None
    failure: str | None = None
    waiting_for: str | None = None
    override: bool = False
    decided_by: str | None = None
    evidence: str | None = None
    paid_at: datetime | None = Field(default=None, sa_type=_AT)
    payout_details: str | None = None
    payout_details_at: datetime | None = Field(default=None, sa_type=_AT)
    version: int
    payment_version: int = 0
    created_at: datetime = Field(sa_type=_AT)
    updated_at: datetime = Field(sa_type=_AT)


class Dispute(Table, table=True):
    """What payment last said of a dispute, as `version` of its events. `lost_minor` is in the booking's currency, 0 unless it is lost."""

    __tablename__ = "disputes"

    id: UUID = Field(primary_key=True)
    booking_id: UUID
    version: int
    is_open: bool
    lost_minor: int = Field(sa_type=BigInteger)


class PolicyVersion(Table, table=True):
    """A version of one of the organisation's refund policies. It is never changed: another version follows it."""

    __tablename__ = "policies"

    policy_id: str = Field(primary_key=True)
    version: int = Field(primary_key=True)
    tiers: list[dict[str, int]] = Field(sa_type=JSONB)
    fee_minor: int = Field(sa_type=BigInteger)
    valid_from: datetime = Field(sa_type=_AT)
    created_by: str
    created_at: datetime = Field(sa_type=_AT)


class Reschedule(Table, table=True):
    """Where an event was moved to, by the last EventRescheduled. `full_refund_until` is the latest of all of them."""

    __tablename__ = "reschedules"

    event_id: UUID = Field(primary_key=True)
    version: int
    starts_at: datetime = Field(sa_type=_AT)
    full_refund_until: datetime | None = Field(default=None, sa_type=_AT)


class Balance(Table, table=True):
    """What a provider had available in a currency when it was last read; may be negative."""

    __tablename__ = "balances"

    provider: str = Field(primary_key=True)
    currency: str = Field(primary_key=True)
    available_minor: int = Field(sa_type=BigInteger)
    read_at: datetime = Field(sa_type=_AT)
