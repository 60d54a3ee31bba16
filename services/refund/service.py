"""What refund does: gathers the facts of bookings, decides once when a booking is over and paid, and follows its refunds.

Facts come in any order and never change, so no version of another aggregate has to be kept for them: each is written where it is
missing, and whichever comes last finds the others there. The row of the booking is the lock of all that happens to its money.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from chassis import audit, metrics, outbox
from chassis.auth import Principal
from chassis.crypto import Sealer
from chassis.db import Transaction, table
from chassis.errors import Conflict, NotFound, TooEarly
from contracts.booking import BookingCancelled, BookingConfirmed, BookingPlaced, SeatsUnavailable
from contracts.money import Money
from contracts.payment import PaymentRefunded, PaymentRefundFailed, PaymentRefundRejected, PaymentSucceeded
from contracts.refund import RefundApproved, RefundCompleted, RefundDeclined, RefundFailed, RefundReason
from prometheus_client import Counter
from sqlalchemy import Row, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql.dml import Update

from refund import campaign
from refund.cases import case_of, given_refunds, policy_of
from refund.domain import (
    Decision,
    Ground,
    Status,
    Trigger,
    decide,
    ground_of_cancellation,
    next_status,
)
from refund.models import Booking, Refund
from refund.policy import local
from refund.reads import SEALED_NOTE, TRACE, detail_of
from refund.schemas import RefundDetail, RefundRequest

NOT_ENOUGH_LEFT = "not_enough_left"
BY_POLICY = "policy"
REASONS: Mapping[str, RefundReason] = {
    "customer": "customer_cancelled",
    "staff": "staff_cancelled",
    "event": "event_cancelled",
}
REFUNDS = Counter(
    "refunds_total",
    "Refunds by the status they reached (approved, succeeded, failed, declined) and their reason.",
    ["status", "reason"],
    registry=metrics.REGISTRY,
)

AboutRefund = PaymentRefunded | PaymentRefundFailed | PaymentRefundRejected


async def note_placed(tx: Transaction, event: BookingPlaced) -> None:
    """Keeps what was booked. Raises InvalidPolicy or ZoneInfoNotFoundError for what no cancellation could be decided on."""
    policy_of(event.policy)
    local(event.event.starts_at, event.event.timezone)
    booking = await _note(
        tx,
        event.booking_id,
        placed_at=event.occurred_at,
        event_id=event.event.event_id,
        starts_at=event.event.starts_at,
        timezone=event.event.timezone,
        total_minor=event.total.amount_minor,
        currency=event.total.currency,
        policy=event.policy.model_dump(mode="json"),
        lines=[line.model_dump(mode="json") for line in event.lines],
    )
    await _decide_once(tx, booking)


async def note_captured(tx: Transaction, event: PaymentSucceeded) -> None:
    """Keeps what was paid. Raises ValueError when another payment of the booking was captured before."""
    booking = await _note(
        tx,
        event.booking_id,
        payment_id=event.payment_id,
        captured_minor=event.amount.amount_minor,
        captured_currency=event.amount.currency,
    )
    if booking.payment_id != event.payment_id:
        raise ValueError(f"booking {event.booking_id} was paid by {booking.payment_id} before {event.payment_id}")
    await _decide_once(tx, booking)


async def note_confirmed(tx: Transaction, event: BookingConfirmed) -> None:
    """Keeps that the booking is confirmed, and whether it was free."""
    await _note(tx, event.booking_id, confirmed_at=event.occurred_at, free=event.payment_id is None)


async def note_cancelled(tx: Transaction, event: BookingCancelled) -> None:
    """Keeps by whom and when the booking was cancelled."""
    booking = await _note(
        tx,
        event.booking_id,
        cancelled_by=event.by,
        cancelled_was=event.was,
        cancel_received_at=event.received_at,
    )
    await _decide_once(tx, booking)


async def note_seats_unavailable(tx: Transaction, event: SeatsUnavailable) -> None:
    """Keeps that a payment found no seats. Payment voids it; where it was captured at once, all of it goes back."""
    booking = await _note(tx, event.booking_id, seats_unavailable_at=event.occurred_at)
    await _decide_once(tx, booking)


async def complete_refund(tx: Transaction, event: PaymentRefunded) -> None:
    """The provider accepted the refund."""
    refund = await _locked_refund(tx, event)
    if event.version <= refund.payment_version:
        return
    completed = RefundCompleted(
        version=refund.version + 1,
        occurred_at=tx.now,
        refund_id=refund.id,
        booking_id=refund.booking_id,
        payment_id=refund.payment_id,
        amount=event.amount,
        reason=refund.reason,
    )
    moved = _moved(tx, refund, event, Trigger.REFUNDED)
    await tx.execute(outbox.with_events(tx, moved, completed))
    _count(tx, Status.SUCCEEDED, refund.reason)


async def fail_refund(tx: Transaction, event: PaymentRefundFailed) -> None:
    """The provider refused the refund, at once or after it had accepted it: its amount may be refunded anew."""
    await _give_up(tx, event, Trigger.REFUND_FAILED, event.reason)


async def reject_refund(tx: Transaction, event: PaymentRefundRejected) -> None:
    """Payment did not start the refund, since money is gone that no refund of ours took: what is left is what payment says."""
    await _give_up(tx, event, Trigger.REJECTED, NOT_ENOUGH_LEFT)


async def create_refund(tx: Transaction, sealer: Sealer, staff: Principal, body: RefundRequest) -> RefundDetail:
    """Refunds all that is left of a booking's payment. Of two at once the second finds nothing left.

    Raises NotFound for a booking that refund does not know, Conflict where nothing was paid or nothing is left.
    """
    booking = await tx.get(Booking, body.booking_id, with_for_update=True)
    if booking is None or booking.placed_at is None:
        raise NotFound("booking")
    if booking.captured_minor is None:
        raise Conflict("Nothing was paid for this booking.", state="unpaid")
    if booking.remaining_minor == 0:
        nothing = Money(0, str(booking.currency))
        raise Conflict("Nothing is left to refund of this booking.", state="nothing_left", remaining=nothing)
    decision = decide(case_of(booking, Ground.STAFF, tx.now, await given_refunds(tx, booking.booking_id)))
    note = body.note and sealer.seal(body.note, SEALED_NOTE)
    refund = await _record(tx, booking, decision, reason=body.reason, requested_by=staff.subject, note=note)
    await audit.record(
        tx,
        actor=staff.subject,
        action="refund.create",
        subject=f"refund/{refund.id}",
        reason=body.reason,
        after={
            "booking_id": booking.booking_id,
            "amount_minor": refund.amount_minor,
            "currency": refund.currency,
        },
    )
    return detail_of(refund, sealer, staff)


async def _note(tx: Transaction, booking_id: UUID, **facts: object) -> Booking:
    """Writes facts where they are missing and returns the booking, locked. What was noted before stays."""
    bookings = table(Booking)
    noted = insert(bookings).values(booking_id=booking_id, **facts)
    first_stays = {name: func.coalesce(bookings.c[name], noted.excluded[name]) for name in facts}
    row = await tx.execute(
        noted.on_conflict_do_update(index_elements=["booking_id"], set_=first_stays).returning(bookings)
    )
    return Booking(**row.mappings().one())


async def _decide_once(tx: Transaction, booking: Booking) -> None:
    """Decides when it is known that the booking is over, what it was, and that it was paid."""
    if await campaign.take_on(tx, booking):
        return
    if booking.decided_at is not None or booking.placed_at is None or booking.captured_minor is None:
        return
    if booking.cancelled_by is not None:
        ground = ground_of_cancellation(booking.cancelled_by, str(booking.cancelled_was))
        reason, received_at = REASONS[booking.cancelled_by], booking.cancel_received_at
    else:
        ground, reason, received_at = Ground.SEATS_UNAVAILABLE, "seats_unavailable", booking.seats_unavailable_at
    if received_at is None:
        return
    given = await given_refunds(tx, booking.booking_id) if booking.promised_minor else ()
    decision = decide(case_of(booking, ground, received_at, given))
    await _record(tx, booking, decision, reason=reason, requested_by=BY_POLICY)


async def _record(
    tx: Transaction,
    booking: Booking,
    decision: Decision,
    *,
    reason: RefundReason,
    requested_by: str,
    note: str | None = None,
) -> Refund:
    """Writes a decision as a refund, promises its amount on the booking, and tells of it: one statement."""
    assert booking.payment_id is not None, "only what was captured is refunded"
    status = next_status(Status.REQUESTED, Trigger.APPROVE if decision.amount_minor else Trigger.DECLINE)
    refund = Refund(
        id=tx.new_id(),
        booking_id=booking.booking_id,
        payment_id=booking.payment_id,
        status=status,
        amount_minor=decision.amount_minor,
        currency=decision.case.currency,
        reason=reason,
        ground=decision.case.ground,
        trace=TRACE.dump_python(decision, mode="json"),
        requested_by=requested_by,
        note=note,
        version=1,
        created_at=tx.now,
        updated_at=tx.now,
    )
    bookings = table(Booking)
    promise: dict[str, object] = {"promised_minor": bookings.c.promised_minor + decision.amount_minor}
    if decision.case.ground is not Ground.STAFF:
        promise["decided_at"] = tx.now
    promised = update(bookings).where(bookings.c.booking_id == booking.booking_id).values(promise)
    statement = insert(table(Refund)).values(refund.model_dump()).add_cte(promised.cte("promised"))
    await tx.execute(outbox.with_events(tx, statement, _first_event(refund, decision, reason)))
    _count(tx, status, reason)
    return refund


def _first_event(refund: Refund, decision: Decision, reason: RefundReason) -> RefundApproved | RefundDeclined:
    if not decision.amount_minor:
        return RefundDeclined(
            version=refund.version,
            occurred_at=refund.created_at,
            refund_id=refund.id,
            booking_id=refund.booking_id,
            rule=decision.rule,
        )
    return RefundApproved(
        version=refund.version,
        occurred_at=refund.created_at,
        refund_id=refund.id,
        booking_id=refund.booking_id,
        payment_id=refund.payment_id,
        amount=Money(refund.amount_minor, refund.currency),
        reason=reason,
    )


async def _locked_refund(tx: Transaction, event: AboutRefund) -> Row[Any]:
    """The refund that payment tells of, locked with the money of its booking. Raises ValueError where payment means another amount."""
    refunds, bookings = table(Refund), table(Booking)
    query = (
        select(refunds, bookings.c.captured_minor, bookings.c.promised_minor, bookings.c.unavailable_minor)
        .join(bookings, bookings.c.booking_id == refunds.c.booking_id)
        .where(refunds.c.id == event.refund_id)
        .with_for_update()
    )
    refund = (await tx.execute(query)).one_or_none()
    if refund is None:
        raise TooEarly(f"refund {event.refund_id} is not known")
    if event.amount != Money(refund.amount_minor, refund.currency):
        raise ValueError(f"refund {refund.id} is {refund.amount_minor} {refund.currency}, not {event.amount}")
    return refund


def _moved(
    tx: Transaction, refund: Row[Any], event: AboutRefund, trigger: Trigger, failure: str | None = None
) -> Update:
    refunds = table(Refund)
    return (
        update(refunds)
        .where(refunds.c.id == refund.id)
        .values(
            status=next_status(Status(refund.status), trigger),
            failure=failure,
            version=refund.version + 1,
            payment_version=event.version,
            updated_at=tx.now,
        )
    )


async def _give_up(
    tx: Transaction, event: PaymentRefundFailed | PaymentRefundRejected, trigger: Trigger, failure: str
) -> None:
    refund = await _locked_refund(tx, event)
    if event.version <= refund.payment_version:
        return
    promised_minor = refund.promised_minor - refund.amount_minor
    unavailable_minor = refund.unavailable_minor
    if isinstance(event, PaymentRefundRejected):
        unavailable_minor = max(0, refund.captured_minor - promised_minor - event.remaining.amount_minor)
    failed = RefundFailed(
        version=refund.version + 1,
        occurred_at=tx.now,
        refund_id=refund.id,
        booking_id=refund.booking_id,
        payment_id=refund.payment_id,
        amount=event.amount,
        reason=failure,
    )
    bookings = table(Booking)
    released = (
        update(bookings)
        .where(bookings.c.booking_id == refund.booking_id)
        .values(promised_minor=promised_minor, unavailable_minor=unavailable_minor)
    )
    moved = _moved(tx, refund, event, trigger, failure).add_cte(released.cte("released"))
    await tx.execute(outbox.with_events(tx, moved, failed))
    _count(tx, Status.FAILED, refund.reason)


def _count(tx: Transaction, status: Status, reason: str) -> None:
    tx.after_commit(REFUNDS.labels(status, reason).inc)
