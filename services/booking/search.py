"""Finds bookings: by who booked, by a ticket's code, by event and status. Contacts rest sealed; what finds them are blind indexes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from chassis import audit, csv_export
from chassis.auth import Principal
from chassis.crypto import Sealer
from chassis.db import Database, Transaction, table
from email_validator import EmailNotValidError, validate_email
from sqlalchemy import Select, exists, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from booking.domain import Status
from booking.models import Booking, BookingName, Ticket
from booking.placed import EMAIL, NAME, TICKETS, contact, listed, price, refund_state
from booking.schemas import BookingPage
from booking.words import ticket_code, words

COLUMNS = (
    "booking_id",
    "status",
    "event_id",
    "event_name",
    "name",
    "email",
    "tickets",
    "total_minor",
    "total",
    "currency",
    "tax_minor",
    "refunded_minor",
    "refund_state",
    "placed_at",
    "confirmed_at",
    "cancelled_at",
    "cancelled_by",
    "payment_id",
    "policy_accepted_at",
)


@dataclass(frozen=True)
class Filters:
    """What is looked for; what is None does not matter. `q` is an e-mail address, a ticket's code, a booking's id, or words of a name."""

    event_id: UUID | None = None
    status: Status | None = None
    email: str | None = None
    q: str | None = None


async def list_bookings(
    tx: Transaction, sealer: Sealer, filters: Filters, *, cursor: UUID | None, limit: int
) -> BookingPage:
    """The newest first; ids grow with time. `cursor` is the last booking of the page before."""
    wanted = await _wanted(tx, sealer, filters, select(Booking), cursor)
    found = list(await tx.scalars(wanted.limit(limit + 1)))
    return BookingPage(
        items=[listed(sealer, booking) for booking in found[:limit]],
        next_cursor=found[limit - 1].id if len(found) > limit else None,
    )


async def export_bookings(
    database: Database, sealer: Sealer, staff: Principal, filters: Filters
) -> csv_export.CsvResponse:
    """The same bookings as CSV. Who took it is audited, since it holds names and addresses."""
    async with database.transaction() as tx:
        await audit.record(
            tx,
            actor=staff.subject,
            action="bookings.export",
            subject=f"event/{filters.event_id}" if filters.event_id else "bookings",
            after={"status": filters.status and filters.status.value, "searched": bool(filters.q or filters.email)},
        )

    async def page(tx: Transaction, cursor: UUID | None) -> tuple[Sequence[csv_export.Line], UUID | None]:
        tickets = select(func.count()).where(col(Ticket.booking_id) == col(Booking.id)).scalar_subquery()
        wanted = await _wanted(tx, sealer, filters, select(Booking, tickets), cursor)
        found = (await tx.execute(wanted.limit(csv_export.PAGE))).all()
        last = found[-1][0].id if len(found) == csv_export.PAGE else None
        return [_line(sealer, booking, count) for booking, count in found], last

    return await csv_export.response("bookings", COLUMNS, csv_export.pages(database, page))


def name_indexes(sealer: Sealer, name: str) -> list[str]:
    """The keyed blind indexes of a name's words."""
    return [sealer.blind_index(word, NAME) for word in words(name)]


async def index_name(tx: Transaction, sealer: Sealer, booking_id: UUID) -> None:
    """Makes a booking findable by name that was placed before names were indexed."""
    booking = await tx.get(Booking, booking_id, with_for_update=True)
    if booking is None or booking.names_due_at is None:
        return
    names, bookings = table(BookingName), table(Booking)
    if indexes := name_indexes(sealer, contact(sealer, booking).name):
        rows = [{"word_index": index, "booking_id": booking_id} for index in indexes]
        await tx.execute(insert(names).values(rows).on_conflict_do_nothing())
    await tx.execute(bookings.update().where(bookings.c.id == booking_id).values(names_due_at=None))


async def _wanted(
    tx: Transaction, sealer: Sealer, filters: Filters, wanted: Select[Any], cursor: UUID | None
) -> Select[Any]:
    wanted = wanted.order_by(col(Booking.id).desc())
    if filters.event_id is not None:
        wanted = wanted.where(col(Booking.event_id) == filters.event_id)
    if filters.status is not None:
        wanted = wanted.where(col(Booking.status) == filters.status)
    if filters.email is not None:
        wanted = wanted.where(col(Booking.email_index) == sealer.blind_index(filters.email, EMAIL))
    if cursor is not None:
        wanted = wanted.where(col(Booking.id) < cursor)
    if filters.q is not None and (q := filters.q.strip()):
        wanted = await _searched(tx, sealer, wanted, q)
    return wanted


async def _searched(tx: Transaction, sealer: Sealer, wanted: Select[Any], q: str) -> Select[Any]:
    if (booking_id := _uuid(q)) is not None:
        return wanted.where(col(Booking.id) == booking_id)
    if "@" in q:
        return wanted.where(col(Booking.email_index) == sealer.blind_index(normalised(q), EMAIL))
    if (code := ticket_code(q)) is not None:
        of_code = select(col(Ticket.booking_id)).where(col(Ticket.code_index) == sealer.blind_index(code, TICKETS))
        # What looks like a code may be a name.
        if (found := (await tx.execute(of_code)).scalar_one_or_none()) is not None:
            return wanted.where(col(Booking.id) == found)
    indexes = name_indexes(sealer, q)
    named = col(BookingName.booking_id) == col(Booking.id)
    return wanted.where(*(exists().where(named, col(BookingName.word_index) == index) for index in indexes or [""]))


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def normalised(text: str) -> str:
    """An address as it was stored, where it is one at all."""
    try:
        return validate_email(text, check_deliverability=False).normalized
    except EmailNotValidError:
        return text


def _line(sealer: Sealer, booking: Booking, tickets: int) -> csv_export.Line:
    buyer, total = contact(sealer, booking), price(booking)
    return (
        booking.id,
        booking.status,
        booking.event_id,
        booking.event_facts["name"],
        buyer.name,
        buyer.email,
        tickets,
        total.amount_minor,
        csv_export.units(total),
        total.currency,
        booking.tax_minor,
        booking.refunded_minor,
        refund_state(booking),
        booking.placed_at,
        booking.confirmed_at,
        booking.received_at,
        booking.cancelled_by,
        booking.payment_id,
        booking.policy_accepted_at,
    )
