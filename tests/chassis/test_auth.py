"""Tokens of both kinds: what is taken, and every attack that is not."""

import base64
import hashlib
import hmac
import json
from datetime import timedelta
from typing import Any

import jwt
import pytest
from chassis.auth import TOKEN_BYTES_MAX, BookingTokens, Principal, Role, new_token_keys
from chassis.errors import Unauthorized
from cryptography.hazmat.primitives import serialization

from tests.chassis.issuer import (
    BOOKING,
    EC_KEY,
    ED_KEY,
    ISSUER,
    NOW,
    OTHER_BOOKING,
    OTHER_RSA_KEY,
    PUBLIC,
    RSA_KEY,
    SIGNING,
    Key,
    World,
    claims,
    client_of,
    jwk,
    seconds,
    staff_token,
)


def by_hand(header: dict[str, Any], payload: dict[str, Any], signature: bytes = b"") -> str:
    return ".".join(segment(part) for part in (json.dumps(header).encode(), json.dumps(payload).encode(), signature))


def segment(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def signed_with_the_public_key(algorithm: str) -> str:
    """HMAC over the RSA public key's bytes: the classic confusion of algorithms."""
    pem = RSA_KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    unsigned = by_hand({"alg": algorithm, "typ": "at+jwt", "kid": "rsa"}, claims()).rpartition(".")[0]
    return f"{unsigned}.{segment(hmac.new(pem, unsigned.encode(), hashlib.sha256).digest())}"


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
        key = jwt.PyJWK.from_json(SIGNING)
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
        both = json.dumps({"keys": json.loads(PUBLIC)["keys"] + json.loads(public)["keys"]})
        rotated = BookingTokens(both, world.clock, signing)
        for token in (world.auth.bookings.sign(BOOKING, NOW), rotated.sign(BOOKING, NOW)):
            assert rotated.verify(token, jwt.get_unverified_header(token)).booking_id == BOOKING

    @pytest.mark.parametrize("wrong", ["", "{}", "[]", '{"keys": []}', '{"keys": [{}]}', '{"keys": ["x"]}', SIGNING])
    def test_wrong_keys_are_named_and_not_shown(self, world: World, wrong: str) -> None:
        with pytest.raises(ValueError, match=r"^BOXOFFICE_TOKEN_PUBLIC_KEYS is wrong: it ") as caught:
            BookingTokens(wrong, world.clock)
        assert caught.value.__cause__ is None
        if wrong != SIGNING:
            with pytest.raises(ValueError, match=r"^BOOKING_TOKEN_SIGNING_KEY is not a private Ed25519 key"):
                BookingTokens(PUBLIC, world.clock, wrong)
