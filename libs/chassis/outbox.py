"""An event is a row first, written in the transaction that changed the state. The rows stay: they are the event log."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from contracts.event import Event
from sqlalchemy import BigInteger, Column, DateTime, Identity, Index, Text, text
from sqlmodel import Field, SQLModel

from chassis.db import Transaction, table
from chassis.sql import Part, columns_of, insert_rows
from chassis.tracing import current_traceparent


class OutboxRow(SQLModel, table=True):
    """An event of this service. `published_at` is stamped once the broker has confirmed it."""

    __tablename__ = "outbox"
    __table_args__ = (Index("outbox_unpublished", "attempts", "seq", postgresql_where=text("published_at IS NULL")),)

    id: UUID = Field(primary_key=True)
    seq: int = Field(sa_column=Column(BigInteger, Identity(always=True), nullable=False))
    type: str
    subject: UUID = Field(index=True)
    version: int
    occurred_at: datetime = Field(sa_type=DateTime(timezone=True))
    body: str = Field(sa_type=Text)
    traceparent: str | None = None
    attempts: int = 0
    published_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))


async def publish(tx: Transaction, *events: Event) -> None:
    """Writes events into the outbox with the state change that they tell of."""
    await tx.execute(*rows(tx, *events))


def rows(tx: Transaction, *events: Event) -> Part:
    """The same as `publish`, to be run `alongside` the statement of the change so that both are one round trip."""
    tx.after_commit(tx.database.wake_relay)
    return Part(_WRITE, columns_of(_WRITTEN, [_row(tx, event) for event in events]))


def _row(tx: Transaction, event: Event) -> dict[str, Any]:
    return {
        "id": tx.new_id(),
        "type": event.type,
        "subject": event.subject,
        "version": event.version,
        "occurred_at": event.occurred_at,
        "body": event.model_dump_json(),
        "traceparent": current_traceparent(),
        "attempts": 0,
    }


_WRITTEN = ("id", "type", "subject", "version", "occurred_at", "body", "traceparent", "attempts")
_WRITE = insert_rows(table(OutboxRow), _WRITTEN)
