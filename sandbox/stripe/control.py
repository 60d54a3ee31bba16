"""`/_control`: faults, webhooks, time and money of the stand-in on demand. JSON, for callers on this machine only.

Every body is `application/json`, so that no web page can send one unasked. A wrong body is answered 422 with what is wrong.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Literal, TypeVar

from pydantic import Field, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.stripe import balance, disputes, due, refunds
from sandbox.stripe.api import Sandbox
from sandbox.stripe.cards import RefundCourse
from sandbox.stripe.errors import StripeError
from sandbox.stripe.settings import Fault, Limits, Settings, Strict, Webhooks
from sandbox.stripe.values import Object, decoded, rendered
from sandbox.stripe.work import Work

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
Body = TypeVar("Body", bound=Strict)


class Advance(Strict):
    """Seconds by which the stand-in's clock leaps."""

    advance_seconds: int = Field(ge=0)


class Decision(Strict):
    """What becomes of a refund."""

    status: Literal["succeeded", "failed"]
    failure_reason: str = "expired_or_canceled_card"


class DashboardRefund(Strict):
    """A refund that somebody makes in the Dashboard, not through the API."""

    charge: str | None = None
    payment_intent: str | None = None
    amount: int | None = Field(default=None, ge=1)
    reason: Literal["duplicate", "fraudulent", "requested_by_customer"] | None = None


class Course(Strict):
    """What becomes of the refunds made from now on; null leaves it to the cards. `after_seconds`: when it is decided."""

    course: RefundCourse | None
    after_seconds: int = Field(default=refunds.DECIDED_AFTER_SECONDS, ge=0)


class ChallengeFlow(Strict):
    """How a browser gets to the 3-D Secure page: `redirect` away from the merchant's even with Stripe.js; null leaves it to the caller."""

    flow: Literal["redirect"] | None


class Opened(Strict):
    """A dispute that the cardholder's bank opens; without an amount it is about the whole charge."""

    charge: str | None = None
    payment_intent: str | None = None
    amount: int | None = Field(default=None, ge=1)
    reason: str = "fraudulent"
    inquiry: bool = False


class Verdict(Strict):
    """What the bank says of a dispute."""

    status: Literal[
        "needs_response", "under_review", "won", "lost", "prevented", "warning_under_review", "warning_closed"
    ]


class Available(Strict):
    """The available balance of a currency in minor units; null takes the limit away."""

    currency: str = Field(pattern="^[a-z]{3}$")
    available: int | None


class Resend(Strict):
    """How many times an event is sent again, all at once."""

    copies: int = Field(default=1, ge=1, le=1000)


Handler = Callable[[Sandbox, Request], Awaitable[object]]


async def _read(request: Request, model: type[Body]) -> Body:
    if request.headers.get("content-type", "").partition(";")[0] != "application/json":
        raise HTTPException(415, "Send application/json.")
    try:
        return model.model_validate_json(await request.body())
    except ValidationError as error:
        raise HTTPException(422, json.dumps(error.errors(include_url=False, include_context=False))) from error


def _act(sandbox: Sandbox, action: Callable[[Work], object]) -> object:
    """Run in one transaction, and let the webhooks of its events go."""
    work = sandbox.work()
    with sandbox.store.transaction():
        result = action(work)
    sandbox.deliveries.wake()
    return result


async def read_settings(sandbox: Sandbox, _request: Request) -> object:
    return sandbox.settings.model_dump() | {"now": sandbox.clock.now()}


async def add_fault(sandbox: Sandbox, request: Request) -> object:
    sandbox.settings.faults.append(await _read(request, Fault))
    sandbox.settings.save(sandbox.store)
    return [fault.model_dump() for fault in sandbox.settings.faults]


async def clear_faults(sandbox: Sandbox, _request: Request) -> object:
    sandbox.settings.faults.clear()
    sandbox.settings.save(sandbox.store)
    return []


async def set_webhooks(sandbox: Sandbox, request: Request) -> object:
    sandbox.settings.webhooks = await _read(request, Webhooks)
    sandbox.settings.save(sandbox.store)
    sandbox.deliveries.wake()
    return sandbox.settings.webhooks.model_dump()


async def set_limits(sandbox: Sandbox, request: Request) -> object:
    sandbox.settings.limits = await _read(request, Limits)
    sandbox.settings.save(sandbox.store)
    return sandbox.settings.limits.model_dump()


