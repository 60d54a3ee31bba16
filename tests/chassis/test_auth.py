"""Tokens of both kinds, with keys made here and a real issuer's key address on loopback."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx2
import jwt
import pytest
from chassis import problems
from chassis.auth import (
    JWKS_BYTES_MAX,
    TOKEN_BYTES_MAX,
    Auth,
    BookingTokens,
    Holder,
    Manager,
    Principal,
    Refunder,
    Role,
    Staff,
    holder_of,
    new_token_keys,
    public_keys,
)
from chassis.errors import NotFound, Unauthorized, Unavailable
from cryptography.hazmat.primitives import serialization
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

_SIGNING, _PUBLIC = new_token_keys("booking-1")


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
    token_public_keys: str = _PUBLIC


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
    auth = Auth(Settings(issuer.address), clock, _SIGNING)
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


def by_hand(header: dict[str, Any], payload: dict[str, Any], signature: bytes = b"") -> str:
    return ".".join(segment(part) for part in (json.dumps(header).encode(), json.dumps(payload).encode(), signature))


def segment(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def signed_with_the_public_key(algorithm: str) -> str:
    """HMAC over the RSA public key's bytes: the classic confusion of algorithms."""
    pem = RSA_KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    unsigned = by_hand({"alg": algorithm, "typ": "at+jwt", "kid": "rsa"}, claims()).rpartition(".")[0]
    return f"{unsigned}.{segment(hmac.new(pem, unsigned.encode(), hashlib.sha256).digest())}"


def seconds(offset: float) -> float:
    return NOW.timestamp() + offset


ATTACKS = {
    "no algorithm": by_hand({"alg": "none", "typ": "at+jwt", "kid": "rsa"}, claims()),
    "no algorithm, odd case": by_hand({"alg": "nOnE", "typ": "at+jwt", "kid": "rsa"}, claims()),
    "algorithm left out": by_hand({"typ": "at+jwt", "kid": "rsa"}, claims(), b"x" * 256),
    "HS256 with the public key": signed_with_the_public_key("HS256"),
    "RS256 said, HMAC done": signed_with_the_public_key("RS256"),
    "another algorithm of the same key": staff_token(algorithm="RS512"),
    "padding of another kind": staff_token(algorithm="PS256"),
    "EC key's kid, RSA signature": staff_token(headers={"kid": "ec"}),
    "unknown kid": staff_token(headers={"kid": "mine"}),
    "no kid": jwt.encode(claims(), RSA_KEY, "RS256", {"typ": "at+jwt"}),
    "kid is a number": by_hand({"alg": "RS256", "typ": "at+jwt", "kid": 7}, claims(), b"x" * 256),
    "kid is a path": staff_token(headers={"kid": "../../../../dev/null"}),
    "another key under a known kid": staff_token(OTHER_RSA_KEY),
    "jwk header with the attacker's key": staff_token(
        OTHER_RSA_KEY, headers={"kid": "mine", "jwk": jwk(OTHER_RSA_KEY, "mine")}
    ),
    "jku header": staff_token(OTHER_RSA_KEY, headers={"kid": "mine", "jku": "http://127.0.0.1:9/jwks.json"}),
    "x5u header": staff_token(OTHER_RSA_KEY, headers={"kid": "mine", "x5u": "http://127.0.0.1:9/x.pem"}),
    "critical header that we do not know": staff_token(headers={"crit": ["exp"], "exp": 1}),
    "expired": staff_token(exp=seconds(-31)),
    "not yet valid": staff_token(nbf=seconds(31)),
    "issued in the future": staff_token(iat=seconds(31)),
    "exp is text": staff_token(exp="tomorrow"),
    "never expires": staff_token(exp=float("inf")),
    "not a number": staff_token(exp=float("nan")),
    "exp is true": staff_token(exp=True),
    "nbf is true": staff_token(nbf=True),
    "no exp": staff_token(exp=None),
    "no nbf": staff_token(nbf=None),
    "no iat": staff_token(iat=None),
    "no sub": staff_token(sub=None),
    "no aud": staff_token(aud=None),
    "no iss": staff_token(iss=None),
    "another audience": staff_token(aud="wiki"),
    "another issuer": staff_token(iss="https://sign-in.example.com"),
    "issuer with a slash": staff_token(iss=ISSUER + "/"),
    "an id token of another kind": staff_token(headers={"typ": "logout+jwt"}),
    "a staff token dressed as a booking's": staff_token(headers={"typ": "booking+jwt"}),
    "truncated": staff_token()[:-10],
    "no signature": staff_token().rpartition(".")[0] + ".",
    "two parts": staff_token().rpartition(".")[0],
    "changed role": ".".join(
        [
            staff_token().split(".")[0],
            segment(json.dumps(claims(roles=["manager"])).encode()),
            staff_token().split(".")[2],
        ]
    ),
    "1 MB": staff_token(padding="x" * 1_000_000),
    "just too long": "x" * (TOKEN_BYTES_MAX + 1),
    "deep JSON": ".".join([segment(b'{"alg":' + b"[" * 5000), segment(b"{}"), ""]),
    "empty parts": "..",
    "no JSON": "aaaa.bbbb.cccc",
    "header is a list": ".".join([segment(b"[]"), segment(b"{}"), ""]),
    "not ASCII": "tökén.ä.ö",
}


