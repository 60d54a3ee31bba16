"""What the provider shows about a payment, applied to the row that holds it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import structlog
from chassis.db import table
from contracts.payment import (
    PaymentAttemptFailed,
    PaymentAuthorized,
    PaymentFailed,
    PaymentHeldForReview,
    PaymentMethod,
    PaymentSucceeded,
    PaymentVoided,
)
from sqlalchemy import insert, literal, update
from sqlalchemy.dialects.postgresql import JSONB

from payment import ledger, metrics
from payment.changes import Change
from payment.domain import (
    AT_REST,
    CONFIRMABLE,
    DECLINES_MAX,
    OF_BOOKING,
    YIELDING,
    Fact,
    IllegalTransition,
    Release,
    Status,
    Trigger,
    Wish,
    meaning,
    next_status,
)
from payment.fraud import ReviewKind, ReviewStatus, Rule
from payment.gateways import SYSTEM, DeclineKind, Gateway, IntentView
from payment.models import (
    REFUND_CHECKS,
    REVIEW_REJECTED,
    Attempt,
    Decline,
    Operation,
    Payment,
    Refund,
    Review,
    new_refund,
)

log = structlog.get_logger(__name__)

DOUBTS = "doubts"
"""Name, in what a person is shown of a held payment, of what was doubted meanwhile."""


@dataclass(frozen=True, slots=True)
class Held:
    """The rules that want a person to look at a new authorization, and the figures behind them."""

    rules: Sequence[Rule]
    detail: Mapping[str, int | str | bool | None]


def doubts_about(payment: Payment, view: IntentView, *, livemode: bool) -> list[str]:
    """Names of what in the provider's object is not as we asked for it; empty when it is ours. Never act on one that is not.

    What a person has accepted is not named any more.
    """
    checks = {
        "ref": payment.provider_ref in {None, view.ref},
        "existence": payment.provider_ref is not None or payment.status not in AT_REST or view.fact is Fact.CANCELED,
        "amount": view.amount == payment.amount,
        "captured": view.fact is not Fact.CAPTURED or view.captured == payment.amount,
        "livemode": view.livemode is livemode,
        "system": view.metadata.get("system") == SYSTEM,
        "payment_id": view.metadata.get("payment_id") == str(payment.id),
        "booking_id": view.metadata.get("booking_id") == str(payment.booking_id),
    }
    return [name for name, as_asked in checks.items() if not as_asked and name not in payment.accepted_doubts]


def tells_nothing_new(payment: Payment, view: IntentView, *, livemode: bool) -> bool:
    """Whether all that the view shows is recorded."""
    if payment.provider_ref is None or doubts_about(payment, view, livemode=livemode):
        return False
    trigger = meaning(view.fact, payment.release_reason, was_authorized=payment.authorized_at is not None)
    try:
        return next_status(payment.status, trigger) is payment.status and not _is_new_decline(payment, view)
    except IllegalTransition:
        return False


def apply_intent(change: Change, view: IntentView, gateway: Gateway, held: Held | None = None) -> None:
    """Moves the payment to what the view shows, with the events and postings that go with it. What was read late changes nothing."""
    payment = change.payment
    if payment.release_reason is Release.REVIEW_REJECTED and payment.status not in AT_REST:
        _end_rejected(change, view)
        return
    if doubts := doubts_about(payment, view, livemode=gateway.livemode):
        quarantine(change, doubts, view)
        return
    if view.fact is Fact.UNRECOGNISED:
        log.error("unknown status at the provider", payment_id=str(payment.id))
    trigger = meaning(view.fact, payment.release_reason, was_authorized=payment.authorized_at is not None)
    try:
        has_moved = change.move(trigger)
    except IllegalTransition:
        quarantine(change, ["contradiction"], view)
        return
    if has_moved:
        change.set(checks=0)
    _take_up(change, view)
    if _is_new_decline(payment, view):
        _count_decline(change, view)
    _follow(change, view, held, has_moved=has_moved)
    change.schedule_check()


def _take_up(change: Change, view: IntentView) -> None:
    """The provider's name for it is known from now on."""
    if change.payment.provider_ref is None:
        change.set(provider_ref=view.ref)
        if change.payment.status not in AT_REST:
            change.close_attempts(Operation.CREATE, others=False)


