from __future__ import annotations

import asyncio
import base64
import json
import re
import socket
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from sandbox.launcher.ports import Block, reserve
from tests.deploy.gateway.conftest import PAGE_POLICY, SANDBOX_RATES, Gateway, Upstreams, nginx, production_rates

PROBLEM = "application/problem+json"
STREAMS = ("/api/bookings/1/stream", "/api/refund-campaigns/1/stream")


@pytest.mark.parametrize(
    ("path", "service", "arrives_as"),
    [
        ("/api/events", "booking", "/events"),
        ("/api/events/1/cancel", "booking", "/events/1/cancel"),
        ("/api/bookings", "booking", "/bookings"),
        ("/api/bookings/1", "booking", "/bookings/1"),
        ("/api/tickets/CODE/check-in", "booking", "/tickets/CODE/check-in"),
        ("/api/analytics/events", "booking", "/analytics/events"),
        ("/api/bookings.csv", "booking", "/bookings.csv"),
        ("/api/payments", "payment", "/payments"),
        ("/api/payments/1/sync", "payment", "/payments/1/sync"),
        ("/api/payment-reviews/1/approve", "payment", "/payment-reviews/1/approve"),
        ("/api/disputes", "payment", "/disputes"),
        ("/api/analytics/payments", "payment", "/analytics/payments"),
        ("/api/payments.csv", "payment", "/payments.csv"),
        ("/webhooks/stripe", "payment", "/webhooks/stripe"),
        ("/api/refunds/quote", "refund", "/refunds/quote"),
        ("/api/refund-campaigns/1", "refund", "/refund-campaigns/1"),
        ("/api/refund-policies/1", "refund", "/refund-policies/1"),
        ("/api/analytics/refunds", "refund", "/analytics/refunds"),
        ("/api/refunds.csv", "refund", "/refunds.csv"),
        ("/api/notifications", "notification", "/notifications"),
        ("/api/webhook-endpoints/1/deliveries", "notification", "/webhook-endpoints/1/deliveries"),
        ("/api/webhook-deliveries", "notification", "/webhook-deliveries"),
        ("/api/surveys/1/answer", "notification", "/surveys/1/answer"),
        ("/api/parked/booking", "booking", "/parked/booking"),
        ("/api/parked/payment/payment.booking-placed/1", "payment", "/parked/payment/payment.booking-placed/1"),
        ("/api/parked/refund", "refund", "/parked/refund"),
        ("/api/parked/notification/q/1/retry", "notification", "/parked/notification/q/1/retry"),
    ],
)
async def test_a_path_reaches_the_service_that_owns_it(
    client: httpx2.AsyncClient, path: str, service: str, arrives_as: str
) -> None:
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        seen = (await client.request(method, f"{path}?a=1&b=%2F")).json()
        assert (seen["service"], seen["path"], seen["query"]) == (service, arrives_as, "a=1&b=%2F")


