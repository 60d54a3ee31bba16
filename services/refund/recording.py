"""A decision becomes a refund, and a refund that failed is approved once more: its amount is promised, and payment is told."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from chassis import outbox, tracing
from chassis.db import Transaction, table
from chassis.sql import Part
from contracts.money import Money
from contracts.refund import RefundApproved, RefundAwaitingApproval, RefundCompleted, RefundDeclined, RefundReason
from sqlalchemy import insert, update

from refund import metrics
from refund.domain import ENDS_BOOKING, Decision, Ground, Status, Trigger, next_status
from refund.models import Booking, Refund
from refund.reads import TRACE

PROMISES = (
    "promised_minor",
    "outside_minor",
    "unavailable_minor",
    "fee_kept_minor",
    "decided_at",
    "undecided",
)
"""Columns of a booking that a decision may change."""


async def record_refund(
    tx: Transaction,
    booking: Booking,
    decision: Decision,
    *,
    reason: RefundReason,
    requested_by: str,
    trigger: Trigger = Trigger.APPROVE,
    **more: object,
) -> Refund:
    """Writes a decision as a refund, promises its amount on the booking, and tells of it: one statement.

    `trigger` moves it on from being requested; where nothing goes back it is declined. `more` are other columns of the refund.
    """
    assert booking.payment_id is not None, "only what was captured is refunded"
    columns: dict[str, Any] = {"id": tx.new_id()} | more
    refund = Refund(
        booking_id=booking.booking_id,
        payment_id=booking.payment_id,
        status=next_status(Status.REQUESTED, trigger if decision.amount_minor else Trigger.DECLINE),
        amount_minor=decision.amount_minor,
        currency=decision.case.currency,
        reason=reason,
        ground=decision.case.ground,
        trace=TRACE.dump_python(decision, mode="json"),
        requested_by=requested_by,
        version=1,
        created_at=tx.now,
        updated_at=tx.now,
        **columns,
    )
    _promise(tx, booking, decision)
    bookings = table(Booking)
    kept = {name: getattr(booking, name) for name in PROMISES}
    promised = update(bookings).where(bookings.c.booking_id == booking.booking_id).values(kept)
    told = outbox.rows(tx, _first_event(refund, decision.rule))
    await tx.execute(insert(table(Refund)), refund.model_dump(), alongside=[Part(promised), told])
    tx.after_commit(metrics.REQUESTED.labels(reason, decision.case.ground).inc)
    count(tx, Status(refund.status), reason, refund.amount_minor, refund.currency)
    return refund


def _promise(tx: Transaction, booking: Booking, decision: Decision) -> None:
    """What a decision changes of its booking, whose row is locked."""
    booking.promised_minor += decision.amount_minor
    ground = decision.case.ground
    if ground in ENDS_BOOKING:
        booking.decided_at = tx.now
    elif ground is Ground.TICKETS:
        booking.fee_kept_minor += decision.fee_minor
    elif ground is Ground.OUTSIDE:
        booking.outside_minor += decision.amount_minor
        booking.unavailable_minor = max(0, booking.unavailable_minor - decision.amount_minor)


def about(refund: Refund) -> dict[str, object]:
    """What every event about a refund says."""
    return {
        "version": refund.version,
        "occurred_at": refund.updated_at,
        "refund_id": refund.id,
        "booking_id": refund.booking_id,
        "payment_id": refund.payment_id,
        "amount": Money(refund.amount_minor, refund.currency),
        "reason": refund.reason,
    }


def _first_event(
    refund: Refund, rule: str
) -> RefundApproved | RefundAwaitingApproval | RefundCompleted | RefundDeclined:
    if refund.status == Status.DECLINED:
        return RefundDeclined(
            version=refund.version,
            occurred_at=refund.created_at,
            refund_id=refund.id,
            booking_id=refund.booking_id,
            rule=rule,
        )
    if refund.status == Status.SUCCEEDED:  # made by hand at the provider, whatever booking tells
        return RefundCompleted(**about(refund), for_cancellation=False)
    told: Mapping[Status, type[RefundApproved | RefundAwaitingApproval]] = {
        Status.APPROVED: RefundApproved,
        Status.AWAITING_APPROVAL: RefundAwaitingApproval,
    }
    return told[Status(refund.status)](**about(refund))


def count(tx: Transaction, status: Status, reason: str, amount_minor: int, currency: str) -> None:
    """Counts a status that was reached."""
    tx.after_commit(metrics.REFUNDS.labels(status, reason).inc)
    tx.after_commit(lambda: metrics.AMOUNT_MINOR.labels(status, currency).inc(amount_minor))


def count_accepted(tx: Transaction, waited: timedelta) -> None:
    """Times a refund from its request to the provider's acceptance."""
    tx.after_commit(lambda: metrics.ACCEPTED_SECONDS.observe(waited.total_seconds(), tracing.exemplar()))
