"""Stripe behind the port, by its own SDK. The SDK pins the API version; retries are ours (due rows), so that its own are off."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import date, datetime, timedelta
from functools import partial
from time import perf_counter
from typing import Any, TypeVar
from uuid import UUID

import aiohttp
import stripe
from chassis import tracing
from contracts.money import EXPONENTS, Money

from payment import metrics
from payment.domain import Fact
from payment.gateways import (
    SYSTEM,
    BadWebhook,
    Capabilities,
    DisputeView,
    IntentView,
    Minimum,
    NotRun,
    Order,
    RefundOrder,
    RefundView,
    Refused,
    Unanswered,
    WebhookEvent,
)
from payment.gateways.stripe_objects import (
    WORD,
    balance_view,
    dispute_view,
    intent_view,
    readable,
    refund_view,
    webhook_event,
)

TIMEOUT = aiohttp.ClientTimeout(total=10, connect=2)
TOLERANCE = timedelta(seconds=300)
"""Older signatures are refused (docs.stripe.com/webhooks)."""
TOLERANCE_AHEAD = timedelta(seconds=60)
"""The SDK would accept a signature of any future instant."""

RETRY_AFTER_LIMIT_S = 2.0
"""Wait before asking again when the provider limits our rate and does not say for how long."""
RETRY_AFTER_BAD_KEY_S = 60.0

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
            intact = all(isinstance(word, str) and WORD.fullmatch(word) for word in words) and len(words) > 1
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise BadWebhook("malformed") from None
        if not intact or livemode not in {True, False}:
            raise BadWebhook("malformed")
        if livemode is not self.livemode:
            raise BadWebhook("livemode")
        account = event.get("account") if event.get("account") != self.account else None
        return webhook_event(event_id, kind, shown, account)

    async def close(self) -> None:
        await self._http.close_async()  # type: ignore[no-untyped-call]  # the SDK leaves it untyped


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
        found += [view for item in listed["data"] if (view := readable(read, item)) is not None]
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
