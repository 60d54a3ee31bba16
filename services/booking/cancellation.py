"""Cancels an event: first its sales, in one short transaction; then its bookings, in batches, until none is left that is not over.

No booking of the event can begin once it is cancelled, nor come back from its end: its ticket types are closed, and whatever takes seats
locks them. So the bookings that the batches look for only become fewer, whoever works on them, and whatever is interrupted.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from typing import Any
from uuid import UUID

from chassis import audit, outbox
from chassis.auth import Principal
from chassis.db import Transaction, table
from chassis.errors import NotFound
from chassis.sql import Part
from contracts.booking import BookingCancelled, EventCancelled
from contracts.money import Money
from sqlalchemy import Row, case, exists, func, null, select, update

from booking import catalogue, dates, domain, metrics, seats, ticket_types
from booking.domain import NO_SEATS, Seats, Status, Trigger
from booking.models import CANCELLATIONS, Booking, Event, Ticket, TicketType
from booking.placed import Placed, change, stamp, tell_pages
from booking.schemas import BookingCounts, EventCancellation

BATCH = 50
"""Bookings that are ended in one transaction: their buyers' requests wait for it, those of other events do not."""

FIRST = UUID(int=0)


async def preview(tx: Transaction, event_id: UUID) -> EventCancellation:
    """What cancelling the event would end, or what its cancellation has ended. Changes nothing. Raises NotFound, Conflict for a draft."""
    event = await tx.get(Event, event_id)
    if event is None:
        raise NotFound("event")
    dates.may_cancel(draft=event.draft)
    return _answered(event) or await _found(tx, event, cancelled_at=None)


async def cancel_event(tx: Transaction, manager: Principal, event_id: UUID) -> EventCancellation:
    """Ends the sale; the bookings are ended right after the commit. An event that is cancelled already answers as it did then.

    Raises NotFound, Conflict for a draft.
    """
    event = await catalogue.locked(tx, event_id)
    if (answered := _answered(event)) is not None:
        return answered
    dates.may_cancel(draft=event.draft)
    await ticket_types.set_closed(tx, event_id, closed=True)
    found = await _found(tx, event, cancelled_at=tx.now)
    events = table(Event)
    cancelled = {
        "cancelled_at": tx.now,
        "version": event.version + 1,
        "cancellation": found.model_dump(mode="json"),
        "cancellation_due_at": CANCELLATIONS.soon(tx, event_id),
    }
    told = EventCancelled(
        event_id=event_id, version=event.version + 1, occurred_at=tx.now, name=event.name, cancelled_at=tx.now
    )
    await tx.execute(update(events).where(events.c.id == event_id).values(cancelled), alongside=[outbox.rows(tx, told)])
    await audit.record(
        tx,
        actor=manager.subject,
        action="event.cancel",
        subject=f"event/{event_id}",
        after={"bookings": found.bookings.model_dump(), "tickets": found.tickets, "holds": found.holds},
    )
    return found


async def end_booking(tx: Transaction, placed: Placed, **values: Any) -> None:
    """Ends one booking of a cancelled event; `values` are written with it. Raises IllegalTransition when it is over."""
    booking = placed.booking
    after = domain.next_status(booking.status, Trigger.EVENT_CANCELLED)
    received_at = placed.current.cancelled_at
    assert received_at is not None, "only a cancelled event ends its bookings"
    told = BookingCancelled(
        **stamp(tx, booking),
        by="event",
        was=booking.status.value,
        received_at=received_at,
        line_ids=tuple(ticket.id for ticket in placed.left),
    )
    await change(tx, placed, after, told, cancelled_by="event", received_at=received_at, **values)


async def end_batch(tx: Transaction, event_id: UUID, after: UUID) -> UUID | None:
    """Ends the next bookings of a cancelled event, in the order of their ids; the last one, or None when there are no more.

    Those that somebody else works on at this moment are left out, for the next round.
    """
    ended = [Ending(list(lines)) for _, lines in groupby(await _next(tx, event_id, after), lambda line: line.id)]
    if not ended:
        return None
    ids: list[UUID] = [ending.booking.id for ending in ended]
    events, bookings = table(Event), table(Booking)
    statement = (
        update(bookings)
        .where(bookings.c.id.in_(ids))
        .values(
            status=Status.CANCELLED,
            version=bookings.c.version + 1,
            revision=bookings.c.revision + 1,
            expiry_due_at=None,
            cancelled_by="event",
            received_at=ended[0].booking.cancelled_at,
        )
    )
    claim = update(events).where(events.c.id == event_id).values(cancellation_due_at=tx.now + CANCELLATIONS.lease)
    told = [ending.told(tx.now) for ending in ended]
    await tx.execute(statement, alongside=[Part(claim), outbox.rows(tx, *told)])
    for booking_id in ids:
        tell_pages(tx, booking_id)
        metrics.reached(tx, Status.CANCELLED)
    freed: dict[UUID, Seats] = {}
    for ending in ended:
        for line in ending.left:
            freed[line.ticket_type_id] = freed.get(line.ticket_type_id, NO_SEATS).plus(ending.by)
    await seats.move(tx, freed)
    return ids[-1]


