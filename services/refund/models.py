"""Tables of refund: what it knows of each booking, and the refunds."""

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

    `lines` and `policy` are as BookingPlaced states them. `promised_minor` is the sum of the refunds that have their amount (all but
    failed and declined), `unavailable_minor` what payment says is no longer there although no refund of ours took it.
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

    decided_at: datetime | None = Field(default=None, sa_type=_AT)
    promised_minor: int = Field(default=0, sa_type=BigInteger)
    unavailable_minor: int = Field(default=0, sa_type=BigInteger)

    @property
    def remaining_minor(self) -> int:
        """Of what was captured, what may still be refunded."""
        return (self.captured_minor or 0) - self.promised_minor - self.unavailable_minor


class Refund(Table, table=True):
    """A decision about money that goes back, and what became of it. `trace` is a refund.domain.Decision."""

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
    version: int
    payment_version: int = 0
    created_at: datetime = Field(sa_type=_AT)
    updated_at: datetime = Field(sa_type=_AT)
