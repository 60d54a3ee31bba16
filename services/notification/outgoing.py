"""The mails as rows: taken up for an attempt, closed with its outcome, shown to staff, sent again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from chassis import audit
from chassis.db import Transaction, table
from chassis.errors import NotFound
from chassis.sql import Part
from sqlalchemy import FromClause, Row, Select, Uuid, bindparam, exists, func, select, update
from sqlalchemy.dialects.postgresql import Insert, insert
from sqlalchemy.sql.dml import ReturningUpdate

from notification.domain import MessageStatus, MessageTrigger, Template, after, next_mail_at
from notification.models import MAILS, Booking, Message, MovedEvent
from notification.schemas import NotificationOut, Notifications


@dataclass(frozen=True)
class Attempt:
    """What an attempt needs: the mail's row, the facts of its booking as they are now, and those of its event's newest move.

    `booking` is None for a mail to staff about a whole event.
    """

    message: Row[Any]
    booking: Row[Any] | None
    move: Mapping[str, Any] | None


@dataclass(frozen=True)
class Outcome:
    """What came of an attempt. `unsure`: the server may have accepted the mail, and nobody knows."""

    trigger: MessageTrigger
    error: str | None = None
    unsure: bool = False


async def queue(
    tx: Transaction,
    booking_id: UUID | None,
    mails: Mapping[Template, Mapping[str, Any]],
    *,
    cause: str,
    at: datetime | None = None,
    survey: Insert | None = None,
) -> None:
    """Queues the mails of a transition with their facts, each once: the constraint on (booking, template, cause) is what makes it one.

    Without `at` they leave right after the commit. `survey` is the row of a survey that the transition begins, written along.
    """
    rows = [
        {
            "id": (new_id := tx.new_id()),
            "booking_id": booking_id,
            "for_staff": template.for_staff,
            "template": template,
            "cause": cause,
            "facts": dict(facts),
            "status": MessageStatus.QUEUED,
            "attempts": 0,
            "unsure": 0,
            "next_attempt_at": at or MAILS.soon(tx, new_id),
            "created_at": tx.now,
        }
        for template, facts in mails.items()
    ]
    first, *others = rows
    alongside = [] if survey is None else [Part(survey)]
    await (
        tx.execute(_QUEUE.values(rows), alongside=alongside)
        if others
        else tx.execute(_QUEUE, first, alongside=alongside)
    )


_QUEUE = insert(table(Message)).on_conflict_do_nothing(constraint="messages_one_per_transition")


async def take_up(tx: Transaction, message_id: UUID, mail_domain: str) -> Attempt | None:
    """Counts an attempt and gives what it needs; None where there is nothing to do now.

    The mails of one booking leave in the order of what happened: one that has an earlier one before it waits for that one. Mails to staff
    and mails to the buyer do not wait for each other.
    """
    leased = {"own": message_id, "name": f"<{message_id}@{mail_domain}>", "until": tx.now + MAILS.lease}
    if (message := (await tx.execute(_TAKE_UP, leased)).first()) is None:
        await _postpone(tx, message_id)
        return None
    if message.booking_id is None:
        return Attempt(message, None, None)
    booking = (await tx.execute(_ABOUT, {"own": message.booking_id})).one()
    return Attempt(message, booking, booking.move)


def _take_up() -> ReturningUpdate[Any]:
    messages = table(Message)
    is_next = messages.c.status == MessageStatus.QUEUED, ~exists(_before(messages))
    return (
        update(messages)
        .where(messages.c.id == bindparam("own", type_=Uuid), *is_next)
        .values(
            attempts=messages.c.attempts + 1,
            # Kept from the first attempt on: a retry must be the same mail, even where the sender was configured anew in between.
            message_id=func.coalesce(messages.c.message_id, bindparam("name", type_=messages.c.message_id.type)),
            next_attempt_at=bindparam("until", type_=messages.c.next_attempt_at.type),
            last_error=None,
        )
        .returning(messages)
    )


def _about() -> Select[Any]:
    bookings, moved = table(Booking), table(MovedEvent)
    return (
        select(bookings, moved.c.facts.label("move"))
        .outerjoin_from(bookings, moved, moved.c.id == bookings.c.event_id)
        .where(bookings.c.id == bindparam("own", type_=Uuid))
    )


def _before(mail: FromClause) -> Select[Any]:
    """The mails that must leave before `mail`."""
    earlier = table(Message).alias("earlier")
    return select(earlier.c.next_attempt_at).where(
        earlier.c.booking_id == mail.c.booking_id,
        earlier.c.for_staff == mail.c.for_staff,
        earlier.c.seq < mail.c.seq,
        earlier.c.status == MessageStatus.QUEUED,
    )


_TAKE_UP, _ABOUT = _take_up(), _about()
"""Built once, as each mail runs them."""


async def _postpone(tx: Transaction, message_id: UUID) -> None:
    """Lets a mail wait for the one before it, if that is why it cannot leave."""
    messages = table(Message)
    found = await tx.execute(
        select(messages.c.booking_id, messages.c.for_staff, messages.c.seq).where(
            messages.c.id == message_id, messages.c.status == MessageStatus.QUEUED
        )
    )
    if (own := found.first()) is None:
        return
    # Locked, so that the earlier one cannot be closed unseen between this look and the postponement.
    before = await tx.execute(
        select(messages.c.next_attempt_at)
        .where(
            messages.c.booking_id == own.booking_id,
            messages.c.for_staff == own.for_staff,
            messages.c.seq < own.seq,
            messages.c.status == MessageStatus.QUEUED,
        )
        .order_by(messages.c.seq)
        .limit(1)
        .with_for_update()
    )
    earlier = before.first()
    again_at = tx.now if earlier is None else max(earlier.next_attempt_at, tx.now) + MAILS.lease
    await tx.execute(update(messages).where(messages.c.id == message_id).values(next_attempt_at=again_at))


async def close(tx: Transaction, message: Row[Any], outcome: Outcome) -> MessageStatus:
    """Records the outcome of an attempt; a final one lets the booking's next mail go."""
    again_at = next_mail_at(message.attempts, tx.now) if outcome.trigger is MessageTrigger.DEFERRED else None
    gave_up = outcome.trigger is MessageTrigger.DEFERRED and again_at is None
    status = after(MessageStatus(message.status), MessageTrigger.GIVEN_UP if gave_up else outcome.trigger)
    closed = {
        "own": message.id,
        "status": status,
        "next_attempt_at": again_at,
        "last_error": outcome.error,
        "more_unsure": int(outcome.unsure),
        "sent_at": tx.now if status is MessageStatus.SENT else None,
    }
    behind = {"of_booking": message.booking_id, "staff": message.for_staff, "after": message.seq, "now": tx.now}
    await tx.execute(_CLOSE, closed, alongside=[Part(_FREE, behind)] if again_at is None else [])
    return status


