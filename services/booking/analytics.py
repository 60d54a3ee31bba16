"""What was sold, by the day on which bookings were confirmed and by event."""

from __future__ import annotations

from typing import Any

from chassis.db import Transaction, table
from chassis.period import Period
from sqlalchemy import BigInteger, Date, Row, Select, Text, cast, func, literal, select, tuple_

from booking.models import Booking, Event, Ticket, TicketType
from booking.schemas import EventAnalytics, SalesOfDay, SalesOfEvent


async def sales(tx: Transaction, period: Period) -> EventAnalytics:
    """Bookings that were confirmed in the period. Amounts are what was sold, whether or not it was given back later."""
    rows = (await tx.execute(_sold(period))).all()
    by_event = [row for row in rows if row.event_id is not None]
    about = await _about(tx, by_event)
    return EventAnalytics(
        by_day=[
            SalesOfDay(day=row.day, **_figures(row))
            for row in sorted((row for row in rows if row.event_id is None), key=lambda row: (row.day, row.currency))
        ],
        by_event=[
            SalesOfEvent(event_id=row.event_id, **_figures(row), **about[row.event_id])
            for row in sorted(by_event, key=lambda row: (-row.tickets, -row.gross_minor, row.event_id))
        ],
    )


def _sold(period: Period) -> Select[Any]:
    """Both groupings in one pass over the same bookings, so that they add up to the same."""
    bookings, tickets = table(Booking), table(Ticket)
    count = select(func.count()).where(tickets.c.booking_id == bookings.c.id).scalar_subquery()
    confirmed = (
        select(
            cast(func.timezone(literal(period.timezone, Text), bookings.c.confirmed_at), Date).label("day"),
            bookings.c.event_id,
            cast(bookings.c.currency, Text).label("currency"),
            bookings.c.total_minor,
            count.label("tickets"),
        )
        .where(bookings.c.confirmed_at >= period.begins, bookings.c.confirmed_at < period.ends)
        .cte("confirmed")
    )
    day, event_id, currency = confirmed.c.day, confirmed.c.event_id, confirmed.c.currency
    return select(
        day,
        event_id,
        currency,
        func.count().label("bookings"),
        cast(func.sum(confirmed.c.tickets), BigInteger).label("tickets"),
        cast(func.sum(confirmed.c.total_minor), BigInteger).label("gross_minor"),
    ).group_by(func.grouping_sets(tuple_(day, currency), tuple_(event_id, currency)))


async def _about(tx: Transaction, rows: list[Row[Any]]) -> dict[Any, dict[str, Any]]:
    events, types = table(Event), table(TicketType)
    found = await tx.execute(
        select(
            events.c.id,
            events.c.name,
            func.sum(types.c.capacity).label("capacity"),
            func.sum(types.c.sold).label("sold"),
        )
        .join(types, types.c.event_id == events.c.id)
        .where(events.c.id.in_([row.event_id for row in rows]))
        .group_by(events.c.id)
    )
    return {row.id: {"name": row.name, "capacity": row.capacity, "sold": row.sold} for row in found}


def _figures(row: Row[Any]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in ("currency", "bookings", "tickets", "gross_minor")}
