"""What may be asked of payment: one function per verb. How a payment moves on by itself is in `advance` and `advance_refund`."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from uuid import UUID

import structlog
from chassis.auth import Principal, holder_of
from chassis.db import Database, Transaction, table
from chassis.errors import Conflict, NotFound, TooEarly, Unavailable
from chassis.relay import wait
from chassis.sql import Part
from contracts.booking import BookingPlaced, SeatsSecured
from contracts.event import Event
from sqlalchemy import insert, update
from sqlmodel import col, select

from payment import reviews
from payment.advance import record_not_run, record_refusal, record_silence
from payment.changes import Change
from payment.domain import CONFIRMABLE, FINAL, Release, Status, Step, Wish, next_step
from payment.fraud import DEFAULT, Rules
from payment.gateways import Gateway, GatewayError, IntentView, NotRun, Order, Refused
from payment.holds import apply_look
from payment.intents import let_go, start_capture
from payment.models import (
    LEASE,
    Attempt,
    FreeBooking,
    Operation,
    Payment,
    Refund,
    is_free,
    locked_payment,
    payment_of_booking,
)
from payment.schemas import (
    PaymentDetail,
    PaymentRead,
    PaymentStarted,
    shown,
    shown_refund,
)

log = structlog.get_logger(__name__)

ARRIVAL_LOOKS = 20
ARRIVAL_LOOK_S = 0.1
"""A buyer may be faster than the event of the booking: it is waited for two seconds."""

_PAYMENT, _ATTEMPT = insert(table(Payment)), insert(table(Attempt))


async def open_payment(tx: Transaction, event: BookingPlaced, provider: str) -> None:
    """Notes what is owed. The provider is not called: a cart that is left costs nothing."""
    if not event.total:
        await tx.execute(insert(table(FreeBooking)).values(booking_id=event.booking_id))
        return
    payment_id = tx.new_id()
    attempt = {
        "id": tx.new_id(),
        "payment_id": payment_id,
        "operation": Operation.CREATE,
        "created_at": tx.now,
    }
    payment = Payment(
        id=payment_id,
        booking_id=event.booking_id,
        event_id=event.event.event_id,
        amount_minor=event.total.amount_minor,
        currency=event.total.currency,
        booking_version=event.version,
        hold_expires_at=event.hold_expires_at,
        provider=provider,
        status_since=tx.now,
        created_at=tx.now,
        updated_at=tx.now,
    )
    await tx.execute(_PAYMENT, payment.model_dump(), alongside=[Part(_ATTEMPT, attempt)])


async def capture_payment(tx: Transaction, event: SeatsSecured) -> None:
    """The seats are the buyer's: the authorized amount is captured."""
    change = await _newer(tx, event, event.booking_id)
    if change is None:
        return
    payment = change.payment
    if _heeds_booking(payment):
        change.set(wish=Wish.CAPTURE, release_reason=None, checks=0)
        if payment.status is Status.AUTHORIZED:
            start_capture(change)
        if payment.status is not Status.IN_REVIEW:
            change.check_soon()
    await change.save()


async def release_payment(tx: Transaction, event: Event, booking_id: UUID, reason: Release) -> None:
    """Booking lets go. What is captured stays: whether money goes back is refund's decision."""
    change = await _newer(tx, event, booking_id)
    if change is None:
        return
    payment = change.payment
    # Booking is still to say whether an authorized payment gets seats after all.
    is_booking_asked = reason is Release.BOOKING_EXPIRED and payment.authorized_at is not None
    if _heeds_booking(payment) and not is_booking_asked:
        change.set(wish=Wish.RELEASE, release_reason=reason, checks=0)
        may_exist = payment.provider_ref is None and await _may_exist(tx, payment.id)
        has_intent = payment.provider_ref is not None
        step = next_step(payment.status, payment.wish, has_intent=has_intent, may_exist=may_exist)
        if payment.status is Status.IN_REVIEW and reason is Release.BOOKING_CANCELLED:
            await reviews.end_held(change)
        elif step is Step.LET_GO:
            let_go(change)
        elif step is not Step.REST:
            change.check_soon()
    await change.save()


