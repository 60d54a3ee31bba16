"""What the provider shows about a payment, applied to the row that holds it."""

from __future__ import annotations

import structlog
from contracts.payment import (
    PaymentAttemptFailed,
    PaymentAuthorized,
    PaymentFailed,
    PaymentMethod,
    PaymentSucceeded,
    PaymentVoided,
)

from payment import ledger, metrics
from payment.changes import Change
from payment.domain import (
    AT_REST,
    CONFIRMABLE,
    DECLINES_MAX,
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
from payment.gateways import SYSTEM, DeclineKind, Gateway, IntentView
from payment.models import Attempt, Operation, Payment

log = structlog.get_logger(__name__)


def doubts_about(payment: Payment, view: IntentView, *, livemode: bool) -> list[str]:
    """Names of what in the provider's object is not as we asked for it; empty when it is ours. Never act on one that is not."""
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
    return [name for name, as_asked in checks.items() if not as_asked]


def tells_nothing_new(payment: Payment, view: IntentView, *, livemode: bool) -> bool:
    """Whether all that the view shows is recorded."""
    if payment.provider_ref is None or doubts_about(payment, view, livemode=livemode):
        return False
    trigger = meaning(view.fact, payment.release_reason, was_authorized=payment.authorized_at is not None)
    try:
        return next_status(payment.status, trigger) is payment.status and not _is_new_decline(payment, view)
    except IllegalTransition:
        return False


def apply_intent(change: Change, view: IntentView, gateway: Gateway) -> None:
    """Moves the payment to what the view shows, with the events and postings that go with it. What was read late changes nothing."""
    payment = change.payment
    if doubts := doubts_about(payment, view, livemode=gateway.livemode):
        quarantine(change, doubts)
        return
    if view.fact is Fact.UNRECOGNISED:
        log.error("unknown status at the provider", payment_id=str(payment.id))
    trigger = meaning(view.fact, payment.release_reason, was_authorized=payment.authorized_at is not None)
    try:
        has_moved = change.move(trigger)
    except IllegalTransition:
        quarantine(change, ["contradiction"])
        return
    if has_moved:
        change.set(checks=0)
    if payment.provider_ref is None:
        change.set(provider_ref=view.ref)
        if payment.status not in AT_REST:
            change.close_attempts(Operation.CREATE, others=False)
    if _is_new_decline(payment, view):
        _count_decline(change, view)
    _follow(change, view, has_moved=has_moved)
    change.schedule_check()


def _follow(change: Change, view: IntentView, *, has_moved: bool) -> None:
    """What comes with a status: events, postings, the end of attempts."""
    match change.payment.status:
        case Status.AUTHORIZED if change.payment.authorized_at is None:
            _authorized(change)
        case Status.SUCCEEDED:
            _captured(change, view, is_new=has_moved)
        case Status.VOIDED if has_moved:
            _voided(change, view)
        case Status.FAILED if has_moved:
            _failed(change, view)


def quarantine(change: Change, doubts: list[str]) -> None:
    """Never confirms, never captures: a person looks at it. One that has ended keeps its status."""
    payment = change.payment
    log.error("payment quarantined", payment_id=str(payment.id), doubts=doubts)
    for doubt in doubts:
        metrics.QUARANTINED.labels(doubt).inc()
    change.set(review_reason=", ".join(doubts))
    change.move(Trigger.DOUBTED)
    change.check_in(None)


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
    change.move(Trigger.LET_GO)
    metrics.checkout_ended(change.tx, "abandoned")
    change.close_attempts(others=True)
    _publish_voided(change)
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
    change.publish(PaymentAttemptFailed, attempts_left=payment.attempts_left)
    change.tx.after_commit(metrics.DECLINES.labels(view.decline_kind).inc)
    if payment.declines >= DECLINES_MAX and payment.wish is Wish.COLLECT:
        change.set(wish=Wish.RELEASE, release_reason=Release.TOO_MANY_DECLINES)


def _authorized(change: Change) -> None:
    payment = change.payment
    change.set(authorized_at=change.tx.now)
    if payment.release_reason in YIELDING:
        change.set(wish=Wish.COLLECT, release_reason=None)
    if payment.wish is not Wish.RELEASE:
        change.publish(PaymentAuthorized, amount=payment.amount)


def _captured(change: Change, view: IntentView, *, is_new: bool) -> None:
    payment = change.payment
    if is_new:
        change.post(ledger.captured(payment, view.ref))
        change.set(captured_minor=payment.amount_minor, clearing_minor=0)
        method = None
        if view.method:
            change.set(method_kind=view.method.kind, method_brand=view.method.brand, method_last4=view.method.last4)
            method = PaymentMethod(kind=view.method.kind, brand=view.method.brand, last4=view.method.last4)
        change.publish(PaymentSucceeded, amount=payment.amount, method=method, buyer_confirmed_at=view.charged_at)
        metrics.checkout_ended(change.tx, "paid")
        metrics.captured(change.tx, payment.amount)
        change.close_attempts(Operation.CREATE, Operation.CAPTURE, others=True)
    if view.fee is not None and not payment.fee_known:
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
    is_declined = change.payment.release_reason is Release.TOO_MANY_DECLINES
    change.publish(PaymentFailed, reason="too_many_declines" if is_declined else "canceled_by_provider")


def _how_it_ended(payment: Payment, view: IntentView) -> str:
    """What a checkout without a capture counts as. Without a card entered it was none."""
    if payment.release_reason is Release.SEATS_UNAVAILABLE:
        return "seats_gone"
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
