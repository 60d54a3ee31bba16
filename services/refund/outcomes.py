"""What became of a refund, as payment tells it: accepted, waiting, blocked, failed, rejected, or made without us.

Payment's events about a refund come in any order; the version of the last that had its effect is kept, and older ones are passed over.
Those without an event of ours leave the refund's own version as it is.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypeAlias
from uuid import UUID

import structlog
from chassis import outbox
from chassis.db import Transaction, table
from chassis.errors import TooEarly
from chassis.sql import Part
from contracts.money import Money
from contracts.payment import (
    DisputeClosed,
    DisputeOpened,
    PaymentRefundBlocked,
    PaymentRefunded,
    PaymentRefundedOutside,
    PaymentRefundFailed,
    PaymentRefundPending,
    PaymentRefundRejected,
)
from contracts.refund import RefundCompleted, RefundFailed, RefundReason
from sqlalchemy import Row, Select, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql.dml import Update

from refund import domain, metrics
from refund.cases import case_of, given_refunds, read_booking
from refund.domain import Ground, Status, Trigger, decide, next_status
from refund.models import Booking, Dispute, Refund
from refund.recording import count, count_accepted, record_refund

log = structlog.get_logger(__name__)

NOT_ENOUGH_LEFT, DISPUTE_LOST = "not_enough_left", "dispute_lost"
MADE_OUTSIDE: RefundReason = "made_outside"
BY_PROVIDER = "provider"

AboutRefund: TypeAlias = (
    PaymentRefunded | PaymentRefundFailed | PaymentRefundRejected | PaymentRefundPending | PaymentRefundBlocked
)


async def complete_refund(tx: Transaction, event: PaymentRefunded) -> None:
    """The provider accepted the refund."""
    refund = await _news_about(tx, event)
    if refund is None:
        return
    if refund.status == Status.SETTLED_MANUALLY:
        log.error("refund paid twice", refund_id=str(refund.id))
        tx.after_commit(metrics.OVERPAID.inc)
        return
    moved = _moved(tx, refund, event, Trigger.REFUNDED, version=refund.version + 1)
    is_for_cancellation = domain.is_for_cancellation(
        Ground(refund.ground), is_cancelled=refund.cancelled_by is not None
    )
    completed = RefundCompleted(**_about(tx, refund), reason=refund.reason, for_cancellation=is_for_cancellation)
    await tx.execute(moved, alongside=[outbox.rows(tx, completed)])
    count(tx, Status.SUCCEEDED, refund.reason, refund.amount_minor, refund.currency)
    count_accepted(tx, tx.now - datetime.fromisoformat(refund.received_at))


async def note_pending(tx: Transaction, event: PaymentRefundPending) -> None:
    """The provider has not said that the refund succeeded; `why` is kept to be shown."""
    refund = await _news_about(tx, event)
    if refund is None or refund.status == Status.SETTLED_MANUALLY:
        return
    trigger = Trigger.NO_ANSWER if event.why == "unknown" else Trigger.PROVIDER_WAITS
    await tx.execute(_moved(tx, refund, event, trigger, waiting_for=event.why))


async def block_refund(tx: Transaction, event: PaymentRefundBlocked) -> None:
    """The refund waits until the dispute about its payment is closed."""
    refund = await _news_about(tx, event)
    if refund is None or refund.status == Status.SETTLED_MANUALLY:
        return
    if refund.dispute_id is None and event.version < refund.dispute_version:
        return  # the dispute was closed in the meantime
    await tx.execute(_moved(tx, refund, event, Trigger.DISPUTED))
    count(tx, Status.BLOCKED_BY_DISPUTE, refund.reason, refund.amount_minor, refund.currency)


async def fail_refund(tx: Transaction, event: PaymentRefundFailed) -> None:
    """The provider refused the refund, at once or after it had accepted it: its amount may be refunded anew."""
    refund = await _news_about(tx, event)
    if refund is None or refund.status == Status.SETTLED_MANUALLY:
        return
    await _give_up(tx, refund, event, Trigger.REFUND_FAILED, event.reason, had_succeeded=event.had_succeeded)


async def reject_refund(tx: Transaction, event: PaymentRefundRejected) -> None:
    """Payment did not do the refund, since its money is gone: what is left is what payment says."""
    refund = await _news_about(tx, event)
    if refund is None or refund.status == Status.SETTLED_MANUALLY:
        return
    # Where something is left, the bank has not given all of it back: what the buyer is still owed, somebody must see.
    is_all_gone = refund.status == Status.BLOCKED_BY_DISPUTE and not event.remaining.amount_minor
    failure = DISPUTE_LOST if is_all_gone else NOT_ENOUGH_LEFT
    known = refund.promised_minor - refund.amount_minor + refund.lost_minor + event.remaining.amount_minor
    unavailable_minor = max(0, refund.captured_minor - known)
    await _give_up(tx, refund, event, Trigger.REJECTED, failure, unavailable_minor=unavailable_minor)


async def import_refund(tx: Transaction, event: PaymentRefundedOutside) -> None:
    """A refund that was made at the provider by hand is one of ours from now on, whatever we thought was left."""
    known = await read_booking(tx, event.booking_id, for_update=True)
    if known is None or known[0].captured_minor is None:
        raise TooEarly(f"the payment of booking {event.booking_id} is not known")
    booking, moved = known
    if await tx.get(Refund, event.refund_id) is not None:
        return
    given = await given_refunds(tx, booking.booking_id) if booking.promised_minor else ()
    case = case_of(
        booking, Ground.OUTSIDE, event.occurred_at, given, moved=moved, asked_minor=event.amount.amount_minor
    )
    await record_refund(
        tx,
        booking,
        decide(case),
        reason=MADE_OUTSIDE,
        requested_by=BY_PROVIDER,
        trigger=Trigger.IMPORT,
        id=event.refund_id,
        payment_version=event.version,
    )


async def open_dispute(tx: Transaction, event: DisputeOpened) -> None:
    """From now on staff do not refund this booking without override. What is on its way is payment's to block.

    Of a payment that was rejected in review there is nothing to refund here: payment has given it back by itself.
    """
    if event.rejected_in_review:
        return
    await _dispute(tx, event, is_open=True)


async def close_dispute(tx: Transaction, event: DisputeClosed) -> None:
    """Won: what was blocked goes on, unless another dispute is open. Lost: the money is gone, and payment says what becomes of the rest."""
    if event.rejected_in_review:
        return
    refunds = table(Refund)
    is_lost = event.outcome == "lost"
    another = await _dispute(tx, event, is_open=False, is_lost=is_lost)
    if is_lost or another is not None:
        return
    went_on = (
        update(refunds)
        .where(
            refunds.c.booking_id == event.booking_id,
            refunds.c.status == Status.BLOCKED_BY_DISPUTE,
            refunds.c.payment_version < event.version,
        )
        .values(status=next_status(Status.BLOCKED_BY_DISPUTE, Trigger.DISPUTE_WON), updated_at=tx.now)
    )
    await tx.execute(went_on)


async def _dispute(
    tx: Transaction, event: DisputeOpened | DisputeClosed, *, is_open: bool, is_lost: bool = False
) -> UUID | None:
    """Keeps the newest word on the dispute, and on the booking what follows from all of its disputes. Returns one that is open."""
    bookings, disputes = table(Booking), table(Dispute)
    of_booking = bookings.c.booking_id == event.booking_id
    known = select(bookings.c.captured_minor, bookings.c.captured_currency).where(of_booking)
    row = (await tx.execute(known.with_for_update())).one_or_none()
    if row is None or row.captured_minor is None:
        raise TooEarly(f"the payment of booking {event.booking_id} is not known")
    lost_minor = 0
    if is_lost:  # settled in another currency it may differ from what was charged: then it counts as all of it
        is_same = event.amount.currency == row.captured_currency
        lost_minor = min(event.amount.amount_minor, row.captured_minor) if is_same else row.captured_minor
    said = {"booking_id": event.booking_id, "version": event.version, "is_open": is_open, "lost_minor": lost_minor}
    noted = insert(disputes).values(id=event.dispute_id, **said)
    await tx.execute(
        noted.on_conflict_do_update(
            index_elements=[disputes.c.id],
            set_={name: noted.excluded[name] for name in said},
            where=noted.excluded.version > disputes.c.version,
        )
    )
    ours = disputes.c.booking_id == event.booking_id
    still_open = select(disputes.c.id).where(ours, disputes.c.is_open).order_by(disputes.c.id).limit(1)
    following = {
        "dispute_id": still_open.scalar_subquery(),
        "lost_minor": select(func.coalesce(func.sum(disputes.c.lost_minor), 0)).where(ours).scalar_subquery(),
        "dispute_version": func.greatest(bookings.c.dispute_version, event.version),
        # What payment could not refund, since it was lost: now it is known why.
        "unavailable_minor": func.greatest(0, bookings.c.unavailable_minor - lost_minor),
    }
    changed = update(bookings).where(of_booking).values(following).returning(bookings.c.dispute_id)
    still: UUID | None = (await tx.execute(changed)).scalar_one()
    return still


async def _news_about(tx: Transaction, event: AboutRefund) -> Row[Any] | None:
    """The refund that payment tells of, locked with its booking; None for news that is older than what is known.

    Raises TooEarly while the refund is not known, ValueError where payment means another amount.
    """
    refunds, bookings = table(Refund), table(Booking)
    query: Select[Any] = (
        select(
            refunds.c.id,
            refunds.c.booking_id,
            refunds.c.payment_id,
            refunds.c.status,
            refunds.c.amount_minor,
            refunds.c.currency,
            refunds.c.reason,
            refunds.c.ground,
            refunds.c.version,
            refunds.c.payment_version,
            refunds.c.updated_at,
            refunds.c.trace["case"]["received_at"].astext.label("received_at"),
            bookings.c.captured_minor,
            bookings.c.promised_minor,
            bookings.c.outside_minor,
            bookings.c.unavailable_minor,
            bookings.c.lost_minor,
            bookings.c.cancelled_by,
            bookings.c.dispute_id,
            bookings.c.dispute_version,
        )
        # The booking is locked first, as everywhere.
        .select_from(bookings.join(refunds, bookings.c.booking_id == refunds.c.booking_id))
        .where(refunds.c.id == event.refund_id)
        .with_for_update()
    )
    refund = (await tx.execute(query)).one_or_none()
    if refund is None:
        raise TooEarly(f"refund {event.refund_id} is not known")
    if event.amount != Money(refund.amount_minor, refund.currency):
        raise ValueError(f"refund {refund.id} is {refund.amount_minor} {refund.currency}, not {event.amount}")
    return refund if event.version > refund.payment_version else None


def _moved(tx: Transaction, refund: Row[Any], event: AboutRefund, trigger: Trigger, **changes: object) -> Update:
    refunds = table(Refund)
    status = next_status(Status(refund.status), trigger)
    since = refund.updated_at if status == refund.status else tx.now
    values = {"failure": None, "waiting_for": None, "status": status, "updated_at": since} | changes
    return update(refunds).where(refunds.c.id == refund.id).values(payment_version=event.version, **values)


def _about(tx: Transaction, refund: Row[Any]) -> dict[str, Any]:
    """What our events about it say; the reason is theirs."""
    return {
        "version": refund.version + 1,
        "occurred_at": tx.now,
        "refund_id": refund.id,
        "booking_id": refund.booking_id,
        "payment_id": refund.payment_id,
        "amount": Money(refund.amount_minor, refund.currency),
    }


async def _give_up(
    tx: Transaction,
    refund: Row[Any],
    event: PaymentRefundFailed | PaymentRefundRejected,
    trigger: Trigger,
    failure: str,
    *,
    had_succeeded: bool = False,
    unavailable_minor: int | None = None,
) -> None:
    """The refund failed, and its amount is the booking's again."""
    bookings, amount_minor = table(Booking), refund.amount_minor
    failed = RefundFailed(**_about(tx, refund), reason=failure, had_succeeded=had_succeeded)
    was_made_outside = refund.ground == Ground.OUTSIDE and refund.status == Status.SUCCEEDED
    released = (
        update(bookings)
        .where(bookings.c.booking_id == refund.booking_id)
        .values(
            promised_minor=refund.promised_minor - amount_minor,
            outside_minor=refund.outside_minor - (amount_minor if was_made_outside else 0),
            unavailable_minor=refund.unavailable_minor if unavailable_minor is None else unavailable_minor,
        )
    )
    moved = _moved(tx, refund, event, trigger, failure=failure, version=refund.version + 1)
    await tx.execute(moved, alongside=[Part(released), outbox.rows(tx, failed)])
    count(tx, Status.FAILED, refund.reason, amount_minor, refund.currency)
