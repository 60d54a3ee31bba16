"""Refunds: an amount is reserved by one statement, and given back or released by what the provider shows."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import structlog
from chassis.db import Transaction, table
from chassis.errors import TooEarly
from chassis.sql import Part
from contracts.money import Money
from contracts.payment import PaymentRefunded, PaymentRefundedOutside, PaymentRefundFailed, PaymentRefundRejected
from contracts.refund import RefundApproved
from sqlalchemy import Row, exists, insert, update
from sqlalchemy.dialects.postgresql import Insert
from sqlalchemy.dialects.postgresql import insert as upsert

from payment import ledger, metrics
from payment.changes import Change, RefundChange
from payment.gateways import RefundView
from payment.models import (
    MADE_OUTSIDE,
    REFUND_CHECKS,
    Attempt,
    Operation,
    Outcome,
    Payment,
    Refund,
    locked_payment,
    new_refund,
    refund_now,
)
from payment.refund_states import RefundStatus, RefundTrigger, meaning_of_refund, next_refund_status

log = structlog.get_logger(__name__)

DOUBTED_CHECK_EVERY = timedelta(days=1)


async def execute_refund(tx: Transaction, event: RefundApproved) -> None:
    """Reserves the amount and hands the refund over to be sent, or lets it wait for a dispute; or says how much less is left.

    Raises TooEarly while the payment is not known.
    """
    reserved = await _reserve(tx, event)
    if reserved is None:
        await _reject(tx, event)
        return
    is_disputed = reserved.dispute_id is not None
    attempt_id = tx.new_id()
    refund = new_refund(
        tx,
        event.refund_id,
        payment_id=event.payment_id,
        booking_id=event.booking_id,
        amount=event.amount,
        reason=event.reason,
        approved_version=event.version,
        next_check_at=None if is_disputed else REFUND_CHECKS.soon(tx, event.refund_id),
    )
    posting = ledger.entries(tx, event.payment_id, ledger.refund_started(refund, attempt_id), refund_id=event.refund_id)
    alongside = [posting]
    if not is_disputed:
        attempt = {
            "id": attempt_id,
            "payment_id": event.payment_id,
            "refund_id": event.refund_id,
            "operation": Operation.REFUND,
            "sent_at": tx.now,
            "created_at": tx.now,
        }
        alongside.append(Part(insert(table(Attempt)), attempt))
    await tx.execute(_written(refund), alongside=alongside)
    if is_disputed:
        payment = await locked_payment(tx, event.payment_id)
        assert payment is not None, "it was reserved of"
        change = RefundChange(tx, payment, refund)
        change.block_refund()
        await change.save()


def _written(refund: Refund) -> Insert:
    """Approved once more after it had failed, it is the same refund with a new attempt."""
    refunds, row = table(Refund), refund.model_dump()
    renewed = {name: value for name, value in row.items() if name not in {"id", "payment_id", "created_at"}}
    return upsert(refunds).values(row).on_conflict_do_update(index_elements=[refunds.c.id], set_=renewed)


async def _reserve(tx: Transaction, event: RefundApproved) -> Row[tuple[UUID, UUID | None]] | None:
    """One conditional statement, so that two refunds at once can never promise the same money. With it, the dispute that is open."""
    payments, refunds = table(Payment), table(Refund)
    amount = event.amount.amount_minor
    if amount <= 0:
        return None
    is_newer = (refunds.c.status == RefundStatus.FAILED) & (refunds.c.approved_version < event.version)
    is_under_way = exists().where(refunds.c.id == event.refund_id, ~is_newer)
    disputed = payments.c.disputed_minor
    reserved = await tx.execute(
        update(payments)
        .where(
            payments.c.id == event.payment_id,
            payments.c.booking_id == event.booking_id,
            payments.c.currency == event.amount.currency,
            payments.c.captured_minor - payments.c.refunded_minor - payments.c.reserved_minor - disputed >= amount,
            ~is_under_way,
        )
        .values(reserved_minor=payments.c.reserved_minor + amount, updated_at=tx.now)
        .returning(payments.c.id, payments.c.dispute_id)
    )
    return reserved.first()


async def _reject(tx: Transaction, event: RefundApproved) -> None:
    payment = await locked_payment(tx, event.payment_id)
    if payment is None:
        raise TooEarly("the payment of this refund is not known yet")
    refund = await refund_now(tx, event.refund_id)
    if refund is not None and (refund.status is not RefundStatus.FAILED or refund.approved_version >= event.version):
        return  # it is under way already, or has failed since
    is_ours = payment.booking_id == event.booking_id and payment.currency == event.amount.currency
    left = Money(payment.refundable_minor if is_ours else 0, event.amount.currency)
    log.warning("refund rejected", payment_id=str(payment.id), refund_id=str(event.refund_id))
    change = Change(tx, payment)
    change.publish(PaymentRefundRejected, refund_id=event.refund_id, amount=event.amount, remaining=left)
    await change.save()


def apply_refund(change: RefundChange, view: RefundView) -> None:
    """Moves a refund to what the provider shows, with the events and postings that go with it."""
    refund, before = change.refund, change.refund.status
    if doubts := doubts_about(change.payment, refund, view):
        log.error("refund quarantined", refund_id=str(refund.id), doubts=doubts)
        for doubt in doubts:
            metrics.QUARANTINED.labels(f"refund_{doubt}").inc()
        change.check_refund_in(DOUBTED_CHECK_EVERY)
        return
    if refund.provider_ref is None:
        change.close_refund_attempt(Outcome.DONE)
    trigger = meaning_of_refund(view.fact, view.failure_code, before, is_outside=refund.is_outside)
    if trigger is RefundTrigger.DISPUTED:
        log.warning("refund met a dispute", refund_id=str(refund.id))
        change.set_refund(provider_ref=None, failure_code=view.failure_code)
        change.block_refund()
        return
    change.set_refund(provider_ref=view.ref, failure_code=view.failure_code)
    if change.move_refund(trigger):
        change.set_refund(checks=0)
        _moved(change, view, before)
    if refund.status is RefundStatus.PENDING:
        change.wait_for(view.waits_for)
    change.schedule_refund_check()


def _moved(change: RefundChange, view: RefundView, before: RefundStatus) -> None:
    refund = change.refund
    match refund.status:
        case RefundStatus.SUCCEEDED:
            _succeeded(change, view)
        case RefundStatus.FAILED:
            fail_refund(change, view.ref, view.failure_code or "unknown", before)
        case RefundStatus.OVERPAID:
            log.error("refund sent that was settled another way", refund_id=str(refund.id))
            metrics.OVERPAYMENTS.labels("settled_and_sent").inc()
            change.post_about_refund(ledger.overpaid(refund, view.ref))
        case RefundStatus.SETTLED:
            change.post_about_refund(ledger.overpayment_returned(refund, view.ref))
        case _:
            pass  # nothing has moved


def tells_nothing_new_of_refund(refund: Refund, view: RefundView) -> bool:
    """Whether all that the view shows is recorded."""
    trigger = meaning_of_refund(view.fact, view.failure_code, refund.status, is_outside=refund.is_outside)
    is_same = next_refund_status(refund.status, trigger) is refund.status
    return is_same and (refund.status is not RefundStatus.PENDING or refund.waits_for is view.waits_for)


def doubts_about(payment: Payment, refund: Refund, view: RefundView) -> list[str]:
    """Names of what in the provider's refund is not as we asked for it; empty when it is ours."""
    checks = {
        "amount": view.amount == refund.amount,
        "intent": view.intent_ref == payment.provider_ref,
        "ref": refund.provider_ref in {None, view.ref},
        "refund_id": refund.reason == MADE_OUTSIDE or view.metadata.get("refund_id") == str(refund.id),
    }
    return [name for name, as_asked in checks.items() if not as_asked]


