"""What a service counts, and the page that Prometheus reads it from.

Labels take values from small fixed sets only: route templates, event types, sweep names.
"""

from __future__ import annotations

from collections.abc import Iterable
from time import perf_counter

from fastapi import Request, Response
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.exposition import choose_encoder
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chassis import tracing
from chassis.db import Database

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)
GCCollector(registry=REGISTRY)

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

HTTP_REQUESTS = Counter(
    "http_requests_total",
    "Requests by route template; a status of 499 is a client that left before the answer.",
    ["method", "route", "status"],
    registry=REGISTRY,
)
HTTP_SECONDS = Histogram(
    "http_request_seconds",
    "Time until the answer began: a stream stays open for minutes and would drown the rest.",
    ["method", "route"],
    buckets=_SECONDS,
    registry=REGISTRY,
)
EVENTS_PUBLISHED = Counter(
    "events_published_total", "Events that the broker has confirmed.", ["type"], registry=REGISTRY
)
EVENTS_CONSUMED = Counter(
    "events_consumed_total",
    "Deliveries by outcome: done, duplicate, retried or parked.",
    ["type", "outcome"],
    registry=REGISTRY,
)
EVENT_SECONDS = Histogram(
    "event_handling_seconds", "Time to handle one delivery.", ["type"], buckets=_SECONDS, registry=REGISTRY
)
EVENT_LAG_SECONDS = Histogram(
    "event_lag_seconds",
    "From what happened until this service had its effect: outbox, broker, retries and handler together.",
    ["type"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0),
    registry=REGISTRY,
)
OUTBOX_UNPUBLISHED = Gauge("outbox_unpublished", "Events written and not yet confirmed.", registry=REGISTRY)
OUTBOX_OLDEST_SECONDS = Gauge("outbox_oldest_seconds", "Age of the oldest such event.", registry=REGISTRY)
RELAY_BATCH = Histogram(
    "relay_batch_events",
    "Events published together.",
    buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500),
    registry=REGISTRY,
)
DUE_ROWS = Counter("due_rows_total", "Due rows worked on: done or failed.", ["sweep", "outcome"], registry=REGISTRY)
DUE_WAITING = Gauge("due_waiting_rows", "Rows that are due and not claimed.", ["sweep"], registry=REGISTRY)
DUE_OLDEST_SECONDS = Gauge(
    "due_oldest_seconds", "How long the first of them has been due.", ["sweep"], registry=REGISTRY
)
DATABASE_ANSWERED_AT = Gauge(
    "database_answered_timestamp_seconds",
    "When the service's database last answered what is asked of it every few seconds; 0 before, and where the role relay is missing.",
    registry=REGISTRY,
)
POOL_SIZE = Gauge("db_pool_size", "Connections that the pool may keep open.", registry=REGISTRY)
POOL_IN_USE = Gauge("db_pool_in_use", "Connections handed out.", registry=REGISTRY)


OUTCOMES = ("done", "duplicate", "retried", "parked")


def begin_at_zero(publishes: Iterable[str], consumes: Iterable[str]) -> None:
    """Makes the series of these event types before anything happens: Prometheus sees no increase in one that begins at 1."""
    for event_type in publishes:
        EVENTS_PUBLISHED.labels(event_type)
    for event_type in consumes:
        for outcome in OUTCOMES:
            EVENTS_CONSUMED.labels(event_type, outcome)


def observe_pool(database: Database) -> None:
    """Shows the database's connections; once a process."""
    POOL_SIZE.set(database.connections_max)
    POOL_IN_USE.set_function(lambda: database.connections_in_use)


async def metrics_page(request: Request) -> Response:
    """As OpenMetrics, which has exemplars, for whoever asks for that.

    Add it as a plain route: a mounted application would redirect /metrics to /metrics/.
    """
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    return Response(encode(REGISTRY), media_type=content_type)


class MetricsMiddleware:
    """Counts and times requests by route template."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = perf_counter()
        status: int | None = None

        async def observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                took_s = perf_counter() - started
                HTTP_SECONDS.labels(_method(scope), _route(scope)).observe(took_s, tracing.exemplar())
            await send(message)

        try:
            await self.app(scope, receive, observed)
        except Exception:
            status = status or 500
            raise
        finally:
            HTTP_REQUESTS.labels(_method(scope), _route(scope), str(status or 499)).inc()


def _method(scope: Scope) -> str:
    return scope["method"] if scope["method"] in _METHODS else "other"


def _route(scope: Scope) -> str:
    # FastAPI sets "route" to the route as its own router knows it, without the prefixes that it was included with; the
    # whole template stands in the context beside it.
    context = scope.get("fastapi", {}).get("effective_route_context") or scope.get("route")
    return str(getattr(context, "path", "unmatched"))
