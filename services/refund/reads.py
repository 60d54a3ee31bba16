"""What refund shows: quotes, and refunds with the trace of their decision."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

from chassis.auth import Principal, Role
from chassis.crypto import Sealer
from chassis.db import Transaction
from chassis.errors import Conflict, Invalid, NotFound
from contracts.money import Money
from pydantic import TypeAdapter
from sqlalchemy import Row

from refund.cases import case_of, given_refunds, lines_at_the_end, read_booking
from refund.domain import PAID_BACK, Decision, Ground, decide
from refund.models import Booking, Refund
from refund.policy import local
from refund.schemas import Quote, QuoteState, RefundDetail, RefundSummary

TRACE = TypeAdapter(Decision)
"""Reads and writes the trace of a decision as JSON."""

SEALED_NOTE, SEALED_EVIDENCE, SEALED_PAYOUT = "refund.note", "refund.evidence", "refund.payout_details"
NO_QUOTE: Mapping[QuoteState, str] = {
    "unpaid": "Nothing was paid for this booking, so nothing is refunded.",
    "free": "This booking was free, so nothing is refunded.",
    "cancelled": "This booking is cancelled already.",
}


async def quote_cancellation(tx: Transaction, booking_id: UUID, line_ids: Collection[UUID] | None = None) -> Quote:
    """What a cancellation received now gives, of the booking or of some of its tickets.

    Raises NotFound for a booking that refund does not know, Conflict while the news of its payment is on its way, Invalid for tickets
    that are not, or no longer, the booking's.
    """
    known = await read_booking(tx, booking_id)
    if known is None:
        raise NotFound("booking")
    booking, moved = known
    if booking.captured_minor is None and booking.free is False:
        raise Conflict(
            "The payment is still being recorded; try again.", state="confirmed", headers={"Retry-After": "1"}
        )
    given = await given_refunds(tx, booking_id)
    chosen = lines_at_the_end(booking) if line_ids is None else _valid(booking, line_ids)
    decision = decide(case_of(booking, Ground.POLICY, tx.now, given, moved=moved, line_ids=chosen))
    state = _quote_state(booking)
    currency = str(booking.currency)
    counted = state == "paid"
    window = moved.full_refund_until if moved else None
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
        moved_to=moved.starts_at if moved else None,
        full_refund_until=window,
        full_refund_until_local=local(window, decision.case.timezone) if window else None,
        next_cut_offs=tuple(cut_off for cut_off in decision.cut_offs if cut_off.until >= tx.now) if counted else (),
        lines=decision.lines if counted else (),
        paid=Money(booking.captured_minor or 0, currency),
        refunded=Money(sum(refund["amount_minor"] for refund in given if refund["status"] in PAID_BACK), currency),
        pending=Money(sum(refund["amount_minor"] for refund in given if refund["status"] not in PAID_BACK), currency),
        remaining=Money(booking.remaining_minor, currency),
    )


def _valid(booking: Booking, line_ids: Collection[UUID]) -> list[UUID]:
    left = {UUID(line["line_id"]) for line in booking.lines or ()} - {UUID(line_id) for line_id in booking.given_back}
    if not left.issuperset(line_ids):
        raise Invalid("line_ids", "must name tickets of this booking that were not given back")
    return list(line_ids)


async def read_refund(tx: Transaction, sealer: Sealer, asker: Principal, refund_id: UUID) -> RefundDetail:
    """A refund with its trace. Raises NotFound for one that is not there, or not of the asker's booking."""
    refund = await tx.get(Refund, refund_id)
    if refund is None or asker.booking_id not in {None, refund.booking_id}:
        raise NotFound("refund")
    return detail_of(refund, sealer, asker)


def _quote_state(booking: Booking) -> QuoteState:
    if booking.cancelled_by is not None:
        return "cancelled"
    if booking.free:
        return "free"
    return "unpaid" if booking.captured_minor is None else "paid"


def summary_of(refund: Row[Any] | Refund) -> RefundSummary:
    """The refund as it stands in a list."""
    return RefundSummary(
        id=refund.id,
        booking_id=refund.booking_id,
        payment_id=refund.payment_id,
        status=refund.status,
        amount=Money(refund.amount_minor, refund.currency),
        reason=refund.reason,
        failure=refund.failure,
        waiting_for=refund.waiting_for,
        has_payout_details=refund.payout_details_at is not None,
        created_at=refund.created_at,
        updated_at=refund.updated_at,
    )


def detail_of(refund: Refund, sealer: Sealer, asker: Principal) -> RefundDetail:
    """The refund as `asker` may see it."""
    decision = TRACE.validate_python(refund.trace)
    shown: dict[str, Any] = {"ground": decision.case.ground, "rule": decision.rule, "trace": decision}
    if asker.kind == "staff":
        shown |= {
            "requested_by": refund.requested_by,
            "decided_by": refund.decided_by,
            "override": refund.override,
            "note": sealer.unseal(refund.note, SEALED_NOTE) if refund.note else None,
            "evidence": sealer.unseal(refund.evidence, SEALED_EVIDENCE) if refund.evidence else None,
            "paid_at": refund.paid_at,
        }
    if asker.has(Role.REFUNDER) and refund.payout_details:
        shown["payout_details"] = sealer.unseal_json(refund.payout_details, SEALED_PAYOUT)
    return RefundDetail(**summary_of(refund).model_dump(), **shown)
