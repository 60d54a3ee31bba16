"""What happens to a booking's money, as payment and refund tell it: one function for each of their events.

Events come in any order and more than once. The booking keeps the version of the last payment event that it applied; an older
one has nothing to say.
"""

from __future__ import annotations

from typing import Any

import structlog
from chassis.db import Transaction, table
from contracts.booking import BookingExpired, SeatsSecured, SeatsUnavailable
from contracts.payment import PaymentAuthorized, PaymentFailed, PaymentSucceeded
from contracts.refund import RefundCompleted, RefundDeclined, RefundFailed, RefundSettledManually
from sqlalchemy import case, func, select, update
from sqlalchemy.dialects.postgresql import insert

from booking import cancellation, domain, metrics, prices, seats
from booking.domain import Refusal, Status, Trigger
from booking.models import Booking, BookingRefund
from booking.placed import Placed, change, confirmation, load, seats_of, stamp, tell_pages
from booking.prices import PaymentMismatch

log = structlog.get_logger(__name__)


async def authorize(tx: Transaction, event: PaymentAuthorized) -> None:
    """Secures the seats of an authorized payment, or says that there are none."""
    placed = await load(tx, event.booking_id, lock=True)
    if not _news(placed, event):
        return
    prices.pays(event.amount, placed.price)
    refusal = await _refusal(tx, placed, Trigger.PAYMENT_AUTHORIZED)
    if refusal is not None:
        await _refuse(tx, placed, event, refusal, authorized_at=tx.now)
        return
    secured = SeatsSecured(**stamp(tx, placed.booking), payment_id=event.payment_id)
    after = domain.next_status(placed.booking.status, Trigger.PAYMENT_AUTHORIZED)
    await change(tx, placed, after, secured, authorized_at=tx.now, secured_at=tx.now, **_noted(event))


async def confirm(tx: Transaction, event: PaymentSucceeded) -> None:
    """Confirms a paid booking; one that could not be authorized first takes its seats now, or says that there are none.

    A booking of a cancelled event ends here where the sweep has not come to it yet: its cancellation tells refund.
    """
    placed = await load(tx, event.booking_id, lock=True)
    if not _news(placed, event):
        return
    prices.pays(event.amount, placed.price)
    booking = placed.booking
    if booking.status is Status.CANCELLED or booking.unavailable_reason is not None:
        # Refund was told already; that the money did come decides what the customer sees.
        await change(tx, placed, booking.status, paid_at=tx.now, **_noted(event))
        return
    if placed.current.cancelled_at is not None and booking.status in domain.ENDED_BY_EVENT:
        await cancellation.end_booking(tx, placed, paid_at=tx.now, **_noted(event))
        return
    refusal = await _refusal(tx, placed, Trigger.PAYMENT_SUCCEEDED)
    if refusal is not None:
        await _refuse(tx, placed, event, refusal, paid_at=tx.now)
        return
    after = domain.next_status(booking.status, Trigger.PAYMENT_SUCCEEDED)
    confirmed = confirmation(placed, event.payment_id, version=booking.version + 1, occurred_at=tx.now)
    metrics.confirmed(tx, event.buyer_confirmed_at)
    await change(tx, placed, after, confirmed, paid_at=tx.now, confirmed_at=tx.now, **_noted(event))


async def fail(tx: Transaction, event: PaymentFailed) -> None:
    """Frees the seats of a booking whose payment is over without money."""
    placed = await load(tx, event.booking_id, lock=True)
    if not _news(placed, event):
        return
    booking = placed.booking
    if booking.status in {Status.EXPIRED, Status.CANCELLED}:
        await change(tx, placed, booking.status, **_noted(event))
        return
    after = domain.next_status(booking.status, Trigger.PAYMENT_FAILED)
    await change(tx, placed, after, BookingExpired(**stamp(tx, booking)), expired_at=tx.now, **_noted(event))