async def finish(tx: Transaction, event_id: UUID) -> None:
    """Ends the job when every booking of the event is over; where some were left out, it is due again at once."""
    events, bookings = table(Event), table(Booking)
    left = exists().where(bookings.c.event_id == event_id, bookings.c.status.in_(domain.ENDED_BY_EVENT))
    await tx.execute(
        update(events).where(events.c.id == event_id).values(cancellation_due_at=case((left, tx.now), else_=null()))
    )


class Ending:
    """One booking of a batch: its lines, each with what the batch needs of the booking."""

    def __init__(self, lines: Sequence[Row[Any]]) -> None:
        self.booking = lines[0]
        self.left = [line for line in lines if str(line.line_id) not in self.booking.given_back]
        after = domain.next_status(self.booking.status, Trigger.EVENT_CANCELLED)
        self.by = domain.seats_between(self.booking.status, after)

    def told(self, now: datetime) -> BookingCancelled:
        """What is published of it."""
        return BookingCancelled(
            booking_id=self.booking.id,
            version=self.booking.version + 1,
            occurred_at=now,
            by="event",
            was=self.booking.status.value,
            received_at=self.booking.cancelled_at,
            line_ids=tuple(line.line_id for line in self.left),
        )


async def _next(tx: Transaction, event_id: UUID, after: UUID) -> Sequence[Row[Any]]:
    """The next bookings that are not over, locked, with their tickets. What changes is read by the lock itself: it is as it is now."""
    events, bookings, tickets = table(Event), table(Booking), table(Ticket)
    batch = (
        select(bookings.c.id, bookings.c.status, bookings.c.version, bookings.c.given_back)
        .where(bookings.c.event_id == event_id, bookings.c.status.in_(domain.ENDED_BY_EVENT), bookings.c.id > after)
        .order_by(bookings.c.id)
        .limit(BATCH)
        .with_for_update(skip_locked=True, key_share=True)
        .cte("batch")
    )
    found = await tx.execute(
        select(batch, events.c.cancelled_at, tickets.c.id.label("line_id"), tickets.c.ticket_type_id)
        .join(tickets, tickets.c.booking_id == batch.c.id)
        .join(events, events.c.id == event_id)
        .order_by(batch.c.id, tickets.c.position)
    )
    return found.all()


def _answered(event: Event) -> EventCancellation | None:
    return EventCancellation.model_validate(event.cancellation) if event.cancellation else None


async def _found(tx: Transaction, event: Event, *, cancelled_at: datetime | None) -> EventCancellation:
    bookings, types = table(Booking), table(TicketType)
    rows = await tx.execute(
        select(
            bookings.c.status,
            func.count().label("bookings"),
            func.count(bookings.c.email_index.distinct()).label("buyers"),
            func.coalesce(func.sum(bookings.c.total_minor), 0).label("total_minor"),
            func.coalesce(func.sum(bookings.c.refunded_minor), 0).label("refunded_minor"),
        )
        .where(bookings.c.event_id == event.id)
        .group_by(bookings.c.status)
    )
    by_status = {row.status: row for row in rows}
    taken = await tx.execute(select(func.sum(types.c.held), func.sum(types.c.sold)).where(types.c.event_id == event.id))
    held, sold = taken.one()
    confirmed = by_status.get(Status.CONFIRMED)
    counted = BookingCounts(**{status.value: row.bookings for status, row in by_status.items()})
    return EventCancellation(
        event_id=event.id,
        cancelled_at=cancelled_at,
        bookings=counted,
        tickets=sold,
        holds=held,
        authorizations=counted.payment_authorized,
        buyers=confirmed.buyers if confirmed else 0,
        captured=_amounts(event.currency, confirmed.total_minor if confirmed else 0),
        refunded=_amounts(event.currency, confirmed.refunded_minor if confirmed else 0),
    )


def _amounts(currency: str, amount_minor: int) -> list[Money]:
    """An event has one currency; what is nothing is left out."""
    return [Money(int(amount_minor), currency)] if amount_minor else []
