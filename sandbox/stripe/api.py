"""The `/v1` routes: who asks, which route, which fault, which idempotency key; then one transaction and one answer.

Headers: docs.stripe.com/api/request_ids, docs.stripe.com/api/versioning, docs.stripe.com/api/idempotent_requests.
"""

from __future__ import annotations

import asyncio
from base64 import b64decode
from binascii import Error as NotBase64
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from secrets import compare_digest
from typing import Any

import stripe
from starlette.requests import Request
from starlette.responses import Response

from sandbox.stripe import expand, faults, forms, params, routes, sdk_routes
from sandbox.stripe.account import ACCOUNT_ID
from sandbox.stripe.clock import Clock
from sandbox.stripe.errors import (
    Forbidden,
    InvalidParameter,
    KeyInUse,
    LockTimeout,
    NotOffered,
    RateLimited,
    ServerFault,
    StripeError,
    Unauthenticated,
)
from sandbox.stripe.idempotency import Answer, Keys, fingerprint
from sandbox.stripe.ids import new_id
from sandbox.stripe.routes import Route
from sandbox.stripe.settings import Fault, Settings
from sandbox.stripe.store import Store
from sandbox.stripe.values import Object, decoded, encoded
from sandbox.stripe.webhooks import Deliveries
from sandbox.stripe.work import Work

CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, HEAD, PUT, PATCH, POST, DELETE",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, Idempotency-Key, Stripe-Version, Stripe-Account",
    "Access-Control-Expose-Headers": "Request-Id, Stripe-Should-Retry",
    "Access-Control-Max-Age": "300",
}

BROWSER_ATTRIBUTES = frozenset(
    {
        "id", "object", "amount", "automatic_payment_methods", "canceled_at", "cancellation_reason", "capture_method",
        "client_secret", "confirmation_method", "created", "currency", "description", "last_payment_error", "livemode",
        "next_action", "payment_method", "payment_method_types", "processing", "receipt_email", "setup_future_usage",
        "shipping", "source", "status",
    }
)  # fmt: skip
"""What a publishable key sees of a PaymentIntent: what Stripe.js's own type of it lists."""

BODY_BYTES_MAX = 262_144
RATE_SECONDS_KEPT = 3600


@dataclass
class Sandbox:
    """Everything that one running stand-in consists of."""

    store: Store
    clock: Clock
    settings: Settings
    deliveries: Deliveries
    keys: Keys
    api_key: str
    publishable_key: str
    public_url: str
    requests: Counter[str] = field(default_factory=Counter)
    rate: dict[int, list[int]] = field(default_factory=dict)
    """Requests that ran and requests that were refused as too many, by the second of the machine's clock."""

    def work(self, **facts: Any) -> Work:
        """A piece of work at this moment."""
        limits = self.settings.limits
        return Work(
            self.store,
            self.clock.now(),
            self.public_url,
            search_lag_seconds=limits.search_lag_seconds,
            list_lag_seconds=limits.list_lag_seconds,
            **facts,
        )


@dataclass
class Call:
    """One request to a route."""

    route: Route
    ids: list[str]
    form: dict[str, Any]
    request_id: str
    mark: str
    key: str | None
    publishable: bool


async def v1(request: Request) -> Response:
    """Answer any method on any path under `/v1`."""
    if request.method == "OPTIONS":
        return Response(status_code=204, headers=CORS)
    sandbox: Sandbox = request.app.state.sandbox
    request_id = new_id("req", 14)
    key = request.headers.get("idempotency-key") if request.method == "POST" else None
    try:
        call = await _received(sandbox, request, request_id, key)
    except StripeError as error:
        sandbox.requests[f"refused {error.status}"] += 1
        return _refusal(error, request_id, key)
    fault = faults.take(sandbox.settings, sandbox.store, call.route.operation)
    if call.key is None:
        return await _faulty(sandbox, call, fault)
    try:
        kept = sandbox.keys.begin(call.key, call.mark, sandbox.clock.now())
    except StripeError as error:
        return _refusal(error, request_id, key)
    if kept is not None:
        sandbox.requests[f"{call.route.operation} replayed"] += 1
        extra = {"Idempotent-Replayed": "true", "Original-Request": kept.request_id}
        return _response(kept.status, kept.body, request_id, key, extra)
    try:
        return await _faulty(sandbox, call, fault)
    finally:
        sandbox.keys.end(call.key)


