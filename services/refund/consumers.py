"""What refund does when an event arrives: one call into the service each."""

from __future__ import annotations

from chassis.consumers import Consumers
from chassis.db import Transaction
from contracts.booking import BookingCancelled, BookingConfirmed, BookingPlaced, SeatsUnavailable
from contracts.payment import PaymentRefunded, PaymentRefundFailed, PaymentRefundRejected, PaymentSucceeded

from refund import service

consumers = Consumers("refund")


@consumers.on(BookingPlaced)
async def on_booking_placed(event: BookingPlaced, tx: Transaction) -> None:
    await service.note_placed(tx, event)


@consumers.on(PaymentSucceeded)
async def on_payment_succeeded(event: PaymentSucceeded, tx: Transaction) -> None:
    await service.note_captured(tx, event)


@consumers.on(BookingConfirmed)
async def on_booking_confirmed(event: BookingConfirmed, tx: Transaction) -> None:
    await service.note_confirmed(tx, event)


@consumers.on(BookingCancelled)
async def on_booking_cancelled(event: BookingCancelled, tx: Transaction) -> None:
    await service.note_cancelled(tx, event)


@consumers.on(SeatsUnavailable)
async def on_seats_unavailable(event: SeatsUnavailable, tx: Transaction) -> None:
    await service.note_seats_unavailable(tx, event)


@consumers.on(PaymentRefunded)
async def on_payment_refunded(event: PaymentRefunded, tx: Transaction) -> None:
    await service.complete_refund(tx, event)


@consumers.on(PaymentRefundFailed)
async def on_payment_refund_failed(event: PaymentRefundFailed, tx: Transaction) -> None:
    await service.fail_refund(tx, event)


@consumers.on(PaymentRefundRejected)
async def on_payment_refund_rejected(event: PaymentRefundRejected, tx: Transaction) -> None:
    await service.reject_refund(tx, event)