async def advance_clock(sandbox: Sandbox, request: Request) -> object:
    """Move on, and do at once what has fallen due meanwhile."""
    leap = await _read(request, Advance)
    sandbox.clock.offset_seconds += leap.advance_seconds
    sandbox.settings.clock_offset_seconds = sandbox.clock.offset_seconds
    sandbox.settings.save(sandbox.store)
    sandbox.keys.prune(sandbox.clock.now())
    while _act(sandbox, due.run):
        pass
    for currency in sandbox.store.setting("limited_currencies", {}):
        _act(sandbox, lambda work, currency=currency: refunds.pay_waiting(work, currency))  # type: ignore[misc]  # mypy cannot infer a lambda with a default
    return {"now": sandbox.clock.now()}


async def decide_refund(sandbox: Sandbox, request: Request) -> object:
    decision = await _read(request, Decision)
    identifier = request.path_params["id"]

    def decide(work: Work) -> Object:
        if decision.status == "succeeded":
            return refunds.succeed(work, identifier)
        return refunds.fail(work, identifier, decision.failure_reason)

    return _act(sandbox, decide)


async def refund_in_dashboard(sandbox: Sandbox, request: Request) -> object:
    given = await _read(request, DashboardRefund)
    return _act(sandbox, lambda work: refunds.create(work, given.model_dump(exclude_none=True)))


async def set_refund_course(sandbox: Sandbox, request: Request) -> object:
    given = await _read(request, Course)
    _act(sandbox, lambda work: refunds.set_course(work, given.course, given.after_seconds))
    return given.model_dump()


async def set_challenge_flow(sandbox: Sandbox, request: Request) -> object:
    given = await _read(request, ChallengeFlow)
    sandbox.store.set_setting("challenge_flow", given.model_dump())
    return given.model_dump()


async def open_dispute(sandbox: Sandbox, request: Request) -> object:
    given = await _read(request, Opened)

    def act(work: Work) -> Object:
        intent = work.load("payment_intent", given.payment_intent) if given.payment_intent else {}
        charge = work.load("charge", given.charge or intent.get("latest_charge") or "")
        return disputes.open_on(work, charge, given.reason, given.amount, inquiry=given.inquiry)

    return _act(sandbox, act)


async def decide_dispute(sandbox: Sandbox, request: Request) -> object:
    given = await _read(request, Verdict)
    return _act(sandbox, lambda work: disputes.decide(work, request.path_params["id"], given.status))


async def set_balance(sandbox: Sandbox, request: Request) -> object:
    """Set what is available, and pay the refunds that waited for it as far as it reaches."""
    given = await _read(request, Available)

    def fill(work: Work) -> list[str]:
        balance.set_available(work, given.currency, given.available)
        return refunds.pay_waiting(work, given.currency)

    paid = _act(sandbox, fill)
    return {"available": balance.available(sandbox.work(), given.currency), "refunds_paid": paid}


async def effects(sandbox: Sandbox, request: Request) -> object:
    """What exists per value of a metadata key: `?metadata=refund_id` answers which objects carry each refund id.

    `&value=` asks for one of them. At most one object per operation id is what a caller must have made of all its retries.
    """
    name = request.query_params.get("metadata")
    if not name:
        raise HTTPException(422, "Say which metadata key: ?metadata=")
    wanted = request.query_params.get("value")
    rows = sandbox.store.connection.execute(
        "SELECT f.value, f.kind, o.body FROM facets f JOIN objects o USING (seq) "
        "WHERE f.name = ? AND f.kind IN ('payment_intent', 'refund') AND (? IS NULL OR f.value = ?) ORDER BY f.value, f.seq",
        (f"metadata.{name}", wanted, wanted),
    ).fetchall()
    found: dict[str, dict[str, list[Object]]] = {}
    for value, kind, body in rows:
        item = decoded(body)
        summary = {attribute: item[attribute] for attribute in ("id", "status", "amount", "currency")}
        found.setdefault(value, {}).setdefault(kind, []).append(summary)
    return found


async def stats(sandbox: Sandbox, _request: Request) -> object:
    select = sandbox.store.connection.execute
    return {
        "objects": dict(select("SELECT kind, COUNT(*) FROM objects GROUP BY kind").fetchall()),
        "deliveries": dict(select("SELECT state, COUNT(*) FROM deliveries GROUP BY state").fetchall()),
        "requests": dict(sorted(sandbox.requests.items())),
    }


