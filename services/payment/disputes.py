"""Disputes: what the provider shows about one, applied to its payment and to the refunds that wait for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal
from uuid import UUID

import structlog
from chassis.db import Database, Transaction, table
from contracts.money import Money
from contracts.payment import DisputeClosed, DisputeOpened, PaymentRefundPending, PaymentRefundRejected
from sqlalchemy import exists, insert, update
from sqlmodel import col, select

from payment import ledger, metrics, schedule
from payment.changes import Change, RefundChange
from payment.dispute_states import CLOSED, DisputeStatus, Told, dispute_status, told
from payment.domain import Release
from payment.gateways import DisputeView, Gateway, GatewayError
from payment.models import (
    Attempt,
    Dispute,
    LedgerEntry,
    Payment,
    Refund,
    dispute_by_ref,
)
from payment.refund_states import IN_RESERVE, RefundStatus, RefundTrigger, Waiting
from payment.refunds import fail_refund

log = structlog.get_logger(__name__)

Applied = Literal["applied", "known", "foreign", "overtaken"]
NEVER_APPLIED = 0
"""Revision of a dispute that has no row."""


async def revision_of(tx: Transaction, ref: str) -> int:
    """What `apply_dispute` must be given with an answer that is asked for after this."""
    dispute = await dispute_by_ref(tx, ref)
    return NEVER_APPLIED if dispute is None else dispute.revision


async def look_at_dispute(database: Database, gateway: Gateway, ref: str) -> None:
    """Asks the provider and applies what it shows. Raises GatewayError. One that is overtaken leaves it to whoever was faster."""
    async with database.transaction() as tx:
        revision = await revision_of(tx, ref)
    view = await gateway.fetch_dispute(ref)
    async with database.transaction() as tx:
        await apply_dispute(tx, gateway, view, revision)


async def advance_dispute(database: Database, gateway: Gateway, dispute_id: UUID) -> None:
    """Looks at a dispute that is due."""
    async with database.transaction() as tx:
        dispute = await tx.get(Dispute, dispute_id)
    assert dispute is not None, "disputes are never removed"
    try:
        await look_at_dispute(database, gateway, dispute.provider_ref)
    except GatewayError as error:
        log.warning("provider did not show a dispute", dispute_id=str(dispute_id), error=str(error))
    disputes = table(Dispute)
    async with database.transaction() as tx:
        after = schedule.next_dispute_check(dispute.status, dispute.checks)
        await tx.execute(
            update(disputes)
            .where(disputes.c.id == dispute_id, disputes.c.revision == dispute.revision)
            .values(checks=disputes.c.checks + 1, next_check_at=None if after is None else tx.now + after)
        )


async def look_for_disputes(database: Database, gateway: Gateway, intent_ref: str) -> None:
    """Applies what disputes a payment has. Raises GatewayError."""
    for view in await gateway.disputes_of(intent_ref):
        await look_at_dispute(database, gateway, view.ref)


async def apply_dispute(tx: Transaction, gateway: Gateway, view: DisputeView, revision: int) -> Applied:
    """Records what the provider showed after `revision` was read; `overtaken` where something newer was recorded meanwhile.

    So the outcome is the provider's, whatever order its answers come in: two events of one dispute may be half a second apart.
    """
    if view.intent_ref is None:  # of a charge that has none: it would be compared with payments that have none yet
        return "foreign"
    query = select(Payment).where(Payment.provider == gateway.name, Payment.provider_ref == view.intent_ref)
    payment = (await tx.scalars(query.with_for_update())).one_or_none()
    if payment is None or view.livemode is not gateway.livemode:
        return "foreign"
    dispute = await dispute_by_ref(tx, view.ref)
    if (NEVER_APPLIED if dispute is None else dispute.revision) != revision:
        return "overtaken"
    status = dispute_status(view.fact, is_withdrawn=view.is_withdrawn)
    if dispute is not None and shows_nothing_new(dispute, view):
        return "known"
    change = Change(tx, payment)
    row = _row(tx, payment, dispute, view, status)
    await _write(tx, row, is_new=dispute is None)
    posted = await _posted(tx, payment.id, view)
    for movement in view.movements:
        if movement.ref not in posted:
            change.post(*ledger.dispute_moved(movement))
    withdrawn_before = dispute.withdrawn_minor if dispute is not None else 0
    change.set(
        withdrawn_minor=payment.withdrawn_minor + row["withdrawn_minor"] - withdrawn_before,
        dispute_id=await _open_dispute(tx, payment.id),
    )
    before = dispute.status if dispute is not None else None
    if before is not status:
        log.warning("dispute", dispute_id=str(row["id"]), payment_id=str(payment.id), status=status)
        tx.after_commit(metrics.DISPUTES.labels(status).inc)
    _tell(change, row, told(before, status))
    await change.save()
    await settle_waiting(tx, payment)
    return "applied"


def shows_nothing_new(dispute: Dispute, view: DisputeView) -> bool:
    """Whether all that the view shows is recorded."""
    status = dispute_status(view.fact, is_withdrawn=view.is_withdrawn)
    shown = (status, len(view.movements), view.amount, view.respond_by)
    return shown == (dispute.status, dispute.movements, dispute.amount, dispute.respond_by)


def _row(
    tx: Transaction, payment: Payment, dispute: Dispute | None, view: DisputeView, status: DisputeStatus
) -> dict[str, Any]:
    # Settled in another currency, it may differ from what was charged: then it counts as the whole charge.
    is_same = view.amount.currency == payment.currency
    taken = min(view.amount.amount_minor, payment.captured_minor) if is_same else payment.captured_minor
    holds = view.is_withdrawn and status in {DisputeStatus.OPEN, DisputeStatus.LOST}
    dispute_id = dispute.id if dispute is not None else tx.new_id()
    after = schedule.next_dispute_check(status, 0)
    row: dict[str, Any] = {
        "id": dispute_id,
        "status": status,
        "amount_minor": view.amount.amount_minor,
        "currency": view.amount.currency,
        "withdrawn_minor": taken if holds else 0,
        "movements": len(view.movements),
        "respond_by": view.respond_by,
        "reason": view.reason,
        "revision": dispute.revision + 1 if dispute is not None else 1,
        "checks": 0,
        "next_check_at": None if after is None else tx.now + after,
        "updated_at": tx.now,
    }
    if dispute is None or dispute.status is not status:
        row["status_since"] = tx.now
    if dispute is None:
        row |= {
            "payment_id": payment.id,
            "booking_id": payment.booking_id,
            "provider_ref": view.ref,
            "created_at": view.created_at,
        }
    return row


async def _write(tx: Transaction, row: dict[str, Any], *, is_new: bool) -> None:
    disputes = table(Dispute)
    if is_new:
        await tx.execute(insert(disputes).values(row))
    else:
        await tx.execute(update(disputes).where(disputes.c.id == row["id"]).values(row))


async def _posted(tx: Transaction, payment_id: UUID, view: DisputeView) -> frozenset[str]:
    """Which of the dispute's movements are in the ledger: in what order the provider lists them is not said."""
    entries = table(LedgerEntry)
    refs = [movement.ref for movement in view.movements]
    found = await tx.execute(
        select(entries.c.source).where(entries.c.payment_id == payment_id, entries.c.source.in_(refs))
    )
    return frozenset(found.scalars())