@pytest.mark.parametrize("attack", ATTACKS)
async def test_attack_is_refused_without_a_word(world: World, attack: str) -> None:
    async with client_of(world.auth) as client:
        answer = await client.get("/staff", headers={b"Authorization": b"Bearer " + ATTACKS[attack].encode()})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.json()["detail"] == "A valid bearer token is needed."


@pytest.mark.parametrize(
    ("key", "algorithm", "kid"), [(RSA_KEY, "RS256", "rsa"), (EC_KEY, "ES256", "ec"), (ED_KEY, "EdDSA", "ed")]
)
async def test_each_allowed_algorithm_signs_staff_in(world: World, key: Key, algorithm: str, kid: str) -> None:
    principal = await world.auth.principal(staff_token(key, algorithm, headers={"kid": kid}))
    assert principal == Principal("staff", "staff-7", frozenset({Role.REFUNDER}))


async def test_clocks_may_differ_by_half_a_minute(world: World) -> None:
    await world.auth.principal(staff_token(exp=seconds(-29)))
    await world.auth.principal(staff_token(nbf=seconds(30), iat=seconds(30)))
    token = staff_token()
    world.clock.instant = NOW + timedelta(seconds=931)
    with pytest.raises(Unauthorized):
        await world.auth.principal(token)


async def test_roles_are_read_where_issuers_write_them(world: World) -> None:
    keycloak = staff_token(
        roles=None, realm_access={"roles": ["offline_access", "manager"]}, aud=["account", "boxoffice"]
    )
    assert (await world.auth.principal(keycloak)).roles == {Role.MANAGER}
    for odd in ("manager", {"manager": 1}, [["manager"]], ["Manager", "root"], 7):
        assert (await world.auth.principal(staff_token(roles=odd))).roles == frozenset()


class TestBookingTokens:
    async def test_the_holder_is_told_by_the_token(self, world: World) -> None:
        token = world.auth.bookings.sign(BOOKING, NOW)
        assert await world.auth.principal(token) == Principal("booking", str(BOOKING), booking_id=BOOKING)
        assert world.issuer.asked == 0, "a booking's token needs no issuer"

    async def test_equal_input_gives_an_equal_token(self, world: World) -> None:
        assert world.auth.bookings.sign(BOOKING, NOW) == world.auth.bookings.sign(BOOKING, NOW)
        assert world.auth.bookings.sign(BOOKING, NOW) != world.auth.bookings.sign(OTHER_BOOKING, NOW)

    async def test_it_holds_for_400_days(self, world: World) -> None:
        token = world.auth.bookings.sign(BOOKING, NOW)
        world.clock.instant = NOW + timedelta(days=400)
        await world.auth.principal(token)
        world.clock.instant += timedelta(seconds=31)
        with pytest.raises(Unauthorized):
            await world.auth.principal(token)

    @pytest.mark.parametrize(
        ("header", "changed"),
        [
            ({"typ": "at+jwt"}, {}),
            ({"typ": "JWT"}, {}),
            ({"kid": "booking-2"}, {}),
            ({}, {"aud": "wiki"}),
            ({}, {"iss": ISSUER}),
            ({}, {"sub": "not-an-id"}),
            ({}, {"exp": None}),
            ({}, {"nbf": None}),
        ],
    )
    async def test_a_token_that_differs_in_one_thing_is_refused(
        self, world: World, header: dict[str, Any], changed: dict[str, Any]
    ) -> None:
        key = jwt.PyJWK.from_json(_SIGNING)
        right = claims(iss="booking", sub=str(BOOKING), roles=None)
        await world.auth.principal(jwt.encode(right, key, "EdDSA", {"typ": "booking+jwt", "kid": "booking-1"}))
        wrong = {name: value for name, value in {**right, **changed}.items() if value is not None}
        token = jwt.encode(wrong, key, "EdDSA", {"typ": "booking+jwt", "kid": "booking-1", **header})
        with pytest.raises(Unauthorized):
            await world.auth.principal(token)

    async def test_staffs_issuer_cannot_make_one(self, world: World) -> None:
        forged = staff_token(
            ED_KEY, "EdDSA", headers={"typ": "booking+jwt", "kid": "ed"}, iss="booking", sub=str(BOOKING)
        )
        with pytest.raises(Unauthorized):
            await world.auth.principal(forged)

    async def test_two_keys_are_valid_while_they_rotate(self, world: World) -> None:
        signing, public = new_token_keys("booking-2")
        both = json.dumps({"keys": json.loads(_PUBLIC)["keys"] + json.loads(public)["keys"]})
        rotated = BookingTokens(both, world.clock, signing)
        for token in (world.auth.bookings.sign(BOOKING, NOW), rotated.sign(BOOKING, NOW)):
            assert rotated.verify(token, jwt.get_unverified_header(token)).booking_id == BOOKING

    @pytest.mark.parametrize("wrong", ["", "{}", "[]", '{"keys": []}', '{"keys": [{}]}', '{"keys": ["x"]}', _SIGNING])
    def test_wrong_keys_are_named_and_not_shown(self, world: World, wrong: str) -> None:
        with pytest.raises(ValueError, match=r"^BOXOFFICE_TOKEN_PUBLIC_KEYS is wrong: it ") as caught:
            BookingTokens(wrong, world.clock)
        assert caught.value.__cause__ is None
        if wrong != _SIGNING:
            with pytest.raises(ValueError, match=r"^BOOKING_TOKEN_SIGNING_KEY is not a private Ed25519 key"):
                BookingTokens(_PUBLIC, world.clock, wrong)


