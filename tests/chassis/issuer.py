"""An issuer of staff tokens with keys made here, its key address on loopback, and who verifies what it signs."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx2
import jwt
import pytest
from chassis import problems
from chassis.auth import Auth, Holder, Manager, Refunder, Staff, holder_of, new_token_keys
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from fastapi import FastAPI

ISSUER = "https://sign-in.example.org"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
BOOKING = UUID("01936f3e-0000-7000-8000-000000000001")
OTHER_BOOKING = UUID("01936f3e-0000-7000-8000-000000000002")

RSA_KEY = rsa.generate_private_key(65537, 2048)
OTHER_RSA_KEY = rsa.generate_private_key(65537, 2048)
WEAK_RSA_KEY = rsa.generate_private_key(65537, 1024)  # noqa: S505  # a weak key is the subject
EC_KEY = ec.generate_private_key(ec.SECP256R1())
ED_KEY = ed25519.Ed25519PrivateKey.generate()
Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

SIGNING, PUBLIC = new_token_keys("booking-1")


class SetClock:
    def __init__(self) -> None:
        self.instant = NOW

    def now(self) -> datetime:
        return self.instant


class Issuer:
    """Serves a key set over HTTP and counts how often it is asked."""

    def __init__(self) -> None:
        self.body = b""
        self.status = 200
        self.asked = 0
        self.hold: asyncio.Event | None = None
        self.asked_again = asyncio.Event()
        self.address = ""

    def publish(self, **keys: Key) -> None:
        self.body = json.dumps({"keys": [jwk(key, kid) for kid, key in keys.items()]}).encode()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.asked += 1
        if self.asked > 1:
            self.asked_again.set()
        if self.hold is not None:
            await self.hold.wait()
        head = f"HTTP/1.1 {self.status} X\r\nContent-Length: {len(self.body)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + self.body)
        await writer.drain()
        writer.close()


@dataclass
class Settings:
    oidc_jwks_url: str
    oidc_issuer: str = ISSUER
    oidc_audience: str = "boxoffice"
    token_public_keys: str = PUBLIC


@dataclass
class World:
    issuer: Issuer
    clock: SetClock
    auth: Auth


@pytest.fixture
async def world() -> AsyncIterator[World]:
    issuer, clock = Issuer(), SetClock()
    issuer.publish(rsa=RSA_KEY, ec=EC_KEY, ed=ED_KEY)
    server = await asyncio.start_server(issuer.answer, "127.0.0.1", 0)
    issuer.address = "http://127.0.0.1:{1}/jwks.json".format(*server.sockets[0].getsockname())
    auth = Auth(Settings(issuer.address), clock, SIGNING)
    yield World(issuer, clock, auth)
    await auth.close()
    server.close()
    await server.wait_closed()


def jwk(key: Key, kid: str) -> dict[str, Any]:
    public = key.public_key()
    if isinstance(public, rsa.RSAPublicKey):
        entry = jwt.algorithms.RSAAlgorithm.to_jwk(public, as_dict=True)
    elif isinstance(public, ec.EllipticCurvePublicKey):
        entry = jwt.algorithms.ECAlgorithm.to_jwk(public, as_dict=True)
    else:
        entry = jwt.algorithms.OKPAlgorithm.to_jwk(public, as_dict=True)
    return {**entry, "kid": kid}


def claims(**changed: Any) -> dict[str, Any]:
    """What the issuer says of a refunder; a change to None leaves the claim out."""
    now = int(NOW.timestamp())
    standard = {
        "iss": ISSUER,
        "aud": "boxoffice",
        "sub": "staff-7",
        "iat": now,
        "nbf": now,
        "exp": now + 900,
        "roles": ["refunder"],
    }
    return {name: value for name, value in {**standard, **changed}.items() if value is not None}


def staff_token(
    key: Key = RSA_KEY, algorithm: str = "RS256", *, headers: dict[str, Any] | None = None, **changed: Any
) -> str:
    return jwt.encode(claims(**changed), key, algorithm, {"typ": "at+jwt", "kid": "rsa", **(headers or {})})


def seconds(offset: float) -> float:
    return NOW.timestamp() + offset


def client_of(auth: Auth) -> httpx2.AsyncClient:
    app = FastAPI()
    app.state.auth = auth
    problems.install(app)
    app.add_api_route("/staff", staff)
    app.add_api_route("/refunder", refunder)
    app.add_api_route("/manager", manager)
    app.add_api_route("/bookings/{booking_id}", booking)
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://boxoffice.test")


async def staff(principal: Staff) -> str:
    return principal.subject


async def refunder(principal: Refunder) -> str:
    return principal.subject


async def manager(principal: Manager) -> str:
    return principal.subject


async def booking(booking_id: UUID, principal: Holder) -> str:
    holder_of(principal, booking_id)
    return principal.subject
