"""What refund shows: quotes, and refunds with the trace of their decision."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from chassis.auth import Principal
from chassis.crypto import Sealer
from chassis.db import Transaction, table
from chassis.errors import Conflict, NotFound
from contracts.money import Money
from pydantic import TypeAdapter
from sqlalchemy import Row, select

from refund.cases import case_of, given_refunds
from refund.domain import PAID_BACK, Decision, Ground, Status, decide
from refund.models import Booking, Refund
from refund.schemas import Quote, QuoteState, RefundDetail, RefundPage, RefundSummary

TRACE = TypeAdapter(Decision)
"""Reads and writes the trace of a decision as JSON."""

SEALED_NOTE = "refund.note"
NO_QUOTE: Mapping[QuoteState, str] = {
    "unpaid": "Nothing was paid for this booking, so nothing is refunded.",
    "free": "This booking was free, so nothing is refunded.",
    "cancelled": "This booking is cancelled already.",
}


async def quote_cancellation(tx: Transaction, booking_id: UUID) -> Quote:
    """What a cancellation received now gives.

    Raises NotFound for a booking that refund does not know, Conflict while the news of its payment is on its way.
    """
    booking = await tx.get(Booking, booking_id)
    if booking is None or booking.placed_at is None:
        raise NotFound("booking")
    if booking.captured_minor is None and booking.free is False:
        raise Conflict(
            "The payment is still being recorded; try again.", state="confirmed", headers={"Retry-After": "1"}
        )
    given = await given_refunds(tx, booking_id)
    decision = decide(case_of(booking, Ground.POLICY, tx.now, given))
    state = _quote_state(booking)
    currency = str(booking.currency)
    counted = state == "paid"
    return Quote(
        booking_id=booking_id,
        state=state,
        amount=Money(decision.amount_minor if counted else 0, currency),
        percent=decision.percent if counted else 0,
        fee_minor=decision.fee_minor if counted else 0,
        rule=decision.rule if counted else NO_QUOTE[state],
        now=tx.now,
        starts_at=decision.case.starts_at,
        timezone=decision.case.timezone,
        next_cut_offs=tuple(cut_off for cut_off in decision.cut_offs if cut_off.until >= tx.now) if counted else (),
        lines=decision.lines if counted else (),
        paid=Money(booking.captured_minor or 0, currency),
        refunded=Money(sum(refund["amount_minor"] for refund in given if refund["status"] in PAID_BACK), currency),
        pending=Money(sum(refund["amount_minor"] for refund in given if refund["status"] not in PAID_BACK), currency),
        remaining=Money(booking.remaining_minor, currency),
    )


async def read_refund(tx: Transaction, sealer: Sealer, asker: Principal, refund_id: UUID) -> RefundDetail:
    """A refund with its trace. Raises NotFound for one that is not there, or not of the asker's booking."""
    refund = await tx.get(Refund, refund_id)
    if refund is None or asker.booking_id not in {None, refund.booking_id}:
        raise NotFound("refund")
    return detail_of(refund, sealer, asker)


async def list_refunds(
    tx: Transaction, *, status: Status | None, booking_id: UUID | None, cursor: UUID | None, limit: int
) -> RefundPage:
    """Refunds, newest first: their ids are ordered by time."""
    refunds = table(Refund)
    query = select(refunds).order_by(refunds.c.id.desc()).limit(limit + 1)
    if status is not None:
        query = query.where(refunds.c.status == status)
    if booking_id is not None:
        query = query.where(refunds.c.booking_id == booking_id)
    if cursor is not None:
        query = query.where(refunds.c.id < cursor)
    found = (await tx.execute(query)).all()
    items = [_summary(refund) for refund in found[:limit]]
    return RefundPage(items=items, next_cursor=items[-1].id if len(found) > limit else None)


def _quote_state(booking: Booking) -> QuoteState:
    if booking.cancelled_by is not None:
        return "cancelled"
    if booking.free:
        return "free"
    return "unpaid" if booking.captured_minor is None else "paid"


def _summary(refund: Row[Any] | Refund) -> RefundSummary:
    return RefundSummary(
        id=refund.id,
        booking_id=refund.booking_id,
        payment_id=refund.payment_id,
        status=refund.status,
        amount=Money(refund.amount_minor, refund.currency),
        reason=refund.reason,
        failure=refund.failure,
        created_at=refund.created_at,
        updated_at=refund.updated_at,
    )


def detail_of(refund: Refund, sealer: Sealer, asker: Principal) -> RefundDetail:
    """The refund as `asker` may see it."""
    decision = TRACE.validate_python(refund.trace)
    staff = asker.kind == "staff"
    return RefundDetail(
        **_summary(refund).model_dump(),
        ground=decision.case.ground,
        rule=decision.rule,
        trace=decision,
        requested_by=refund.requested_by if staff else None,
        note=sealer.unseal(refund.note, SEALED_NOTE) if staff and refund.note else None,
    )