def _heeds_booking(payment: Payment) -> bool:
    """A rejection stands, whatever booking says later. What it says during a review is kept until a person has decided."""
    return payment.status not in FINAL and payment.release_reason is not Release.REVIEW_REJECTED


async def _newer(tx: Transaction, event: Event, booking_id: UUID) -> Change | None:
    """The booking's payment, if the event is newer than the last one. Raises TooEarly while the booking is not known."""
    payment = await payment_of_booking(tx, booking_id, lock=True)
    if payment is None:
        if await is_free(tx, booking_id):
            return None
        raise TooEarly("the booking is not known yet")
    if event.version <= payment.booking_version:
        return None
    change = Change(tx, payment)
    change.set(booking_version=event.version)
    return change


async def _may_exist(tx: Transaction, payment_id: UUID) -> bool:
    attempts = table(Attempt)
    sent = await tx.execute(
        select(attempts.c.sent_at).where(
            attempts.c.payment_id == payment_id,
            attempts.c.operation == Operation.CREATE,
            attempts.c.closed_at.is_(None),
        )
    )
    return sent.scalar_one_or_none() is not None


@dataclass(frozen=True, slots=True)
class Opening:
    """How the provider's payment is come by: `ref` names one that exists, `order` asks for it."""

    payment: Payment
    ref: str | None
    order: Order | None


async def start_payment(
    database: Database, gateway: Gateway, booking_id: UUID, rules: Rules = DEFAULT
) -> PaymentStarted:
    """Opens the payment at the provider, or shows the one that is open, with what the browser needs to confirm it.

    Raises Conflict where it cannot be paid (any more) or its booking is not known yet, Unavailable where the provider does not answer.
    """
    opening = await _opening(database, booking_id)
    if opening.ref is None and opening.order is None:
        return _started(gateway, opening.payment, None)
    try:
        if opening.order is not None:
            view = await gateway.authorize(opening.order)
        else:
            assert opening.ref is not None, "it has one or the other"
            view = await gateway.fetch(opening.ref)
    except GatewayError as error:
        raise await _refusal(database, opening, error) from None
    async with database.transaction() as tx:
        payment = await _apply_view(tx, gateway, rules, opening.payment.id, view)
    if payment.status in CONFIRMABLE and payment.wish is Wish.RELEASE:
        raise _closed(payment)
    return _started(gateway, payment, view.client_secret)


def _started(gateway: Gateway, payment: Payment, client_secret: str | None) -> PaymentStarted:
    return PaymentStarted(
        payment=shown(payment),
        client_secret=client_secret if payment.payable else None,
        publishable_key=gateway.publishable_key,
    )


async def _opening(database: Database, booking_id: UUID) -> Opening:
    for look in range(ARRIVAL_LOOKS):
        if look:
            await wait(asyncio.Event(), ARRIVAL_LOOK_S)
        async with database.transaction() as tx:
            payment = await payment_of_booking(tx, booking_id, lock=True)
            if payment is not None:
                return await _opening_of(tx, payment)
            if await is_free(tx, booking_id):
                raise Conflict("This booking is free: there is nothing to pay.", state="free")
    raise Conflict("The booking is still on its way; ask again.", headers={"Retry-After": "1"}, state="unknown")