async def read_rate(sandbox: Sandbox, _request: Request) -> object:
    """Second by second, in the machine's time: how many requests ran, and how many were refused as too many."""
    return [
        {"second": second, "ran": ran, "refused": refused} for second, (ran, refused) in sorted(sandbox.rate.items())
    ]


async def list_deliveries(sandbox: Sandbox, request: Request) -> object:
    """The newest 200, `?state=` and `?event=` narrow them."""
    state, event = request.query_params.get("state"), request.query_params.get("event")
    rows = sandbox.store.connection.execute(
        "SELECT id, event_id, endpoint_id, attempts, state, last_outcome FROM deliveries "
        "WHERE (:state IS NULL OR state = :state) AND (:event IS NULL OR event_id = :event) ORDER BY id DESC LIMIT 200",
        {"state": state, "event": event},
    ).fetchall()
    names = ("id", "event", "endpoint", "attempts", "state", "last_outcome")
    return [dict(zip(names, row, strict=True)) for row in rows]


async def resend_event(sandbox: Sandbox, request: Request) -> object:
    """Send an event again to every enabled endpoint, whatever it listens to (docs.stripe.com/webhooks, resend)."""
    given = await _read(request, Resend)
    identifier = request.path_params["id"]

    def enqueue(work: Work) -> int:
        work.load("event", identifier)
        endpoints = [each["id"] for each in work.store.find("webhook_endpoint")[0] if each["status"] == "enabled"]
        rows = [(identifier, endpoint) for endpoint in endpoints for _ in range(given.copies)]
        work.store.connection.executemany(
            "INSERT INTO deliveries (event_id, endpoint_id, attempts, next_at, state) VALUES (?, ?, 0, 0, 'pending')",
            rows,
        )
        return len(rows)

    return {"sent": _act(sandbox, enqueue)}


async def reset(sandbox: Sandbox, _request: Request) -> object:
    """Forget everything but the webhook endpoints; every switch back to normal."""
    endpoints, _ = sandbox.store.find("webhook_endpoint")
    sandbox.store.clear()
    for endpoint in reversed(endpoints):
        sandbox.store.put(endpoint)
    for name in Settings.model_fields:
        setattr(sandbox.settings, name, getattr(Settings(), name))
    sandbox.clock.restart()
    sandbox.requests.clear()
    sandbox.rate.clear()
    return {"endpoints_kept": len(endpoints)}


def _route(path: str, method: str, handler: Handler) -> Route:
    async def endpoint(request: Request) -> Response:
        callers = {
            request.client and request.client.host,
            request.url.hostname,
        }  # the name as well: a page may rebind its own
        if not callers <= LOOPBACK:
            return JSONResponse({"error": "The control API answers callers on this machine only."}, 403)
        try:
            result = await handler(request.app.state.sandbox, request)
        except StripeError as error:
            return JSONResponse({"error": error.message}, error.status)
        except HTTPException as error:
            return JSONResponse({"error": error.detail}, error.status_code)
        return JSONResponse(rendered(result) if isinstance(result, dict) else result)

    return Route(f"/_control{path}", endpoint, methods=[method], name=handler.__name__)


ROUTES = [
    _route("", "GET", read_settings),
    _route("/faults", "POST", add_fault),
    _route("/faults", "DELETE", clear_faults),
    _route("/webhooks", "PUT", set_webhooks),
    _route("/limits", "PUT", set_limits),
    _route("/clock", "POST", advance_clock),
    _route("/refunds", "POST", refund_in_dashboard),
    _route("/refunds/{id}", "POST", decide_refund),
    _route("/refund-course", "PUT", set_refund_course),
    _route("/challenge-flow", "PUT", set_challenge_flow),
    _route("/disputes", "POST", open_dispute),
    _route("/disputes/{id}", "POST", decide_dispute),
    _route("/balance", "PUT", set_balance),
    _route("/effects", "GET", effects),
    _route("/stats", "GET", stats),
    _route("/rate", "GET", read_rate),
    _route("/deliveries", "GET", list_deliveries),
    _route("/events/{id}/resend", "POST", resend_event),
    _route("/reset", "POST", reset),
]
