"""What booking does when payment and refund tell something."""

from __future__ import annotations

from chassis.consumers import Consumers
from chassis.db import Transaction
from contracts.payment import PaymentAuthorized, PaymentFailed, PaymentSucceeded
from contracts.refund import RefundCompleted, RefundDeclined, RefundFailed, RefundSettledManually

from booking import settle

consumers = Consumers("booking")


@consumers.on(PaymentAuthorized)
async def on_payment_authorized(event: PaymentAuthorized, tx: Transaction) -> None:
    await settle.authorize(tx, event)


@consumers.on(PaymentSucceeded)
async def on_payment_succeeded(event: PaymentSucceeded, tx: Transaction) -> None:
    await settle.confirm(tx, event)


@consumers.on(PaymentFailed)
async def on_payment_failed(event: PaymentFailed, tx: Transaction) -> None:
    await settle.fail(tx, event)


@consumers.on(RefundCompleted)
async def on_refund_completed(event: RefundCompleted, tx: Transaction) -> None:
    await settle.note_refund(tx, event)


@consumers.on(RefundFailed)
async def on_refund_failed(event: RefundFailed, tx: Transaction) -> None:
    await settle.note_refund(tx, event)


@consumers.on(RefundDeclined)
async def on_refund_declined(event: RefundDeclined, tx: Transaction) -> None:
    await settle.note_nothing_to_refund(tx, event)


@consumers.on(RefundSettledManually)
async def on_refund_settled_manually(event: RefundSettledManually, tx: Transaction) -> None:
    await settle.note_refund(tx, event)
