"""Webhooks: kept, sealed, before anything else, answered, then taken as a hint to look at the provider's object.

A receipt gets its outcome in the transaction that applied it, so that one whose handling failed is handled again.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import cast
from uuid import UUID

import structlog
from chassis.crypto import Sealer
from chassis.db import Database, Transaction, table
from sqlalchemy import Delete, delete, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import select

from payment import metrics, schedule
from payment.changes import Change, RefundChange
from payment.disputes import NEVER_APPLIED, apply_dispute, revision_of, shows_nothing_new
from payment.fraud import DEFAULT, Rules
from payment.gateways import (
    SYSTEM,
    BadWebhook,
    DisputeView,
    Gateway,
    GatewayError,
    IntentView,
    RefundView,
    Refused,
    WebhookEvent,
)
from payment.holds import apply_look
from payment.intents import tells_nothing_new
from payment.models import (
    RECEIPTS,
    Attempt,
    Payment,
    Receipt,
    dispute_by_ref,
    locked_payment,
    locked_payment_of_refund,
    refund_by_ref,
    refund_now,
)
from payment.refunds import apply_refund, import_refund, tells_nothing_new_of_refund

log = structlog.get_logger(__name__)

INTENT_EVENTS = frozenset(
    f"payment_intent.{happened}"
    for happened in (
        "amount_capturable_updated",
        "canceled",
        "created",
        "payment_failed",
        "processing",
        "requires_action",
        "succeeded",
    )
)
REFUND_EVENTS = frozenset({"refund.created", "refund.updated", "refund.failed", "charge.refund.updated"})
DISPUTE_EVENTS = frozenset(
    f"charge.dispute.{happened}" for happened in ("closed", "created", "funds_reinstated", "funds_withdrawn", "updated")
)
EVENTS = INTENT_EVENTS | REFUND_EVENTS | DISPUTE_EVENTS
"""What an endpoint at the provider must listen to."""
SEALED_AS = "payment.receipt"
"""A webhook holds the intent's client secret, and of a declined card the buyer's name and address."""
CREATED_DELAY = timedelta(seconds=15)
"""That an intent was created is news only where the answer to its creation was lost."""
ECHO_DELAY = timedelta(seconds=1)
"""What follows from a capture of ours or comes with the browser's hint is on its way in an answer already: asking as well would
double the calls. It is news only where that answer or that hint was lost."""
ECHOES = {
    "payment_intent.created": CREATED_DELAY,
    "payment_intent.amount_capturable_updated": ECHO_DELAY,
    "payment_intent.succeeded": ECHO_DELAY,
    # Another event of the same change is looked at straight away.
    "charge.refund.updated": ECHO_DELAY,
    "refund.failed": ECHO_DELAY,
    "charge.dispute.funds_withdrawn": ECHO_DELAY,
    "charge.dispute.funds_reinstated": ECHO_DELAY,
}

_KEEP = (
    insert(table(Receipt))
    .on_conflict_do_nothing(index_elements=[table(Receipt).c.provider, table(Receipt).c.event_id])
    .returning(table(Receipt).c.id)
)
"""Built once, as each webhook runs it."""


async def receive(tx: Transaction, gateway: Gateway, sealer: Sealer, event: WebhookEvent, body: bytes) -> str:
    """Keeps a verified webhook, unless it was received before; what tells nothing new is done with at once. Returns what became of it."""
    outcome = await _outcome_at_once(tx, gateway, event)
    receipt_id = tx.new_id()
    if outcome:
        next_attempt_at = None
    elif event.type in ECHOES:
        next_attempt_at = tx.now + ECHOES[event.type]
    elif event.type == "refund.created" and event.refund is not None and "attempt_id" in event.refund.metadata:
        next_attempt_at = tx.now + ECHO_DELAY  # ours, and in the answer to its creation
    else:
        next_attempt_at = RECEIPTS.soon(tx, receipt_id)
    row = {
        "id": receipt_id,
        "provider": gateway.name,
        "event_id": event.id,
        "type": event.type,
        "object_ref": event.object_ref,
        "body": sealer.seal(body.decode(), SEALED_AS),
        "tries": 0,
        "outcome": outcome,
        "next_attempt_at": next_attempt_at,
        "received_at": tx.now,
        "processed_at": tx.now if outcome else None,
    }
    if (await tx.execute(_KEEP, row)).first() is None:
        return "duplicate"
    return outcome or "accepted"


async def _outcome_at_once(tx: Transaction, gateway: Gateway, event: WebhookEvent) -> str | None:
    if event.account is not None:
        return "foreign"
    if event.type not in EVENTS:
        return "ignored"
    return None if event.type in ECHOES else await _known(tx, gateway, event)


async def _known(tx: Transaction, gateway: Gateway, event: WebhookEvent) -> str | None:
    """`known` where everything that the event's object shows is recorded. Never the other way round: the object may be old."""
    if event.intent is not None:
        query = select(Payment).where(Payment.provider == gateway.name, Payment.provider_ref == event.intent.ref)
        payment = (await tx.scalars(query)).one_or_none()
        if payment is not None and tells_nothing_new(payment, event.intent, livemode=gateway.livemode):
            return "known"
    elif event.refund is not None:
        refund = await refund_by_ref(tx, event.refund.ref)
        if refund is not None and tells_nothing_new_of_refund(refund, event.refund):
            return "known"
    elif event.dispute is not None:
        dispute = await dispute_by_ref(tx, event.dispute.ref)
        if dispute is not None and shows_nothing_new(dispute, event.dispute):
            return "known"
    return None