_MESSAGES = table(Message)
_CLOSE = (
    update(_MESSAGES)
    .where(_MESSAGES.c.id == bindparam("own", type_=Uuid), _MESSAGES.c.status == MessageStatus.QUEUED)
    .values(unsure=_MESSAGES.c.unsure + bindparam("more_unsure", type_=_MESSAGES.c.unsure.type))
)
_FREE = (
    update(_MESSAGES)
    .where(
        _MESSAGES.c.booking_id == bindparam("of_booking", type_=Uuid),
        _MESSAGES.c.for_staff == bindparam("staff", type_=_MESSAGES.c.for_staff.type),
        _MESSAGES.c.seq > bindparam("after", type_=_MESSAGES.c.seq.type),
        _MESSAGES.c.status == MessageStatus.QUEUED,
        _MESSAGES.c.attempts == 0,
    )
    .values(next_attempt_at=bindparam("now", type_=_MESSAGES.c.next_attempt_at.type))
)
"""Built once, as each mail runs them."""


async def list_messages(
    tx: Transaction,
    *,
    booking_id: UUID | None,
    status: MessageStatus | None,
    template: Template | None,
    cursor: UUID | None,
    limit: int,
) -> Notifications:
    """Mails about a booking, oldest first, or about all, newest first. Nothing of them tells who a buyer is."""
    messages = table(Message)
    asked = {messages.c.booking_id: booking_id, messages.c.status: status, messages.c.template: template}
    query = select(messages).where(*(column == value for column, value in asked.items() if value is not None))
    after = select(messages.c.seq).where(messages.c.id == cursor).scalar_subquery()
    if booking_id is None:
        query = query.order_by(messages.c.seq.desc())
        query = query if cursor is None else query.where(messages.c.seq < after)
    else:
        query = query.order_by(messages.c.seq)
        query = query if cursor is None else query.where(messages.c.seq > after)
    items = [NotificationOut.model_validate(row) for row in await tx.execute(query.limit(limit + 1))]
    return Notifications(items=items[:limit], next_cursor=items[limit - 1].id if len(items) > limit else None)


async def resend(tx: Transaction, message_id: UUID, actor: str) -> NotificationOut:
    """Queues the same mail once more, under a Message-ID of its own: mailboxes hide a second mail with one that they know.

    Raises NotFound.
    """
    messages = table(Message)
    found = await tx.execute(select(messages).where(messages.c.id == message_id))
    if (original := found.first()) is None:
        raise NotFound("notification")
    new_id = tx.new_id()
    queued = await tx.execute(
        insert(messages)
        .values(
            id=new_id,
            booking_id=original.booking_id,
            for_staff=original.for_staff,
            template=original.template,
            cause=f"resend/{original.id}/{new_id}",
            facts=original.facts,
            status=MessageStatus.QUEUED,
            attempts=0,
            unsure=0,
            next_attempt_at=tx.now,
            created_at=tx.now,
        )
        .returning(messages)
    )
    await audit.record(
        tx,
        actor=actor,
        action="notification.resend",
        subject=f"notification/{original.id}",
        after={"notification_id": new_id, "template": original.template, "booking_id": original.booking_id},
    )
    return NotificationOut.model_validate(queued.one())
