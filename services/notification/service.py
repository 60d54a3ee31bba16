"""One function for each event about a booking: the facts that it brings, the mail that follows from it, and the webhooks.

Events may come in any order. A mail that builds on facts which are not here yet is put off (TooEarly: the event is delivered again);
which mail follows is decided by the newest version of the booking that was seen.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from chassis.db import Transaction, table
from chassis.errors import TooEarly
from contracts.booking import (
    BookingCancelled,
    BookingConfirmed,
    BookingExpired,
    BookingPlaced,
    EventFacts,
    TicketsCancelled,
)
from contracts.payment import PaymentAttemptFailed, PaymentFailed, PaymentVoided
from contracts.refund import RefundCompleted, RefundDeclined, RefundFailed, RefundSettledManually
from sqlalchemy import Row, Uuid, bindparam, exists, func, literal, select, update
from sqlalchemy import case as sql_case
from sqlalchemy.dialects.postgresql import insert

from notification import moves, surveys, webhooks
from notification.domain import Template
from notification.models import Booking, Message, MovedEvent
from notification.outgoing import queue
from notification.payloads import Announced, cause
from notification.survey_rules import Kind

POLICY_WAIT = timedelta(seconds=30)
"""How long the mail of a confirmation that overtook BookingPlaced waits for the refund policy, which only that event brings."""

AFTER_CANCELLATION = frozenset({"customer_cancelled", "staff_cancelled", "event_cancelled"})
"""Reasons of a refund that may follow from a cancellation. Newer events say whether it does."""

CANCELLATION_WAIT = timedelta(seconds=5)
"""How long a refund for such a reason, told without saying so, waits for one: staff may give the reason where nobody has cancelled."""


def _placed() -> Any:
    row = insert(table(Booking))
    return row.on_conflict_do_update(index_elements=["id"], set_={"policy": row.excluded.policy})


def _confirmed() -> Any:
    """Returns whether the policy is still missing, and the newest move of the event."""
    bookings, moved = table(Booking), table(MovedEvent)
    row = insert(bookings)
    kept: dict[str, Any] = {name: row.excluded[name] for name in ("tickets", "access", "confirmed")}
    kept["version"] = func.greatest(bookings.c.version, row.excluded.version)
    move = select(moved.c.facts).where(moved.c.id == bindparam("of_event", type_=Uuid)).scalar_subquery()
    return row.on_conflict_do_update(index_elements=["id"], set_=kept).returning(
        bookings.c.policy.is_(None).label("no_policy"), move.label("move")
    )


_PLACED, _CONFIRMED = _placed(), _confirmed()
"""Built once, as each booking runs them."""


async def booking_placed(tx: Transaction, event: BookingPlaced) -> None:
    """Keeps the facts. No mail: nothing is bought yet."""
    placed = {
        **_facts(event),
        "policy": event.policy.model_dump(mode="json"),
        "contact": event.contact,
        "version": event.version,
        "payment_attempted": False,
        "confirmed": False,
        "cancelled": False,
    }
    await tx.execute(_PLACED, placed)
    await webhooks.announce(tx, event)


async def booking_confirmed(tx: Transaction, event: BookingConfirmed) -> None:
    """Mails the tickets. The event carries all facts but the policy, so the tickets never wait for long.

    Whoever bought for a time that the event has been moved from since is told that as well.
    """
    confirmed = {
        **_facts(event),
        "contact": event.contact,
        "tickets": event.tickets,
        "access": event.access,
        "version": event.version,
        "payment_attempted": False,
        "confirmed": True,
        "cancelled": False,
    }
    found = (await tx.execute(_CONFIRMED, {**confirmed, "of_event": event.event.event_id})).one()
    waits = found.no_policy and event.total.amount_minor > 0
    at = tx.now + POLICY_WAIT if waits else None
    now = EventFacts.model_validate(found.move["event"]) if found.move else event.event
    survey = surveys.begun(tx, event.booking_id, Kind.EVENT, now.ends_at)
    await queue(tx, event.booking_id, {Template.CONFIRMATION: {}}, cause=cause(event), at=at, survey=survey)
    if found.move is not None and moves.is_news(found.move, event.event):
        await moves.tell(tx, event.booking_id, found.move)
    await webhooks.announce(tx, event)


async def tickets_cancelled(tx: Transaction, event: TicketsCancelled) -> None:
    """Mails which tickets are still valid. It waits for the confirmation, and so for its mail."""
    bookings = table(Booking)
    remaining = literal(list(event.remaining_line_ids), bookings.c.valid_tickets.type)
    await _update(
        tx,
        event.booking_id,
        bookings.c.confirmed,
        valid_tickets=sql_case((bookings.c.tickets_version < event.version, remaining), else_=bookings.c.valid_tickets),
        tickets_version=func.greatest(bookings.c.tickets_version, event.version),
        version=_newer(event),
    )
    facts = event.model_dump(mode="json", include={"by", "received_at", "line_ids"})
    await queue(tx, event.booking_id, {Template.TICKETS_CANCELLED: facts}, cause=cause(event))
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
    await queue(tx, event.booking_id, {Template.BOOKING_CANCELLED: facts}, cause=cause(event))
    await webhooks.announce(tx, event)


async def payment_voided(tx: Transaction, event: PaymentVoided) -> None:
    """Mails a buyer whose money was reserved for seats that were gone. Other voids end what nobody was promised."""
    if event.was_authorized and event.reason == "seats_unavailable":
        await _known(tx, event.booking_id)
        facts = event.model_dump(mode="json", include={"amount"})
        await queue(tx, event.booking_id, {Template.PAYMENT_VOIDED: facts}, cause=cause(event))
    await webhooks.announce(tx, event)


async def payment_failed(tx: Transaction, event: PaymentFailed) -> None:
    """Mails a buyer whose payment a person rejected. Whoever sees other failures sits before the payment page."""
    if event.rejected_in_review:
        await _known(tx, event.booking_id)
        await queue(tx, event.booking_id, {Template.PAYMENT_REJECTED: {}}, cause=cause(event))
    await webhooks.announce(tx, event)


async def refund_completed(tx: Transaction, event: RefundCompleted) -> None:
    """Mails the amount that the provider accepted, and what was kept where the policy of a cancelled booking kept some."""
    booking = await _refunded(tx, event)
    facts = event.model_dump(mode="json", include={"amount", "reason"})
    by_policy = event.reason == "customer_cancelled"
    kept = booking.total_minor - event.amount.amount_minor
    if by_policy and booking.cancelled and booking.is_whole and kept > 0:
        facts["kept"] = {"amount_minor": kept, "currency": event.amount.currency}
    facts["for_tickets"] = by_policy and booking.gave_tickets_back and not booking.cancelled
    survey = surveys.begun(tx, event.booking_id, Kind.REFUND, tx.now)
    await queue(tx, event.booking_id, {Template.REFUND_SENT: facts}, cause=cause(event), survey=survey)
    await webhooks.announce(tx, event)


async def refund_failed(tx: Transaction, event: RefundFailed) -> None:
    """Mails that the money is still owed and what the buyer can do, or why it is not sent, and gives staff a case."""
    await _known(tx, event.booking_id)
    facts = event.model_dump(mode="json", include={"amount", "reason", "had_succeeded"})
    case = event.model_dump(mode="json", include={"refund_id", "amount", "reason", "had_succeeded"})
    mails = {Template.REFUND_FAILED: facts, Template.STAFF_REFUND_FAILED: case}
    await queue(tx, event.booking_id, mails, cause=cause(event))
    await webhooks.announce(tx, event)


async def refund_settled(tx: Transaction, event: RefundSettledManually) -> None:
    """Mails that staff have paid the amount in another way."""
    await _known(tx, event.booking_id)
    facts = event.model_dump(mode="json", include={"amount", "reason"})
    await queue(tx, event.booking_id, {Template.REFUND_SETTLED: facts}, cause=cause(event))
    await webhooks.announce(tx, event)


async def refund_declined(tx: Transaction, event: RefundDeclined) -> None:
    """Mails the rule by which nothing goes back, after the mail of what it decides on: a cancellation, or a hold without seats."""
    bookings = table(Booking)
    ended = bookings.c.cancelled | bookings.c.expired_version.is_not(None)
    booking = await _known(tx, event.booking_id, ended | bookings.c.valid_tickets.is_not(None))
    facts = {"rule": event.rule, "for_tickets": booking.gave_tickets_back and not booking.cancelled}
    await queue(tx, event.booking_id, {Template.NOTHING_TO_REFUND: facts}, cause=cause(event))
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


async def _update(tx: Transaction, booking_id: UUID, *needed: Any, **values: Any) -> Row[Any]:
    bookings = table(Booking)
    changed = await tx.execute(
        update(bookings).where(bookings.c.id == booking_id, *needed).values(values).returning(bookings)
    )
    return _found(changed.first(), booking_id)


async def _known(tx: Transaction, booking_id: UUID, *needed: Any) -> Row[Any]:
    bookings = table(Booking)
    gave_back = bookings.c.valid_tickets.is_not(None).label("gave_tickets_back")
    found = await tx.execute(select(bookings.c.cancelled, gave_back).where(bookings.c.id == booking_id, *needed))
    return _found(found.first(), booking_id)


async def _refunded(tx: Transaction, event: RefundCompleted) -> Row[Any]:
    """What the mail of a refund says beside its amount. `is_whole`: no other refund was sent, and no ticket given back before."""
    bookings, messages = table(Booking), table(Message)
    gave_back = bookings.c.valid_tickets.is_not(None)
    another = exists().where(
        messages.c.booking_id == bookings.c.id,
        messages.c.template.in_([Template.REFUND_SENT, Template.REFUND_SETTLED]),
        messages.c.cause.not_like(f"refund/{event.refund_id}/%"),
    )
    waits = event.for_cancellation
    if waits is None:
        waits = event.reason in AFTER_CANCELLATION and tx.now - event.occurred_at < CANCELLATION_WAIT
    found = await tx.execute(
        select(
            bookings.c.cancelled,
            bookings.c.total_minor,
            gave_back.label("gave_tickets_back"),
            (~gave_back & ~another).label("is_whole"),
        ).where(bookings.c.id == event.booking_id, *([bookings.c.cancelled | gave_back] if waits else []))
    )
    return _found(found.first(), event.booking_id)


def _found(row: Row[Any] | None, booking_id: UUID) -> Row[Any]:
    if row is None:
        raise TooEarly(f"what this builds on has not been told yet of booking {booking_id}")
    return row


async def _mail_expiry(tx: Transaction, booking: Row[Any]) -> None:
    """Whichever of the two comes last, the expiry or the failed attempt, finds the other. A booking that went on since gets no mail."""
    if booking.payment_attempted and booking.expired_version == booking.version:
        since = f"{BookingExpired.publisher}/{booking.id}/{booking.expired_version}"
        await queue(tx, booking.id, {Template.HOLD_EXPIRED: {}}, cause=since)
