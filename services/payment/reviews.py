"""Payments that a person looks at: opened under the payment's lock, decided by staff, and closed where booking needs the money no more.

A decision, as to send a failed refund of a rejected one once more, only says what is wanted. The provider is asked afterwards, by the usual
advance.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import structlog
from chassis import audit
from chassis.auth import Principal
from chassis.crypto import Sealer
from chassis.db import Transaction, table
from chassis.errors import Conflict, NotFound
from sqlalchemy import select, update
from sqlmodel import col

from payment import metrics
from payment.changes import Change, RefundChange
from payment.domain import Release, Trigger, Wish
from payment.fraud import ReviewKind, ReviewStatus, unacceptable
from payment.intents import doubt_again, tell_authorized
from payment.models import Payment, Review, locked_payment, refund_now
from payment.refund_states import RefundStatus
from payment.schemas import Decision, RefundRead, ReviewPage, ReviewRead, shown_refund, shown_review

log = structlog.get_logger(__name__)

SEALED_NOTE = "payment.review_note"
BY_BOOKING = "booking"
"""Who decided where the booking was cancelled while a person was to look at its payment."""


async def approve(tx: Transaction, sealer: Sealer, staff: Principal, payment_id: UUID, asked: Decision) -> ReviewRead:
    """Lets a payment go on: a held one to booking, which says whether there are seats; a doubted one to another look at the provider.

    Raises NotFound, Conflict where this review was decided before, or where the amount, the mode or the object itself is doubted.
    """
    change, review = await _open(tx, payment_id, asked.review_id)
    if review.kind is ReviewKind.HELD:
        change.move(Trigger.CLEARED)
        change.set(checks=0)
        tell_authorized(change)
        change.schedule_check()
        doubt_again(change, review)
    else:
        if never := unacceptable(review.reasons):
            raise Conflict(
                f"What the provider shows is not what was asked for ({', '.join(never)}): it can only be rejected.",
                state=review.status,
            )
        change.move(Trigger.ACCEPTED)
        change.set(accepted_doubts=sorted({*change.payment.accepted_doubts, *review.reasons}), checks=0)
        change.check_soon()
    return await _decide(change, review, ReviewStatus.APPROVED, staff.subject, sealer=sealer, note=asked.note)


async def reject(tx: Transaction, sealer: Sealer, staff: Principal, payment_id: UUID, asked: Decision) -> ReviewRead:
    """Lets a payment end: it is voided, or, where the provider shows that it was captured, given back in full.

    Raises NotFound, Conflict where this review was decided before.
    """
    change, review = await _open(tx, payment_id, asked.review_id)
    let_go(change, Release.REVIEW_REJECTED)
    return await _decide(change, review, ReviewStatus.REJECTED, staff.subject, sealer=sealer, note=asked.note)


async def retry_refund(tx: Transaction, staff: Principal, payment_id: UUID, refund_id: UUID) -> RefundRead:
    """Sends the failed refund of a rejected payment once more, now instead of at its daily turn.

    Raises NotFound, Conflict for one that has not failed, that the refund service decides on, or of which less is left.
    """
    payment = await locked_payment(tx, payment_id)
    refund = await refund_now(tx, refund_id)
    if payment is None or refund is None or refund.payment_id != payment_id:
        raise NotFound("refund")
    if refund.is_told:
        raise Conflict("This refund is decided on its own page: retry it there.", state=refund.status)
    if refund.status is not RefundStatus.FAILED:
        raise Conflict(f"Only a refund that failed is retried; this one is {refund.status}.", state=refund.status)
    if refund.amount_minor > payment.refundable_minor:
        raise Conflict("Less is left of the payment than this refund.", state=refund.status)
    change = RefundChange(tx, payment, refund)
    change.check_refund_soon()
    await change.save()
    await audit.record(
        tx,
        actor=staff.subject,
        action="payment_refund.retry",
        subject=f"payment/{payment_id}",
        reason=refund.failure_code,
        after={"refund_id": refund_id, "amount_minor": refund.amount_minor, "currency": refund.currency},
    )
    return shown_refund(refund)


async def end_held(change: Change) -> None:
    """Booking was cancelled while its payment was held: there is nothing left to decide. What is doubted still waits for a person."""
    review = await _open_review(change.tx, change.payment.id)
    if review is None or review.kind is not ReviewKind.HELD:
        return
    let_go(change, Release.BOOKING_CANCELLED)
    await _close(change, review, ReviewStatus.REJECTED, BY_BOOKING, None)


def let_go(change: Change, reason: Release) -> None:
    """The provider is looked at first: nobody has since the review was opened."""
    change.move(Trigger.REJECTED)
    change.set(wish=Wish.RELEASE, release_reason=reason, checks=0)
    change.check_soon()


async def _open(tx: Transaction, payment_id: UUID, review_id: UUID) -> tuple[Change, Review]:
    payment = await locked_payment(tx, payment_id)
    if payment is None:
        raise NotFound("payment review")
    review = await tx.get(Review, review_id)
    if review is None or review.payment_id != payment_id:
        raise NotFound("payment review")
    if review.status is not ReviewStatus.OPEN:
        raise Conflict(f"This review is {review.status} already.", state=review.status)
    return Change(tx, payment), review


async def _open_review(tx: Transaction, payment_id: UUID) -> Review | None:
    query = select(Review).where(col(Review.payment_id) == payment_id, col(Review.status) == ReviewStatus.OPEN)
    return (await tx.scalars(query)).one_or_none()


async def _decide(
    change: Change, review: Review, status: ReviewStatus, by: str, *, sealer: Sealer, note: str | None
) -> ReviewRead:
    payment = change.payment
    await _close(change, review, status, by, note and sealer.seal(note, SEALED_NOTE))
    await change.save()
    await audit.record(
        change.tx,
        actor=by,
        action="payment_review.approve" if status is ReviewStatus.APPROVED else "payment_review.reject",
        subject=f"payment/{payment.id}",
        reason=", ".join(review.reasons),
        after={
            "booking_id": payment.booking_id,
            "amount_minor": payment.amount_minor,
            "currency": payment.currency,
            "has_note": note is not None,
        },
    )
    return shown_review(review, payment, note)


async def _close(change: Change, review: Review, status: ReviewStatus, by: str, note: str | None) -> None:
    values: dict[str, Any] = {"status": status, "decided_by": by, "decided_at": change.tx.now, "note": note}
    for name, value in values.items():
        setattr(review, name, value)
    reviews = table(Review)
    # Before all else: with the same change another review may be opened.
    change.beforehand(update(reviews).where(reviews.c.id == review.id).values(values))
    change.tx.after_commit(metrics.REVIEWS.labels(review.kind, status).inc)


async def list_reviews(
    tx: Transaction, sealer: Sealer, status: ReviewStatus | None, cursor: UUID | None, limit: int
) -> ReviewPage:
    """Newest first."""
    query = (
        select(Review, Payment)
        .join(Payment, col(Payment.id) == col(Review.payment_id))
        .order_by(col(Review.id).desc())
        .limit(limit + 1)
    )
    if status is not None:
        query = query.where(col(Review.status) == status)
    if cursor is not None:
        query = query.where(col(Review.id) < cursor)
    found: Sequence[Any] = (await tx.execute(query)).all()
    items = [shown_review(review, payment, _note_of(review, sealer)) for review, payment in found[:limit]]
    next_cursor = found[limit - 1][0].id if len(found) > limit else None
    return ReviewPage(items=items, next_cursor=next_cursor)


def _note_of(review: Review, sealer: Sealer) -> str | None:
    return None if review.note is None else sealer.unseal(review.note, SEALED_NOTE)
