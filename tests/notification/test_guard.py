"""Where a webhook may go: every way into our own network that we know of, and the one certificate that counts."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from chassis.clock import SystemClock
from chassis.errors import Invalid
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from notification.crm import Answer, Crm
from notification.guard import Guard, SystemResolver
from standardwebhooks import Webhook

from tests.notification.conftest import Names, receiving

SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
PUBLIC = "93.184.216.34"


def guard(names: Names, *allowed: str) -> Guard:
    return Guard(frozenset(allowed), names)


async def test_a_public_host_is_let_through_with_its_addresses() -> None:
    target = await guard(Names({"crm.example": [[PUBLIC, "2606:4700::1111"]]})).judge("https://crm.example/hooks?x=1")
    assert target.addresses == (PUBLIC, "2606:4700::1111")
    assert str(target.url) == "https://crm.example/hooks?x=1"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://crm.example/", "must begin with https://"),
        ("ftp://crm.example/", "must begin with https:// and name a host"),
        ("file:///etc/passwd", "must begin with https:// and name a host"),
        ("crm.example/hooks", "must begin with https:// and name a host"),
        ("https:///hooks", "must begin with https:// and name a host"),
        ("https://crm.example:22/", "must use port 443 or 8443"),
        ("https://crm.example:6379/", "must use port 443 or 8443"),
        ("https://user:pw@crm.example/", "must hold neither credentials nor a fragment"),
        ("https://crm.example@10.0.0.1/", "must hold neither credentials nor a fragment"),
        ("https://crm.example/#x", "must hold neither credentials nor a fragment"),
        ("https://crm.example/\r\nHost: x", "visible characters"),
        ("https://crm.example/\0", "visible characters"),
        ("https://crm .example/", "visible characters"),
        ("https://crm.example/" + "x" * 2000, "visible characters"),
        ("https://crm.example:port/", "is not an address"),
        ("https://[::1/", "is not an address"),
    ],
)
async def test_an_address_of_another_kind_is_refused_before_its_name_is_looked_up(url: str, reason: str) -> None:
    names = Names({"crm.example": [[PUBLIC]]})
    with pytest.raises(Invalid, match=reason):
        await guard(names).judge(url)
    assert names.asked == []


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["10.1.2.3"],
        ["169.254.169.254"],
        ["::1"],
        ["::ffff:127.0.0.1"],
        [PUBLIC, "10.0.0.1"],
        ["10.0.0.1", PUBLIC],
        [],
    ],
)
async def test_one_internal_address_among_all_is_enough_to_refuse(addresses: list[str]) -> None:
    with pytest.raises(Invalid, match="has no address that is public"):
        await guard(Names({"crm.example": [addresses]})).judge("https://crm.example/")


async def test_a_name_that_does_not_resolve_is_refused_in_the_same_words() -> None:
    with pytest.raises(Invalid, match="has no address that is public"):
        await guard(Names()).judge("https://crm.example/")


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "2130706433", "0177.0.0.1", "0x7f.0.0.1", "127.1", "0", "[::1]", "[::ffff:127.0.0.1]", "[::]",
        "[::ffff:7f00:1]", "localhost", "localhost.", "LOCALHOST", "169.254.169.254", "[fe80::1]", "[64:ff9b::7f00:1]",
    ],
)  # fmt: skip
async def test_the_machine_itself_is_refused_however_it_is_written(host: str) -> None:
    with pytest.raises(Invalid):
        await Guard(frozenset(), SystemResolver()).judge(f"https://{host}/")


async def test_only_the_very_host_and_port_that_are_allowed_are_exempt() -> None:
    names = Names({"crm.test": [["127.0.0.1"]], "other.test": [["127.0.0.1"]]})
    judged = await guard(names, "crm.test:9000").judge("http://crm.test:9000/hooks")
    assert judged.addresses == ("127.0.0.1",)
    for url in ("http://crm.test:9001/", "http://other.test:9000/", "https://crm.test/"):
        with pytest.raises(Invalid):
            await guard(names, "crm.test:9000").judge(url)


async def test_a_name_that_turns_inward_after_registration_is_not_called() -> None:
    async with receiving() as trap:
        names = Names({"crm.example": [[PUBLIC], ["127.0.0.1"]]})
        watched = guard(names)
        await watched.judge("https://crm.example:8443/")
        crm = Crm(watched, SystemClock())
        answered = await crm.call("https://crm.example:8443/", SECRET, "evt_1", "{}")
        await crm.close()
    assert answered == Answer(error="its host has no address that is public")
    assert trap.calls == []


Certificate = Callable[[str], ssl.SSLContext]


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Certificate, ssl.SSLContext]:
    """Makes server contexts for names, and a client context that trusts them."""
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority = _signed(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test CA")]), authority_key, None, authority_key
    )
    trusting = ssl.create_default_context(cadata=authority.public_bytes(serialization.Encoding.PEM).decode())

    def serving(name: str) -> ssl.SSLContext:
        key = ec.generate_private_key(ec.SECP256R1())
        signed = _signed(authority.subject, authority_key, name, key)
        pem = tmp_path / f"{name}.pem"
        pem.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + signed.public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        return context

    return serving, trusting


def _signed(
    issuer: x509.Name, issuer_key: ec.EllipticCurvePrivateKey, name: str | None, key: ec.EllipticCurvePrivateKey
) -> x509.Certificate:
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(issuer if name is None else x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=name is None, path_length=None), critical=True)
    )
    if name is not None:
        names: list[x509.GeneralName] = [x509.DNSName(name), x509.IPAddress(IPv4Address("127.0.0.2"))]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    else:
        usage = dict.fromkeys(
            ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False
        )
        builder = builder.add_extension(
            x509.KeyUsage(**usage, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False),
            critical=True,
        )
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    authority_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    return builder.add_extension(authority_id, critical=False).sign(issuer_key, hashes.SHA256())


async def test_the_call_goes_to_the_address_under_the_name(certificate: tuple[Certificate, ssl.SSLContext]) -> None:
    serving, trusting = certificate
    asked: list[str | None] = []
    tls = serving("crm.example")
    tls.sni_callback = lambda _socket, name, _context: asked.append(name)
    async with receiving(tls=tls) as receiver:
        allowed = guard(Names({"crm.example": [["127.0.0.1"]]}), f"crm.example:{receiver.port}")
        crm = Crm(allowed, SystemClock(), trusting)
        answered = await crm.call(f"https://crm.example:{receiver.port}/hooks?a=b", SECRET, "evt_1", '{"a":1}')
        await crm.close()
    assert answered == Answer(204)
    (call,) = receiver.calls
    assert asked == ["crm.example"]
    assert call.headers["host"] == f"crm.example:{receiver.port}"
    assert call.path == "/hooks?a=b"
    assert Webhook(SECRET).verify(call.body, call.headers) == {"a": 1}


async def test_a_certificate_for_another_name_ends_the_call(certificate: tuple[Certificate, ssl.SSLContext]) -> None:
    serving, trusting = certificate
    async with receiving(tls=serving("other.example")) as receiver:
        allowed = guard(Names({"crm.example": [["127.0.0.1"]]}), f"crm.example:{receiver.port}")
        crm = Crm(allowed, SystemClock(), trusting)
        answered = await crm.call(f"https://crm.example:{receiver.port}/", SECRET, "evt_1", "{}")
        await crm.close()
    assert answered == Answer(error="no connection")
    assert receiver.calls == []


async def test_a_kept_connection_is_used_only_for_an_address_that_was_let_through_just_now() -> None:
    """Keep-alive saves the connection, not the judgement: neither a name that turns inward nor another host may ride on it."""
    lines: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines.append(writer)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
                writer.write(b"HTTP/1.1 204 X\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        names = Names({"crm.test": [["127.0.0.1"]], "other.test": [["127.0.0.1"]]})
        crm = Crm(guard(names, f"crm.test:{port}", f"other.test:{port}"), SystemClock())
        for _ in range(3):
            assert await crm.call(f"http://crm.test:{port}/", SECRET, "evt_1", "{}") == Answer(204)
        assert (len(lines), names.asked.count("crm.test")) == (1, 3)
        assert await crm.call(f"http://other.test:{port}/", SECRET, "evt_1", "{}") == Answer(204)
        assert len(lines) == 2
        names.answers["crm.test"] = [["127.0.0.99"]]  # the name moved: what is open leads to where it was
        assert await crm.call(f"http://crm.test:{port}/", SECRET, "evt_1", "{}") == Answer(error="no connection")
        names.answers["crm.test"] = [[]]
        refused = await crm.call(f"http://crm.test:{port}/", SECRET, "evt_1", "{}")
        assert refused == Answer(error="its host has no address that is public")
        assert len(lines) == 2
        await crm.close()


async def test_an_address_that_does_not_answer_gives_way_to_the_next() -> None:
    async with receiving() as receiver:
        names = Names({"crm.test": [["127.0.0.9", "::1", "127.0.0.1"]]})
        crm = Crm(guard(names, f"crm.test:{receiver.port}"), SystemClock())
        answered = await crm.call(f"http://crm.test:{receiver.port}/", SECRET, "evt_1", "{}")
        await crm.close()
    assert answered == Answer(204)
    assert len(receiver.calls) == 1
