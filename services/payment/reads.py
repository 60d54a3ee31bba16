"""Lists for staff, as pages and as files."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from chassis import csv_export
from chassis.csv_export import CsvResponse, Line
from chassis.db import Database, Transaction
from contracts.money import Money
from sqlmodel import col, select

from payment.dispute_states import DisputeStatus
from payment.domain import Status
from payment.models import Dispute, Payment
from payment.schemas import DisputePage, PaymentPage, shown, shown_dispute

COLUMNS = (
    "payment_id", "booking_id", "event_id", "status", "currency", "amount", "captured", "refunded", "refund_pending",
    "disputed", "method", "brand", "last4", "declines", "provider_ref", "created_at", "updated_at",
)  # fmt: skip


async def list_payments(
    tx: Transaction, booking_id: UUID | None, status: Status | None, cursor: UUID | None, limit: int
) -> PaymentPage:
    """Newest first."""
    page, next_cursor = await _page(tx, booking_id, status, cursor, limit)
    return PaymentPage(payments=[shown(payment) for payment in page], next_cursor=next_cursor)


async def export_payments(database: Database, booking_id: UUID | None, status: Status | None) -> CsvResponse:
    """The same as a file. Amounts are in units of the currency."""

    async def read(tx: Transaction, cursor: UUID | None) -> tuple[Sequence[Line], UUID | None]:
        page, next_cursor = await _page(tx, booking_id, status, cursor, csv_export.PAGE)
        return [_line(payment) for payment in page], next_cursor

    return await csv_export.response("payments", COLUMNS, csv_export.pages(database, read))


def _line(payment: Payment) -> Line:
    minor = (
        payment.amount_minor,
        payment.captured_minor,
        payment.refunded_minor,
        payment.reserved_minor,
        payment.disputed_minor,
    )
    amounts = [csv_export.units(Money(each, payment.currency)) for each in minor]
    ids = (payment.id, payment.booking_id, payment.event_id, payment.status.value, payment.currency)
    method = (payment.method_kind, payment.method_brand, payment.method_last4)
    return (*ids, *amounts, *method, payment.declines, payment.provider_ref, payment.created_at, payment.updated_at)


async def _page(
    tx: Transaction, booking_id: UUID | None, status: Status | None, cursor: UUID | None, limit: int
) -> tuple[list[Payment], UUID | None]:
    query = select(Payment).order_by(col(Payment.id).desc()).limit(limit + 1)
    if booking_id is not None:
        query = query.where(Payment.booking_id == booking_id)
    if status is not None:
        query = query.where(Payment.status == status)
    if cursor is not None:
        query = query.where(Payment.id < cursor)
    found = list(await tx.scalars(query))
    return found[:limit], found[limit - 1].id if len(found) > limit else None


async def list_disputes(tx: Transaction, status: DisputeStatus | None, cursor: UUID | None, limit: int) -> DisputePage:
    """Newest first."""
    query = select(Dispute).order_by(col(Dispute.id).desc()).limit(limit + 1)
    if status is not None:
        query = query.where(Dispute.status == status)
    if cursor is not None:
        query = query.where(Dispute.id < cursor)
    found = list(await tx.scalars(query))
    page = found[:limit]
    return DisputePage(
        disputes=[shown_dispute(dispute) for dispute in page], next_cursor=page[-1].id if len(found) > limit else None
    )
