"""What refund does when an event arrives: one call into a verb each."""

from __future__ import annotations

from chassis.consumers import Consumers
from chassis.db import Transaction
from contracts.booking import (
    BookingCancelled,
    BookingConfirmed,
    BookingPlaced,
    EventCancelled,
    EventRescheduled,
    SeatsUnavailable,
    TicketsCancelled,
)
from contracts.payment import (
    BalanceRead,
    DisputeClosed,
    DisputeOpened,
    PaymentRefundBlocked,
    PaymentRefunded,
    PaymentRefundedOutside,
    PaymentRefundFailed,
    PaymentRefundPending,
    PaymentRefundRejected,
    PaymentSucceeded,
)

from refund import campaign, outcomes, service

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
    await outcomes.complete_refund(tx, event)


@consumers.on(PaymentRefundFailed)
async def on_payment_refund_failed(event: PaymentRefundFailed, tx: Transaction) -> None:
    await outcomes.fail_refund(tx, event)


@consumers.on(PaymentRefundRejected)
async def on_payment_refund_rejected(event: PaymentRefundRejected, tx: Transaction) -> None:
    await outcomes.reject_refund(tx, event)


@consumers.on(TicketsCancelled)
async def on_tickets_cancelled(event: TicketsCancelled, tx: Transaction) -> None:
    await service.note_tickets_cancelled(tx, event)


@consumers.on(EventRescheduled)
async def on_event_rescheduled(event: EventRescheduled, tx: Transaction) -> None:
    await service.note_rescheduled(tx, event)


@consumers.on(EventCancelled)
async def on_event_cancelled(event: EventCancelled, tx: Transaction) -> None:
    await campaign.start(tx, event)


@consumers.on(PaymentRefundPending)
async def on_payment_refund_pending(event: PaymentRefundPending, tx: Transaction) -> None:
    await outcomes.note_pending(tx, event)


@consumers.on(PaymentRefundBlocked)
async def on_payment_refund_blocked(event: PaymentRefundBlocked, tx: Transaction) -> None:
    await outcomes.block_refund(tx, event)


@consumers.on(PaymentRefundedOutside)
async def on_payment_refunded_outside(event: PaymentRefundedOutside, tx: Transaction) -> None:
    await outcomes.import_refund(tx, event)


@consumers.on(DisputeOpened)
async def on_dispute_opened(event: DisputeOpened, tx: Transaction) -> None:
    await outcomes.open_dispute(tx, event)


@consumers.on(DisputeClosed)
async def on_dispute_closed(event: DisputeClosed, tx: Transaction) -> None:
    await outcomes.close_dispute(tx, event)


@consumers.on(BalanceRead)
async def on_balance_read(event: BalanceRead, tx: Transaction) -> None:
    await service.note_balance(tx, event)
