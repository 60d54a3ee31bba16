"""Moved events: what is new about them, and one mail for each booking that was confirmed for another time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from chassis.db import Database, Transaction, table
from contracts.booking import EventFacts, EventRescheduled
from sqlalchemy import DateTime, exists, func, literal, or_, select, update
from sqlalchemy import cast as sql_cast
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.dialects.postgresql import UUID as SQL_UUID

from notification import surveys, webhooks
from notification.domain import MessageStatus, Template, next_look_at
from notification.models import Booking, Message, MovedEvent
from notification.outgoing import queue

MAILS_AT_ONCE = 1000
"""Bookings that one transaction queues mails for."""


async def event_rescheduled(tx: Transaction, event: EventRescheduled) -> None:
    """Keeps the move; the sweep writes to its bookings. A move that a newer one has overtaken changes nothing."""
    moved = table(MovedEvent)
    facts = event.model_dump(mode="json", include={"event", "previous_starts_at", "full_refund_until", "version"})
    row = insert(moved).values(
        id=event.event_id, version=event.version, facts=facts, moved_at=tx.now, next_attempt_at=tx.now
    )
    kept = {name: row.excluded[name] for name in ("version", "facts", "moved_at", "next_attempt_at")}
    await tx.execute(
        row.on_conflict_do_update(index_elements=["id"], set_=kept, where=moved.c.version < row.excluded.version)
    )
    await webhooks.announce(tx, event)


def is_news(move: Mapping[str, Any], promised: EventFacts) -> bool:
    """Whether a move is news to somebody who bought for the `promised` time and place."""
    moved = EventFacts.model_validate(move["event"])
    return (moved.starts_at, moved.ends_at, moved.venue) != (promised.starts_at, promised.ends_at, promised.venue)


async def tell(tx: Transaction, booking_id: UUID, move: Mapping[str, Any]) -> None:
    """Queues the mail of a move for one booking."""
    await queue(tx, booking_id, {Template.EVENT_MOVED: move}, cause=_cause(move))


@dataclass(frozen=True)
class Rounds:
    """Goes round the bookings of moved events until each that is confirmed has its mail."""

    database: Database

    async def go(self, event_id: UUID) -> None:
        """Queues the mails of a moved event's bookings, at most MAILS_AT_ONCE."""
        moved = table(MovedEvent)
        async with self.database.transaction() as tx:
            found = await tx.execute(select(moved).where(moved.c.id == event_id).with_for_update())
            move = found.one()
            written = await _write(tx, event_id, move.facts)
            await surveys.follow(tx, event_id, EventFacts.model_validate(move.facts["event"]).ends_at)
            again_at = next_look_at(move.moved_at, tx.now, more=written == MAILS_AT_ONCE)
            await tx.execute(update(moved).where(moved.c.id == event_id).values(next_attempt_at=again_at))


async def _write(tx: Transaction, event_id: UUID, move: Mapping[str, Any]) -> int:
    """Queues mails by one statement, and says how many. Their ids follow from booking and move, as the database has no source of ids.

    Whoever bought for what the event was moved to needs no mail, unless an earlier move had been told to them.
    """
    bookings, messages, now = table(Booking), table(Message), EventFacts.model_validate(move["event"])
    told = exists().where(messages.c.booking_id == bookings.c.id, messages.c.template == Template.EVENT_MOVED)
    is_news = or_(
        _promised("starts_at") != now.starts_at,
        _promised("ends_at") != now.ends_at,
        bookings.c.event["venue"].astext != now.venue,
        told,
    )
    owed = {
        "id": sql_cast(func.md5(func.concat(bookings.c.id, _cause(move))), SQL_UUID),
        "booking_id": bookings.c.id,
        "template": literal(Template.EVENT_MOVED.value),
        "cause": literal(_cause(move)),
        "facts": literal(move, JSONB),
        "status": literal(MessageStatus.QUEUED.value),
        "attempts": literal(0),
        "unsure": literal(0),
        "next_attempt_at": literal(tx.now),
        "created_at": literal(tx.now),
    }
    wanted = (
        select(*owed.values())
        .where(
            bookings.c.event_id == event_id,
            bookings.c.confirmed,
            ~bookings.c.cancelled,
            ~told.where(messages.c.cause == _cause(move)),
            is_news,
        )
        .limit(MAILS_AT_ONCE)
    )
    queued = await tx.execute(
        insert(messages).from_select(list(owed), wanted).on_conflict_do_nothing().returning(messages.c.id)
    )
    return len(queued.all())


def _promised(name: str) -> Any:
    return sql_cast(table(Booking).c.event[name].astext, DateTime(timezone=True))


def _cause(move: Mapping[str, Any]) -> str:
    return f"{EventRescheduled.publisher}/{move['event']['event_id']}/{move['version']}"