async def process_receipt(
    database: Database, gateway: Gateway, sealer: Sealer, receipt_id: UUID, rules: Rules = DEFAULT
) -> None:
    """Looks at what the webhook is about, and applies what the provider shows now."""
    async with database.transaction() as tx:
        receipt = await tx.get(Receipt, receipt_id)
        if receipt is None:
            return  # a duplicate was handed over that was not kept
        event = _read(gateway, sealer, receipt)
        outcome = await _known(tx, gateway, event) if event else "ignored"
        if receipt.outcome or outcome or event is None or event.object_ref is None:
            await _done(tx, receipt, receipt.outcome or outcome or "ignored")
            return
        revision = await revision_of(tx, event.object_ref) if event.type in DISPUTE_EVENTS else NEVER_APPLIED
    try:
        view = await _fetch(gateway, event)
    except GatewayError as error:
        async with database.transaction() as tx:
            await _failed(tx, receipt, error)
        return
    async with database.transaction() as tx:
        outcome = await _apply(tx, gateway, rules, view, revision)
        if outcome == "overtaken":
            await _write(tx, receipt, next_attempt_at=RECEIPTS.soon(tx, receipt.id))
        else:
            await _done(tx, receipt, outcome)


def _read(gateway: Gateway, sealer: Sealer, receipt: Receipt) -> WebhookEvent | None:
    try:
        return gateway.read_event(sealer.unseal(receipt.body, SEALED_AS).encode())
    except BadWebhook as error:  # it was read when it was received: the mode was changed since
        log.warning("webhook cannot be read any more", receipt=str(receipt.id), reason=error.reason)
        return None


async def _fetch(gateway: Gateway, event: WebhookEvent) -> IntentView | RefundView | DisputeView:
    ref = cast("str", event.object_ref)
    if event.type in DISPUTE_EVENTS:
        return await gateway.fetch_dispute(ref)
    return await (gateway.fetch_refund(ref) if event.type in REFUND_EVENTS else gateway.fetch(ref))


async def _apply(
    tx: Transaction, gateway: Gateway, rules: Rules, view: IntentView | RefundView | DisputeView, revision: int
) -> str:
    match view:
        case IntentView():
            return await _apply_intent(tx, gateway, rules, view)
        case RefundView():
            return await apply_found_refund(tx, gateway, view)
        case DisputeView():
            return await apply_dispute(tx, gateway, view, revision)


async def _apply_intent(tx: Transaction, gateway: Gateway, rules: Rules, view: IntentView) -> str:
    payment_id = _uuid(view.metadata.get("payment_id"))
    payment = await locked_payment(tx, payment_id) if payment_id and view.metadata.get("system") == SYSTEM else None
    if payment is None:
        return "foreign"
    change = Change(tx, payment)
    await apply_look(change, view, gateway, rules)
    await change.save()
    return "applied"


async def apply_found_refund(tx: Transaction, gateway: Gateway, view: RefundView) -> str:
    """Found by the provider's name for it, or by the attempt that asked for it; without either it was made by hand.

    `ignored` where that is not to be taken over, or not yet.
    """
    refund = await refund_by_ref(tx, view.ref)
    refund_id = refund.id if refund else await _refund_of_attempt(tx, view)
    change: RefundChange | None
    if refund_id is not None:
        payment = await locked_payment_of_refund(tx, refund_id)
        refund = await refund_now(tx, refund_id)
        assert payment is not None, "a refund has a payment"
        assert refund is not None, "refunds are never removed"
        change = RefundChange(tx, payment, refund)
    else:
        if "attempt_id" in view.metadata or view.intent_ref is None:
            return "known" if view.metadata.get("system") == SYSTEM else "foreign"
        query = select(Payment).where(Payment.provider == gateway.name, Payment.provider_ref == view.intent_ref)
        payment = (await tx.scalars(query.with_for_update())).one_or_none()
        if payment is None:
            return "foreign"
        if await refund_by_ref(tx, view.ref) is not None:
            return "known"  # imported while its payment was waited for
        change = await import_refund(tx, payment, view)
        if change is None:
            return "ignored"
    apply_refund(change, view)
    await change.save()
    return "applied"


async def _refund_of_attempt(tx: Transaction, view: RefundView) -> UUID | None:
    """The refund whose open attempt the provider's refund carries. One of a closed attempt is old."""
    attempt_id = _uuid(view.metadata.get("attempt_id"))
    attempt = await tx.get(Attempt, attempt_id) if attempt_id else None
    return attempt.refund_id if attempt is not None and attempt.closed_at is None else None


def _uuid(text: str | None) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        return None


async def _done(tx: Transaction, receipt: Receipt, outcome: str) -> None:
    await _write(tx, receipt, outcome=outcome, next_attempt_at=None, processed_at=tx.now)
    tx.after_commit(metrics.WEBHOOKS.labels(outcome).inc)


async def _failed(tx: Transaction, receipt: Receipt, error: GatewayError) -> None:
    if isinstance(error, Refused):  # the provider has no such object, or it is not this account's
        await _done(tx, receipt, "foreign")
        return
    wait = schedule.after_silence(receipt.tries)
    await _write(tx, receipt, tries=receipt.tries + 1, next_attempt_at=tx.now + wait)


async def _write(tx: Transaction, receipt: Receipt, **values: object) -> None:
    receipts = table(Receipt)
    await tx.execute(update(receipts).where(receipts.c.id == receipt.id).values(**values))


def outdated(before: datetime) -> Sequence[Delete]:
    """Receipts that were done with: the provider repeats a webhook for days, and what it then tells is known by the payment itself."""
    receipts = table(Receipt)
    return [delete(receipts).where(receipts.c.outcome.is_not(None), receipts.c.received_at < before)]
