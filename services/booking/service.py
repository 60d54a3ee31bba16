"""What can be done with a booking: one function each. What happens to its money stands in `settle`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Literal
from uuid import UUID

from chassis import audit
from chassis.auth import BookingTokens, Principal
from chassis.calendar_entry import calendar_entry
from chassis.crypto import Sealer
from chassis.db import Transaction
from chassis.errors import Conflict, Invalid
from contracts.booking import (
    BookingCancelled,
    BookingExpired,
    BookingPlaced,
    Line,
    PolicySnapshot,
    TicketsCancelled,
)
from contracts.event import Event as Published

from booking import cancellation, catalogue, dates, domain, metrics, prices, seats
from booking.domain import Status, Trigger
from booking.models import Booking, Event, Ticket, TicketType
from booking.placed import (
    ACCESS,
    CONTACT,
    EMAIL,
    TICKETS,
    Placed,
    change,
    confirmation,
    event_dates,
    facts,
    load,
    seats_of,
    shown,
    stamp,
    write,
)
from booking.schemas import BookingCreate, BookingPlacedRead, BookingRead, Item
from booking.search import name_indexes


async def create_booking(
    tx: Transaction, sealer: Sealer, tokens: BookingTokens, hold: timedelta, body: BookingCreate
) -> BookingPlacedRead:
    """Holds the seats and freezes what they cost. A booking that costs nothing is confirmed at once.

    Raises Invalid for what the event does not offer, Conflict when it is not sold any more or too few seats are left.
    """
    event, types = await catalogue.with_types(tx, body.event_id)
    if event is None or event.draft:
        raise Invalid("event_id", "there is no such event")
    dates.sales_open(tx.now, event.starts_at, event.cancelled_at)
    chosen = _chosen(body.items, {offered.id: offered for offered in types})
    left = {offered.id: offered.capacity - offered.held - offered.sold for offered, _ in chosen}
    if any(left[offered.id] < quantity for offered, quantity in chosen):
        raise domain.SoldOut(left)
    placed = _place(tx, sealer, event, chosen, body=body, hold=hold)
    access_token = tokens.sign(placed.booking.id, tx.now)
    placed.booking.access = sealer.seal(access_token, ACCESS)
    await write(tx, placed, *_first_events(placed))
    metrics.reached(tx, placed.booking.status)
    found = await seats.move(tx, seats_of(placed.tickets, domain.OCCUPIES[placed.booking.status]))
    if found.closed:
        raise dates.SalesEnded
    if not found.made:
        raise domain.SoldOut(found.left)
    return BookingPlacedRead(booking=shown(sealer, placed), access_token=access_token)


async def read_booking(tx: Transaction, sealer: Sealer, booking_id: UUID) -> BookingRead:
    """The booking as it is now. Raises NotFound."""
    return shown(sealer, await load(tx, booking_id))


async def calendar(tx: Transaction, booking_id: UUID) -> bytes:
    """The entry for the buyer's calendar as the event is now. Raises NotFound; Conflict while the booking is not confirmed."""
    placed = await load(tx, booking_id)
    if placed.booking.confirmed_at is None:
        raise Conflict("The booking is not confirmed; there is nothing for a calendar.", state=placed.booking.status)
    # Each event about an event but its cancellation is a move, so mails count the same.
    moves = placed.current.version - int(placed.current.cancelled_at is not None)
    cancelled = placed.booking.status is Status.CANCELLED
    return calendar_entry(booking_id, facts(placed.current), move=moves, cancelled=cancelled, stamped_at=tx.now)


async def cancel_booking(
    tx: Transaction, sealer: Sealer, asker: Principal, booking_id: UUID, ticket_ids: Sequence[UUID] = ()
) -> BookingRead:
    """Frees the seats of `ticket_ids`, or of all that are left, and says when the request came. What goes back is for refund to decide.

    A cancelled event ends the whole booking, whatever was asked for. Raises IllegalTransition when the booking is over, or is not paid
    and would go on; Invalid and Conflict for tickets that it does not have; Conflict for a customer once the event has started.
    """
    placed = await load(tx, booking_id, lock=True)
    before = placed.booking.status
    domain.next_status(before, Trigger.CANCELLATION)
    left = [ticket.id for ticket in placed.left]
    line_ids = domain.given_back(ticket_ids, [ticket.id for ticket in placed.tickets], left)
    by: Literal["customer", "staff"] = "staff" if asker.kind == "staff" else "customer"
    if by == "customer":
        dates.customer_may_cancel(tx.now, placed.current.starts_at, before)
    if placed.current.cancelled_at is not None:
        line_ids = tuple(left)
        await cancellation.end_booking(tx, placed)
    elif len(line_ids) == len(left):
        await _cancel(tx, placed, by, line_ids)
    else:
        await _give_back(tx, placed, by, line_ids)
    read = await read_booking(tx, sealer, booking_id)
    if by == "staff":
        await audit.record(
            tx,
            actor=asker.subject,
            action="booking.cancel",
            subject=f"booking/{booking_id}",
            before={"status": before.value},
            after={"status": read.status.value, "line_ids": line_ids},
        )
    return read


