"""One function for each event: the facts that it brings, the mail that follows from it, and the webhooks.

Events may come in any order. A mail that builds on facts which are not here yet is put off (TooEarly: the event is delivered again);
which mail follows is decided by the newest version of the booking that was seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from chassis.db import Transaction, table
from chassis.errors import TooEarly
from contracts.booking import BookingCancelled, BookingConfirmed, BookingExpired, BookingPlaced
from contracts.money import Money
from contracts.payment import PaymentAttemptFailed, PaymentVoided
from contracts.refund import RefundCompleted, RefundDeclined, RefundFailed
from sqlalchemy import Row, func, select, update
from sqlalchemy.dialects.postgresql import insert

from notification import webhooks
from notification.domain import MessageStatus, Template
from notification.models import Booking, Message
from notification.payloads import Announced

POLICY_WAIT = timedelta(seconds=30)
"""How long the mail of a confirmation that overtook BookingPlaced waits for the refund policy, which only that event brings."""

AFTER_CANCELLATION = frozenset({"customer_cancelled", "staff_cancelled", "event_cancelled"})
"""Reasons of a refund that the mail of the cancellation must come before."""


async def booking_placed(tx: Transaction, event: BookingPlaced) -> None:
    """Keeps the facts. No mail: nothing is bought yet."""
    row = insert(table(Booking)).values(
        **_facts(event),
        policy=event.policy.model_dump(mode="json"),
        contact=event.contact,
        version=event.version,
        payment_attempted=False,
        confirmed=False,
        cancelled=False,
    )
    await tx.execute(row.on_conflict_do_update(index_elements=["id"], set_={"policy": row.excluded.policy}))
    await webhooks.announce(tx, event)


async def booking_confirmed(tx: Transaction, event: BookingConfirmed) -> None:
    """Mails the tickets. The event carries all facts but the policy, so the tickets never wait for long."""
    bookings = table(Booking)
    row = insert(bookings).values(
        **_facts(event),
        contact=event.contact,
        tickets=event.tickets,
        version=event.version,
        payment_attempted=False,
        confirmed=True,
        cancelled=False,
    )
    kept = {"tickets": row.excluded.tickets, "version": _newer(event), "confirmed": True}
    stored = await tx.execute(
        row.on_conflict_do_update(index_elements=["id"], set_=kept).returning(bookings.c.policy.is_(None))
    )
    waits = stored.scalar_one() and event.total.amount_minor > 0
    at = tx.now + POLICY_WAIT if waits else tx.now
    await _mail(tx, event.booking_id, Template.CONFIRMATION, cause=_cause(event), at=at)
    await webhooks.announce(tx, event)


async def booking_expired(tx: Transaction, event: BookingExpired) -> None:
    """Mails whoever tried to pay and may wonder; a hold that just lapsed gets no mail."""
    booking = await _update(tx, event.booking_id, expired_version=event.version, version=_newer(event))
    await _mail_expiry(tx, booking)
    await webhooks.announce(tx, event)


async def payment_attempt_failed(tx: Transaction, event: PaymentAttemptFailed) -> None:
    """No mail of its own: the buyer sits before the payment page. It decides whether the end of the hold is worth one."""
    booking = await _update(tx, event.booking_id, payment_attempted=True)
    await _mail_expiry(tx, booking)
    await webhooks.announce(tx, event)


async def booking_cancelled(tx: Transaction, event: BookingCancelled) -> None:
    """Mails what happens with the money. A cancellation that overtook the confirmation waits for it, and so for its mail."""
    needed = [table(Booking).c.confirmed] if event.was == "confirmed" else []
    await _update(tx, event.booking_id, *needed, cancelled=True, version=_newer(event))
    facts = event.model_dump(mode="json", include={"by", "was", "received_at"})
    await _mail(tx, event.booking_id, Template.BOOKING_CANCELLED, cause=_cause(event), facts=facts)
    await webhooks.announce(tx, event)


async def payment_voided(tx: Transaction, event: PaymentVoided) -> None:
    """Mails a buyer whose money was reserved for seats that were gone. Other voids end what nobody was promised."""
    if event.was_authorized and event.reason == "seats_unavailable":
        await _known(tx, event.booking_id)
        await _mail(
            tx, event.booking_id, Template.PAYMENT_VOIDED, cause=_cause(event), facts={"amount": _money(event.amount)}
        )
    await webhooks.announce(tx, event)


async def refund_completed(tx: Transaction, event: RefundCompleted) -> None:
    """Mails the amount that the provider accepted."""
    needed = [table(Booking).c.cancelled] if event.reason in AFTER_CANCELLATION else []
    await _known(tx, event.booking_id, *needed)
    facts = {"amount": _money(event.amount), "reason": event.reason}
    await _mail(tx, event.booking_id, Template.REFUND_SENT, cause=_cause(event), facts=facts)
    await webhooks.announce(tx, event)


async def refund_failed(tx: Transaction, event: RefundFailed) -> None:
    """Mails that the money is still owed and that staff are at it."""
    await _known(tx, event.booking_id)
    await _mail(
        tx, event.booking_id, Template.REFUND_FAILED, cause=_cause(event), facts={"amount": _money(event.amount)}
    )
    await webhooks.announce(tx, event)


async def refund_declined(tx: Transaction, event: RefundDeclined) -> None:
    """Mails the rule by which nothing goes back, after the mail of the end that it decides on: a cancellation, or a hold without seats."""
    bookings = table(Booking)
    await _known(tx, event.booking_id, bookings.c.cancelled | bookings.c.expired_version.is_not(None))
    await _mail(tx, event.booking_id, Template.NOTHING_TO_REFUND, cause=_cause(event), facts={"rule": event.rule})
    await webhooks.announce(tx, event)


def _facts(event: BookingPlaced | BookingConfirmed) -> dict[str, Any]:
    return {
        "id": event.booking_id,
        "event": event.event.model_dump(mode="json"),
        "total_minor": event.total.amount_minor,
        "currency": event.total.currency,
    }


def _newer(event: Announced) -> Any:
    return func.greatest(table(Booking).c.version, event.version)


def _money(money: Money) -> dict[str, Any]:
    return {"amount_minor": money.amount_minor, "currency": money.currency}


async def _update(tx: Transaction, booking_id: UUID, *needed: Any, **values: Any) -> Row[Any]:
    bookings = table(Booking)
    changed = await tx.execute(
        update(bookings).where(bookings.c.id == booking_id, *needed).values(values).returning(bookings)
    )
    return _found(changed.first(), booking_id)


async def _known(tx: Transaction, booking_id: UUID, *needed: Any) -> None:
    bookings = table(Booking)
    found = await tx.execute(select(bookings.c.id).where(bookings.c.id == booking_id, *needed))
    _found(found.first(), booking_id)


def _found(row: Row[Any] | None, booking_id: UUID) -> Row[Any]:
    if row is None:
        raise TooEarly(f"what this builds on has not been told yet of booking {booking_id}")
    return row


async def _mail_expiry(tx: Transaction, booking: Row[Any]) -> None:
    """Whichever of the two comes last, the expiry or the failed attempt, finds the other. A booking that went on since gets no mail."""
    if booking.payment_attempted and booking.expired_version == booking.version:
        await _mail(tx, booking.id, Template.HOLD_EXPIRED, cause=f"booking/{booking.id}/{booking.expired_version}")


def _cause(event: Announced) -> str:
    return f"{event.publisher}/{event.subject}/{event.version}"


async def _mail(
    tx: Transaction,
    booking_id: UUID,
    template: Template,
    *,
    cause: str,
    facts: Mapping[str, Any] | None = None,
    at: datetime | None = None,
) -> None:
    """Queues the mail of a transition, once: the constraint on (booking, template, cause) is what makes it one."""
    await tx.execute(
        insert(table(Message))
        .values(
            id=tx.new_id(),
            booking_id=booking_id,
            template=template,
            cause=cause,
            facts=dict(facts or {}),
            status=MessageStatus.QUEUED,
            attempts=0,
            unsure=0,
            next_attempt_at=at or tx.now,
            created_at=tx.now,
        )
        .on_conflict_do_nothing(constraint="messages_one_per_transition")
    )
