"""Stripe behind the port, by its own SDK. The SDK pins the API version; retries are ours (due rows), so that its own are off."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import partial
from time import perf_counter
from typing import Any, TypeVar
from uuid import UUID

import aiohttp
import stripe
from chassis import tracing
from contracts.money import EXPONENTS, InvalidMoney, Money

from payment import metrics
from payment.dispute_states import DisputeFact
from payment.domain import Fact
from payment.gateways import (
    SYSTEM,
    BadWebhook,
    Capabilities,
    DeclineKind,
    DisputeView,
    IntentView,
    Method,
    Minimum,
    Movement,
    NotRun,
    Order,
    RefundOrder,
    RefundView,
    Refused,
    Unanswered,
    WebhookEvent,
)
from payment.refund_states import RefundTrigger, Waiting

TIMEOUT = aiohttp.ClientTimeout(total=10, connect=2)
TOLERANCE = timedelta(seconds=300)
"""Older signatures are refused (docs.stripe.com/webhooks)."""
TOLERANCE_AHEAD = timedelta(seconds=60)
"""The SDK would accept a signature of any future instant."""

RETRY_AFTER_LIMIT_S = 2.0
"""Wait before asking again when the provider limits our rate and does not say for how long."""
RETRY_AFTER_BAD_KEY_S = 60.0

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
_AS_OF = date(2026, 11, 1)
MINIMUMS = {
    currency: Minimum(amount_minor, _AS_OF)
    for currency, amount_minor in {
        "USD": 50, "EUR": 50, "GBP": 30, "CHF": 50, "CZK": 1500, "HUF": 17500, "AUD": 50, "CAD": 50, "DKK": 250, "INR": 50, "JPY": 50,
        "NOK": 300, "NZD": 50, "PLN": 200, "SEK": 300, "SGD": 50,
    }.items()
}  # fmt: skip
"""docs.stripe.com/currencies, the lower figure where copies differ: only the provider's `amount_too_small` decides."""

_INTENT_EXPAND = ["latest_charge.balance_transaction"]
_REFUND_EXPAND = ["balance_transaction"]
_PAGE = 100
_WORD = re.compile(r"[A-Za-z0-9_.\-]{1,255}")
_LAST4 = re.compile(r"[0-9]{4}")

T = TypeVar("T")


