"""The events that notification consumes, each one call into the service."""

from __future__ import annotations

from chassis.consumers import Consumers
from chassis.db import Transaction
from contracts.booking import (
    BookingCancelled,
    BookingConfirmed,
    BookingExpired,
    BookingPlaced,
    EventRescheduled,
    TicketsCancelled,
)
from contracts.payment import (
    DisputeClosed,
    DisputeOpened,
    PaymentAttemptFailed,
    PaymentFailed,
    PaymentHeldForReview,
    PaymentVoided,
)
from contracts.refund import (
    RefundAwaitingApproval,
    RefundCampaignFinished,
    RefundCampaignStarted,
    RefundCompleted,
    RefundDeclined,
    RefundFailed,
    RefundSettledManually,
)

from notification import moves, service, staff

consumers = Consumers("notification")


@consumers.on(BookingPlaced)
async def on_booking_placed(event: BookingPlaced, tx: Transaction) -> None:
    await service.booking_placed(tx, event)


@consumers.on(BookingConfirmed)
async def on_booking_confirmed(event: BookingConfirmed, tx: Transaction) -> None:
    await service.booking_confirmed(tx, event)


@consumers.on(BookingExpired)
async def on_booking_expired(event: BookingExpired, tx: Transaction) -> None:
    await service.booking_expired(tx, event)


@consumers.on(BookingCancelled)
async def on_booking_cancelled(event: BookingCancelled, tx: Transaction) -> None:
    await service.booking_cancelled(tx, event)


@consumers.on(PaymentAttemptFailed)
async def on_payment_attempt_failed(event: PaymentAttemptFailed, tx: Transaction) -> None:
    await service.payment_attempt_failed(tx, event)


@consumers.on(PaymentVoided)
async def on_payment_voided(event: PaymentVoided, tx: Transaction) -> None:
    await service.payment_voided(tx, event)


@consumers.on(PaymentFailed)
async def on_payment_failed(event: PaymentFailed, tx: Transaction) -> None:
    await service.payment_failed(tx, event)


@consumers.on(PaymentHeldForReview)
async def on_payment_held_for_review(event: PaymentHeldForReview, tx: Transaction) -> None:
    await staff.payment_held(tx, event)


@consumers.on(RefundCompleted)
async def on_refund_completed(event: RefundCompleted, tx: Transaction) -> None:
    await service.refund_completed(tx, event)


@consumers.on(RefundFailed)
async def on_refund_failed(event: RefundFailed, tx: Transaction) -> None:
    await service.refund_failed(tx, event)


@consumers.on(RefundDeclined)
async def on_refund_declined(event: RefundDeclined, tx: Transaction) -> None:
    await service.refund_declined(tx, event)


@consumers.on(TicketsCancelled)
async def on_tickets_cancelled(event: TicketsCancelled, tx: Transaction) -> None:
    await service.tickets_cancelled(tx, event)


@consumers.on(EventRescheduled)
async def on_event_rescheduled(event: EventRescheduled, tx: Transaction) -> None:
    await moves.event_rescheduled(tx, event)


@consumers.on(DisputeOpened)
async def on_dispute_opened(event: DisputeOpened, tx: Transaction) -> None:
    await staff.dispute_opened(tx, event)


@consumers.on(DisputeClosed)
async def on_dispute_closed(event: DisputeClosed, tx: Transaction) -> None:
    await staff.dispute_closed(tx, event)


@consumers.on(RefundAwaitingApproval)
async def on_refund_awaiting_approval(event: RefundAwaitingApproval, tx: Transaction) -> None:
    await staff.refund_awaiting_approval(tx, event)


@consumers.on(RefundSettledManually)
async def on_refund_settled_manually(event: RefundSettledManually, tx: Transaction) -> None:
    await service.refund_settled(tx, event)


@consumers.on(RefundCampaignStarted)
async def on_refund_campaign_started(event: RefundCampaignStarted, tx: Transaction) -> None:
    await staff.campaign_started(tx, event)


@consumers.on(RefundCampaignFinished)
async def on_refund_campaign_finished(event: RefundCampaignFinished, tx: Transaction) -> None:
    await staff.campaign_finished(tx, event)
