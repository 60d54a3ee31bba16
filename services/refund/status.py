"""The question "where is my money": what a booking's holder sees of its refunds, and how they say another way."""

from __future__ import annotations

from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from chassis.auth import Principal
from chassis.crypto import Sealer
from chassis.db import Transaction, table
from chassis.errors import Conflict, Forbidden, NotFound
from contracts.money import Money
from sqlalchemy import Row, select, update

from refund.cases import read_booking
from refund.domain import PAID_BACK, UNFINISHED, Ground, Status
from refund.models import Booking, Refund
from refund.reads import SEALED_PAYOUT
from refund.schemas import MoneyStatus, PayoutDetails, RefundStep
from refund.words import advice, expected, may_choose_payout, state_in_words


async def read_status(tx: Transaction, booking_id: UUID) -> MoneyStatus:
    """Where the money of a booking is, the newest refund first. Raises NotFound."""
    known = await read_booking(tx, booking_id)
    if known is None:
        raise NotFound("booking")
    booking, _ = known
    refunds = table(Refund)
    rows = (
        await tx.execute(select(refunds).where(refunds.c.booking_id == booking_id).order_by(refunds.c.id.desc()))
    ).all()
    currency = str(booking.currency)
    return MoneyStatus(
        booking_id=booking_id,
        timezone=str(booking.timezone),
        paid=Money(booking.captured_minor or 0, currency),
        refunded=Money(sum(row.amount_minor for row in rows if row.status in PAID_BACK), currency),
        pending=Money(sum(row.amount_minor for row in rows if row.status in UNFINISHED), currency),
        refunds=[_step(row, booking) for row in rows if not _is_internal(row)],
    )


async def choose_payout(
    tx: Transaction, sealer: Sealer, holder: Principal, refund_id: UUID, details: PayoutDetails
) -> RefundStep:
    """Keeps another way in which the money may be paid; said again, the last one counts.

    Raises Forbidden for staff, NotFound for a refund of another booking, Conflict unless its money is owed and did not arrive.
    """
    if holder.kind != "booking":
        raise Forbidden
    refunds, bookings = table(Refund), table(Booking)
    locked = await tx.execute(
        select(refunds, bookings.c.timezone)
        .select_from(bookings.join(refunds, bookings.c.booking_id == refunds.c.booking_id))
        .where(refunds.c.id == refund_id, refunds.c.booking_id == holder.booking_id)
        .with_for_update()
    )
    row = locked.one_or_none()
    if row is None:
        raise NotFound("refund")
    if not may_choose_payout(Status(row.status), row.failure):
        raise Conflict("Another way can be chosen only for a refund that did not arrive.", state=row.status)
    sealed = sealer.seal_json(details.model_dump(), SEALED_PAYOUT)
    kept = (
        update(refunds)
        .where(refunds.c.id == refund_id)
        .values(payout_details=sealed, payout_details_at=tx.now)
        .returning(refunds)
    )
    return _step((await tx.execute(kept)).one(), row)


def _step(row: Row[Any], booking: Booking | Row[Any]) -> RefundStep:
    status, is_chosen = Status(row.status), row.payout_details_at is not None
    first = last = None
    if status is Status.SUCCEEDED:
        first, last = expected(row.updated_at.astimezone(ZoneInfo(str(booking.timezone))).date())
    return RefundStep(
        id=row.id,
        status=status,
        amount=Money(row.amount_minor, row.currency),
        since=row.updated_at,
        state=state_in_words(status, row.waiting_for, row.failure),
        expected_from=first,
        expected_until=last,
        what_to_do=advice(status, row.waiting_for, row.failure, payout_chosen=is_chosen),
        can_choose_payout=may_choose_payout(status, row.failure),
        payout_chosen=is_chosen,
    )


def _is_internal(row: Row[Any]) -> bool:
    """A refund that staff asked for and a colleague declined: it was never promised to the buyer."""
    return bool(row.status == Status.DECLINED and row.ground == Ground.STAFF)