class StripeGateway:
    """One client with its connections. Make it in the event loop that uses it: the SDK cannot change loops."""

    name = "stripe"
    capabilities = Capabilities(
        manual_capture=True, partial_refund=True, currencies=frozenset(EXPONENTS), minimums=MINIMUMS
    )

    def __init__(
        self,
        api_key: str,
        publishable_key: str,
        webhook_secrets: tuple[str, ...],
        api_base: str | None = None,
        account: str | None = None,
    ) -> None:
        stripe.enable_telemetry = False
        # At `info` the SDK writes two lines for each call.
        logging.getLogger("stripe").setLevel(logging.WARNING)
        self.livemode = "_live_" in api_key
        self.publishable_key = publishable_key
        self.account = account
        self._webhook_secrets = webhook_secrets
        self._http = stripe.AIOHTTPClient(timeout=TIMEOUT)
        self._client = stripe.StripeClient(
            api_key,
            stripe_account=account,
            base_addresses={"api": api_base} if api_base else {},
            http_client=self._http,
            max_network_retries=0,
        )

    async def authorize(self, order: Order) -> IntentView:
        intents = self._client.v1.payment_intents
        return await _call(
            "authorize",
            lambda: intents.create_async(
                {
                    "amount": order.amount.amount_minor,
                    "currency": order.amount.currency.lower(),
                    "capture_method": "manual",
                    "automatic_payment_methods": {"enabled": True},
                    "metadata": {
                        "system": SYSTEM,
                        "payment_id": str(order.payment_id),
                        "booking_id": str(order.booking_id),
                    },
                    "expand": ["latest_charge"],
                },
                {"idempotency_key": str(order.attempt_id)},
            ),
            intent_view,
        )

    async def fetch(self, ref: str) -> IntentView:
        intents = self._client.v1.payment_intents
        return await _call("fetch", lambda: intents.retrieve_async(ref, {"expand": _INTENT_EXPAND}), intent_view)

    async def find(self, payment_id: UUID) -> IntentView | None:
        intents = self._client.v1.payment_intents
        query = f"metadata['payment_id']:'{payment_id}'"

        def only(found: Mapping[str, Any]) -> IntentView | None:
            views = [intent_view(item) for item in found["data"]]
            # A canceled one may lie beside its successor, never two that could still take money.
            return next((view for view in views if view.fact is not Fact.CANCELED), views[0] if views else None)

        return await _call("find", lambda: intents.search_async({"query": query, "limit": 10}), only)

    async def capture(self, ref: str, key: UUID) -> IntentView:
        intents = self._client.v1.payment_intents
        return await _call(
            "capture",
            lambda: intents.capture_async(ref, {"expand": _INTENT_EXPAND}, {"idempotency_key": str(key)}),
            intent_view,
        )

    async def void(self, ref: str, key: UUID) -> IntentView:
        intents = self._client.v1.payment_intents
        return await _call(
            "void",
            lambda: intents.cancel_async(ref, {"expand": ["latest_charge"]}, {"idempotency_key": str(key)}),
            intent_view,
        )

    async def refund(self, order: RefundOrder) -> RefundView:
        refunds = self._client.v1.refunds
        return await _call(
            "refund",
            lambda: refunds.create_async(
                {
                    "payment_intent": order.intent_ref,
                    "amount": order.amount.amount_minor,
                    "metadata": {
                        "system": SYSTEM,
                        "payment_id": str(order.payment_id),
                        "booking_id": str(order.booking_id),
                        "refund_id": str(order.refund_id),
                        "attempt_id": str(order.attempt_id),
                    },
                    "expand": _REFUND_EXPAND,
                },
                {"idempotency_key": str(order.attempt_id)},
            ),
            refund_view,
        )

    async def fetch_refund(self, ref: str) -> RefundView:
        refunds = self._client.v1.refunds
        return await _call("fetch_refund", lambda: refunds.retrieve_async(ref, {"expand": _REFUND_EXPAND}), refund_view)

    async def find_refund(self, intent_ref: str, attempt_id: UUID) -> RefundView | None:
        # The provider has no search for refunds; those of one payment are few, and the newest 100 are listed.
        refunds = self._client.v1.refunds

        def ours(found: Mapping[str, Any]) -> RefundView | None:
            views = (refund_view(item) for item in found["data"])
            return next((view for view in views if view.metadata.get("attempt_id") == str(attempt_id)), None)

        return await _call(
            "find_refund", lambda: refunds.list_async({"payment_intent": intent_ref, "limit": 100}), ours
        )

    async def list_refunds(self, since: datetime) -> list[RefundView]:
        created = {"gte": int(since.timestamp())}
        return await _all("list_refunds", self._client.v1.refunds.list_async, {"created": created}, refund_view)

    async def fetch_dispute(self, ref: str) -> DisputeView:
        disputes = self._client.v1.disputes
        return await _call("fetch_dispute", lambda: disputes.retrieve_async(ref), dispute_view)

    async def list_disputes(self, since: datetime) -> list[DisputeView]:
        created = {"gte": int(since.timestamp())}
        return await _all("list_disputes", self._client.v1.disputes.list_async, {"created": created}, dispute_view)

    async def disputes_of(self, intent_ref: str) -> list[DisputeView]:
        wanted = {"payment_intent": intent_ref}
        return await _all("disputes_of", self._client.v1.disputes.list_async, wanted, dispute_view)

    async def balance(self) -> tuple[Money, ...]:
        return await _call("balance", self._client.v1.balance.retrieve_async, balance_view)

    def parse_webhook(self, body: bytes, signature: str | None, now: datetime) -> WebhookEvent:
        """Raises BadWebhook with `signature`, `stale`, `future`, `livemode` or `malformed`."""
        self._verify(body, signature)
        assert signature is not None, "it was verified"
        sent_at = int(next(part[2:] for part in signature.split(",") if part.startswith("t=")))
        if sent_at < (now - TOLERANCE).timestamp():
            raise BadWebhook("stale")
        if sent_at > (now + TOLERANCE_AHEAD).timestamp():
            raise BadWebhook("future")
        return self.read_event(body)

    def _verify(self, body: bytes, signature: str | None) -> None:
        for secret in self._webhook_secrets:
            try:
                stripe.WebhookSignature.verify_header(body, signature, secret)
            except stripe.SignatureVerificationError:
                continue
            except ValueError:  # bytes that are no UTF-8
                break
            return
        raise BadWebhook("signature")

    def read_event(self, body: bytes) -> WebhookEvent:
        """Raises BadWebhook with `livemode` or `malformed`."""
        try:
            event = json.loads(body)
            shown = event["data"]["object"]
            livemode, event_id, kind = event["livemode"], event["id"], event["type"]
            words = [word for word in (event_id, kind, shown.get("id")) if word is not None]
            intact = all(isinstance(word, str) and _WORD.fullmatch(word) for word in words) and len(words) > 1
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise BadWebhook("malformed") from None
        if not intact or livemode not in {True, False}:
            raise BadWebhook("malformed")
        if livemode is not self.livemode:
            raise BadWebhook("livemode")
        account = event.get("account") if event.get("account") != self.account else None
        return _event(event_id, kind, shown, account)

    async def close(self) -> None:
        await self._http.close_async()  # type: ignore[no-untyped-call]  # the SDK leaves it untyped


