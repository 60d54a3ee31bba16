"""One trace from the browser's request through every event to the last mail, carried as W3C traceparent.

Spans are made and sent only where an OTLP endpoint is set. Without one, the trace context of a caller still travels
through requests, outbox rows and messages, so that logs of all services can be joined by its id.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

_w3c = TraceContextTextMapPropagator()
_tracer = trace.get_tracer("boxoffice")


class _WithoutAddresses(SpanProcessor):
    """Blanks what a customer's or a ticket's secrets could stand in; the route's template says enough."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:  # noqa: ARG002  # the interface
        for attribute in ("url.path", "url.query", "url.full"):
            if attribute in (span.attributes or {}):
                span.set_attribute(attribute, "[not recorded]")


def configure(service: str, otlp_endpoint: str | None) -> TracerProvider | None:
    """Sends spans to `otlp_endpoint` (OTLP over HTTP, without `/v1/traces`); None does nothing.

    Once a process: OpenTelemetry keeps the first provider. Call `shutdown()` on what is returned, so that the last
    batch is sent.
    """
    if otlp_endpoint is None:
        return None
    # A fifteenth of a service's start, for those who send spans only.
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415

    provider = TracerProvider(resource=Resource.create({SERVICE_NAME: service}), shutdown_on_exit=False)
    provider.add_span_processor(_WithoutAddresses())
    exporter = OTLPSpanExporter(endpoint=f"{otlp_endpoint.rstrip('/')}/v1/traces", timeout=5)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return provider


def current_traceparent() -> str | None:
    """The trace that the running code belongs to, as a traceparent header's value."""
    span = trace.get_current_span().get_span_context()
    if not span.is_valid:
        return None
    return f"00-{span.trace_id:032x}-{span.span_id:016x}-{span.trace_flags:02x}"


def current_trace_id() -> str | None:
    """The 32 hex digits that logs are joined by."""
    span = trace.get_current_span().get_span_context()
    return f"{span.trace_id:032x}" if span.is_valid else None


def exemplar() -> dict[str, str] | None:
    """For `Histogram.observe`: leads from a measurement to its trace. None where no trace is recorded here and sampled."""
    span = trace.get_current_span()
    found = span.get_span_context()
    return {"trace_id": f"{found.trace_id:032x}"} if span.is_recording() and found.trace_flags.sampled else None


@contextmanager
def within(name: str) -> Iterator[None]:
    """Runs the block in a span of the trace that the running code belongs to. Outside of a trace there is none."""
    if not trace.get_current_span().get_span_context().is_valid:
        yield
        return
    with _span(name, None, SpanKind.INTERNAL):
        yield


@contextmanager
def continued(traceparent: str | None, name: str = "message") -> Iterator[None]:
    """Runs the block as part of the trace that an outbox row or a message came with, in a span called `name`.

    A missing or malformed traceparent begins a trace of its own, as W3C asks.
    """
    parent = _w3c.extract({"traceparent": traceparent}, Context()) if traceparent else Context()
    with _span(name, parent, SpanKind.CONSUMER):
        yield


@contextmanager
def _span(name: str, parent: Context | None, kind: SpanKind) -> Iterator[None]:
    """Only the type of an exception is recorded: its text may hold personal data."""
    with _tracer.start_as_current_span(
        name, parent, kind, record_exception=False, set_status_on_exception=False
    ) as span:
        try:
            yield
        except Exception as error:
            span.set_status(Status(StatusCode.ERROR, type(error).__name__))
            raise


class TraceparentMiddleware:
    """Keeps the caller's trace context for the request where FastAPI makes no span of its own, that is without OTLP."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        traceparent = Headers(scope=scope).get("traceparent") if scope["type"] == "http" else None
        if traceparent is None or trace.get_current_span().get_span_context().is_valid:
            await self.app(scope, receive, send)
            return
        token = otel_context.attach(_w3c.extract({"traceparent": traceparent}, Context()))
        try:
            await self.app(scope, receive, send)
        finally:
            otel_context.detach(token)