def _follow(change: Change, view: IntentView, held: Held | None, *, has_moved: bool) -> None:
    """What comes with a status: events, postings, the end of attempts."""
    match change.payment.status:
        case Status.AUTHORIZED if change.payment.authorized_at is None:
            _authorized(change, view, held)
        case Status.SUCCEEDED:
            _captured(change, view, is_new=has_moved)
        case Status.VOIDED if has_moved:
            _voided(change, view)
        case Status.FAILED if has_moved:
            _failed(change, view)


def quarantine(change: Change, doubts: list[str], view: IntentView) -> None:
    """Never confirms, never captures: a person looks at it. One that has ended keeps its status."""
    payment = change.payment
    log.error("payment quarantined", payment_id=str(payment.id), doubts=doubts)
    for doubt in doubts:
        metrics.QUARANTINED.labels(doubt).inc()
    change.set(review_reason=", ".join(doubts))
    if change.move(Trigger.DOUBTED):
        _open_review(change, ReviewKind.DOUBTED, doubts, _shown(view))
    elif payment.status is Status.IN_REVIEW:
        _add_to_held(change, doubts, view)
    change.check_in(None)


def _add_to_held(change: Change, doubts: list[str], view: IntentView) -> None:
    """What is doubted while a rule holds the payment is shown with that, and has its own review once that is approved."""
    reviews = table(Review)
    seen = literal({DOUBTS: ", ".join(doubts), **_shown(view)}, JSONB)
    is_held = (reviews.c.status == ReviewStatus.OPEN, reviews.c.kind == ReviewKind.HELD)
    change.alongside(
        update(reviews)
        .where(reviews.c.payment_id == change.payment.id, *is_held)
        .values(detail=reviews.c.detail.concat(seen))
    )


def doubt_again(change: Change, held: Review) -> None:
    """Opens the review of what was doubted while a rule held the payment, if anything was."""
    if doubts := held.detail.get(DOUBTS):
        change.move(Trigger.DOUBTED)
        change.set(review_reason=doubts)
        _open_review(change, ReviewKind.DOUBTED, doubts.split(", "), held.detail)
        change.check_in(None)


def _shown(view: IntentView) -> dict[str, int | str | bool | None]:
    """What a person is shown of an object that is doubted."""
    return {
        "provider_ref": view.ref,
        "fact": view.fact.value,
        "provider_amount_minor": view.amount.amount_minor,
        "provider_currency": view.amount.currency,
        "provider_captured_minor": view.captured.amount_minor,
        "livemode": view.livemode,
    }


def _open_review(
    change: Change, kind: ReviewKind, reasons: Sequence[str], detail: Mapping[str, int | str | bool | None]
) -> None:
    review = Review(
        id=change.tx.new_id(),
        payment_id=change.payment.id,
        kind=kind,
        reasons=list(reasons),
        detail=dict(detail),
        opened_at=change.tx.now,
    )
    change.alongside(insert(table(Review)).values(review.model_dump()))
    change.publish(PaymentHeldForReview, amount=change.payment.amount, kind=kind, reasons=tuple(reasons))
    change.tx.after_commit(metrics.REVIEWS.labels(kind, ReviewStatus.OPEN).inc)


def start_capture(change: Change) -> Attempt:
    """A new attempt to capture an authorized payment, sent as soon as this is committed."""
    payment = change.payment
    change.move(Trigger.CAPTURE_STARTED)
    attempt = change.open_attempt(Operation.CAPTURE, sent=True)
    if not payment.clearing_minor:
        change.post(ledger.capture_started(payment, attempt.id))
        change.set(clearing_minor=payment.amount_minor)
    return attempt


