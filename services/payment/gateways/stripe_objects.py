"""Stripe's objects as the port shows them. Pure: what an object says, whoever has brought it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from contracts.money import EXPONENTS, InvalidMoney, Money

from payment.dispute_states import DisputeFact
from payment.domain import Fact
from payment.gateways import DeclineKind, DisputeView, IntentView, Method, Movement, RefundView, WebhookEvent
from payment.refund_states import RefundTrigger, Waiting

FACTS: Mapping[str, Fact] = {
    "requires_payment_method": Fact.METHOD_NEEDED,
    "requires_confirmation": Fact.METHOD_NEEDED,
    "requires_action": Fact.ACTION_NEEDED,
    "processing": Fact.PROCESSING,
    "requires_capture": Fact.AUTHORIZED,
    "succeeded": Fact.CAPTURED,
    "canceled": Fact.CANCELED,
}
REFUND_FACTS: Mapping[str, RefundTrigger] = {
    "pending": RefundTrigger.PENDING,
    "requires_action": RefundTrigger.PENDING,
    "succeeded": RefundTrigger.SUCCEEDED,
    "failed": RefundTrigger.FAILED,
    "canceled": RefundTrigger.FAILED,
}
PENDING_REASONS: Mapping[str | None, Waiting] = {"insufficient_funds": Waiting.BALANCE}
DISPUTE_FACTS: Mapping[str, DisputeFact] = {
    "warning_needs_response": DisputeFact.INQUIRY,
    "warning_under_review": DisputeFact.INQUIRY,
    "warning_closed": DisputeFact.WON,
    "needs_response": DisputeFact.OPEN,
    "under_review": DisputeFact.OPEN,
    "appeal_needs_response": DisputeFact.OPEN,
    "appeal_under_review": DisputeFact.OPEN,
    "won": DisputeFact.WON,
    "lost": DisputeFact.LOST,
    "prevented": DisputeFact.PREVENTED,
}
WORD = re.compile(r"[A-Za-z0-9_.\-]{1,255}")
"""A code or an id of the provider's."""
_LAST4 = re.compile(r"[0-9]{4}")

T = TypeVar("T")


def webhook_event(event_id: str, kind: str, shown: Mapping[str, Any], account: str | None) -> WebhookEvent:
    """An object that cannot be read here is no reason to refuse the event: what counts is what is asked for afterwards."""
    ref = shown.get("id")
    if kind == "payment_intent.created" or kind.startswith("payment_intent."):
        return WebhookEvent(event_id, kind, ref, account, intent_ref=ref, intent=readable(intent_view, shown))
    if shown.get("object") == "refund":
        view = readable(refund_view, shown)
        return WebhookEvent(event_id, kind, ref, account, intent_ref=view.intent_ref if view else None, refund=view)
    if shown.get("object") == "dispute":
        dispute = readable(dispute_view, shown)
        intent_ref = dispute.intent_ref if dispute else None
        return WebhookEvent(event_id, kind, ref, account, intent_ref=intent_ref, dispute=dispute)
    if shown.get("object") == "charge":
        return WebhookEvent(event_id, kind, ref, account, intent_ref=_id_of(shown.get("payment_intent")))
    return WebhookEvent(event_id, kind, ref, account)


def readable(read: Callable[[Mapping[str, Any]], T], shown: Mapping[str, Any]) -> T | None:
    """What `read` makes of it; None where it cannot be read."""
    try:
        return read(shown)
    except (KeyError, TypeError, AttributeError, InvalidMoney):
        return None


def intent_view(intent: Mapping[str, Any]) -> IntentView:
    """Raises KeyError, TypeError, AttributeError or InvalidMoney for what is no PaymentIntent of an enabled currency."""
    currency = intent["currency"].upper()
    error = intent.get("last_payment_error")
    charge = intent.get("latest_charge")
    charge = charge if isinstance(charge, Mapping) else {}
    details = charge.get("payment_method_details") if not error else error.get("payment_method")
    return IntentView(
        ref=intent["id"],
        fact=FACTS.get(intent["status"], Fact.UNRECOGNISED),
        amount=Money(intent["amount"], currency),
        captured=Money(intent.get("amount_received") or 0, currency),
        livemode=intent["livemode"],
        metadata=dict(intent["metadata"]),
        client_secret=intent.get("client_secret"),
        decline_ref=_decline_ref(error) if error else None,
        decline_kind=_decline_kind(error, charge) if error else None,
        charged_at=_instant(charge["created"]) if charge.get("created") else None,
        method=_method(charge.get("payment_method_details")),
        fee=_fee(charge.get("balance_transaction")),
        decline_code=_word(error.get("decline_code") or error.get("code")) if error else None,
        card=_word(((details or {}).get("card") or {}).get("fingerprint")),
        risk_level=_word((charge.get("outcome") or {}).get("risk_level")),
        is_flagged=charge.get("review") is not None,
    )


