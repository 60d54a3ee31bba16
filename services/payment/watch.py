"""Shows an operator what has no outcome yet: unknown is a state, and one that somebody must see."""

from __future__ import annotations

import math
from datetime import timedelta
from enum import StrEnum

import structlog
from chassis.db import Transaction, table
from chassis.watch import by_status
from sqlalchemy import Text, func, select

from payment import metrics
from payment.dispute_states import DisputeStatus
from payment.domain import Status
from payment.fraud import DECLINES_WITHIN
from payment.models import Decline, Dispute, Payment, Refund
from payment.refund_states import RefundStatus

log = structlog.get_logger(__name__)

TOLD_FROM_DECLINES = 10
"""As the alert CardTriedOften."""
STUCK_AFTER = timedelta(minutes=10)
OPEN_PAYMENTS = (Status.CAPTURING, Status.UNKNOWN, Status.IN_REVIEW)
OPEN_REFUNDS = (RefundStatus.SUBMITTED, RefundStatus.PENDING, RefundStatus.UNKNOWN, RefundStatus.BLOCKED)


OPEN_DISPUTES = (DisputeStatus.INQUIRY, DisputeStatus.OPEN)


async def measure(tx: Transaction) -> None:
    """Sets the gauges of what is open."""
    await _measure(tx, "payment", Payment, OPEN_PAYMENTS)
    await _measure(tx, "refund", Refund, OPEN_REFUNDS)
    await _measure(tx, "dispute", Dispute, OPEN_DISPUTES)
    payments = table(Payment)
    is_stuck = (payments.c.clearing_minor != 0, payments.c.status_since < tx.now - STUCK_AFTER)
    stuck = await tx.execute(select(func.count()).select_from(payments).where(*is_stuck))
    metrics.STUCK_MONEY.set(stuck.scalar_one())
    refunds = table(Refund)
    is_to_be_retried = (refunds.c.next_check_at.is_not(None), refunds.c.status == RefundStatus.FAILED)
    failed = await tx.execute(select(func.count()).select_from(refunds).where(*is_to_be_retried))
    metrics.FAILED_REFUNDS.set(failed.scalar_one())
    twice = await tx.execute(select(func.count()).select_from(payments).where(payments.c.double_return_minor != 0))
    metrics.DOUBLE_RETURNS.set(twice.scalar_one())
    disputes = table(Dispute)
    due = await tx.execute(select(func.min(disputes.c.respond_by)).where(disputes.c.status.in_(OPEN_DISPUTES)))
    respond_by = due.scalar_one()
    metrics.DISPUTE_DUE_SECONDS.set((respond_by - tx.now).total_seconds() if respond_by else math.inf)
    await _measure_cards(tx)


async def _measure_cards(tx: Transaction) -> None:
    """The card that was declined most. The log names a payment of it: a label would, for as long as metrics are kept."""
    declines = table(Decline)
    last = func.max(declines.c.payment_id.cast(Text))
    query = (
        select(func.count(), last)
        .where(declines.c.card.is_not(None), declines.c.at > tx.now - DECLINES_WITHIN)
        .group_by(declines.c.card)
        .order_by(func.count().desc())
        .limit(1)
    )
    count, payment_id = (await tx.execute(query)).first() or (0, None)
    metrics.CARD_DECLINES.set(count)
    if count >= TOLD_FROM_DECLINES:
        log.warning("card declined often", declines=count, payment_id=payment_id)


async def _measure(
    tx: Transaction, what: str, model: type[Payment | Refund | Dispute], statuses: tuple[StrEnum, ...]
) -> None:
    rows = table(model)
    async for status, count, oldest_s in by_status(tx, rows.c.status, rows.c.status_since, statuses):
        metrics.OPEN.labels(what, status).set(count)
        metrics.OPEN_OLDEST_SECONDS.labels(what, status).set(oldest_s)
