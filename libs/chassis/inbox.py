"""Each event has its effect once: a duplicate dies on the inbox's primary key, in the transaction of the effect."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import Boolean, Column, DateTime, false
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Field, SQLModel

from chassis.db import Transaction, table


class InboxRow(SQLModel, table=True):
    """`consumer` (the queue) has had the effect of the event, or a person decided that it never shall (`discarded`)."""

    __tablename__ = "inbox"

    consumer: str = Field(primary_key=True)
    event_id: UUID = Field(primary_key=True)
    consumed_at: datetime = Field(sa_type=DateTime(timezone=True))
    discarded: bool = Field(default=False, sa_column=Column(Boolean, nullable=False, server_default=false()))


_RECORD = insert(table(InboxRow)).on_conflict_do_nothing().returning(table(InboxRow).c.event_id)
"""Built once, as each message runs it."""


async def first_time(tx: Transaction, consumer: str, event_id: UUID) -> bool:
    """Records that `consumer` has the event; False when it had it before. A concurrent duplicate waits here for the first to end."""
    row = {"consumer": consumer, "event_id": event_id, "consumed_at": tx.now}
    recorded = await tx.execute(_RECORD, row)
    return recorded.first() is not None


async def discard(tx: Transaction, consumer: str, event_id: UUID) -> bool:
    """Records that `consumer` shall never have the event: each copy of it dies from now on. False when it had it before."""
    row = {"consumer": consumer, "event_id": event_id, "consumed_at": tx.now, "discarded": True}
    recorded = await tx.execute(_RECORD, row)
    return recorded.first() is not None
