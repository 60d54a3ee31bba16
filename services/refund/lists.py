"""Lists of refunds for staff, as pages and as files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from chassis import csv_export
from chassis.csv_export import CsvResponse, Line
from chassis.db import Database, Transaction, table
from contracts.money import Money
from sqlalchemy import Row, select

from refund.domain import Status
from refund.models import Booking, Refund
from refund.reads import summary_of
from refund.schemas import RefundPage

COLUMNS = (
    "refund_id", "booking_id", "payment_id", "status", "currency", "amount", "reason", "ground", "requested_by",
    "decided_by", "waiting_for", "failure", "created_at", "updated_at",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Filters:
    """Which refunds: in any of `statuses` (all where there are none), of a booking, of an event."""

    statuses: tuple[Status, ...] = ()
    booking_id: UUID | None = None
    event_id: UUID | None = None


async def list_refunds(tx: Transaction, filters: Filters, cursor: UUID | None, limit: int) -> RefundPage:
    """Newest first: ids are ordered by time."""
    rows, next_cursor = await _page(tx, filters, cursor, limit)
    return RefundPage(items=[summary_of(row) for row in rows], next_cursor=next_cursor)


async def export_refunds(database: Database, filters: Filters) -> CsvResponse:
    """The same as a file. Amounts are in units of the currency."""

    async def read(tx: Transaction, cursor: UUID | None) -> tuple[Sequence[Line], UUID | None]:
        rows, next_cursor = await _page(tx, filters, cursor, csv_export.PAGE)
        return [_line(row) for row in rows], next_cursor

    return await csv_export.response("refunds", COLUMNS, csv_export.pages(database, read))


def _line(row: Row[Any]) -> Line:
    amount = csv_export.units(Money(row.amount_minor, row.currency))
    ids = (row.id, row.booking_id, row.payment_id, row.status, row.currency)
    why = (row.reason, row.ground, row.requested_by, row.decided_by, row.waiting_for, row.failure)
    return (*ids, amount, *why, row.created_at, row.updated_at)


async def _page(
    tx: Transaction, filters: Filters, cursor: UUID | None, limit: int
) -> tuple[Sequence[Row[Any]], UUID | None]:
    refunds, bookings = table(Refund), table(Booking)
    query = select(refunds).order_by(refunds.c.id.desc()).limit(limit + 1)
    if filters.statuses:
        query = query.where(refunds.c.status.in_(filters.statuses))
    if filters.booking_id is not None:
        query = query.where(refunds.c.booking_id == filters.booking_id)
    if filters.event_id is not None:
        of_event = select(bookings.c.booking_id).where(bookings.c.event_id == filters.event_id)
        query = query.where(refunds.c.booking_id.in_(of_event))
    if cursor is not None:
        query = query.where(refunds.c.id < cursor)
    found = (await tx.execute(query)).all()
    return found[:limit], found[limit - 1].id if len(found) > limit else None