async def _received(sandbox: Sandbox, request: Request, request_id: str, key: str | None) -> Call:
    """Read, authenticate and match the request. Raises StripeError."""
    body = await request.body()
    if len(body) > BODY_BYTES_MAX:
        raise InvalidParameter("The request body is too large.")
    try:
        encoded = body.decode()
    except UnicodeDecodeError as error:
        raise InvalidParameter("The request is not a valid URL-encoded form.") from error
    encoded = "&".join(part for part in (request.url.query, encoded) if part)
    form = forms.parse(encoded)
    publishable = _authenticate(sandbox, request, form.pop("key", None))
    other = request.headers.get("stripe-account", ACCOUNT_ID)
    if other != ACCOUNT_ID:
        raise Forbidden(other)
    _limit_rate(sandbox)
    path = request.url.path.rstrip("/")
    route, ids = routes.match(request.method, path)
    if publishable and not route.browser:
        raise Unauthenticated(
            "This API call cannot be made with a publishable API key. Please use a secret API key.",
            code="secret_key_required",
        )
    return Call(route, ids, form, request_id, fingerprint(path, encoded) if key else "", key, publishable)


def _authenticate(sandbox: Sandbox, request: Request, key_in_form: str | None) -> bool:
    """docs.stripe.com/api/authentication: Bearer or Basic; Stripe.js sends its publishable key in the form. True for the latter kind."""
    scheme, _, credential = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            credential = b64decode(credential, validate=True).decode().partition(":")[0]
        except (NotBase64, UnicodeDecodeError):
            credential = ""
    elif scheme.lower() != "bearer":
        credential = key_in_form or ""
    if not credential:
        raise Unauthenticated(
            "You did not provide an API key. You need to provide your API key in the Authorization header, using Bearer auth "
            "(e.g. 'Authorization: Bearer YOUR_SECRET_KEY')."
        )
    if compare_digest(credential.encode(), sandbox.api_key.encode()):
        return False
    if compare_digest(credential.encode(), sandbox.publishable_key.encode()):
        return True
    raise Unauthenticated(f"Invalid API Key provided: {credential[:8]}****")


def _limit_rate(sandbox: Sandbox) -> None:
    """docs.stripe.com/rate-limits, counted per second of the machine's clock."""
    limit = sandbox.settings.limits.requests_per_second
    counted = sandbox.rate.setdefault(int(sandbox.clock.real()), [0, 0])
    if len(sandbox.rate) > RATE_SECONDS_KEPT:
        del sandbox.rate[min(sandbox.rate)]
    too_many = 0 < limit <= counted[0]
    counted[too_many] += 1
    if too_many:
        raise RateLimited


async def _faulty(sandbox: Sandbox, call: Call, fault: Fault | None) -> Response:
    """The answer, or what the fault makes of it."""
    if fault is None:
        return await _answered(sandbox, call)
    sandbox.requests[f"fault {fault.kind}"] += 1
    before = BEFORE.get(fault.kind)
    if before is not None:
        return before(call, fault)
    if fault.kind == "delay_before":
        await asyncio.sleep(fault.seconds)  # noqa: TID251  # a slow provider takes real time
    answer = await _answered(sandbox, call, fails=fault.kind == "error_after")
    if fault.kind == "delay_after":
        await asyncio.sleep(fault.seconds)  # noqa: TID251  # a slow provider takes real time
    if fault.kind == "mutate":
        value = {
            name: inner for name, inner in decoded(bytes(answer.body).decode()).items() if name not in fault.remove
        }
        return _response(answer.status_code, encoded(value | fault.replace), call.request_id, call.key)
    after = AFTER.get(fault.kind)
    return answer if after is None else after(answer)


