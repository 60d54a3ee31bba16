"""Tables of the refund campaigns."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from chassis.due import Due
from sqlalchemy import DateTime
from sqlmodel import Field

from refund.models import Table

_AT = DateTime(timezone=True)


class Campaign(Table, table=True):
    """The refunds of a cancelled event; `id` is the event's.

    `name` and `cancelled_at` are missing while EventCancelled is on its way and only a booking's own cancellation has come.
    `version` counts the campaign's events.
    """

    __tablename__ = "refund_campaigns"

    id: UUID = Field(primary_key=True)
    name: str | None = None
    cancelled_at: datetime | None = Field(default=None, sa_type=_AT)
    started_at: datetime = Field(sa_type=_AT)
    paused_at: datetime | None = Field(default=None, sa_type=_AT)
    finished_at: datetime | None = Field(default=None, sa_type=_AT)
    look_at: datetime | None = Field(default=None, sa_type=_AT)
    version: int = 0


class CampaignItem(Table, table=True):
    """A captured booking of a cancelled event; `id` is the booking's.

    `handled_at`: the campaign has decided on it. `done_at`: it was first seen with an outcome, which no retry takes back.
    """

    __tablename__ = "refund_campaign_items"

    id: UUID = Field(primary_key=True)
    event_id: UUID
    state: str
    reason: str | None = None
    refund_id: UUID | None = None
    due_at: datetime | None = Field(default=None, sa_type=_AT)
    queued_at: datetime = Field(sa_type=_AT)
    handled_at: datetime | None = Field(default=None, sa_type=_AT)
    done_at: datetime | None = Field(default=None, sa_type=_AT)


class Pace(Table, table=True):
    """The one token bucket of all campaigns and all replicas."""

    __tablename__ = "refund_pace"

    id: int = Field(primary_key=True)
    spent_until: datetime = Field(sa_type=_AT)


ITEMS = Due("refund-campaign-items", CampaignItem, "due_at", lease=timedelta(seconds=10))
"""Bookings of cancelled events whose refund is to be recorded, the oldest booking first."""

LOOKS = Due("refund-campaigns", Campaign, "look_at", lease=timedelta(seconds=10))
"""Campaigns that may have ended."""
