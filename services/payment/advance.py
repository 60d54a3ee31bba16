"""Brings a payment further: decides under its lock, asks the provider without any transaction, and records under the lock again.

Whoever dies in between leaves a row whose lease ends: the next run finds the attempt with its key, and looks before it sends again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from uuid import UUID

import structlog
from chassis.db import Database, Transaction
from sqlalchemy import Uuid, bindparam
from sqlmodel import col, select

from payment import schedule
from payment.changes import Change
from payment.domain import YIELDING, Fact, Release, Status, Step, Trigger, Wish, next_step
from payment.fraud import DEFAULT, Rules
from payment.gateways import Gateway, GatewayError, IntentView, NotRun, Refused, Unanswered
from payment.holds import apply_look
from payment.intents import let_go, refused_amount, start_capture
from payment.models import CHECKS, LEASE, Attempt, Operation, Outcome, claim_anew, is_running_out, locked_payment

log = structlog.get_logger(__name__)

AMOUNT_CODES = frozenset({"amount_too_small", "amount_too_large"})
"""Refusals of the amount itself (docs.stripe.com/error-codes)."""

_OPEN = select(Attempt).where(
    col(Attempt.payment_id) == bindparam("of_payment", type_=Uuid),
    col(Attempt.refund_id).is_(None),
    col(Attempt.closed_at).is_(None),
)
"""The attempts about the payment itself whose outcome is open."""


class NotFoundAnywhere(Exception):
    """The provider shows no sign of what was asked for."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked of the provider about one payment. `quiet_for` has passed since the attempt was last sent, before this time."""

    step: Step
    payment_id: UUID
    ref: str | None
    release_reason: Release | None = None
    attempt: Attempt | None = None
    look_first: bool = False
    quiet_for: timedelta = timedelta(0)


async def advance_payment(database: Database, gateway: Gateway, payment_id: UUID, rules: Rules = DEFAULT) -> None:
    """One step of a payment that is due."""
    async with database.transaction() as tx:
        plan = await _plan(tx, payment_id)
    if plan is None:
        return
    found: IntentView | GatewayError | NotFoundAnywhere
    try:
        found = await _ask(gateway, plan, partial(claim_anew, database, CHECKS, payment_id))
    except (GatewayError, NotFoundAnywhere) as error:
        found = error
    async with database.transaction() as tx:
        await _record(tx, gateway, rules, plan, found)


async def _plan(tx: Transaction, payment_id: UUID) -> Plan | None:
    payment = await locked_payment(tx, payment_id)
    if payment is None:
        return None
    open_attempts = await _open_attempts(tx, payment_id)
    create = open_attempts.get(Operation.CREATE)
    step = next_step(
        payment.status,
        payment.wish,
        has_intent=payment.provider_ref is not None,
        may_exist=create is not None and create.sent_at is not None,
    )
    if step is Step.REST and payment.captured_minor and not payment.fee_known:
        step = Step.ASK
    change = Change(tx, payment)
    if is_running_out(tx, payment):
        change.check_in(LEASE)
    match step:
        case Step.REST | Step.LET_GO:
            if step is Step.LET_GO:
                let_go(change)
            change.check_in(None)
            await change.save()
            return None
        case Step.FIND:
            await _save_claim(change)
            return Plan(step, payment.id, None, payment.release_reason, create, quiet_for=_quiet_for(tx, create))
        case Step.ASK:
            await _save_claim(change)
            return Plan(step, payment.id, payment.provider_ref)
        case Step.CAPTURE:
            return await _plan_operation(change, step, open_attempts.get(Operation.CAPTURE))
        case Step.CANCEL:
            return await _plan_operation(change, step, open_attempts.get(Operation.CANCEL))


async def _save_claim(change: Change) -> None:
    """Costs nothing where the claim is fresh."""
    if change.is_changed:
        await change.save()


async def _plan_operation(change: Change, step: Step, attempt: Attempt | None) -> Plan:
    """An attempt that this process was handed is sent straight away; one that was sent before is looked at first."""
    payment = change.payment
    quiet_for = _quiet_for(change.tx, attempt)
    is_first = payment.checks == 0 and payment.status is not Status.UNKNOWN and quiet_for < LEASE
    if attempt is None:
        attempt = start_capture(change) if step is Step.CAPTURE else change.open_attempt(Operation.CANCEL, sent=True)
        await change.save()
    elif not is_first:
        change.resend_attempt(attempt)
        await change.save()
    else:
        await _save_claim(change)
    may_overtake = step is Step.CANCEL and payment.authorized_at is None
    return Plan(
        step,
        payment.id,
        payment.provider_ref,
        payment.release_reason,
        attempt,
        look_first=not is_first or may_overtake,
        quiet_for=quiet_for,
    )


async def _ask(gateway: Gateway, plan: Plan, claim: Callable[[], Awaitable[None]]) -> IntentView:
    """`claim` is made before a second call.

    Raises GatewayError, or NotFoundAnywhere where nothing shows that the attempt had an effect and it is too late for one.
    """
    if plan.step in {Step.FIND, Step.ASK} or plan.look_first:
        view = await _look(gateway, plan)
        if plan.step in {Step.FIND, Step.ASK} or _makes_needless(view.fact, plan):
            return view
        if plan.quiet_for >= schedule.ABSENCE_PROVEN_AFTER:
            raise NotFoundAnywhere
        await claim()
    assert plan.ref is not None, "only a payment without an intent has no ref"
    assert plan.attempt is not None, "an operation has an attempt"
    if plan.step is Step.CAPTURE:
        return await gateway.capture(plan.ref, plan.attempt.id)
    return await gateway.void(plan.ref, plan.attempt.id)