async def _opening_of(tx: Transaction, payment: Payment) -> Opening:
    if payment.status in {Status.VOIDED, Status.FAILED} or payment.wish is Wish.RELEASE:
        raise _closed(payment)
    if payment.status not in CONFIRMABLE:
        return Opening(payment, None, None)
    if payment.provider_ref is not None:
        return Opening(payment, payment.provider_ref, None)
    if tx.now >= payment.hold_expires_at:
        raise Conflict("The time to pay this booking is over.", state="hold_ended")
    attempts = table(Attempt)
    # Noted before it is sent: whoever finds this later knows that the provider may have it.
    change = Change(tx, payment)
    change.check_in(LEASE)
    sent = await tx.execute(
        update(attempts)
        .where(
            attempts.c.payment_id == payment.id,
            attempts.c.operation == Operation.CREATE,
            attempts.c.closed_at.is_(None),
        )
        .values(sent_at=tx.now)
        .returning(attempts.c.id)
    )
    await change.save()
    return Opening(
        payment, None, Order(sent.scalar_one(), payment.id, booking_id=payment.booking_id, amount=payment.amount)
    )


async def _refusal(database: Database, opening: Opening, error: GatewayError) -> Conflict | Unavailable:
    """What the buyer is told. What was asked for and not answered is found by the next check; a definitive refusal ends the attempt."""
    retry_after_s = max(1, round(error.retry_after_s)) if isinstance(error, NotRun) else 2
    not_now = Unavailable("The payment provider does not answer; try again.", retry_after_s)
    if opening.order is None:
        return not_now
    async with database.transaction() as tx:
        payment = await locked_payment(tx, opening.payment.id)
        attempt = await tx.get(Attempt, opening.order.attempt_id)
        assert payment is not None, "payments are never removed"
        assert attempt is not None, "attempts are never removed"
        if payment.provider_ref is not None or attempt.closed_at is not None:
            return not_now  # found meanwhile
        change = Change(tx, payment)
        match error:
            case Refused():
                record_refusal(change, attempt, error)
            case NotRun():
                record_not_run(change, error)
            case _:
                record_silence(change, attempt)
        await change.save()
    return _closed(payment) if payment.status is Status.FAILED else not_now


def _closed(payment: Payment) -> Conflict:
    return Conflict("This booking cannot be paid any more.", state=payment.status)


async def sync_payment(
    database: Database, gateway: Gateway, payment_id: UUID, asker: Principal, rules: Rules = DEFAULT
) -> PaymentRead:
    """Looks at the provider's payment at once. Where the provider does not answer, the payment is shown as it is recorded.

    Raises NotFound, also for somebody else's.
    """
    async with database.single() as tx:
        payment = await _payment(tx, payment_id, asker)
    if payment.provider_ref is None or payment.status in {Status.VOIDED, Status.FAILED, Status.SUCCEEDED}:
        return shown(payment)
    try:
        view = await gateway.fetch(payment.provider_ref)
    except GatewayError as error:
        log.warning("provider did not answer a hint", payment_id=str(payment_id), error=str(error))
        return shown(payment)
    async with database.transaction() as tx:
        return shown(await _apply_view(tx, gateway, rules, payment_id, view))


async def _apply_view(tx: Transaction, gateway: Gateway, rules: Rules, payment_id: UUID, view: IntentView) -> Payment:
    payment = await locked_payment(tx, payment_id)
    assert payment is not None, "payments are never removed"
    change = Change(tx, payment)
    await apply_look(change, view, gateway, rules)
    await change.save()
    return payment


async def _payment(tx: Transaction, payment_id: UUID, asker: Principal) -> Payment:
    payment = await tx.get(Payment, payment_id)
    if payment is None:
        raise NotFound("payment")
    holder_of(asker, payment.booking_id, "payment")
    return payment


async def read_payment(tx: Transaction, payment_id: UUID, asker: Principal) -> PaymentDetail:
    """Raises NotFound, also for somebody else's. Staff see the refunds as well."""
    payment = await _payment(tx, payment_id, asker)
    detail = PaymentDetail(**shown(payment).model_dump())
    if asker.kind == "staff":
        refunds = await tx.scalars(select(Refund).where(Refund.payment_id == payment.id).order_by(col(Refund.id)))
        detail.refunds = [shown_refund(refund) for refund in refunds]
        detail.disputed_minor = payment.disputed_minor
    return detail