def let_go(change: Change) -> None:
    """Closes a payment of which nothing exists at the provider."""
    metrics.checkout_ended(change.tx, "abandoned")
    change.close_attempts(others=True)
    if change.payment.release_reason in OF_BOOKING:
        change.move(Trigger.LET_GO)
        _publish_voided(change)
    else:
        change.move(Trigger.REFUSED)
        _publish_failed(change)
    change.check_in(None)


def refused_amount(change: Change, code: str) -> None:
    """Closes a payment whose amount the provider does not take."""
    log.error("amount not chargeable", payment_id=str(change.payment.id), code=code)
    change.move(Trigger.REFUSED)
    metrics.checkout_ended(change.tx, "refused")
    change.close_attempts(others=True)
    change.publish(PaymentFailed, reason="amount_not_chargeable")
    change.check_in(None)


def _is_new_decline(payment: Payment, view: IntentView) -> bool:
    return (
        view.fact is Fact.METHOD_NEEDED
        and payment.status in CONFIRMABLE
        and payment.authorized_at is None
        and view.decline_ref is not None
        and view.decline_ref != payment.last_decline_ref
    )


def _count_decline(change: Change, view: IntentView) -> None:
    payment = change.payment
    change.set(declines=payment.declines + 1, last_decline_ref=view.decline_ref, checks=0)
    declined = Decline(
        id=change.tx.new_id(),
        payment_id=payment.id,
        code=view.decline_code or "unknown",
        card=view.card,
        at=change.tx.now,
    )
    change.alongside(insert(table(Decline)).values(declined.model_dump()))
    change.publish(PaymentAttemptFailed, attempts_left=payment.attempts_left)
    change.tx.after_commit(metrics.DECLINES.labels(view.decline_kind).inc)
    if payment.declines >= DECLINES_MAX and payment.wish is Wish.COLLECT:
        change.set(wish=Wish.RELEASE, release_reason=Release.TOO_MANY_DECLINES)


def _authorized(change: Change, view: IntentView, held: Held | None) -> None:
    change.set(authorized_at=change.tx.now)
    if change.payment.release_reason in YIELDING:
        change.set(wish=Wish.COLLECT, release_reason=None)
    if held is None or change.payment.wish is Wish.RELEASE:
        tell_authorized(change)
        return
    log.warning("payment held for review", payment_id=str(change.payment.id), rules=[str(rule) for rule in held.rules])
    _note_method(change, view)
    change.set(review_reason=", ".join(held.rules))
    change.move(Trigger.HELD)
    _open_review(change, ReviewKind.HELD, held.rules, held.detail)


def tell_authorized(change: Change) -> None:
    """Booking is asked for the seats, unless it has let the payment go."""
    if change.payment.wish is not Wish.RELEASE:
        change.publish(PaymentAuthorized, amount=change.payment.amount)


def _note_method(change: Change, view: IntentView) -> None:
    if view.method:
        change.set(method_kind=view.method.kind, method_brand=view.method.brand, method_last4=view.method.last4)


def _end_rejected(change: Change, view: IntentView) -> None:
    """What a person has rejected ends, whatever is doubted about it: canceled, or what was captured of it given back."""
    payment = change.payment
    if payment.provider_ref not in {None, view.ref}:
        return  # another object with our ids in it: never ours to end
    _take_up(change, view)
    match view.fact:
        case Fact.CANCELED:
            change.move(Trigger.CANCELED)
            _failed(change, view)
        case Fact.CAPTURED if view.captured and view.captured.currency == payment.currency:
            change.move(Trigger.CAPTURED)
            _give_back(change, view)
        case Fact.CAPTURED:
            log.error("rejected payment was captured in another currency", payment_id=str(payment.id))
            quarantine(change, ["currency"], view)
            return
        case _:
            pass  # it is still to be canceled
    change.schedule_check()