def _succeeded(change: RefundChange, view: RefundView) -> None:
    payment, amount = change.payment, change.refund.amount_minor
    change.set(reserved_minor=payment.reserved_minor - amount, refunded_minor=payment.refunded_minor + amount)
    change.post_about_refund(ledger.refunded(change.refund, view.ref))
    if view.fee:
        change.post_about_refund(ledger.fee(view.ref, view.fee))
    change.publish_about_refund(PaymentRefundedOutside if change.refund.is_outside else PaymentRefunded)


def fail_refund(change: RefundChange, source: str, code: str, before: RefundStatus) -> None:
    """The amount is owed again: out of the reserve, or, where the refund had succeeded, out of what was given back."""
    payment, refund = change.payment, change.refund
    had_succeeded = before is RefundStatus.SUCCEEDED
    log.warning("refund failed", refund_id=str(refund.id), code=code, had_succeeded=had_succeeded)
    if had_succeeded:
        change.set(refunded_minor=payment.refunded_minor - refund.amount_minor)
        change.post_about_refund(ledger.refund_reversed(refund, source))
    else:
        change.set(reserved_minor=payment.reserved_minor - refund.amount_minor)
        change.post_about_refund(ledger.refund_released(refund, source))
    if had_succeeded or not refund.is_outside:  # of one that was made by hand nobody knows before it has succeeded
        change.publish_about_refund(PaymentRefundFailed, reason=code, had_succeeded=had_succeeded)


def retry_refund(change: RefundChange) -> None:
    """Reserves the amount of a failed refund anew; what is sent next has a new key."""
    payment, refund = change.payment, change.refund
    change.move_refund(RefundTrigger.RETRIED)
    change.set_refund(provider_ref=None, failure_code=None, blocked_by=None, checks=0)
    change.set(reserved_minor=payment.reserved_minor + refund.amount_minor)
    change.post_about_refund(ledger.refund_started(refund, change.tx.new_id()))


async def import_refund(tx: Transaction, payment: Payment, view: RefundView) -> RefundChange | None:
    """A refund that was made at the provider by hand takes its part of what is refundable. None where less is left."""
    log.warning("refund made outside", payment_id=str(payment.id))
    metrics.QUARANTINED.labels("refund_made_outside").inc()
    # What disputes have taken does not count: that this refund was made as well is to be seen.
    left = payment.captured_minor - payment.refunded_minor - payment.reserved_minor
    failed = view.fact is RefundTrigger.FAILED
    if failed or view.amount.currency != payment.currency or view.amount.amount_minor > left:
        return None
    refund = new_refund(
        tx,
        tx.new_id(),
        payment_id=payment.id,
        booking_id=payment.booking_id,
        amount=view.amount,
        reason=MADE_OUTSIDE,
    )
    await tx.execute(insert(table(Refund)).values(refund.model_dump()))
    change = RefundChange(tx, payment, refund)
    change.set(reserved_minor=payment.reserved_minor + refund.amount_minor)
    change.post_about_refund(ledger.refund_started(refund, refund.id))
    return change