class TestKeySet:
    async def test_it_is_fetched_once_for_many(self, world: World) -> None:
        await asyncio.gather(*(world.auth.principal(staff_token()) for _ in range(20)))
        assert world.issuer.asked == 1

    async def test_unknown_kids_ask_the_issuer_at_most_every_30_seconds(self, world: World) -> None:
        await world.auth.principal(staff_token())
        for second in range(0, 91, 5):
            world.clock.instant = NOW + timedelta(seconds=second)
            with pytest.raises(Unauthorized):
                await world.auth.principal(staff_token(headers={"kid": f"made-up-{second}"}))
        assert world.issuer.asked == 4

    async def test_a_new_key_is_found_and_a_withdrawn_one_forgotten(self, world: World) -> None:
        await world.auth.principal(staff_token())
        world.issuer.publish(new=OTHER_RSA_KEY)
        world.clock.instant = NOW + timedelta(seconds=31)
        await world.auth.principal(staff_token(OTHER_RSA_KEY, headers={"kid": "new"}))
        with pytest.raises(Unauthorized):
            await world.auth.principal(staff_token())

    async def test_a_withdrawn_key_is_forgotten_without_a_new_one(self, world: World) -> None:
        await world.auth.principal(staff_token())
        world.issuer.publish(ec=EC_KEY)
        world.clock.instant = NOW + timedelta(minutes=11)
        with pytest.raises(Unauthorized):
            await world.auth.principal(staff_token())

    @pytest.mark.parametrize("trouble", ["down", "error", "no JSON", "too long", "no keys"])
    async def test_known_keys_serve_while_the_issuer_is_ill(self, world: World, trouble: str) -> None:
        await world.auth.principal(staff_token())
        _make_ill(world, trouble)
        world.clock.instant = NOW + timedelta(minutes=11)
        await world.auth.principal(staff_token())
        with pytest.raises(Unauthorized):
            await world.auth.principal(staff_token(headers={"kid": "new"}))

    @pytest.mark.parametrize("trouble", ["down", "error", "no JSON", "too long", "no keys"])
    async def test_without_any_key_staff_are_told_to_try_again(self, world: World, trouble: str) -> None:
        well = world.issuer.status, world.issuer.body, world.issuer.address
        _make_ill(world, trouble)
        with pytest.raises(Unavailable):
            await world.auth.principal(staff_token())
        world.issuer.status, world.issuer.body, world.auth.staff._keys._url = well
        world.clock.instant = NOW + timedelta(seconds=1)
        await world.auth.principal(staff_token())

    async def test_a_silent_issuer_holds_up_only_who_asks_it(self, world: World) -> None:
        await world.auth.principal(staff_token())
        world.clock.instant = NOW + timedelta(minutes=11)
        world.issuer.hold = asyncio.Event()
        asking = asyncio.create_task(world.auth.principal(staff_token()))
        async with asyncio.timeout(2):
            await world.issuer.asked_again.wait()
            await world.auth.principal(staff_token())
        assert not asking.done()
        world.issuer.hold.set()
        assert (await asking).subject == "staff-7"

    async def test_weak_keys_sign_nobody_in(self, world: World) -> None:
        world.issuer.publish(weak=WEAK_RSA_KEY)
        with pytest.raises(Unauthorized), pytest.warns(jwt.InsecureKeyLengthWarning):
            await world.auth.principal(jwt.encode(claims(), WEAK_RSA_KEY, "RS256", {"kid": "weak"}))

    def test_only_signing_keys_are_taken(self) -> None:
        mixed = [
            jwk(RSA_KEY, "good"),
            {**jwk(RSA_KEY, "encrypts"), "use": "enc"},
            {**jwk(RSA_KEY, "other-algorithm"), "alg": "RSA-OAEP"},
            {**jwk(RSA_KEY, "strong"), "alg": "RS512"},
            {"kty": "oct", "kid": "symmetric", "k": "AAAA"},
            jwk(ec.generate_private_key(ec.SECP384R1()), "other-curve"),
            json.loads(_SIGNING),
            {name: value for name, value in jwk(RSA_KEY, "x").items() if name != "kid"},
        ]
        assert list(public_keys(json.dumps({"keys": mixed}))) == ["good"]

    def test_a_wrong_address_is_named_at_start(self, world: World) -> None:
        with pytest.raises(ValueError, match="BOXOFFICE_OIDC_JWKS_URL is not"):
            Auth(Settings("ftp://127.0.0.1/jwks.json"), world.clock)


