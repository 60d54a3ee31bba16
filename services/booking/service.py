"""What can be done with a booking: one function each. What happens to its money stands in `settle`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Literal
from uuid import UUID

from chassis import audit, outbox
from chassis.auth import BookingTokens, Principal
from chassis.crypto import Sealer
from chassis.db import Transaction
from chassis.errors import Conflict, Invalid
from contracts.booking import (
    BookingCancelled,
    BookingExpired,
    BookingPlaced,
    EventFacts,
    Line,
    PolicySnapshot,
)
from contracts.event import Event as Published
from sqlalchemy import select
from sqlmodel import col

from booking import catalogue, domain, metrics, seats
from booking.domain import Status, Trigger
from booking.models import Booking, Event, Ticket, TicketType
from booking.placed import (
    CONTACT,
    EMAIL,
    INSERT,
    TICKETS,
    Placed,
    change,
    confirmation,
    inserted,
    listed,
    load,
    shown,
    stamp,
)
from booking.schemas import BookingCreate, BookingPage, BookingPlacedRead, BookingRead, Contact, Item


async def create_booking(
    tx: Transaction, sealer: Sealer, tokens: BookingTokens, hold: timedelta, body: BookingCreate
) -> BookingPlacedRead:
    """Holds the seats and freezes what they cost. A booking that costs nothing is confirmed at once.

    Raises Invalid for what the event does not offer, Conflict when it is not sold any more or too few seats are left.
    """
    event, types = await catalogue.with_types(tx, body.event_id)
    if event is None:
        raise Invalid("event_id", "there is no such event")
    domain.sales_open(tx.now, event.starts_at, event.cancelled_at)
    chosen = _chosen(body.items, {offered.id: offered for offered in types})
    _enough(chosen, {offered.id: offered.capacity - offered.held - offered.sold for offered, _ in chosen})
    placed = _place(tx, sealer, event, chosen, contact=body.contact, hold=hold)
    await tx.execute(outbox.with_events(tx, INSERT, *_first_events(placed)), inserted(placed))
    metrics.reached(tx, placed.booking.status)
    quantities = placed.quantities
    moved = await seats.move(tx, quantities, domain.OCCUPIES[placed.booking.status])
    if len(moved) < len(quantities):
        _enough(chosen, await seats.left(tx, quantities))
        raise Conflict("Somebody else has just bought these seats; try again.", state="sold_out")
    return BookingPlacedRead(booking=shown(sealer, placed), access_token=tokens.sign(placed.booking.id, tx.now))


async def read_booking(tx: Transaction, sealer: Sealer, booking_id: UUID) -> BookingRead:
    """The booking as it is now. Raises NotFound."""
    return shown(sealer, await load(tx, booking_id))


async def list_bookings(
    tx: Transaction,
    sealer: Sealer,
    *,
    event_id: UUID | None,
    status: Status | None,
    email: str | None,
    cursor: UUID | None,
    limit: int,
) -> BookingPage:
    """The newest first; ids grow with time. `cursor` is the last booking of the page before."""
    wanted = select(Booking).order_by(col(Booking.id).desc()).limit(limit + 1)
    if event_id is not None:
        wanted = wanted.where(col(Booking.event_id) == event_id)
    if status is not None:
        wanted = wanted.where(col(Booking.status) == status)
    if email is not None:
        wanted = wanted.where(col(Booking.email_index) == sealer.blind_index(email, EMAIL))
    if cursor is not None:
        wanted = wanted.where(col(Booking.id) < cursor)
    found = list(await tx.scalars(wanted))
    return BookingPage(
        items=[listed(sealer, booking) for booking in found[:limit]],
        next_cursor=found[limit - 1].id if len(found) > limit else None,
    )


async def cancel_booking(tx: Transaction, sealer: Sealer, asker: Principal, booking_id: UUID) -> BookingRead:
    """Frees the seats and says when the request came. Whether money goes back is for refund to decide.

    Raises IllegalTransition when the booking is over, Conflict for a customer once the event has started.
    """
    placed = await load(tx, booking_id, lock=True)
    booking = placed.booking
    before = booking.status
    after = domain.next_status(before, Trigger.CANCELLATION)
    by: Literal["customer", "staff"] = "staff" if asker.kind == "staff" else "customer"
    if by == "customer":
        domain.customer_may_cancel(tx.now, placed.event.starts_at, before)
    cancelled = BookingCancelled(
        **stamp(tx, booking),
        by=by,
        was=before.value,
        received_at=tx.now,
        line_ids=tuple(ticket.id for ticket in placed.tickets),
    )
    await change(tx, placed, after, cancelled, cancelled_by=by, received_at=tx.now)
    if by == "staff":
        await audit.record(
            tx,
            actor=asker.subject,
            action="booking.cancel",
            subject=f"booking/{booking_id}",
            before={"status": before.value},
            after={"status": after.value},
        )
    return await read_booking(tx, sealer, booking_id)


async def expire_booking(tx: Transaction, booking_id: UUID) -> None:
    """Ends a hold that is over. A booking that was authorized, paid or cancelled meanwhile is left as it is."""
    placed = await load(tx, booking_id, lock=True)
    booking = placed.booking
    if booking.status is Status.PENDING_PAYMENT and booking.hold_expires_at <= tx.now:
        after = domain.next_status(booking.status, Trigger.HOLD_ENDED)
        await change(tx, placed, after, BookingExpired(**stamp(tx, booking)))


Chosen = Sequence[tuple[TicketType, int]]
"""What is bought: types of one event and how many of each."""


def _chosen(items: Sequence[Item], offered: dict[UUID, TicketType]) -> Chosen:
    if len({item.ticket_type_id for item in items}) < len(items):
        raise Invalid("items", "names a ticket type twice")
    if sum(item.quantity for item in items) > domain.TICKETS_MAX:
        raise Invalid("items", f"must not be more than {domain.TICKETS_MAX} tickets in all")
    for position, item in enumerate(items):
        if item.ticket_type_id not in offered:
            raise Invalid(f"items.{position}.ticket_type_id", "there is no such ticket type in this event")
    return [(offered[item.ticket_type_id], item.quantity) for item in items]


def _enough(chosen: Chosen, left: dict[UUID, int]) -> None:
    if any(left[offered.id] < quantity for offered, quantity in chosen):
        raise Conflict(
            "There are not enough seats left.",
            state="sold_out",
            left=[{"ticket_type_id": str(type_id), "available": free} for type_id, free in left.items()],
        )


def _place(
    tx: Transaction, sealer: Sealer, event: Event, chosen: Chosen, *, contact: Contact, hold: timedelta
) -> Placed:
    """The booking with everything frozen that its price and its refund depend on; nothing is written yet."""
    booking_id = tx.new_id()
    ordered = [offered for offered, quantity in chosen for _ in range(quantity)]
    codes = [tx.new_secret() for _ in ordered]
    tickets = [
        Ticket(
            id=tx.new_id(),
            booking_id=booking_id,
            ticket_type_id=offered.id,
            position=position,
            name=offered.name,
            gross_minor=offered.price_minor,
            tax_minor=domain.tax_included(offered.price_minor, offered.tax_rate_bp),
            tax_rate_bp=offered.tax_rate_bp,
            code_index=sealer.blind_index(code, TICKETS),
        )
        for position, (offered, code) in enumerate(zip(ordered, codes, strict=True))
    ]
    price = domain.price_of((ticket.gross_minor for ticket in tickets), event.currency)
    status = domain.first_status(price)
    issued = [
        {"line_id": str(ticket.id), "name": ticket.name, "code": code}
        for ticket, code in zip(tickets, codes, strict=True)
    ]
    facts = EventFacts(
        event_id=event.id,
        name=event.name,
        venue=event.venue,
        starts_at=event.starts_at,
        ends_at=event.ends_at,
        timezone=event.timezone,
    )
    booking = Booking(
        id=booking_id,
        event_id=event.id,
        status=status,
        version=2 if status is Status.CONFIRMED else 1,
        revision=1,
        event_facts=facts.model_dump(mode="json"),
        refund_policy=event.refund_policy,
        currency=event.currency,
        total_minor=price.amount_minor,
        tax_minor=sum(ticket.tax_minor for ticket in tickets),
        contact=sealer.seal_json(contact.model_dump(), CONTACT),
        email_index=sealer.blind_index(contact.email, EMAIL),
        issued_tickets=sealer.seal_json(issued, TICKETS),
        placed_at=tx.now,
        hold_expires_at=tx.now + hold,
        expiry_due_at=tx.now + hold if status is Status.PENDING_PAYMENT else None,
        confirmed_at=tx.now if status is Status.CONFIRMED else None,
    )
    return Placed(booking, tickets)


def _first_events(placed: Placed) -> list[Published]:
    booking = placed.booking
    events: list[Published] = [
        BookingPlaced(
            booking_id=booking.id,
            version=1,
            occurred_at=booking.placed_at,
            event=placed.event,
            lines=tuple(
                Line(
                    line_id=ticket.id,
                    ticket_type_id=ticket.ticket_type_id,
                    name=ticket.name,
                    gross_minor=ticket.gross_minor,
                    tax_minor=ticket.tax_minor,
                    tax_rate_bp=ticket.tax_rate_bp,
                )
                for ticket in placed.tickets
            ),
            total=placed.price,
            policy=PolicySnapshot.model_validate(booking.refund_policy),
            contact=booking.contact,
            hold_expires_at=booking.hold_expires_at,
        )
    ]
    if booking.status is Status.CONFIRMED:
        events.append(confirmation(placed, None, version=2, occurred_at=booking.placed_at))
    return events