async def note_refund(tx: Transaction, event: RefundCompleted | RefundFailed | RefundSettledManually) -> None:
    """Keeps the last word on each refund; what went back is the sum of those that reached the buyer, by the provider or another way."""
    placed = await load(tx, event.booking_id, lock=True)
    if event.amount.currency != placed.booking.currency:
        raise PaymentMismatch(f"the refund is of {event.amount}, the booking is in {placed.booking.currency}")
    refunds, bookings = table(BookingRefund), table(Booking)
    told = insert(refunds).values(
        id=event.refund_id,
        booking_id=event.booking_id,
        version=event.version,
        amount_minor=event.amount.amount_minor,
        completed=not isinstance(event, RefundFailed),
        completed_at=tx.now if isinstance(event, RefundCompleted) else None,
        failed_at=tx.now if isinstance(event, RefundFailed) else None,
        settled_at=tx.now if isinstance(event, RefundSettledManually) else None,
    )
    newest = {name: told.excluded[name] for name in ("version", "amount_minor", "completed")}
    instants = ("completed_at", "failed_at", "settled_at")
    await tx.execute(
        told.on_conflict_do_update(
            index_elements=[refunds.c.id],
            set_=newest | {name: func.coalesce(told.excluded[name], refunds.c[name]) for name in instants},
            where=refunds.c.version < told.excluded.version,
        )
    )
    completed = func.coalesce(func.sum(case((refunds.c.completed, refunds.c.amount_minor), else_=0)), 0)
    failed = func.coalesce(func.sum(case((refunds.c.completed, 0), else_=refunds.c.amount_minor)), 0)
    of_booking = refunds.c.booking_id == event.booking_id
    await tx.execute(
        update(bookings)
        .where(bookings.c.id == event.booking_id)
        .values(
            refunded_minor=select(completed).where(of_booking).scalar_subquery(),
            refund_failed_minor=select(failed).where(of_booking).scalar_subquery(),
            revision=bookings.c.revision + 1,
        )
    )
    tell_pages(tx, event.booking_id)


async def note_nothing_to_refund(tx: Transaction, event: RefundDeclined) -> None:
    """The policy gives nothing back for one cancellation: for that one nothing is awaited any more."""
    placed = await load(tx, event.booking_id, lock=True)
    booking = placed.booking
    await change(tx, placed, booking.status, refunds_declined=booking.refunds_declined + 1, declined_at=tx.now)


PaymentEvent = PaymentAuthorized | PaymentSucceeded | PaymentFailed


def _news(placed: Placed, event: PaymentEvent) -> bool:
    """Whether it is newer than what was applied. Raises PaymentMismatch for a second payment of the booking."""
    booking = placed.booking
    if booking.payment_id not in {None, event.payment_id}:
        raise PaymentMismatch(f"payment {event.payment_id} is not the booking's payment {booking.payment_id}")
    return event.version > booking.payment_version


def _noted(event: PaymentEvent) -> dict[str, Any]:
    return {"payment_id": event.payment_id, "payment_version": event.version}


async def _refusal(tx: Transaction, placed: Placed, trigger: Trigger) -> Refusal | None:
    """Why the payment gets no seats; None when they are the buyer's. Takes them anew where the hold had ended.

    What was refused once stays refused: payment and refund were told, and the money is on its way back.
    """
    booking = placed.booking
    if booking.unavailable_reason is not None:
        return booking.unavailable_reason
    if booking.status is Status.CANCELLED:
        return "event_cancelled" if booking.cancelled_by == "event" else "booking_cancelled"
    if placed.current.cancelled_at is not None:
        return "event_cancelled"
    by = domain.seats_between(booking.status, domain.next_status(booking.status, trigger))
    if sum(by) <= 0:
        return None
    found = await seats.move(tx, seats_of(placed.left, by))
    if not found.made:
        return "event_cancelled" if found.closed else "sold_out"
    log.info("late payment took its seats again", booking_id=str(booking.id))
    return None


async def _refuse(
    tx: Transaction, placed: Placed, event: PaymentAuthorized | PaymentSucceeded, reason: Refusal, **values: Any
) -> None:
    metrics.refused(tx, reason)
    unavailable = SeatsUnavailable(**stamp(tx, placed.booking), payment_id=event.payment_id, reason=reason)
    refused = {"unavailable_reason": reason, "unavailable_at": tx.now, **values, **_noted(event)}
    await change(tx, placed, placed.booking.status, unavailable, **refused)
