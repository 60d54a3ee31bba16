"""A placed booking: how it is read, locked, changed and shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any
from uuid import UUID

from chassis import outbox
from chassis.crypto import Sealer
from chassis.db import Transaction, table
from chassis.errors import NotFound
from chassis.sql import Part, columns_of, insert_rows
from contracts.booking import BookingConfirmed, EventDates, EventFacts, PolicySnapshot
from contracts.event import Event as Published
from contracts.money import Money
from sqlalchemy import Uuid, bindparam, insert, select, update
from sqlmodel import col

from booking import domain, metrics, seats
from booking.domain import RefundState, Seats, Status
from booking.models import Booking, BookingName, Event, Ticket
from booking.schemas import BookingRead, BookingSummary, Contact, TicketRead

CONTACT = "booking.contact"
TICKETS = "booking.tickets"
ACCESS = "booking.access"
EMAIL = "booking.email"
NAME = "booking.name"


@dataclass
class Placed:
    """A booking, its tickets, and the event as it is now."""

    booking: Booking
    tickets: list[Ticket]
    current: Event
    names: Sequence[str] = ()
    """Blind indexes of the buyer's name, for `write`."""

    @property
    def price(self) -> Money:
        """What the whole booking costs."""
        return price(self.booking)

    @property
    def left(self) -> list[Ticket]:
        """The tickets that were not given back."""
        return [ticket for ticket in self.tickets if str(ticket.id) not in self.booking.given_back]

    @cached_property
    def event(self) -> EventFacts:
        """The event as it was sold."""
        return EventFacts.model_validate(self.booking.event_facts)


_BOOKING, _NAME = insert(table(Booking)), insert_rows(table(BookingName), ["word_index", "booking_id"])
_TICKET = tuple(each.name for each in table(Ticket).c)
_TICKETS = insert_rows(table(Ticket), _TICKET)
_CHANGE = update(table(Booking)).where(table(Booking).c.id == bindparam("own", type_=Uuid))
"""Built once, as each booking runs them."""

READ = (
    select(Booking, Event, Ticket)
    .join(Event, col(Event.id) == col(Booking.event_id))
    .join(Ticket, col(Ticket.booking_id) == col(Booking.id))
    .where(col(Booking.id) == bindparam("booking_id"))
    .order_by(col(Ticket.position))
    .execution_options(populate_existing=True)
)
LOCK = READ.with_for_update(of=Booking, key_share=True)


async def write(tx: Transaction, placed: Placed, *events: Published) -> None:
    """Writes a booking, its tickets and the words of its name, with its first events."""
    named = {"word_index": list(placed.names), "booking_id": [placed.booking.id] * len(placed.names)}
    tickets = columns_of(_TICKET, [ticket.model_dump() for ticket in placed.tickets])
    joined = [Part(_TICKETS, tickets), Part(_NAME, named), outbox.rows(tx, *events)]
    await tx.execute(_BOOKING, placed.booking.model_dump(), alongside=joined)


async def load(tx: Transaction, booking_id: UUID, *, lock: bool = False) -> Placed:
    """The booking, with `lock` alone in this transaction until it ends. Raises NotFound.

    After a wait for the lock the booking is as the one before left it; its tickets never change. The event may have changed
    since the wait began: what must not happen once it is cancelled is refused by its seats.
    """
    rows = (await tx.execute(LOCK if lock else READ, {"booking_id": booking_id})).all()
    if not rows:
        raise NotFound("booking")
    booking, event, _ = rows[0]
    return Placed(booking, [ticket for _, _, ticket in rows], event)


async def change(tx: Transaction, placed: Placed, after: Status, *events: Published, **values: Any) -> None:
    """Writes the new state with its events as one statement, then moves the seats: the rows that many wait for come last.

    Seats that a transition takes must have been taken before (`seats.move`), since there may be none.
    """
    booking = placed.booking
    written = {
        "status": after,
        "version": booking.version + len(events),
        "revision": booking.revision + 1,
        "expiry_due_at": booking.expiry_due_at if after is Status.PENDING_PAYMENT else None,
        **values,
    }
    told = [outbox.rows(tx, *events)] if events else []
    await tx.execute(_CHANGE, {"own": booking.id, **written}, alongside=told)
    tell_pages(tx, booking.id)
    if after is not booking.status:
        metrics.reached(tx, after)
    by = domain.seats_between(booking.status, after)
    if any(by) and sum(by) <= 0:
        await seats.move(tx, seats_of(placed.left, by))


def seats_of(tickets: Iterable[Ticket], by: Seats) -> dict[UUID, Seats]:
    """What `by` for each of the tickets adds to each type."""
    return {type_id: by.times(count) for type_id, count in Counter(t.ticket_type_id for t in tickets).items()}


