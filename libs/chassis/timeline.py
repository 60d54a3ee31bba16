"""What happened to one thing, for staff: put together from its rows and the events that were published about it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, JsonValue
from sqlalchemy import select

from chassis.db import Transaction, table
from chassis.outbox import OutboxRow


class TimelineEntry(BaseModel):
    """Something that happened. `what` is a stable word; `by` is who did it, where somebody did; `detail` holds no personal data."""

    at: datetime
    what: str
    by: str | None
    detail: dict[str, JsonValue]


class Timeline(BaseModel):
    """What happened, oldest first."""

    items: list[TimelineEntry]


@dataclass(frozen=True, slots=True)
class Told:
    """An event that was published. Those older than the outbox's retention are gone."""

    happened: str
    at: datetime
    body: Mapping[str, Any]


def entry(at: datetime, what: str, by: str | None = None, **detail: Any) -> TimelineEntry:
    """An entry; of `detail` what is unknown is left out, and ids and words stand as text."""
    known = {name: str(value) if isinstance(value, UUID) else value for name, value in detail.items()}
    return TimelineEntry(at=at, what=what, by=by, detail={name: v for name, v in known.items() if v is not None})


def in_order(entries: Iterable[TimelineEntry]) -> Timeline:
    """Oldest first; what happened at one instant stays in the order in which it was given."""
    return Timeline(items=sorted(entries, key=lambda each: each.at))


async def events_about(tx: Transaction, subject: UUID) -> list[Told]:
    """The events about an aggregate, in their order. `happened` is `refund_failed` for `payment.refund-failed.v1`."""
    rows = table(OutboxRow)
    found = await tx.execute(
        select(rows.c.type, rows.c.occurred_at, rows.c.body).where(rows.c.subject == subject).order_by(rows.c.version)
    )
    return [Told(row.type.split(".")[1].replace("-", "_"), row.occurred_at, json.loads(row.body)) for row in found]
