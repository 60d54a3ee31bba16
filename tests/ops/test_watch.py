"""What `boxoffice watch` shows: what a verify found, when certificates and keys end, and whether a test purchase goes through."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ops.verify.report import CHECKS, Difference, Kind, Report
from ops.watch import expiry, gateway, metrics, verifying
from ops.watch.canary import Canary, CanaryFailed
from ops.watch.settings import WatchSettings

ENDS_AT = datetime(2031, 5, 1, 12, tzinfo=UTC)


def shown(series: str, /, **labels: str) -> float | None:
    return metrics.REGISTRY.get_sample_value(series, labels)


def report(*differing: str, unread: dict[str, str] | None = None) -> dict[str, object]:
    found = Report(unread=unread or {})
    for check in CHECKS:
        differences = [
            Difference(check, Kind.STATE, "booking 1", "a", "b", "look") for _ in range(differing.count(check))
        ]
        found.note(check, 7, differences)
    parsed: dict[str, object] = json.loads(found.as_json())
    return parsed


def test_what_a_verify_finds_is_shown_and_goes_when_it_is_gone() -> None:
    verifying.show(report("M3", "M3", "S1"))
    assert (shown("verify_differences", check="M3"), shown("verify_differences", check="S1")) == (2, 1)
    assert shown("verify_differences", check="Q1") == 0, "a check that found nothing is there as well"
    verifying.show(report("S1"))
    assert (shown("verify_differences", check="M3"), shown("verify_differences", check="S1")) == (0, 1)


def test_a_verify_that_could_not_read_everything_does_not_count_as_one() -> None:
    metrics.VERIFIED_AT.set(5)
    verifying.show(report(unread={"provider": "it is away"}))
    assert shown("verify_last_timestamp_seconds") == 5
    verifying.show(report())
    assert (shown("verify_last_timestamp_seconds") or 0) > 5


@pytest.fixture
async def tls_server(tmp_path: Path) -> AsyncIterator[str]:
    """A server with a certificate that nobody vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tickets.example")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(ENDS_AT - timedelta(days=9000)).not_valid_after(ENDS_AT)
    pem = tmp_path / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem.write_bytes(private + builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    async with server:
        yield f"localhost:{server.sockets[0].getsockname()[1]}"


async def test_certificates_and_keys_show_when_they_end(tls_server: str) -> None:
    away = "localhost:1"
    settings = WatchSettings(certificates=(tls_server, away), keys_end={"stripe-key": date(2031, 1, 1)})
    await expiry.look(settings)
    assert shown("expiry_timestamp_seconds", kind="certificate", name=tls_server) == ENDS_AT.timestamp()
    assert shown("expiry_certificate_unreadable", name=tls_server) == 0
    assert shown("expiry_certificate_unreadable", name=away) == 1
    ends_at = datetime(2031, 1, 1, tzinfo=UTC).timestamp()
    assert shown("expiry_timestamp_seconds", kind="key", name="stripe-key") == ends_at


def canary(answer: Callable[[httpx2.Request], httpx2.Response]) -> Canary:
    settings = WatchSettings(public_url="http://gateway.test", canary_event_id="01890000-0000-7000-8000-000000000000")
    return Canary(settings, httpx2.AsyncClient(transport=httpx2.MockTransport(answer)))


async def test_a_canary_names_the_step_that_fails_and_never_pays_in_live_mode() -> None:
    """In live mode only real money could be paid: it stops before the provider is asked."""
    asked: list[str] = []

    def live(request: httpx2.Request) -> httpx2.Response:
        asked.append(f"{request.method} {request.url.host}")
        if request.url.path.startswith("/api/events/"):
            return httpx2.Response(200, json={"ticket_types": [{"id": "t"}]})
        if request.url.path == "/api/bookings":
            return httpx2.Response(201, json={"booking": {"id": "b"}, "access_token": "a"})
        opened = {"payment": {"id": "p"}, "publishable_key": "pk_live_x", "client_secret": "pi_1_secret_2"}
        return httpx2.Response(201, json=opened)

    before = shown("canary_failures_total", step="pay") or 0
    with pytest.raises(CanaryFailed, match="live mode"):
        await canary(live).run()
    assert shown("canary_failures_total", step="pay") == before + 1
    assert {host.partition(" ")[2] for host in asked} == {"gateway.test"}
    with pytest.raises(CanaryFailed, match=r"book: GET /api/events/.* was answered 503"):
        await canary(lambda _: httpx2.Response(503)).run()


async def test_a_gateway_that_is_away_or_refuses_is_shown_and_so_is_its_return() -> None:
    """Asked for what it answers by itself: a service that is away is another alert."""
    answers: list[int] = [503, 0, 200]
    asked: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(str(request.url))
        if (status := answers.pop(0)) == 0:
            raise httpx2.ConnectError("refused")
        return httpx2.Response(status)

    async with httpx2.AsyncClient(transport=httpx2.MockTransport(answer)) as http:
        for expected in (0, 0, 1):
            await gateway.look("http://gateway.test/", http)
            assert shown("gateway_answers", address="http://gateway.test/") == expected
    assert set(asked) == {"http://gateway.test/config.json"}