def refund_view(refund: Mapping[str, Any]) -> RefundView:
    """Raises like `intent_view`. A status that is not known is `pending`: it is asked for again."""
    return RefundView(
        ref=refund["id"],
        intent_ref=_id_of(refund.get("payment_intent")),
        fact=REFUND_FACTS.get(refund["status"], RefundTrigger.PENDING),
        amount=Money(refund["amount"], refund["currency"].upper()),
        metadata=dict(refund.get("metadata") or {}),
        created_at=_instant(refund["created"]),
        waits_for=_waits_for(refund),
        failure_code=refund.get("failure_reason") or ("canceled" if refund["status"] == "canceled" else None),
        fee=_fee(refund.get("balance_transaction")),
    )


def _waits_for(refund: Mapping[str, Any]) -> Waiting | None:
    match REFUND_FACTS.get(refund["status"], RefundTrigger.PENDING):
        case RefundTrigger.PENDING if refund["status"] == "requires_action":
            return Waiting.CUSTOMER_ACTION
        case RefundTrigger.PENDING:
            return PENDING_REASONS.get(refund.get("pending_reason"), Waiting.PROVIDER)
        case _:
            return None


def dispute_view(dispute: Mapping[str, Any]) -> DisputeView:
    """Raises like `intent_view`. A status that is not known counts as open: refunds wait."""
    due_by = (dispute.get("evidence_details") or {}).get("due_by")
    moved = dispute["balance_transactions"]
    return DisputeView(
        ref=dispute["id"],
        intent_ref=_id_of(dispute.get("payment_intent")),
        fact=DISPUTE_FACTS.get(dispute["status"], DisputeFact.OPEN),
        amount=Money(dispute["amount"], dispute["currency"].upper()),
        reason=dispute["reason"],
        livemode=dispute["livemode"],
        created_at=_instant(dispute["created"]),
        respond_by=_instant(due_by) if due_by else None,
        is_withdrawn=sum(each["amount"] for each in moved) < 0,
        movements=tuple(_movement(each) for each in moved if each["currency"].upper() in EXPONENTS),
    )


def _movement(transaction: Mapping[str, Any]) -> Movement:
    currency = transaction["currency"].upper()
    return Movement(transaction["id"], Money(transaction["amount"], currency), Money(transaction["fee"], currency))


def balance_view(balance: Mapping[str, Any]) -> tuple[Money, ...]:
    """In the order of the currencies."""
    found = {each["currency"].upper(): each["amount"] for each in balance["available"]}
    return tuple(Money(found[currency], currency) for currency in sorted(found.keys() & EXPONENTS.keys()))


def _instant(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _id_of(value: object) -> str | None:
    """The id of an object that may stand there as a whole."""
    found = value.get("id") if isinstance(value, Mapping) else value
    return found if isinstance(found, str) else None


def _word(value: object) -> str | None:
    """A code or an id of the provider's; nothing else is kept."""
    return value if isinstance(value, str) and WORD.fullmatch(value) else None


def _decline_ref(error: Mapping[str, Any]) -> str:
    """What tells one decline from the next: its charge, or, where none was made (3-D Secure failed), the method that was tried."""
    return str(error.get("charge") or _id_of(error.get("payment_method")) or error.get("code"))


def _decline_kind(error: Mapping[str, Any], charge: Mapping[str, Any]) -> DeclineKind:
    """docs.stripe.com/error-codes, docs.stripe.com/declines: `blocked` is Radar's word for what never reached the issuer."""
    if (charge.get("outcome") or {}).get("type") == "blocked":
        return DeclineKind.BLOCKED
    if error.get("code") in {"payment_intent_authentication_failure", "authentication_required"}:
        return DeclineKind.AUTHENTICATION
    is_of_card = error.get("type") == "card_error" and error.get("code") != "processing_error"
    return DeclineKind.ISSUER if is_of_card else DeclineKind.PROVIDER


def _method(details: Mapping[str, Any] | None) -> Method | None:
    if not details:
        return None
    kind = str(details["type"])
    shown = details.get(kind) or {}
    last4 = shown.get("last4")
    return Method(kind, shown.get("brand"), last4 if isinstance(last4, str) and _LAST4.fullmatch(last4) else None)


def _fee(transaction: object) -> Money | None:
    """Booked in the currency that the account settles in; one that is not enabled is left to the provider's own books."""
    if not isinstance(transaction, Mapping) or transaction["currency"].upper() not in EXPONENTS:
        return None
    return Money(transaction["fee"], transaction["currency"].upper())
