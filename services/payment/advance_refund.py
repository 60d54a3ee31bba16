"""Brings a refund further, as `advance` does a payment: decides under the lock, asks without a transaction, records under the lock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import structlog
from chassis.db import Database, Transaction
from sqlmodel import col, select

from payment import schedule
from payment.changes import RefundChange
from payment.gateways import Gateway, GatewayError, NotRun, RefundOrder, RefundView, Refused, Unanswered
from payment.models import LEASE, Attempt, Operation, Outcome, locked_payment_of_refund, refund_now
from payment.refund_states import RefundStatus, RefundTrigger
from payment.refunds import apply_refund, fail_refund

log = structlog.get_logger(__name__)

PASSING_CODES = frozenset({"balance_insufficient", "insufficient_funds"})
"""Refusals that end with the next top-up of the provider's balance (docs.stripe.com/error-codes)."""


@dataclass(frozen=True, slots=True)
class Look:
    """Ask for a refund by the provider's name for it."""

    ref: str


@dataclass(frozen=True, slots=True)
class Send:
    """Ask the provider for a refund; `quiet_for` has passed since this was last done with the attempt's key."""

    order: RefundOrder
    look_first: bool
    quiet_for: timedelta


async def advance_refund(database: Database, gateway: Gateway, refund_id: UUID) -> None:
    """One step of a refund that is due."""
    async with database.transaction() as tx:
        plan = await _plan(tx, refund_id)
    if plan is None:
        return
    found: RefundView | GatewayError | None
    try:
        found = await (_look(gateway, plan) if isinstance(plan, Look) else _send(gateway, plan))
    except GatewayError as error:
        found = error
    async with database.transaction() as tx:
        change = await _change(tx, refund_id)
        _record(change, plan, found)
        await change.save()


async def _change(tx: Transaction, refund_id: UUID) -> RefundChange:
    payment = await locked_payment_of_refund(tx, refund_id)
    refund = await refund_now(tx, refund_id)
    assert payment is not None, "refunds are never removed"
    assert refund is not None, "refunds are never removed"
    return RefundChange(tx, payment, refund)


async def _plan(tx: Transaction, refund_id: UUID) -> Look | Send | None:
    change = await _change(tx, refund_id)
    payment, refund = change.payment, change.refund
    if refund.status is RefundStatus.FAILED:
        change.check_refund_in(None)
        await change.save()
        return None
    if refund.provider_ref is not None:
        return Look(refund.provider_ref)
    query = select(Attempt).where(Attempt.refund_id == refund.id, col(Attempt.closed_at).is_(None))
    attempt = (await tx.scalars(query)).one_or_none()
    quiet_for = tx.now - attempt.sent_at if attempt and attempt.sent_at else timedelta(0)
    # What this process was handed is sent straight away; what may have been sent before is looked for first.
    is_first = refund.checks == 0 and refund.status is RefundStatus.SUBMITTED and quiet_for < LEASE
    look_first = attempt is not None and not is_first
    if attempt is None:
        attempt = change.open_attempt(Operation.REFUND, sent=True, refund_id=refund.id)
        await change.save()
    elif look_first:
        change.resend_attempt(attempt)
        await change.save()
    assert payment.provider_ref is not None, "what was captured has an intent"
    order = RefundOrder(attempt.id, payment.id, payment.booking_id, refund.amount, refund.id, payment.provider_ref)
    return Send(order, look_first, quiet_for)


async def _look(gateway: Gateway, plan: Look) -> RefundView:
    """A question that is refused leaves as much unknown as one that is not answered. Raises Unanswered or NotRun."""
    try:
        return await gateway.fetch_refund(plan.ref)
    except Refused as refused:
        log.warning("provider shows no such refund", code=refused.code)
        raise Unanswered(refused.code) from None


async def _send(gateway: Gateway, plan: Send) -> RefundView | None:
    """None where the provider shows no refund and it is too late for one to appear. Raises GatewayError."""
    if plan.look_first:
        try:
            found = await gateway.find_refund(plan.order.intent_ref, plan.order.attempt_id)
        except Refused as refused:
            raise Unanswered(refused.code) from None
        if found is not None or plan.quiet_for >= schedule.ABSENCE_PROVEN_AFTER:
            return found
    return await gateway.refund(plan.order)


def _record(change: RefundChange, plan: Look | Send, found: RefundView | GatewayError | None) -> None:
    refund = change.refund
    match found:
        case RefundView():
            change.set_refund(checks=refund.checks + 1)
            apply_refund(change, found)
        case NotRun():
            log.warning("provider did not run it", refund_id=str(refund.id), why=found.why)
            change.check_refund_in(schedule.after_rate_limit(found.retry_after_s, refund.checks, refund.id.int))
            change.set_refund(checks=refund.checks + 1)
        case Refused() if isinstance(plan, Send):
            _record_refusal(change, plan, found)
        case None if isinstance(plan, Send):
            _record_absence(change, plan)
        case _:
            has_moved = isinstance(plan, Send) and change.move_refund(RefundTrigger.UNANSWERED)
            change.set_refund(checks=0 if has_moved else refund.checks + 1)
            change.schedule_refund_check()


def _record_refusal(change: RefundChange, plan: Send, refused: Refused) -> None:
    """A definitive refusal ends the attempt; what ends with the next top-up is asked for again under a new key."""
    refund, before = change.refund, change.refund.status
    log.warning("provider refused", refund_id=str(refund.id), code=refused.code)
    change.close_attempt(plan.order.attempt_id, Outcome.REFUSED, refused.code)
    if refund.provider_ref is not None:
        return  # found meanwhile by a webhook
    change.set_refund(failure_code=refused.code)
    if refused.code in PASSING_CODES:
        change.move_refund(RefundTrigger.POSTPONED)
        change.check_refund_in(schedule.after_postponement(refund.checks))
        change.set_refund(checks=refund.checks + 1)
        return
    if change.move_refund(RefundTrigger.FAILED):
        fail_refund(change, str(plan.order.attempt_id), refused.code, before)
    change.check_refund_in(None)


def _record_absence(change: RefundChange, plan: Send) -> None:
    """The attempt and its key end. The amount stays reserved, and the next run sends it under a new key."""
    refund = change.refund
    if refund.provider_ref is not None:
        return  # found meanwhile by a webhook
    log.warning("attempt had no effect", refund_id=str(refund.id))
    change.close_attempt(plan.order.attempt_id, Outcome.ABSENT)
    change.set_refund(checks=0)
    change.check_refund_soon()