def _event(event_id: str, kind: str, shown: Mapping[str, Any], account: str | None) -> WebhookEvent:
    """An object that cannot be read here is no reason to refuse the event: what counts is what is asked for afterwards."""
    ref = shown.get("id")
    if kind == "payment_intent.created" or kind.startswith("payment_intent."):
        return WebhookEvent(event_id, kind, ref, account, intent_ref=ref, intent=_readable(intent_view, shown))
    if shown.get("object") == "refund":
        view = _readable(refund_view, shown)
        return WebhookEvent(event_id, kind, ref, account, intent_ref=view.intent_ref if view else None, refund=view)
    if shown.get("object") == "dispute":
        dispute = _readable(dispute_view, shown)
        intent_ref = dispute.intent_ref if dispute else None
        return WebhookEvent(event_id, kind, ref, account, intent_ref=intent_ref, dispute=dispute)
    if shown.get("object") == "charge":
        return WebhookEvent(event_id, kind, ref, account, intent_ref=_id_of(shown.get("payment_intent")))
    return WebhookEvent(event_id, kind, ref, account)


def _readable(read: Callable[[Mapping[str, Any]], T], shown: Mapping[str, Any]) -> T | None:
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
    return value if isinstance(value, str) and _WORD.fullmatch(value) else None


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


async def _all(
    operation: str,
    ask: Callable[[Any], Awaitable[stripe.StripeObject]],
    wanted: Mapping[str, Any],
    read: Callable[[Mapping[str, Any]], T],
) -> list[T]:
    """Page after page. What cannot be read, such as an amount in a currency that is not enabled, is nothing of ours."""
    found: list[T] = []
    page = {**wanted, "limit": _PAGE}
    while True:
        listed = await _call(operation, partial(ask, dict(page)), dict)
        found += [view for item in listed["data"] if (view := _readable(read, item)) is not None]
        if not listed["has_more"]:
            return found
        page["starting_after"] = listed["data"][-1]["id"]


async def _call(
    operation: str, ask: Callable[[], Awaitable[stripe.StripeObject]], read: Callable[[Mapping[str, Any]], T]
) -> T:
    """One call and its view. Raises Refused, Unanswered or NotRun."""
    started = perf_counter()
    outcome = "answered"
    try:
        with tracing.within(f"provider {operation}"):
            return read((await ask()).to_dict())
    except stripe.StripeError as error:
        found = _failure(error)
        outcome = type(found).__name__.lower()
        raise found from None
    except (
        aiohttp.ClientError,
        TimeoutError,
        OSError,
    ) as error:  # the body broke off: the SDK wraps only the beginning
        outcome = "unanswered"
        raise Unanswered(type(error).__name__) from None
    except (KeyError, TypeError, AttributeError, ValueError) as error:  # an answer that is not what the API promises
        outcome = "unanswered"
        raise Unanswered(f"unreadable answer ({type(error).__name__})") from None
    finally:
        metrics.PROVIDER_CALLS.labels(operation, outcome).inc()
        metrics.PROVIDER_SECONDS.labels(operation).observe(perf_counter() - started, tracing.exemplar())


def _failure(error: stripe.StripeError) -> Refused | Unanswered | NotRun:
    """docs.stripe.com/error-low-level: 4xx are definitive except 409 and 429; after 5xx or silence the outcome is open."""
    status = error.http_status
    match status:
        case None:
            return Unanswered(type(error).__name__)
        case 429:
            return NotRun("rate limited", _retry_after(error))
        case 401 | 403:
            return NotRun(f"API key refused ({status})", RETRY_AFTER_BAD_KEY_S)
        case 409:
            return Unanswered("conflict")
        case _ if 400 <= status < 500:  # noqa: PLR2004  # the range of HTTP's client errors
            return Refused(error.code or "invalid_request")
        case _:
            return Unanswered(f"status {status}")


def _retry_after(error: stripe.StripeError) -> float:
    given = str((error.headers or {}).get("retry-after", ""))
    return float(given) if given.isdecimal() else RETRY_AFTER_LIMIT_S