def _rate_limited(call: Call, fault: Fault) -> Response:
    extra = {} if fault.should_retry is None else {"Stripe-Should-Retry": str(fault.should_retry).lower()}
    return _refusal(RateLimited(), call.request_id, call.key, extra)


BEFORE: dict[str, Callable[[Call, Fault], Response]] = {
    "bad_gateway_before": lambda _call, _fault: faults.bad_gateway(),
    "conflict": lambda call, _fault: _refusal(KeyInUse(call.key or ""), call.request_id, call.key),
    "drop_before": lambda _call, _fault: faults.Dropped(),
    "error_before": lambda call, _fault: _refusal(ServerFault(), call.request_id, call.key),
    "lock_timeout": lambda call, _fault: _refusal(LockTimeout(), call.request_id, call.key),
    "rate_limit": _rate_limited,
}
AFTER: dict[str, Callable[[Response], Response]] = {
    "bad_gateway_after": lambda _answer: faults.bad_gateway(),
    "cut_after": faults.Cut,
    "drop_after": lambda _answer: faults.Dropped(),
}


async def _answered(sandbox: Sandbox, call: Call, *, fails: bool = False) -> Response:
    """Run the route and commit; with `fails` the effects stand and the answer is a 500."""
    work = sandbox.work(request_id=call.request_id, idempotency_key=call.key, publishable=call.publishable)
    error: StripeError | None = None
    body = ""
    try:
        values = _parsed(call)
        with sandbox.store.transaction():
            body, error = _run(work, call, values)
            if fails:
                error = ServerFault()
            answer = Answer(
                error.status if error else 200, error.body(call.request_id) if error else body, call.request_id
            )
            if call.key is not None and (error is None or error.kept):
                sandbox.keys.keep(call.key, call.mark, answer, work.now)
    except StripeError as refusal:
        error = refusal
        work.events.clear()
        answer = Answer(refusal.status, refusal.body(call.request_id), call.request_id)
        if call.key is not None and refusal.kept:
            sandbox.keys.keep(call.key, call.mark, answer, work.now)
    sandbox.requests[f"{call.route.operation} {answer.status}"] += 1
    if work.events:
        if sandbox.settings.webhooks.before_answer:
            await sandbox.deliveries.first_tries(work.events)
        sandbox.deliveries.wake()
    return _response(answer.status, answer.body, call.request_id, call.key, error.headers if error else {})


def _run(work: Work, call: Call, values: dict[str, Any]) -> tuple[str, StripeError | None]:
    """The body of a success, or the error of a request that had effects. Other errors pass, and undo the transaction."""
    try:
        value = call.route.handler(work, values, *call.ids)
    except StripeError as error:
        if call.publishable and "payment_intent" in error.facts:
            error.facts["payment_intent"] = _browser_view(error.facts["payment_intent"])
        if not error.has_effects:
            raise
        return "", error
    shown = expand.answer(work, value, values.get("expand", []))
    if call.publishable:
        shown = _browser_view(shown)
    return encoded(shown), None


def _parsed(call: Call) -> dict[str, Any]:
    try:
        return params.parsed(call.route.schema, call.form)
    except params.UnknownParameter as error:
        if error.param and sdk_routes.parameter_known(call.route.operation, error.param):
            raise NotOffered(f"the parameter {error.param} of {call.route.operation}") from error
        raise


def _browser_view(value: Object) -> Object:
    if value["object"] != "payment_intent":
        return value
    return {name: inner for name, inner in value.items() if name in BROWSER_ATTRIBUTES}


def _refusal(error: StripeError, request_id: str, key: str | None, extra: dict[str, str] | None = None) -> Response:
    return _response(error.status, error.body(request_id), request_id, key, error.headers | (extra or {}))


def _response(
    status: int, body: str, request_id: str, key: str | None, extra: dict[str, str] | None = None
) -> Response:
    headers = CORS | {"Request-Id": request_id, "Stripe-Version": stripe.api_version} | (extra or {})
    if key is not None:
        headers["Idempotency-Key"] = key
    return Response(body, status, headers, "application/json")
