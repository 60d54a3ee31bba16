"""The mails as rows: taken up for an attempt, closed with its outcome, shown to staff, sent again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from chassis import audit
from chassis.db import Transaction, table
from chassis.errors import NotFound
from sqlalchemy import Row, func, insert, select, update

from notification.domain import MessageStatus, MessageTrigger, Template, after, next_mail_at
from notification.models import MAILS, Booking, Message
from notification.schemas import NotificationOut, Notifications


@dataclass(frozen=True)
class Attempt:
    """What an attempt needs: the mail's row, and the facts of its booking as they are now."""

    message: Row[Any]
    booking: Row[Any]


@dataclass(frozen=True)
class Outcome:
    """What came of an attempt. `unsure`: the server may have accepted the mail, and nobody knows."""

    trigger: MessageTrigger
    error: str | None = None
    unsure: bool = False


async def take_up(tx: Transaction, message_id: UUID, mail_domain: str) -> Attempt | None:
    """Counts an attempt and gives what it needs; None where there is nothing to do now.

    The mails of one booking leave in the order of what happened: one that has an earlier one before it waits for that one.
    """
    messages, bookings = table(Message), table(Booking)
    queued = messages.c.status == MessageStatus.QUEUED
    found = await tx.execute(select(messages.c.booking_id, messages.c.seq).where(messages.c.id == message_id, queued))
    if (own := found.first()) is None:
        return None
    # Locked, so that the earlier one cannot be closed unseen between this look and the postponement.
    before = await tx.execute(
        select(messages.c.next_attempt_at)
        .where(messages.c.booking_id == own.booking_id, messages.c.seq < own.seq, queued)
        .order_by(messages.c.seq)
        .limit(1)
        .with_for_update()
    )
    if (earlier := before.first()) is not None:
        await tx.execute(
            update(messages)
            .where(messages.c.id == message_id)
            .values(next_attempt_at=max(earlier.next_attempt_at, tx.now) + MAILS.lease)
        )
        return None
    # Kept from the first attempt on: a retry must be the same mail, even where the sender was configured anew in between.
    stable_id = func.coalesce(messages.c.message_id, f"<{message_id}@{mail_domain}>")
    taken = await tx.execute(
        update(messages)
        .where(messages.c.id == message_id, queued)
        .values(
            attempts=messages.c.attempts + 1,
            message_id=stable_id,
            next_attempt_at=tx.now + MAILS.lease,
            last_error=None,
        )
        .returning(messages)
    )
    if (message := taken.first()) is None:
        return None
    booking = await tx.execute(select(bookings).where(bookings.c.id == message.booking_id))
    return Attempt(message, booking.one())


async def close(tx: Transaction, message: Row[Any], outcome: Outcome) -> MessageStatus:
    """Records the outcome of an attempt; a final one lets the booking's next mail go."""
    messages = table(Message)
    again_at = next_mail_at(message.attempts, tx.now) if outcome.trigger is MessageTrigger.DEFERRED else None
    gave_up = outcome.trigger is MessageTrigger.DEFERRED and again_at is None
    status = after(MessageStatus(message.status), MessageTrigger.GIVEN_UP if gave_up else outcome.trigger)
    await tx.execute(
        update(messages)
        .where(messages.c.id == message.id, messages.c.status == MessageStatus.QUEUED)
        .values(
            status=status,
            next_attempt_at=again_at,
            last_error=outcome.error,
            unsure=messages.c.unsure + int(outcome.unsure),
            sent_at=tx.now if status is MessageStatus.SENT else None,
        )
    )
    if again_at is None:
        await tx.execute(
            update(messages)
            .where(
                messages.c.booking_id == message.booking_id,
                messages.c.seq > message.seq,
                messages.c.status == MessageStatus.QUEUED,
                messages.c.attempts == 0,
            )
            .values(next_attempt_at=tx.now)
        )
    return status


async def of_booking(tx: Transaction, booking_id: UUID) -> Notifications:
    """Every mail about a booking, oldest first. Nothing of it tells who the buyer is."""
    messages = table(Message)
    found = await tx.execute(select(messages).where(messages.c.booking_id == booking_id).order_by(messages.c.seq))
    return Notifications(items=[NotificationOut.model_validate(row) for row in found])


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
            template=Template(original.template),
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