async def _open_dispute(tx: Transaction, payment_id: UUID) -> UUID | None:
    disputes = table(Dispute)
    is_open = (disputes.c.payment_id == payment_id, disputes.c.status == DisputeStatus.OPEN)
    found = await tx.execute(select(disputes.c.id).where(*is_open).order_by(disputes.c.id).limit(1))
    return found.scalar_one_or_none()


def _tell(change: Change, row: dict[str, Any], news: tuple[Told, ...]) -> None:
    common = {
        "dispute_id": row["id"],
        "amount": Money(row["amount_minor"], row["currency"]),
        "rejected_in_review": change.payment.release_reason is Release.REVIEW_REJECTED,
    }
    for each in news:
        if each is Told.OPENED:
            change.tx.after_commit(metrics.DISPUTES_OPENED.inc)
            change.publish(DisputeOpened, reason=row["reason"], respond_by=row["respond_by"], **common)
        else:
            change.publish(DisputeClosed, outcome=row["status"], **common)


async def settle_waiting(tx: Transaction, payment: Payment) -> None:
    """The refunds that are not at the provider: they wait while a dispute is open, then go on as far as it left their money there."""
    attempts, refunds = table(Attempt), table(Refund)
    is_asked = exists().where(attempts.c.refund_id == refunds.c.id, attempts.c.closed_at.is_(None))
    query = select(Refund).where(
        Refund.payment_id == payment.id,
        col(Refund.status).in_(IN_RESERVE),
        col(Refund.provider_ref).is_(None),
        ~is_asked,
    )
    waiting = list(await tx.scalars(query.order_by(refunds.c.created_at, refunds.c.id)))
    if payment.dispute_id is None and not any(refund.status is RefundStatus.BLOCKED for refund in waiting):
        return
    disputes = table(Dispute)
    found = await tx.execute(select(disputes.c.id, disputes.c.status).where(disputes.c.payment_id == payment.id))
    statuses = {row.id: row.status for row in found}
    blocked = [refund for refund in waiting if refund.status is RefundStatus.BLOCKED]
    room = payment.captured_minor - payment.refunded_minor - payment.withdrawn_minor
    room -= payment.reserved_minor - sum(refund.amount_minor for refund in blocked)
    for refund in waiting:
        change = RefundChange(tx, payment, refund)
        if payment.dispute_id is not None:
            change.block_refund()
        elif refund.status is RefundStatus.BLOCKED and (ended := verdict(statuses, refund.blocked_by)) in CLOSED:
            # By what is left first: a lost dispute may be about a part, and a won one not the only one.
            if refund.amount_minor > room:
                _reject(change)
            elif ended is DisputeStatus.LOST and refund.blocked_by is None:
                _fail(change)
            else:
                _clear(change)
                room -= refund.amount_minor
        await change.save()


