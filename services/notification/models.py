"""The tables of notification. Personal data rests sealed in columns of `bookings`, and in the comments of `surveys`: blanking them erases
a person.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from chassis.due import Due
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    Computed,
    DateTime,
    Identity,
    Index,
    MetaData,
    SmallInteger,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from notification.domain import DeliveryStatus, EndpointStatus, MessageStatus
from notification.survey_rules import SurveyStatus


class Table(SQLModel):
    """Base of this service's tables, so that names of different services do not clash in one process."""

    metadata = MetaData()


class Booking(Table, table=True):
    """What mails need to know of a booking. `version` is that of the newest of its events seen here.

    `valid_tickets` are the lines whose tickets are still valid after some were given back, as of `tickets_version`; NULL while all are.
    """

    __tablename__ = "bookings"

    id: UUID = Field(primary_key=True)
    event: dict[str, Any] = Field(sa_type=JSONB)
    event_id: UUID | None = Field(
        default=None, sa_column=Column(Uuid, Computed("(event ->> 'event_id')::uuid", persisted=True))
    )
    total_minor: int = Field(sa_type=BigInteger)
    currency: str
    policy: dict[str, Any] | None = Field(default=None, sa_type=JSONB(none_as_null=True))
    contact: str | None = Field(default=None, sa_type=Text)
    tickets: str | None = Field(default=None, sa_type=Text)
    access: str | None = Field(default=None, sa_type=Text)
    valid_tickets: list[UUID] | None = Field(default=None, sa_type=ARRAY(Uuid))
    tickets_version: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    version: int
    payment_attempted: bool = False
    expired_version: int | None = None
    confirmed: bool = False
    cancelled: bool = False


class MovedEvent(Table, table=True):
    """The newest move of an event. `facts` are those of its mails, which `next_attempt_at` owes to bookings that have none yet."""

    __tablename__ = "moved_events"
    __table_args__ = (
        Index("moved_events_due", "next_attempt_at", postgresql_where=text("next_attempt_at IS NOT NULL")),
    )

    id: UUID = Field(primary_key=True)
    version: int
    facts: dict[str, Any] = Field(sa_type=JSONB)
    moved_at: datetime = Field(sa_type=DateTime(timezone=True))
    next_attempt_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))


class Message(Table, table=True):
    """One mail about one transition. `facts` holds what the transition says (amounts, rules, instants), never a person's data.

    A mail for staff about a whole event has no booking. `cause` names the transition: the aggregate and its version, or the mail that
    staff sent again. `unsure` counts the attempts whose fate nobody knows: the server may have accepted, and the next attempt carries the
    same Message-ID.
    """

    __tablename__ = "messages"
    __table_args__ = (
        UniqueConstraint(
            "booking_id", "template", "cause", name="messages_one_per_transition", postgresql_nulls_not_distinct=True
        ),
        Index("messages_due", "next_attempt_at", postgresql_where=text("next_attempt_at IS NOT NULL")),
    )

    id: UUID = Field(primary_key=True)
    seq: int = Field(sa_column=Column(BigInteger, Identity(always=True), nullable=False))
    booking_id: UUID | None = None
    for_staff: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    template: str
    cause: str
    facts: dict[str, Any] = Field(sa_type=JSONB)
    status: str = MessageStatus.QUEUED
    message_id: str | None = Field(default=None, sa_type=Text)
    attempts: int = 0
    unsure: int = 0
    next_attempt_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    last_error: str | None = None
    created_at: datetime = Field(sa_type=DateTime(timezone=True))
    sent_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))


class Survey(Table, table=True):
    """One question to the buyer of a booking, and the last answer. `comment` is sealed.

    `next_attempt_at` is when it is looked at, first when what it asks about is over; `reason` says why nobody was asked.
    """

    __tablename__ = "surveys"
    __table_args__ = (
        UniqueConstraint("booking_id", "kind", name="surveys_one_per_kind"),
        Index("surveys_due", "next_attempt_at", postgresql_where=text("next_attempt_at IS NOT NULL")),
    )

    id: UUID = Field(primary_key=True)
    booking_id: UUID
    kind: str
    status: str = SurveyStatus.WAITING
    reason: str | None = None
    next_attempt_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    created_at: datetime = Field(sa_type=DateTime(timezone=True))
    asked_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    score: int | None = Field(default=None, sa_type=SmallInteger)
    comment: str | None = Field(default=None, sa_type=Text)
    answered_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))


class WebhookEndpoint(Table, table=True):
    """Where a CRM wants to hear of events. `secret` is sealed."""

    __tablename__ = "webhook_endpoints"

    id: UUID = Field(primary_key=True)
    url: str
    secret: str
    event_types: list[str] = Field(sa_type=ARRAY(Text))
    status: str = EndpointStatus.ACTIVE
    disabled_reason: str | None = None
    created_at: datetime = Field(sa_type=DateTime(timezone=True))


class WebhookDelivery(Table, table=True):
    """One event for one endpoint. `webhook_id` and `body` stay the same over all calls."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        UniqueConstraint("endpoint_id", "webhook_id", name="webhook_deliveries_one_per_event"),
        Index(
            "webhook_deliveries_due",
            "endpoint_id",
            "next_attempt_at",
            postgresql_where=text("next_attempt_at IS NOT NULL"),
        ),
    )

    id: UUID = Field(primary_key=True)
    endpoint_id: UUID
    webhook_id: str
    type: str
    booking_id: UUID | None = None
    body: str
    status: str = DeliveryStatus.PENDING
    attempts: int = 0
    next_attempt_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    last_status: int | None = None
    last_error: str | None = None
    created_at: datetime = Field(sa_type=DateTime(timezone=True))
    delivered_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))


MAILS = Due("mails", Message, "next_attempt_at", lease=timedelta(seconds=60))
SURVEYS = Due("surveys", Survey, "next_attempt_at", lease=timedelta(seconds=60))
MOVES = Due("moves", MovedEvent, "next_attempt_at", lease=timedelta(seconds=60))
WEBHOOKS = Due("webhooks", WebhookDelivery, "next_attempt_at", lease=timedelta(seconds=60))
