"""The issuer's keys: fetched, kept and forgotten."""

import asyncio
import json
from datetime import timedelta

import jwt
import pytest
from chassis.auth import JWKS_BYTES_MAX, Auth, public_keys
from chassis.errors import Unauthorized, Unavailable
from cryptography.hazmat.primitives.asymmetric import ec

from tests.chassis.issuer import (
    EC_KEY,
    NOW,
    OTHER_RSA_KEY,
    RSA_KEY,
    SIGNING,
    WEAK_RSA_KEY,
    Settings,
    World,
    claims,
    jwk,
    staff_token,
)


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
            json.loads(SIGNING),
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
