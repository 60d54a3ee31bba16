"""Trace context without an exporter in this process; spans with one, sent to a real OTLP receiver, in a process of its own."""

import asyncio
import gzip
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import httpx2
import pytest
from chassis.tracing import TraceparentMiddleware, continued, current_trace_id, current_traceparent
from fastapi import FastAPI
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"


def test_outside_of_a_trace_there_is_none() -> None:
    assert current_traceparent() is None
    assert current_trace_id() is None


def test_a_message_continues_its_trace_and_leaves_it_again() -> None:
    with continued(PARENT):
        assert current_traceparent() == PARENT
        assert current_trace_id() == TRACE
        with continued(None):
            assert current_traceparent() is None, "a message without a trace does not join the one around it"
        assert current_traceparent() == PARENT
    assert current_traceparent() is None


def test_an_error_passes_through() -> None:
    with pytest.raises(KeyError), continued(PARENT):
        raise KeyError
    assert current_traceparent() is None


@pytest.mark.parametrize(
    "malformed",
    ["", "00", PARENT.upper() + "x", PARENT.replace(TRACE, "0" * 32), "ff" + PARENT[2:], "00-zz-zz-01", "ü", "\x00"],
)
def test_a_malformed_traceparent_is_none(malformed: str) -> None:
    with continued(malformed):
        assert current_traceparent() is None


async def told() -> str | None:
    return current_traceparent()


@pytest.mark.parametrize(
    ("headers", "expected"), [({"traceparent": PARENT}, PARENT), ({"traceparent": "x"}, None), ({}, None)]
)
async def test_a_request_keeps_its_callers_trace(headers: dict[str, str], expected: str | None) -> None:
    app = FastAPI()
    app.add_api_route("/told", told)
    app.add_middleware(TraceparentMiddleware)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://booking.test") as client:
        assert (await client.get("/told", headers=headers)).json() == expected
    assert current_traceparent() is None


@dataclass
class Receiver:
    """Takes spans as an OpenTelemetry collector does."""

    address: str = ""
    spans: dict[str, Span] = field(default_factory=dict)
    services: set[str] = field(default_factory=set)
    raw: bytes = b""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        assert head.startswith("post /v1/traces ")
        length = int(head.partition("content-length:")[2].partition("\r\n")[0])
        body = await reader.readexactly(length)
        self.raw = gzip.decompress(body) if "content-encoding: gzip" in head else body
        for resource in ExportTraceServiceRequest.FromString(self.raw).resource_spans:
            self.services |= {a.value.string_value for a in resource.resource.attributes if a.key == "service.name"}
            self.spans |= {span.name: span for scope in resource.scope_spans for span in scope.spans}
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    server = await asyncio.start_server(receiver.answer, "127.0.0.1", 0)
    receiver.address = "http://127.0.0.1:{1}".format(*server.sockets[0].getsockname())
    yield receiver
    server.close()
    await server.wait_closed()


SERVICE = """
import asyncio, json, sys
import httpx2
from fastapi import FastAPI
from chassis import tracing

app = FastAPI(telemetry={"logs": False})
app.add_middleware(tracing.TraceparentMiddleware)

@app.post("/tickets/{code}")
async def check_in(code: str):
    return tracing.current_traceparent()

async def main(endpoint, parent):
    provider = tracing.configure("booking", endpoint)
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://booking.test") as client:
        answer = await client.post("/tickets/S3CRET", params={"email": "ada@example.org"}, headers={"traceparent": parent})
    row = answer.json()
    try:
        with tracing.within("nothing"):
            assert tracing.current_traceparent() is None, "what falls due by itself begins no trace"
        with tracing.continued(row, "on_ticket_checked_in"):
            in_consumer = tracing.current_traceparent()
            with tracing.within("due mails"):
                pass
            raise ValueError("ada@example.org")
    except ValueError:
        pass
    provider.shutdown()
    print(json.dumps([row, in_consumer]))

asyncio.run(main(*sys.argv[1:]))
"""


async def test_spans_join_request_and_message_and_tell_nothing_personal(receiver: Receiver) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "error", "-c", SERVICE, receiver.address, PARENT, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    row, in_consumer = json.loads(out)
    assert receiver.services == {"booking"}
    request, consumer = receiver.spans["POST /tickets/{code}"], receiver.spans["on_ticket_checked_in"]
    assert request.parent_span_id.hex() == PARENT.split("-")[2]
    assert request.trace_id.hex() == consumer.trace_id.hex() == TRACE
    assert consumer.parent_span_id.hex() == row.split("-")[2], "the message continues the row"
    assert receiver.spans["due mails"].parent_span_id == consumer.span_id
    assert "nothing" not in receiver.spans
    parents = {span.span_id: span.parent_span_id for span in receiver.spans.values()}
    ancestor = consumer.parent_span_id
    while ancestor != request.span_id:
        ancestor = parents[ancestor]  # a KeyError here: the row was not written inside the request's span
    assert consumer.span_id.hex() == in_consumer.split("-")[2]
    assert consumer.status.code == consumer.status.STATUS_CODE_ERROR
    assert consumer.status.message == "ValueError"
    for secret in (b"ada", b"S3CRET"):
        assert secret not in receiver.raw


async def test_a_service_without_a_collector_stops_in_time() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        SERVICE,
        "http://127.0.0.1:1",
        PARENT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    async with asyncio.timeout(20):
        out, _ = await process.communicate()
    assert process.returncode == 0
    assert len(json.loads(out)) == 2
