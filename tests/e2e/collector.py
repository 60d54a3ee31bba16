"""Takes spans as an OpenTelemetry collector does, and keeps what came."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class Seen:
    """One span. Ids are in hex; `parent` is empty where it begins its trace."""

    trace: str
    id: str
    parent: str
    service: str
    name: str


class Collector:
    """`spans` are the requests as they came, unpacked."""

    def __init__(self) -> None:
        self.spans: list[bytes] = []
        kept = self.spans

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                kept.append(gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """A test's output is its own."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)

    @property
    def address(self) -> str:
        """For BOXOFFICE_OTLP_ENDPOINT."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def seen(self) -> Iterator[Seen]:
        """What came, read."""
        for body in list(self.spans):
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                (service,) = (
                    each.value.string_value for each in resource.resource.attributes if each.key == "service.name"
                )
                for span in (span for scope in resource.scope_spans for span in scope.spans):
                    yield Seen(span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex(), service, span.name)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