def _give_back(change: Change, view: IntentView) -> None:
    """Books what was captured, whatever it is, and sends all of it back. Only that the payment is over is told."""
    payment, tx = change.payment, change.tx
    _release_clearing(change, view.ref)
    # Statements of one change run in any order, and nothing goes back before it was taken.
    change.beforehand(*ledger.entries(tx, payment.id, ledger.captured(payment, view.ref, view.captured)))
    _note_fee(change, view)
    refund_id = tx.new_id()
    refund = new_refund(
        tx,
        refund_id,
        payment_id=payment.id,
        booking_id=payment.booking_id,
        amount=view.captured,
        reason=REVIEW_REJECTED,
        next_check_at=REFUND_CHECKS.soon(tx, refund_id),
    )
    change.alongside(insert(table(Refund)).values(refund.model_dump()))
    started = ledger.refund_started(refund, refund.id)
    change.alongside(*ledger.entries(tx, payment.id, started, refund_id=refund.id))
    change.set(captured_minor=refund.amount_minor, reserved_minor=refund.amount_minor)
    change.close_attempts(Operation.CREATE, others=True)
    _publish_failed(change)


def _captured(change: Change, view: IntentView, *, is_new: bool) -> None:
    payment = change.payment
    if is_new:
        change.post(ledger.captured(payment, view.ref, payment.amount))
        change.set(captured_minor=payment.amount_minor, clearing_minor=0)
        method = None
        _note_method(change, view)
        if view.method:
            method = PaymentMethod(kind=view.method.kind, brand=view.method.brand, last4=view.method.last4)
        change.publish(PaymentSucceeded, amount=payment.amount, method=method, buyer_confirmed_at=view.charged_at)
        metrics.checkout_ended(change.tx, "paid")
        metrics.captured(change.tx, payment.amount)
        change.close_attempts(Operation.CREATE, Operation.CAPTURE, others=True)
    _note_fee(change, view)


def _note_fee(change: Change, view: IntentView) -> None:
    if view.fee is not None and not change.payment.fee_known:
        if view.fee:
            change.post(ledger.fee(view.ref, view.fee))
        change.set(fee_known=True)


def _voided(change: Change, view: IntentView) -> None:
    _release_clearing(change, view.ref)
    metrics.checkout_ended(change.tx, _how_it_ended(change.payment, view))
    change.close_attempts(Operation.CREATE, Operation.CANCEL, others=True)
    _publish_voided(change)


def _failed(change: Change, view: IntentView) -> None:
    _release_clearing(change, view.ref)
    metrics.checkout_ended(change.tx, _how_it_ended(change.payment, view))
    change.close_attempts(Operation.CREATE, Operation.CANCEL, others=True)
    _publish_failed(change)


def _publish_failed(change: Change) -> None:
    release = change.payment.release_reason
    change.publish(
        PaymentFailed,
        reason="too_many_declines" if release is Release.TOO_MANY_DECLINES else "canceled_by_provider",
        rejected_in_review=release is Release.REVIEW_REJECTED,
    )


def _how_it_ended(payment: Payment, view: IntentView) -> str:
    """What a checkout without a capture counts as. Without a card entered it was none."""
    if payment.release_reason is Release.SEATS_UNAVAILABLE:
        return "seats_gone"
    if payment.release_reason is Release.REVIEW_REJECTED:
        return "blocked"
    if payment.declines:
        return "blocked" if view.decline_kind is DeclineKind.BLOCKED else "declined"
    return "abandoned"


def _release_clearing(change: Change, source: str) -> None:
    if change.payment.clearing_minor:
        change.post(ledger.capture_released(change.payment, source))
        change.set(clearing_minor=0)


def _publish_voided(change: Change) -> None:
    payment = change.payment
    change.publish(
        PaymentVoided,
        amount=payment.amount,
        was_authorized=payment.authorized_at is not None,
        reason=payment.release_reason,
    )
