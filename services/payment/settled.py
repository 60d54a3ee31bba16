"""Refunds that staff paid another way than by the provider, with what the provider may still do about them."""

from __future__ import annotations

import structlog
from chassis.db import Transaction, table
from chassis.errors import TooEarly
from contracts.refund import RefundSettledManually
from sqlalchemy import insert

from payment import ledger, metrics
from payment.changes import RefundChange
from payment.models import Payment, Refund, locked_payment, new_refund, refund_now
from payment.refund_states import GIVEN_BACK, IN_RESERVE, RefundStatus, RefundTrigger

log = structlog.get_logger(__name__)


async def settle_refund(tx: Transaction, event: RefundSettledManually) -> None:
    """Counts the amount as given back. One that may be at the provider is watched on: it must not be paid twice unseen.

    Raises TooEarly while the payment is not known.
    """
    payment = await locked_payment(tx, event.payment_id)
    if payment is None:
        raise TooEarly("the payment of this refund is not known yet")
    refund = await refund_now(tx, event.refund_id)
    before = refund.status if refund is not None else RefundStatus.FAILED
    if before in GIVEN_BACK - {RefundStatus.SUCCEEDED}:
        return
    if refund is None:
        refund = await _unsent(tx, payment, event)
    change = RefundChange(tx, payment, refund)
    amount, source = refund.amount_minor, f"{refund.id}/{event.version}"
    if before is RefundStatus.FAILED and amount > payment.refundable_minor:
        # It has been paid, whatever is left: somebody must look.
        log.error("refund settled beyond what was captured", refund_id=str(refund.id))
        metrics.OVERPAYMENTS.labels("settled_beyond_captured").inc()
        return
    change.move_refund(RefundTrigger.SETTLED)
    change.set_refund(approved_version=event.version, checks=0)
    if before is RefundStatus.SUCCEEDED:
        log.error("refund settled another way that had been sent", refund_id=str(refund.id))
        metrics.OVERPAYMENTS.labels("settled_and_sent").inc()
        change.post_about_refund(ledger.settled_twice(refund, source))
    else:
        reserved = amount if before in IN_RESERVE else 0
        change.set(reserved_minor=payment.reserved_minor - reserved, refunded_minor=payment.refunded_minor + amount)
        change.post_about_refund(ledger.settled(refund, source, is_reserved=before in IN_RESERVE))
    change.schedule_refund_check()
    await change.save()


async def _unsent(tx: Transaction, payment: Payment, event: RefundSettledManually) -> Refund:
    """One that payment has never had, since it was rejected."""
    refund = new_refund(
        tx,
        event.refund_id,
        payment_id=payment.id,
        booking_id=payment.booking_id,
        amount=event.amount,
        reason=event.reason,
        status=RefundStatus.FAILED,
        approved_version=event.version,
    )
    await tx.execute(insert(table(Refund)).values(refund.model_dump()))
    return refund
