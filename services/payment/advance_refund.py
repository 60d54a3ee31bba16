"""Brings a refund further, as `advance` does a payment: decides under the lock, asks without a transaction, records under the lock."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TypeVar
from uuid import UUID

import structlog
from chassis.db import Database, Transaction
from sqlmodel import col, select

from payment import schedule
from payment.changes import RefundChange
from payment.disputes import look_for_disputes, settle_waiting
from payment.gateways import Gateway, GatewayError, NotRun, RefundOrder, RefundView, Refused, Unanswered
from payment.models import (
    LEASE,
    REFUND_CHECKS,
    Attempt,
    Operation,
    Outcome,
    claim_anew,
    is_running_out,
    locked_payment_of_refund,
    refund_now,
)
from payment.pace import Pace
from payment.refund_states import RefundStatus, RefundTrigger, Waiting
from payment.refunds import apply_refund, fail_refund, retry_refund

log = structlog.get_logger(__name__)

P = TypeVar("P")

DISPUTED_CODE = "charge_disputed"
"""The charge has been disputed (docs.stripe.com/error-codes)."""
PASSING_CODES = frozenset({"balance_insufficient", "insufficient_funds"})
"""Refusals that end with the next top-up of the provider's balance (docs.stripe.com/error-codes)."""


@dataclass(frozen=True, slots=True)
class Look:
    """Ask for a refund by the provider's name for it."""

    ref: str


@dataclass(frozen=True, slots=True)
class Send:
    """Ask the provider for a refund; `quiet_for` has passed since this was last done with the attempt's key.

    With `may_send` false it is only looked for: nothing is to be sent any more, but something may have been.
    """

    order: RefundOrder
    look_first: bool
    quiet_for: timedelta
    may_send: bool = True


@dataclass(frozen=True, slots=True)
class AskWhy:
    """Ask for the disputes of a payment whose refund was refused as disputed."""

    intent_ref: str


async def advance_refund(database: Database, gateway: Gateway, refund_id: UUID, pace: Pace | None = None) -> None:
    """One step of a refund that is due. With a `pace`, each call of the provider waits for its turn."""
    async with database.transaction() as tx:
        plan = await _plan(tx, refund_id)
    if plan is None:
        return
    pace = pace or Pace(database, 0)
    found: RefundView | GatewayError | None
    try:
        await pace.turn()
        if isinstance(plan, AskWhy):
            await look_for_disputes(database, gateway, plan.intent_ref)
            found = None
        elif isinstance(plan, Look):
            found = await _look(gateway, plan)
        else:
            found = await _send(gateway, plan, pace, partial(claim_anew, database, REFUND_CHECKS, refund_id))
    except GatewayError as error:
        found = error
    async with database.transaction() as tx:
        change = await _change(tx, refund_id)
        if isinstance(plan, AskWhy):
            await _record_why(change)
            return
        _record(change, plan, found)
        await change.save()


async def _record_why(change: RefundChange) -> None:
    refund = change.refund
    if refund.status is not RefundStatus.BLOCKED:
        return  # what was found has moved it on
    change.set_refund(checks=refund.checks + 1)
    change.schedule_refund_check()
    await change.save()
    await settle_waiting(change.tx, change.payment)


async def _change(tx: Transaction, refund_id: UUID) -> RefundChange:
    payment = await locked_payment_of_refund(tx, refund_id)
    refund = await refund_now(tx, refund_id)
    assert payment is not None, "refunds are never removed"
    assert refund is not None, "refunds are never removed"
    return RefundChange(tx, payment, refund)


async def _plan(tx: Transaction, refund_id: UUID) -> Look | Send | AskWhy | None:
    change = await _change(tx, refund_id)
    payment, refund = change.payment, change.refund
    if is_running_out(tx, refund):
        change.check_refund_in(LEASE)
    if refund.status is RefundStatus.FAILED:
        if refund.is_told or refund.amount_minor > payment.refundable_minor:
            await _rest(change)
            return None
        retry_refund(change)
    assert payment.provider_ref is not None, "what was captured has an intent"
    if refund.status is RefundStatus.BLOCKED and payment.dispute_id is None:
        return await _go(change, AskWhy(payment.provider_ref))
    if refund.status is RefundStatus.BLOCKED:
        await _rest(change)
        return None
    if refund.provider_ref is not None:
        return await _go(change, Look(refund.provider_ref))
    return await _plan_to_send(change)


async def _rest(change: RefundChange) -> None:
    """Nothing is to be asked about it."""
    change.check_refund_in(None)
    await change.save()


