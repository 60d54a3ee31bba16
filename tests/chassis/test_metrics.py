import asyncio
from collections.abc import AsyncIterator

import httpx2
import pytest
from chassis import metrics, tracing
from chassis.clock import SystemClock
from chassis.db import Database
from chassis.ids import SystemIds
from chassis.metrics import REGISTRY, MetricsMiddleware
from chassis.tracing import exemplar
from fastapi import APIRouter, FastAPI, Response
from fastapi.responses import StreamingResponse
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families
from starlette.types import Message, Scope


async def booking(booking_id: str) -> str:
    return booking_id


async def teapot() -> Response:
    return Response(status_code=418)


async def broken(number: int) -> None:
    raise RuntimeError(str(number))


async def stream() -> StreamingResponse:
    async def numbers() -> AsyncIterator[bytes]:
        yield b"1"
        raise RuntimeError("broke off")

    return StreamingResponse(numbers())


@pytest.fixture
def app() -> FastAPI:
    inner = APIRouter(prefix="/bookings")
    inner.add_api_route("/{booking_id}", booking)
    outer = APIRouter(prefix="/api")
    outer.include_router(inner)
    app = FastAPI()
    app.include_router(outer)
    app.add_api_route("/teapot", teapot)
    app.add_api_route("/broken/{number}", broken)
    app.add_api_route("/stream", stream)
    app.add_api_route("/metrics", metrics.metrics_page, include_in_schema=False)
    app.add_middleware(MetricsMiddleware)
    return app


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://booking.test") as client:
        yield client


def counted(method: str, route: str, status: str) -> float:
    return REGISTRY.get_sample_value("http_requests_total", {"method": method, "route": route, "status": status}) or 0.0


@pytest.mark.parametrize(
    ("method", "path", "route", "status"),
    [
        ("GET", "/api/bookings/b-1", "/api/bookings/{booking_id}", "200"),
        ("POST", "/api/bookings/b-1", "/api/bookings/{booking_id}", "405"),
        ("GET", "/teapot", "/teapot", "418"),
        ("GET", "/broken/7", "/broken/{number}", "500"),
        ("GET", "/broken/seven", "/broken/{number}", "422"),
        ("GET", "/nowhere/at/all", "unmatched", "404"),
        ("GET", "/stream", "/stream", "200"),
    ],
)
async def test_requests_are_counted_and_timed_by_route_template(
    client: httpx2.AsyncClient, method: str, path: str, route: str, status: str
) -> None:
    before = counted(method, route, status)
    await client.request(method, path)
    assert counted(method, route, status) == before + 1
    if status != "500":
        assert REGISTRY.get_sample_value("http_request_seconds_count", {"method": method, "route": route})


async def test_made_up_methods_make_no_new_series(client: httpx2.AsyncClient) -> None:
    before = counted("other", "unmatched", "404")
    for method in ("BREW", "PROPFIND"):
        await client.request(method, "/nowhere")
    assert counted("other", "unmatched", "404") == before + 2
    assert counted("BREW", "unmatched", "404") == 0


async def test_a_client_that_leaves_before_the_answer_is_counted_as_499() -> None:
    entered = asyncio.Event()

    async def slow(_scope: Scope, _receive: object, _send: object) -> None:
        entered.set()
        await asyncio.Event().wait()

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(_: Message) -> None:
        raise AssertionError("nothing is answered")

    before = counted("GET", "unmatched", "499")
    scope: Scope = {"type": "http", "method": "GET", "path": "/slow"}
    request = asyncio.create_task(MetricsMiddleware(slow)(scope, receive, send))
    await entered.wait()
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    assert counted("GET", "unmatched", "499") == before + 1


async def test_the_page_is_what_prometheus_reads(client: httpx2.AsyncClient) -> None:
    metrics.EVENTS_CONSUMED.labels("payment.succeeded.v1", "done").inc()
    answer = await client.get("/metrics")
    assert answer.status_code == 200, "no redirect to /metrics/"
    assert answer.headers["content-type"].startswith("text/plain")
    families = {family.name for family in text_string_to_metric_families(answer.text)}
    assert families >= {
        "http_requests",
        "http_request_seconds",
        "events_published",
        "events_consumed",
        "event_handling_seconds",
        "outbox_unpublished",
        "outbox_oldest_seconds",
        "relay_batch_events",
        "due_rows",
        "db_pool_size",
        "db_pool_in_use",
        "process_resident_memory_bytes",
        "python_info",
    }


async def test_who_asks_for_openmetrics_gets_the_trace_of_a_measurement(client: httpx2.AsyncClient) -> None:
    """As Prometheus asks. Only what is recorded and sampled is worth following."""
    tracer = TracerProvider().get_tracer("test")
    route = {"method": "GET", "route": "/teapot"}
    unsampled = TracerProvider(sampler=ALWAYS_OFF).get_tracer("test")
    with unsampled.start_as_current_span("unsampled"):
        assert exemplar() is None
    with tracing.continued(f"00-{'ab' * 16}-{'cd' * 8}-01"):
        assert exemplar() is None, "a caller's trace that nobody here records leads nowhere"
    with tracer.start_as_current_span("request") as span:
        trace = f"{span.get_span_context().trace_id:032x}"
        await client.get("/teapot")
    asked = {"Accept": "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.4,*/*;q=0.1"}
    answer = await client.get("/metrics", headers=asked)
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    samples = [sample for family in read_openmetrics(answer.text) for sample in family.samples]
    found = [sample.exemplar.labels for sample in samples if sample.exemplar and route.items() <= sample.labels.items()]
    assert {"trace_id": trace} in found
    assert "trace_id" not in (await client.get("/metrics")).text, "the plain text has no exemplars"


async def test_the_pool_is_shown_as_it_is_now(client: httpx2.AsyncClient) -> None:
    metrics.observe_pool(Database("postgresql://booking:pw@127.0.0.1:1/booking", SystemClock(), SystemIds(), pool=7))
    page = (await client.get("/metrics")).text
    assert "db_pool_size 7.0" in page
    assert "db_pool_in_use 0.0" in page