@pytest.mark.parametrize(
    "path",
    [
        "/metrics",
        "/healthz",
        "/readyz",
        "/asyncapi",
        "/openapi.json",
        "/docs",
        "/api",
        "/api/",
        "/api/metrics",
        "/api/readyz",
        "/api/eventsfoo",
        "/api/analytics",
        "/api/analytics/other",
        "/api/parked",
        "/api/parked/gateway",
        "/api/parked/bookings",
        "/webhooks",
        "/api/events/../metrics",
        "/api/events/..%2f..%2fmetrics",
        "/api/events/%2e%2e/metrics",
        "//metrics",
        "/nginx.conf",
    ],
)
async def test_what_is_not_named_does_not_exist_outside(
    client: httpx2.AsyncClient, gateway: Gateway, path: str
) -> None:
    """Raw paths, as a client library would tidy them up."""
    answer = await client.get(f"{gateway.url}{path}")
    assert answer.status_code == 404, (path, answer.text)
    head = await _raw(gateway, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert head.startswith("HTTP/1.1 404 "), head
    assert PROBLEM in head or not path.startswith(("/api", "/webhooks")) or "%2f" in path, "a person gets a page"


@pytest.mark.parametrize(
    "path", ["/", "/events/1", "/bookings/1/receipt", "/survey/1", "/staff", "/staff/bookings?q=x", "/nowhere"]
)
async def test_a_page_may_load_what_is_listed_and_style_itself_by_a_nonce(
    client: httpx2.AsyncClient, path: str
) -> None:
    """One document for every address of the pages; the nonce in it is the policy's, and another one each time."""
    seen = set()
    for _ in range(2):
        answer = await client.get(path)
        nonce = re.fullmatch(r'<meta name="nonce" content="([0-9a-f]{32})">', answer.text)
        assert nonce, answer.text
        seen.add(nonce[1])
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers.get_list("content-security-policy") == [
            (
                "default-src 'none'; script-src 'self' https://js.stripe.example; "
                f"style-src 'self' 'nonce-{nonce[1]}'; img-src 'self' data:; font-src 'self'; "
                "connect-src 'self' https://api.stripe.example https://sign-in.example; "
                "frame-src https://js.stripe.example https://hooks.stripe.example; "
                "manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
            )
        ]
    assert len(seen) == 2


async def test_pages_are_told_where_stripe_js_and_the_sign_in_are(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/config.json")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json() == {
        "stripe_js": "https://js.stripe.example/v1/stripe.js",
        "oidc_issuer": "https://sign-in.example/realm",
        "oidc_client_id": "boxoffice-pages",
        "mode": "production",
    }


async def test_built_files_are_kept_by_browsers_and_sent_compressed(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/assets/index-1.js")
    assert answer.headers["content-type"] == "text/javascript"
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    gone = await client.get("/assets/index-0.js")
    assert (gone.status_code, "cache-control" in gone.headers) == (404, False)


async def test_an_encoded_path_reaches_the_service_encoded(client: httpx2.AsyncClient, gateway: Gateway) -> None:
    """What is decoded for routing must not become a header or a request of its own on the way in."""
    head = await _raw(
        gateway, "GET /api/events/a%0d%0aX-Evil:%201%20b%3fc HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )
    seen = json.loads(head.partition("\r\n\r\n")[2])
    assert "x-evil" not in seen["headers"]
    assert seen["path"] == "/events/a%0D%0AX-Evil:%201%20b%3Fc"
    assert seen["query"] == ""


async def test_a_body_up_to_the_limit_arrives_unchanged_and_a_larger_one_is_refused(client: httpx2.AsyncClient) -> None:
    body = bytes(range(256)) * 1024
    assert len(body) == 256 * 1024
    seen = (await client.post("/webhooks/stripe", content=body, headers={"Stripe-Signature": "t=1,v1=x"})).json()
    assert base64.b64decode(seen["body"]) == body
    assert seen["headers"]["stripe-signature"] == "t=1,v1=x"

    for path in ("/webhooks/stripe", "/api/bookings"):
        refused = await client.post(path, content=body + b"x")
        assert refused.status_code == 413
        assert refused.headers["content-type"] == PROBLEM
        assert refused.json()["detail"] == "The body is larger than 256 KiB."


async def test_a_chunked_body_over_the_limit_is_refused(gateway: Gateway) -> None:
    chunk = "10000\r\n" + "x" * 65536 + "\r\n"
    request = "POST /api/bookings HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk * 5 + "0\r\n\r\n"
    assert (await _raw(gateway, request)).startswith("HTTP/1.1 413 ")


@pytest.mark.parametrize("path", ["/api", "/api/events", "/webhooks/stripe", "/config.json"])
async def test_every_answer_carries_the_security_headers_once(client: httpx2.AsyncClient, path: str) -> None:
    headers = (await client.get(path)).headers
    expected = {
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "referrer-policy": "no-referrer",
        "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
        "server": "nginx",
    }
    for name, value in expected.items():
        assert headers.get_list(name) == [value], name


async def test_the_gateways_headers_stand_instead_of_a_services_own(client: httpx2.AsyncClient) -> None:
    headers = (await client.get("/api/bookings/own-headers", headers={"X-Request-ID": "asked-by-client"})).headers
    assert headers.get_list("x-frame-options") == ["DENY"]
    assert headers.get_list("x-request-id") == ["asked-by-client"]
    assert headers.get_list("retry-after") == ["77"], "a service that says when to come back is not contradicted"
    assert headers.get_list("server") == ["nginx"]


async def test_a_services_page_says_itself_what_it_may_load(client: httpx2.AsyncClient) -> None:
    headers = (await client.get("/api/refunds/status.html?token=x")).headers
    assert headers.get_list("content-security-policy") == [PAGE_POLICY]
    assert headers.get_list("x-frame-options") == ["DENY"]


@pytest.mark.parametrize("given", ["a" * 8, "0190-abcdef-XYZ", "a" * 64])
async def test_a_clients_request_id_goes_through(client: httpx2.AsyncClient, gateway: Gateway, given: str) -> None:
    answer = await client.get("/api/events", headers={"X-Request-ID": given})
    assert answer.headers["x-request-id"] == given
    assert answer.json()["headers"]["x-request-id"] == given
    assert f'"request_id":"{given}"' in gateway.logs


@pytest.mark.parametrize("given", [None, "short", "a" * 65, "has space", 'quote"inside', "semi;colon;"])
async def test_any_other_request_id_is_replaced(client: httpx2.AsyncClient, given: str | None) -> None:
    answer = await client.get("/api/events", headers={} if given is None else {"X-Request-ID": given})
    made = answer.headers["x-request-id"]
    assert made != given
    assert len(made) == 32
    assert answer.json()["headers"]["x-request-id"] == made


async def test_who_asks_is_told_by_the_gateway_alone(client: httpx2.AsyncClient, gateway: Gateway) -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    forged = {
        "X-Forwarded-For": "6.6.6.6",
        "X-Forwarded-Proto": "https",
        "X-Real-IP": "6.6.6.6",
        "Forwarded": "for=6.6.6.6",
    }
    given = {**forged, "X-Forwarded-Host": "evil.example", "traceparent": trace, "Authorization": "Bearer x"}
    seen = (await client.get("/api/events", headers=given)).json()["headers"]
    assert seen["x-forwarded-for"] == "127.0.0.1"
    assert seen["x-forwarded-proto"] == "http"
    assert not {"x-real-ip", "forwarded", "x-forwarded-host"} & seen.keys()
    assert seen["traceparent"] == trace
    assert seen["authorization"] == "Bearer x"
    assert seen["host"] == urlsplit(gateway.url).netloc


@pytest.mark.parametrize("path", STREAMS)
async def test_a_stream_is_not_held_back(client: httpx2.AsyncClient, upstreams: Upstreams, path: str) -> None:
    """The first event arrives while the second is not yet written."""
    upstreams.release.clear()
    async with client.stream("GET", path, timeout=5) as answer:
        pieces = answer.aiter_bytes()
        assert await anext(pieces) == b"data: first\n\n"
        upstreams.release.set()
        assert await anext(pieces) == b"data: second\n\n"


@pytest.mark.parametrize("path", STREAMS)
async def test_a_service_that_hangs_is_given_up_and_a_silent_stream_is_not(
    ports: Block, upstreams: Upstreams, tmp_path: Path, path: str
) -> None:
    upstreams.release.clear()
    with nginx(tmp_path, ports, SANDBOX_RATES, listen="crm", patience="1s") as hasty:
        async with (
            httpx2.AsyncClient(base_url=hasty.url, trust_env=False, timeout=10) as client,
            client.stream("GET", path) as stream,
        ):
            pieces = stream.aiter_bytes()
            assert await anext(pieces) == b"data: first\n\n"
            given_up = await client.get("/api/bookings/never")
            assert given_up.status_code == 503
            assert given_up.headers["content-type"] == PROBLEM
            assert given_up.headers["retry-after"] == "2"
            upstreams.release.set()
            assert await anext(pieces) == b"data: second\n\n"


async def test_the_sandbox_lets_a_crowd_through(client: httpx2.AsyncClient) -> None:
    answers = await asyncio.gather(*(client.post("/api/bookings", json={"n": n}) for n in range(300)))
    assert {answer.status_code for answer in answers} == {200}


@pytest.mark.parametrize(("limited", "other"), [("/api/bookings", "/api/payments"), ("/api/payments", "/api/bookings")])
async def test_productions_rates_stop_a_burst_of_creations_only(
    ports: Block, upstreams: Upstreams, tmp_path: Path, limited: str, other: str
) -> None:
    with nginx(tmp_path, ports, production_rates(), listen="stripe") as production:
        async with httpx2.AsyncClient(base_url=production.url, trust_env=False, timeout=20) as client:
            answers = await asyncio.gather(*(client.post(limited) for _ in range(60)))
            refused = [answer for answer in answers if answer.status_code == 429]
            let_through = [answer for answer in answers if answer.status_code == 200]
            assert len(refused) + len(let_through) == 60
            assert len(let_through) >= 21, "the burst that production.env allows"
            assert len(refused) >= 20
            assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
            assert {answer.headers["content-type"] for answer in refused} == {PROBLEM}
            assert refused[0].json()["status"] == 429

            spared = [("POST", other), ("GET", limited), ("POST", f"{limited}/1/cancel"), ("POST", "/webhooks/stripe")]
            for method, path in spared:
                answers = await asyncio.gather(*(client.request(method, path) for _ in range(15)))
                assert {answer.status_code for answer in answers} == {200}, (method, path)

            answers = await asyncio.gather(*(client.post(limited.replace("s", "%73")) for _ in range(60)))
            assert 429 in {answer.status_code for answer in answers}, "another spelling is no way round"


async def test_it_starts_without_services_and_says_that_they_are_away(tmp_path: Path) -> None:
    planted = "jo@example.com"
    ports = reserve()
    try:
        with nginx(tmp_path, ports, SANDBOX_RATES) as gateway:
            async with httpx2.AsyncClient(base_url=gateway.url, trust_env=False) as client:
                answer = await client.get("/api/bookings", params={"email": planted, "token": "eyJhbGciOi"})
                assert answer.status_code == 503
                assert answer.headers["content-type"] == PROBLEM
                assert answer.headers["retry-after"] == "2"
                assert answer.headers["x-content-type-options"] == "nosniff"
                assert answer.json()["status"] == 503
                assert (await client.get("/")).status_code == 200
            assert '"path":"/api/bookings","status":503' in gateway.logs
            for secret in (planted, "jo%40example", "eyJhbGciOi"):
                assert secret not in gateway.logs
    finally:
        ports.lock.close()


async def test_a_line_of_the_access_log_tells_the_request_and_no_secret(
    client: httpx2.AsyncClient, gateway: Gateway
) -> None:
    marker = "find-this-line-1"
    planted = {
        "Authorization": "Bearer planted-token",
        "Cookie": "planted-cookie",
        "Referer": "http://x/planted-referer",
    }
    await client.post(
        "/api/tickets/PLANTEDCODE/check-in?token=planted-query",
        content=b"planted-body",
        headers={**planted, "X-Request-ID": marker},
    )
    [line] = [json.loads(line) for line in gateway.logs.splitlines() if marker in line]
    assert line["method"] == "POST"
    assert line["path"] == "/api/tickets/*"
    assert line["status"] == 200
    assert line["client"] == "127.0.0.1"
    assert line["service_status"] == "200"
    assert line["seconds"] >= 0
    assert (await client.get("/api/events/planted%40example.org")).status_code == 200
    assert "planted" not in gateway.logs.lower()


@pytest.mark.parametrize(
    ("request_text", "status"),
    [
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("nonsense\r\n\r\n", 400),
        ("GET /api/events HTTP/1.1\r\nHost: x\r\nX-Big: " + "x" * 40_000 + "\r\n\r\n", 400),
        ("GET /api/events?" + "x" * 40_000 + " HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        ("TRACE /api/events HTTP/1.1\r\nHost: x\r\n\r\n", 405),
        (
            "POST /api/events HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
        ),
    ],
)
async def test_what_is_no_proper_request_is_refused_as_a_problem(
    gateway: Gateway, request_text: str, status: int
) -> None:
    answer = await _raw(gateway, request_text)
    assert answer.startswith(f"HTTP/1.1 {status} "), answer[:300]
    assert f"Content-Type: {PROBLEM}" in answer
    assert "X-Content-Type-Options: nosniff" in answer


async def _raw(gateway: Gateway, request: str) -> str:
    """The answer to exactly these characters."""
    address = urlsplit(gateway.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port, family=socket.AF_INET)
    writer.write(request.encode("latin-1"))
    try:
        answer = await asyncio.wait_for(_until_closed(reader), 10)
    finally:
        writer.close()
    return answer.decode("latin-1")


async def _until_closed(reader: asyncio.StreamReader) -> bytes:
    """Up to the end of the answer's body or of the connection, a reset included."""
    answer = b""
    while True:
        try:
            piece = await reader.read(65536)
        except ConnectionResetError:
            return answer
        answer += piece
        head, separator, body = answer.partition(b"\r\n\r\n")
        length = next((line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), None)
        if not piece or (separator and length and len(body) >= int(length.split(b":")[1])):
            return answer