async def _go(change: RefundChange, plan: P) -> P:
    """Saves what is changed, if anything is."""
    if change.is_changed:
        await change.save()
    return plan


async def _plan_to_send(change: RefundChange) -> Send | None:
    tx, payment, refund = change.tx, change.payment, change.refund
    is_settled = refund.status in {RefundStatus.SETTLED, RefundStatus.OVERPAID}
    query = select(Attempt).where(Attempt.refund_id == refund.id, col(Attempt.closed_at).is_(None))
    attempt = (await tx.scalars(query)).one_or_none()
    quiet_for = tx.now - attempt.sent_at if attempt and attempt.sent_at else timedelta(0)
    # What this process was handed is sent straight away; what may have been sent before is looked for first.
    is_first = refund.checks == 0 and refund.status is RefundStatus.SUBMITTED and quiet_for < LEASE
    # One that is known not to be at the provider needs no look.
    was_sent = attempt is not None and attempt.sent_at is not None
    look_first = was_sent and not is_first
    if attempt is None and is_settled:
        await _rest(change)
        return None
    if attempt is None and payment.dispute_id is not None:
        change.block_refund()
        await change.save()
        return None
    if attempt is None:
        attempt = change.open_attempt(Operation.REFUND, sent=True, refund_id=refund.id)
    elif not is_settled and not is_first:
        change.resend_attempt(attempt)
    assert payment.provider_ref is not None, "what was captured has an intent"
    order = RefundOrder(attempt.id, payment.id, payment.booking_id, refund.amount, refund.id, payment.provider_ref)
    return await _go(change, Send(order, look_first or is_settled, quiet_for, may_send=not is_settled))


async def _look(gateway: Gateway, plan: Look) -> RefundView:
    """A question that is refused leaves as much unknown as one that is not answered. Raises Unanswered or NotRun."""
    try:
        return await gateway.fetch_refund(plan.ref)
    except Refused as refused:
        log.warning("provider shows no such refund", code=refused.code)
        raise Unanswered(refused.code) from None


async def _send(gateway: Gateway, plan: Send, pace: Pace, claim: Callable[[], Awaitable[None]]) -> RefundView | None:
    """None where the provider shows no refund and it is too late for one to appear. Raises GatewayError."""
    if plan.look_first:
        try:
            found = await gateway.find_refund(plan.order.intent_ref, plan.order.attempt_id)
        except Refused as refused:
            raise Unanswered(refused.code) from None
        if found is not None or not plan.may_send or plan.quiet_for >= schedule.ABSENCE_PROVEN_AFTER:
            return found
        await pace.turn()
        await claim()
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
            if isinstance(plan, Send) and not plan.look_first:
                change.unsend_attempt(plan.order.attempt_id)
            change.set_refund(checks=refund.checks + 1)
        case Refused() if isinstance(plan, Send):
            _record_refusal(change, plan, found)
        case None if isinstance(plan, Send):
            _record_absence(change, plan)
        case _:
            has_moved = isinstance(plan, Send) and change.move_refund(RefundTrigger.UNANSWERED)
            if refund.status is RefundStatus.UNKNOWN:
                change.wait_for(Waiting.UNKNOWN)
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
    if refund.status in {RefundStatus.SETTLED, RefundStatus.OVERPAID}:
        change.check_refund_in(None)
        return
    if refused.code == DISPUTED_CODE:
        change.block_refund()
        return
    if refused.code in PASSING_CODES:
        change.move_refund(RefundTrigger.POSTPONED)
        change.wait_for(Waiting.BALANCE)
        change.check_refund_in(schedule.after_postponement(refund.checks))
        change.set_refund(checks=refund.checks + 1)
        return
    if change.move_refund(RefundTrigger.FAILED):
        fail_refund(change, str(plan.order.attempt_id), refused.code, before)
    change.schedule_refund_check()


def _record_absence(change: RefundChange, plan: Send) -> None:
    """The attempt and its key end. The amount stays reserved, and the next run sends it under a new key."""
    refund = change.refund
    if refund.provider_ref is not None:
        return  # found meanwhile by a webhook
    if plan.quiet_for < schedule.ABSENCE_PROVEN_AFTER:  # it is not sent any more, and may still appear
        change.set_refund(checks=refund.checks + 1)
        change.schedule_refund_check()
        return
    log.warning("attempt had no effect", refund_id=str(refund.id))
    change.close_attempt(plan.order.attempt_id, Outcome.ABSENT)
    change.set_refund(checks=0)
    change.check_refund_soon()
