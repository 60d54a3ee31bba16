"""The tables of booking. Migrations make them; these classes are how statements name their columns."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from chassis.due import Due
from sqlalchemy import DateTime, Enum, MetaData, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from booking.domain import CancelledBy, Refusal, Status

Instant = DateTime(timezone=True)
WallClock = DateTime(timezone=False)
StatusText = Enum(Status, native_enum=False, values_callable=lambda statuses: [status.value for status in statuses])


class Table(SQLModel):
    """Base of booking's tables: table names of different services do not clash where one process holds several."""

    metadata = MetaData()


class Event(Table, table=True):
    """An event that is sold, or a `draft` of one. `starts_at` and `ends_at` are the instants of the local times in `timezone`.

    `version` counts the events that were published about it. `cancellation` is what its cancellation found, as it was answered;
    `cancellation_due_at` is the job of ending its bookings.
    """

    __tablename__ = "events"

    id: UUID = Field(primary_key=True)
    name: str
    venue: str
    local_start: datetime = Field(sa_type=WallClock)
    local_end: datetime = Field(sa_type=WallClock)
    timezone: str
    starts_at: datetime = Field(sa_type=Instant)
    ends_at: datetime = Field(sa_type=Instant)
    currency: str
    refund_policy: dict[str, Any] = Field(sa_type=JSONB)
    created_at: datetime = Field(sa_type=Instant)
    cancelled_at: datetime | None = Field(default=None, sa_type=Instant)
    version: int = 0
    full_refund_until: datetime | None = Field(default=None, sa_type=Instant)
    cancellation: dict[str, Any] | None = Field(default=None, sa_type=JSONB(none_as_null=True))
    cancellation_due_at: datetime | None = Field(default=None, sa_type=Instant)
    description: str | None = Field(default=None, sa_type=Text)
    draft: bool = False


class TicketType(Table, table=True):
    """A price of an event and its seats: held by unpaid bookings, sold to confirmed ones.

    `closed` repeats that the event is cancelled, or a draft, on the row that every taking of seats locks: so none is taken meanwhile.
    """

    __tablename__ = "ticket_types"

    id: UUID = Field(primary_key=True)
    event_id: UUID
    position: int
    name: str
    price_minor: int
    tax_rate_bp: int
    capacity: int
    held: int = 0
    sold: int = 0
    closed: bool = False


class Booking(Table, table=True):
    """A booking with everything frozen that its price and its refund depend on.

    `version` counts the events that it published, `revision` every change of what a reader sees. `expiry_due_at` is the job of
    ending the hold; `hold_expires_at` is the fact that its buyer was told. `received_at` is when a cancellation reached us.

    `given_back` are the tickets that went before the booking did, each id with the instant of its request. It stands here and not on the
    tickets since this row is the lock: whoever waited for it sees what the one before gave back.

    `policy_hash` is of the refund policy that its buyer accepted. The instants from `authorized_at` to `declined_at` (the last refusal to
    refund) are for its timeline. `names_due_at` is the job of indexing a name that was given before names were indexed.
    """

    __tablename__ = "bookings"

    id: UUID = Field(primary_key=True)
    event_id: UUID
    status: Status = Field(sa_type=StatusText)
    version: int
    revision: int
    event_facts: dict[str, Any] = Field(sa_type=JSONB)
    refund_policy: dict[str, Any] = Field(sa_type=JSONB)
    currency: str
    total_minor: int
    tax_minor: int
    contact: str
    email_index: str
    issued_tickets: str
    access: str | None = Field(default=None, sa_type=Text)
    placed_at: datetime = Field(sa_type=Instant)
    hold_expires_at: datetime = Field(sa_type=Instant)
    expiry_due_at: datetime | None = Field(default=None, sa_type=Instant)
    payment_id: UUID | None = None
    payment_version: int = 0
    paid_at: datetime | None = Field(default=None, sa_type=Instant)
    unavailable_reason: Refusal | None = Field(default=None, sa_type=Text)
    confirmed_at: datetime | None = Field(default=None, sa_type=Instant)
    cancelled_by: CancelledBy | None = Field(default=None, sa_type=Text)
    received_at: datetime | None = Field(default=None, sa_type=Instant)
    refunded_minor: int = 0
    refund_failed_minor: int = 0
    refunds_declined: int = 0
    given_back: dict[str, str] = Field(default_factory=dict, sa_type=JSONB)
    policy_accepted_at: datetime | None = Field(default=None, sa_type=Instant)
    policy_hash: str | None = Field(default=None, sa_type=Text)
    authorized_at: datetime | None = Field(default=None, sa_type=Instant)
    secured_at: datetime | None = Field(default=None, sa_type=Instant)
    unavailable_at: datetime | None = Field(default=None, sa_type=Instant)
    expired_at: datetime | None = Field(default=None, sa_type=Instant)
    declined_at: datetime | None = Field(default=None, sa_type=Instant)
    names_due_at: datetime | None = Field(default=None, sa_type=Instant)


class Ticket(Table, table=True):
    """One line of a booking: one seat at a frozen price. Never changed: what became of it stands on its booking.

    Its code is made with it and is shown while it is valid; the codes rest sealed in `Booking.issued_tickets`.
    """

    __tablename__ = "tickets"

    id: UUID = Field(primary_key=True)
    booking_id: UUID
    ticket_type_id: UUID
    position: int
    name: str
    gross_minor: int
    tax_minor: int
    tax_rate_bp: int
    code_index: str


class BookingName(Table, table=True):
    """A word of a buyer's name, as its keyed blind index."""

    __tablename__ = "booking_names"

    word_index: str = Field(primary_key=True)
    booking_id: UUID = Field(primary_key=True)


class BookingRefund(Table, table=True):
    """The last thing that refund said about one refund of a booking; `completed` tells that the buyer has its amount.

    The instants tell when it said each: that it completed, failed, or was settled another way.
    """

    __tablename__ = "booking_refunds"

    id: UUID = Field(primary_key=True)
    booking_id: UUID
    version: int
    amount_minor: int
    completed: bool
    completed_at: datetime | None = Field(default=None, sa_type=Instant)
    failed_at: datetime | None = Field(default=None, sa_type=Instant)
    settled_at: datetime | None = Field(default=None, sa_type=Instant)


HOLDS = Due("booking-holds", Booking, "expiry_due_at", lease=timedelta(seconds=30))
"""Unpaid bookings whose hold ends."""

CANCELLATIONS = Due("event-cancellations", Event, "cancellation_due_at", lease=timedelta(seconds=10))
"""Cancelled events whose bookings are not all over. Each batch extends the claim, so the lease is as long as a crash may delay the rest."""

NAMES = Due("booking-names", Booking, "names_due_at", lease=timedelta(minutes=1))
"""Bookings that were placed before names were indexed."""