def tell_pages(tx: Transaction, booking_id: UUID) -> None:
    """Pages that wait in this process see the change right after the commit; those of other processes when they next look."""
    tx.after_commit(lambda: tx.database.tell_watchers(booking_id))


def stamp(tx: Transaction, booking: Booking) -> dict[str, Any]:
    """What the next event of the booking begins with."""
    return {"booking_id": booking.id, "version": booking.version + 1, "occurred_at": tx.now}


def facts(event: Event) -> EventFacts:
    """The event as others are told of it."""
    return EventFacts(
        event_id=event.id,
        name=event.name,
        venue=event.venue,
        starts_at=event.starts_at,
        ends_at=event.ends_at,
        timezone=event.timezone,
    )


def event_dates(event: Event) -> EventDates:
    """What a cancellation is decided by: said with it, since the news of a move may come after it."""
    return EventDates(starts_at=event.starts_at, full_refund_until=event.full_refund_until)


def confirmation(placed: Placed, payment_id: UUID | None, *, version: int, occurred_at: datetime) -> BookingConfirmed:
    """The event that issues the tickets; a free booking has no payment."""
    booking = placed.booking
    return BookingConfirmed(
        booking_id=booking.id,
        version=version,
        occurred_at=occurred_at,
        payment_id=payment_id,
        event=placed.event,
        total=placed.price,
        contact=booking.contact,
        tickets=booking.issued_tickets,
        access=booking.access,
    )


def price(booking: Booking) -> Money:
    """What the whole booking costs."""
    return Money(booking.total_minor, booking.currency)


def refund_state(booking: Booking) -> RefundState:
    """What the customer sees about money that goes back.

    Some is awaited each time that tickets, or all that was left, stopped being the buyer's though money came, until refund says otherwise:
    how much is not booking's to judge.
    """
    losses = len(set(booking.given_back.values())) + (booking.status is not Status.CONFIRMED)
    return domain.refund_state(
        price(booking),
        refunded_minor=booking.refunded_minor,
        failed_minor=booking.refund_failed_minor,
        awaited=booking.paid_at is not None and losses > booking.refunds_declined,
    )


def shown(sealer: Sealer, placed: Placed) -> BookingRead:
    """The booking as its holder and staff see it."""
    booking = placed.booking
    codes: dict[str, str] = {}
    if booking.status is Status.CONFIRMED:
        issued = sealer.unseal_json(booking.issued_tickets, TICKETS)
        codes = {ticket["line_id"]: ticket["code"] for ticket in issued if ticket["line_id"] not in booking.given_back}
    current = facts(placed.current)
    return BookingRead(
        id=booking.id,
        status=booking.status,
        revision=booking.revision,
        event=placed.event,
        current_event=current if current != placed.event else None,
        tickets=[
            TicketRead(
                id=ticket.id,
                ticket_type_id=ticket.ticket_type_id,
                name=ticket.name,
                gross_minor=ticket.gross_minor,
                tax_minor=ticket.tax_minor,
                tax_rate_bp=ticket.tax_rate_bp,
                status=domain.ticket_status(booking.status, given_back=str(ticket.id) in booking.given_back),
                cancelled_at=booking.given_back.get(str(ticket.id), booking.received_at),
                code=codes.get(str(ticket.id)),
            )
            for ticket in placed.tickets
        ],
        total=placed.price,
        tax_minor=booking.tax_minor,
        refund_policy=PolicySnapshot.model_validate(booking.refund_policy),
        contact=contact(sealer, booking),
        placed_at=booking.placed_at,
        hold_expires_at=booking.hold_expires_at if booking.status is Status.PENDING_PAYMENT else None,
        payment_id=booking.payment_id,
        confirmed_at=booking.confirmed_at,
        cancelled_at=booking.received_at,
        cancelled_by=booking.cancelled_by,
        full_refund_until=placed.current.full_refund_until,
        refund_state=refund_state(booking),
        refunded_minor=booking.refunded_minor,
        policy_accepted_at=booking.policy_accepted_at,
    )


def listed(sealer: Sealer, booking: Booking) -> BookingSummary:
    """The booking as a line of a list."""
    return BookingSummary(
        id=booking.id,
        status=booking.status,
        event_id=booking.event_id,
        event_name=booking.event_facts["name"],
        total=price(booking),
        contact=contact(sealer, booking),
        placed_at=booking.placed_at,
        refund_state=refund_state(booking),
        refunded_minor=booking.refunded_minor,
    )


def contact(sealer: Sealer, booking: Booking) -> Contact:
    """Who gets the tickets. It was checked when it was sealed."""
    return Contact.model_construct(**sealer.unseal_json(booking.contact, CONTACT))
