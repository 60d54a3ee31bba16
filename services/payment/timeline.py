"""What happened to a payment, for staff: its rows say most of it, its events what becomes of refunds on their way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

from chassis.db import Transaction, table
from chassis.errors import NotFound
from chassis.timeline import Timeline, TimelineEntry, Told, entry, events_about, in_order
from sqlalchemy import Row, select

from payment.dispute_states import CLOSED
from payment.domain import Status
from payment.fraud import ReviewStatus
from payment.models import Attempt, Decline, Dispute, LedgerEntry, Payment, Refund, Review

FROM_EVENTS = frozenset(
    {"refunded", "refund_failed", "refund_rejected", "refund_pending", "refund_blocked", "refunded_outside"}
)
"""What is told of refunds; the rest is told by rows, which never grow old."""
FACTS = ("refund_id", "amount", "reason", "why", "remaining", "dispute_id", "had_succeeded")


async def read_timeline(tx: Transaction, payment_id: UUID) -> Timeline:
    """Oldest first. Raises NotFound."""
    payment = await tx.get(Payment, payment_id)
    if payment is None:
        raise NotFound("payment")
    told = [event for event in await events_about(tx, payment_id) if event.happened in FROM_EVENTS]
    refunds = await _rows(tx, Refund, payment_id)
    return in_order(
        [
            *_own(payment),
            *_captured(await _rows(tx, LedgerEntry, payment_id)),
            *_attempts(await _rows(tx, Attempt, payment_id)),
            *(entry(row.at, "declined", code=row.code) for row in await _rows(tx, Decline, payment_id)),
            *_reviews(await _rows(tx, Review, payment_id)),
            *_refunds(refunds, told),
            *_disputes(payment, await _rows(tx, Dispute, payment_id)),
        ]
    )


async def _rows(tx: Transaction, model: type[Any], payment_id: UUID) -> Sequence[Row[Any]]:
    rows = table(model)
    return (await tx.execute(select(rows).where(rows.c.payment_id == payment_id).order_by(rows.c.id))).all()


def _money(row: Any) -> dict[str, Any]:
    return {"amount_minor": row.amount_minor, "currency": row.currency}


def _own(payment: Payment) -> Iterator[TimelineEntry]:
    until = payment.hold_expires_at.isoformat()
    yield entry(payment.created_at, "opened", booking_id=payment.booking_id, amount=_money(payment), until=until)
    if payment.authorized_at is not None:
        yield entry(payment.authorized_at, "authorized", amount=_money(payment))
    if payment.status in {Status.VOIDED, Status.FAILED}:
        reason = payment.release_reason
        yield entry(payment.status_since, payment.status.value, reason=str(reason) if reason else None)


def _captured(entries: Sequence[Row[Any]]) -> Iterator[TimelineEntry]:
    for row in entries:
        if row.kind == "captured" and row.account.startswith("provider:"):
            yield entry(row.created_at, "captured", amount=_money(row))


def _attempts(attempts: Sequence[Row[Any]]) -> Iterator[TimelineEntry]:
    """What was asked of the provider. One that was never sent is no attempt yet."""
    for row in attempts:
        if row.sent_at is None and row.closed_at is None:
            continue
        facts = {"attempt_id": row.id, "refund_id": row.refund_id}
        yield entry(row.sent_at or row.created_at, f"{row.operation}_sent", **facts)
        if row.closed_at is not None:
            outcome = row.outcome.value
            yield entry(row.closed_at, f"{row.operation}_ended", outcome=outcome, code=row.code, **facts)


def _reviews(reviews: Sequence[Row[Any]]) -> Iterator[TimelineEntry]:
    for row in reviews:
        yield entry(row.opened_at, "held_for_review", kind=row.kind.value, reasons=row.reasons)
        if row.decided_at is not None:
            what = "review_approved" if row.status is ReviewStatus.APPROVED else "review_rejected"
            yield entry(row.decided_at, what, row.decided_by)


def _refunds(refunds: Sequence[Row[Any]], told: Sequence[Told]) -> Iterator[TimelineEntry]:
    """Of one that no event is left of, its row says how it ended."""
    for row in refunds:
        yield entry(row.created_at, "refund_started", refund_id=row.id, amount=_money(row), reason=row.reason)
        if row.status_since > row.created_at and not any(e.body.get("refund_id") == str(row.id) for e in told):
            yield entry(row.status_since, f"refund_{row.status.value}", refund_id=row.id, code=row.failure_code)
    for event in told:
        yield entry(event.at, event.happened, **{name: event.body.get(name) for name in FACTS})


def _disputes(payment: Payment, disputes: Sequence[Row[Any]]) -> Iterator[TimelineEntry]:
    """The provider counts their opening in whole seconds: it is never before the capture."""
    for row in disputes:
        opened_at = max(row.created_at, payment.status_since)
        until = row.respond_by.isoformat() if row.respond_by else None
        facts = {"dispute_id": row.id, "amount": _money(row)}
        yield entry(opened_at, "dispute_opened", reason=row.reason, respond_by=until, **facts)
        if row.status in CLOSED:
            yield entry(row.status_since, "dispute_closed", outcome=row.status.value, **facts)