async def _look(gateway: Gateway, plan: Plan) -> IntentView:
    """A question that is refused leaves as much unknown as one that is not answered."""
    try:
        view = await (gateway.fetch(plan.ref) if plan.ref else gateway.find(plan.payment_id))
    except Refused as refused:
        log.warning("provider shows no such payment", payment_id=str(plan.payment_id), code=refused.code)
        raise Unanswered(refused.code) from None
    if view is None:
        raise NotFoundAnywhere
    return view


def _makes_needless(fact: Fact, plan: Plan) -> bool:
    if plan.step is Step.CAPTURE:
        return fact is not Fact.AUTHORIZED
    return fact in {Fact.CAPTURED, Fact.CANCELED} or (fact is Fact.AUTHORIZED and plan.release_reason in YIELDING)


async def _record(
    tx: Transaction, gateway: Gateway, rules: Rules, plan: Plan, found: IntentView | GatewayError | NotFoundAnywhere
) -> None:
    payment = await locked_payment(tx, plan.payment_id)
    assert payment is not None, "payments are never removed"
    change = Change(tx, payment)
    operation = plan.attempt if plan.step in {Step.CAPTURE, Step.CANCEL} else None
    match found:
        case IntentView():
            change.set(checks=payment.checks + 1)
            await apply_look(change, found, gateway, rules)
        case NotFoundAnywhere():
            await _record_absence(change, plan)
        case Refused():
            assert operation is not None, "only an operation is refused"
            record_refusal(change, operation, found)
        case NotRun():
            record_not_run(change, found)
        case Unanswered():
            record_silence(change, operation)
    await change.save()


async def _record_absence(change: Change, plan: Plan) -> None:
    """Closes the attempt, and its key with it, where the provider has had the time to show it and nobody sent it again meanwhile."""
    payment, attempt = change.payment, plan.attempt
    assert attempt is not None, "what is looked for was attempted"
    now_open = (await _open_attempts(change.tx, payment.id)).get(attempt.operation)
    is_proof = plan.quiet_for >= schedule.ABSENCE_PROVEN_AFTER
    resent = plan.step is Step.FIND and now_open is not None and now_open.sent_at != attempt.sent_at
    if payment.provider_ref != plan.ref or now_open is None or now_open.id != attempt.id or not is_proof or resent:
        change.set(checks=payment.checks + 1)
        change.schedule_check()
        return
    log.warning("attempt had no effect", payment_id=str(payment.id), operation=attempt.operation)
    change.close_attempt(attempt.id, Outcome.ABSENT)
    change.set(checks=0)
    match attempt.operation:
        case Operation.CREATE:
            change.move(Trigger.ABSENT)
            change.open_attempt(Operation.CREATE, sent=False)
        case Operation.CAPTURE:
            change.move(Trigger.CAPTURE_REFUSED)
        case _:
            pass  # canceling is simply tried anew
    _check_soon_if_wanted(change)


def _check_soon_if_wanted(change: Change) -> None:
    payment = change.payment
    if payment.provider_ref is None and payment.wish is not Wish.RELEASE:
        change.check_in(None)  # it is the buyer's turn
    else:
        change.check_soon()


def record_refusal(change: Change, attempt: Attempt, refused: Refused) -> None:
    """A definitive refusal ends the attempt; the next one has a new key."""
    payment, checks = change.payment, change.payment.checks
    log.warning("provider refused", payment_id=str(payment.id), operation=attempt.operation, code=refused.code)
    if attempt.operation is Operation.CREATE and refused.code in AMOUNT_CODES:
        refused_amount(change, refused.code)
        return
    change.close_attempt(attempt.id, Outcome.REFUSED, refused.code)
    if attempt.operation is Operation.CREATE:
        change.move(Trigger.ABSENT)
        change.open_attempt(Operation.CREATE, sent=False)
        _check_soon_if_wanted(change)
        return
    if attempt.operation is Operation.CAPTURE:
        change.move(Trigger.CAPTURE_REFUSED)
    change.set(checks=checks + 1)
    change.check_in(schedule.after_silence(checks))


def record_not_run(change: Change, not_run: NotRun) -> None:
    """Nothing happened, and the key is as it was: the same again after a while."""
    payment = change.payment
    log.warning("provider did not run it", payment_id=str(payment.id), why=not_run.why)
    change.check_in(schedule.after_rate_limit(not_run.retry_after_s, payment.checks, payment.id.int))
    change.set(checks=payment.checks + 1)


def record_silence(change: Change, attempt: Attempt | None) -> None:
    """What was asked for and not answered is unknown; an unanswered question alone changes nothing."""
    payment = change.payment
    is_new = attempt is not None and change.move(Trigger.UNANSWERED)
    change.set(checks=0 if is_new else payment.checks + 1)
    change.schedule_check()


async def _open_attempts(tx: Transaction, payment_id: UUID) -> dict[Operation, Attempt]:
    found = await tx.execute(_OPEN, {"of_payment": payment_id})
    return {attempt.operation: attempt for attempt in found.scalars()}


def _quiet_for(tx: Transaction, attempt: Attempt | None) -> timedelta:
    """How long since it was last sent."""
    return tx.now - attempt.sent_at if attempt is not None and attempt.sent_at is not None else timedelta(0)
