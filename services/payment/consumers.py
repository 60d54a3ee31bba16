"""What payment does when an event arrives: each handler is one call into a verb."""

from __future__ import annotations

from chassis.consumers import Consumers
from chassis.db import Transaction
from contracts.booking import BookingCancelled, BookingExpired, BookingPlaced, SeatsSecured, SeatsUnavailable
from contracts.refund import RefundApproved, RefundSettledManually

from payment import refunds, service, settled
from payment.domain import Release

consumers = Consumers("payment")

PROVIDER = "stripe"
"""Who takes the money of new bookings."""


@consumers.on(BookingPlaced)
async def on_booking_placed(event: BookingPlaced, tx: Transaction) -> None:
    await service.open_payment(tx, event, PROVIDER)


@consumers.on(SeatsSecured)
async def on_seats_secured(event: SeatsSecured, tx: Transaction) -> None:
    await service.capture_payment(tx, event)


@consumers.on(SeatsUnavailable)
async def on_seats_unavailable(event: SeatsUnavailable, tx: Transaction) -> None:
    await service.release_payment(tx, event, event.booking_id, Release.SEATS_UNAVAILABLE)


@consumers.on(BookingExpired)
async def on_booking_expired(event: BookingExpired, tx: Transaction) -> None:
    await service.release_payment(tx, event, event.booking_id, Release.BOOKING_EXPIRED)


@consumers.on(BookingCancelled)
async def on_booking_cancelled(event: BookingCancelled, tx: Transaction) -> None:
    await service.release_payment(tx, event, event.booking_id, Release.BOOKING_CANCELLED)


@consumers.on(RefundApproved)
async def on_refund_approved(event: RefundApproved, tx: Transaction) -> None:
    await refunds.execute_refund(tx, event)


@consumers.on(RefundSettledManually)
async def on_refund_settled_manually(event: RefundSettledManually, tx: Transaction) -> None:
    await settled.settle_refund(tx, event)