def _make_ill(world: World, trouble: str) -> None:
    match trouble:
        case "down":
            world.auth.staff._keys._url = "http://127.0.0.1:1/"
        case "error":
            world.issuer.status = 500
        case "no JSON":
            world.issuer.body = b"<html>\xff"
        case "too long":
            world.issuer.body = b" " * JWKS_BYTES_MAX + world.issuer.body
        case "no keys":
            world.issuer.body = b'{"keys": []}'


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


BOOKING_PATH = f"/bookings/{BOOKING}"


@pytest.mark.parametrize(
    ("who", "answers"),
    [
        ("nobody", {"/staff": 401, "/refunder": 401, "/manager": 401, BOOKING_PATH: 401}),
        ("holder", {"/staff": 403, "/refunder": 403, "/manager": 403, BOOKING_PATH: 200}),
        ("other", {"/staff": 403, "/refunder": 403, "/manager": 403, BOOKING_PATH: 404}),
        ("no role", {"/staff": 403, "/refunder": 403, "/manager": 403, BOOKING_PATH: 403}),
        ("viewer", {"/staff": 200, "/refunder": 403, "/manager": 403, BOOKING_PATH: 200}),
        ("refunder", {"/staff": 200, "/refunder": 200, "/manager": 403, BOOKING_PATH: 200}),
        ("manager", {"/staff": 200, "/refunder": 200, "/manager": 200, BOOKING_PATH: 200}),
    ],
)
async def test_who_may_what(world: World, who: str, answers: dict[str, int]) -> None:
    match who:
        case "nobody":
            headers = {}
        case "holder" | "other":
            booking_id = BOOKING if who == "holder" else OTHER_BOOKING
            headers = {"Authorization": f"Bearer {world.auth.bookings.sign(booking_id, NOW)}"}
        case _:
            headers = {"Authorization": f"Bearer {staff_token(roles=[who])}"}
    async with client_of(world.auth) as client:
        assert {path: (await client.get(path, headers=headers)).status_code for path in answers} == answers


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic c3RhZmY6cHc=", "bearer", "Token x"])
async def test_other_authorization_headers_are_no_sign_in(world: World, header: str) -> None:
    async with client_of(world.auth) as client:
        assert (await client.get("/staff", headers={"Authorization": header})).status_code == 401


async def test_another_booking_looks_like_none() -> None:
    holder = Principal("booking", str(BOOKING), booking_id=BOOKING)
    holder_of(holder, BOOKING)
    holder_of(Principal("staff", "staff-7", frozenset({Role.VIEWER})), BOOKING)
    with pytest.raises(NotFound, match=r"^There is no such refund\.$"):
        holder_of(holder, OTHER_BOOKING, "refund")


async def test_the_interface_description_names_the_bearer_scheme(world: World) -> None:
    async with client_of(world.auth) as client:
        described = (await client.get("/openapi.json")).json()
    assert described["components"]["securitySchemes"]["HTTPBearer"]["scheme"] == "bearer"
    assert described["paths"]["/staff"]["get"]["security"] == [{"HTTPBearer": []}]
    assert described["paths"]["/staff"]["get"].get("parameters", []) == []