def verdict(statuses: Mapping[UUID, DisputeStatus], blocked_by: UUID | None) -> DisputeStatus | None:
    """How the dispute ended that a refund waited for; where it was not known, the worst of all. None while there is none."""
    if blocked_by is not None:
        return statuses[blocked_by]
    return next((status for status in (DisputeStatus.LOST, DisputeStatus.WON) if status in statuses.values()), None)


def _clear(change: RefundChange) -> None:
    """Told, since from the end of a dispute alone nobody else knows which refunds go on."""
    change.move_refund(RefundTrigger.CLEARED)
    change.set_refund(checks=0, blocked_by=None)
    change.publish_about_refund(PaymentRefundPending, why=Waiting.PROVIDER)
    change.check_refund_soon()


def _fail(change: RefundChange) -> None:
    """The provider refuses to refund what was charged back in part: what is left is owed, and goes another way."""
    refund = change.refund
    change.move_refund(RefundTrigger.LOST)
    source = f"charged_back/{refund.id}/{refund.approved_version}"
    fail_refund(change, source, refund.failure_code or "charge_disputed", RefundStatus.BLOCKED)
    change.schedule_refund_check()


def _reject(change: RefundChange) -> None:
    """The bank has given its money back: what the refund had reserved is free, as far as the dispute did not take it."""
    payment, refund = change.payment, change.refund
    change.move_refund(RefundTrigger.LOST)
    change.set_refund(failure_code="dispute_lost", blocked_by=None)
    change.set(reserved_minor=payment.reserved_minor - refund.amount_minor)
    change.post_about_refund(ledger.refund_released(refund, f"dispute_lost/{refund.id}/{refund.approved_version}"))
    change.count_disputes()
    left = Money(payment.refundable_minor, payment.currency)
    change.publish_about_refund(PaymentRefundRejected, remaining=left)
    change.check_refund_in(None)