async def _cancel(
    tx: Transaction, placed: Placed, by: Literal["customer", "staff"], line_ids: tuple[UUID, ...]
) -> None:
    booking = placed.booking
    cancelled = BookingCancelled(
        **stamp(tx, booking),
        by=by,
        was=booking.status.value,
        received_at=tx.now,
        line_ids=line_ids,
        event_dates=event_dates(placed.current),
    )
    after = domain.next_status(booking.status, Trigger.CANCELLATION)
    await change(tx, placed, after, cancelled, cancelled_by=by, received_at=tx.now)


async def _give_back(
    tx: Transaction, placed: Placed, by: Literal["customer", "staff"], line_ids: tuple[UUID, ...]
) -> None:
    booking = placed.booking
    after = domain.next_status(booking.status, Trigger.TICKETS_GIVEN_BACK)
    cancelled = TicketsCancelled(
        **stamp(tx, booking),
        by=by,
        received_at=tx.now,
        line_ids=line_ids,
        remaining_line_ids=tuple(ticket.id for ticket in placed.left if ticket.id not in line_ids),
        event_dates=event_dates(placed.current),
    )
    gone = {str(line_id): tx.now.isoformat() for line_id in line_ids}
    await change(tx, placed, after, cancelled, given_back=booking.given_back | gone)
    freed = [ticket for ticket in placed.tickets if ticket.id in line_ids]
    await seats.move(tx, seats_of(freed, domain.seats_between(booking.status, Status.CANCELLED)))


async def expire_booking(tx: Transaction, booking_id: UUID) -> None:
    """Ends a hold that is over. A booking that was authorized, paid or cancelled meanwhile is left as it is."""
    placed = await load(tx, booking_id, lock=True)
    booking = placed.booking
    if booking.status is Status.PENDING_PAYMENT and booking.hold_expires_at <= tx.now:
        after = domain.next_status(booking.status, Trigger.HOLD_ENDED)
        await change(tx, placed, after, BookingExpired(**stamp(tx, booking)), expired_at=tx.now)


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


def _place(
    tx: Transaction, sealer: Sealer, event: Event, chosen: Chosen, *, body: BookingCreate, hold: timedelta
) -> Placed:
    """The booking with everything frozen that its price and its refund depend on; nothing is written yet."""
    booking_id, contact = tx.new_id(), body.contact
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
            tax_minor=prices.tax_included(offered.price_minor, offered.tax_rate_bp),
            tax_rate_bp=offered.tax_rate_bp,
            code_index=sealer.blind_index(code, TICKETS),
        )
        for position, (offered, code) in enumerate(zip(ordered, codes, strict=True))
    ]
    price = prices.price_of((ticket.gross_minor for ticket in tickets), event.currency)
    status = domain.first_status(price)
    issued = [
        {"line_id": str(ticket.id), "name": ticket.name, "code": code}
        for ticket, code in zip(tickets, codes, strict=True)
    ]
    booking = Booking(
        id=booking_id,
        event_id=event.id,
        status=status,
        version=2 if status is Status.CONFIRMED else 1,
        revision=1,
        event_facts=facts(event).model_dump(mode="json"),
        refund_policy=event.refund_policy,
        currency=event.currency,
        total_minor=price.amount_minor,
        tax_minor=sum(ticket.tax_minor for ticket in tickets),
        contact=sealer.seal_json(contact.model_dump() | {"language": body.language}, CONTACT),
        email_index=sealer.blind_index(contact.email, EMAIL),
        issued_tickets=sealer.seal_json(issued, TICKETS),
        placed_at=tx.now,
        hold_expires_at=tx.now + hold,
        expiry_due_at=tx.now + hold if status is Status.PENDING_PAYMENT else None,
        confirmed_at=tx.now if status is Status.CONFIRMED else None,
        policy_accepted_at=tx.now if body.policy_accepted else None,
        policy_hash=prices.policy_hash(event.refund_policy) if body.policy_accepted else None,
    )
    return Placed(booking, tickets, event, name_indexes(sealer, contact.name))


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
