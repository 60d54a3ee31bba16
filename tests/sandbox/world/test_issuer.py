from __future__ import annotations

import base64
import hashlib
import json
import signal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import jwt
import pytest
from chassis.auth import Jwks, Role, StaffTokens
from chassis.clock import SystemClock
from chassis.errors import Unauthorized

from tests.sandbox.world.conftest import World

VERIFIER = "a-verifier-of-forty-three-characters-or-more"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
CALLBACK = "http://localhost:8080/staff/callback?from=sign-in"


def token(world: World, role: str = "manager", **form: str) -> str:
    answer = world.issuer.post("/token", data={"role": role, **form})
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    access: str = answer.json()["access_token"]
    return access


async def accepted(world: World, access: str) -> frozenset[Role]:
    """The roles that a service of ours finds in it."""
    keys = Jwks(world.url("issuer") + "/jwks.json", SystemClock())
    try:
        staff = StaffTokens(world.url("issuer"), "boxoffice", keys, SystemClock())
        return (await staff.verify(access, jwt.get_unverified_header(access))).roles
    finally:
        await keys.close()


@pytest.mark.parametrize("role", list(Role))
async def test_a_minted_token_opens_what_its_role_may(world: World, role: Role) -> None:
    assert await accepted(world, token(world, role)) == {role}


def test_a_token_has_the_form_that_rfc_9068_asks_for(world: World) -> None:
    answer = world.issuer.post("/token", data={"role": "viewer", "sub": "ada"}).json()
    assert (answer["token_type"], answer["expires_in"]) == ("Bearer", 900)
    header = jwt.get_unverified_header(answer["access_token"])
    assert (header["alg"], header["typ"]) == ("RS256", "at+jwt")
    claims = jwt.decode(answer["access_token"], options={"verify_signature": False})
    assert claims["iss"] == world.url("issuer")
    assert claims["aud"] == "boxoffice"
    assert claims["sub"] == "ada"
    assert claims["roles"] == ["viewer"]
    assert claims["exp"] - claims["iat"] == 900
    assert claims["nbf"] == claims["iat"]
    assert claims["jti"]


def test_every_token_is_another(world: World) -> None:
    assert token(world) != token(world)


@pytest.mark.parametrize(
    ("form", "error", "named"),
    [
        ({}, "invalid_request", "role"),
        ({"role": "root"}, "invalid_request", "role"),
        ({"grant_type": "password", "role": "viewer"}, "unsupported_grant_type", "grant_type"),
        ({"grant_type": "authorization_code", "code": "guessed"}, "invalid_grant", "code"),
    ],
)
def test_a_wrong_token_request_is_refused(world: World, form: dict[str, str], error: str, named: str) -> None:
    answer = world.issuer.post("/token", data=form)
    assert answer.status_code == 400
    assert answer.json()["error"] == error
    assert answer.json()["error_description"].startswith(f"{named} ")


def test_discovery_names_addresses_that_answer(world: World) -> None:
    metadata = world.issuer.get("/.well-known/openid-configuration").json()
    assert metadata["issuer"] == world.url("issuer")
    keys = httpx2.get(metadata["jwks_uri"], trust_env=False).json()["keys"]
    assert len(keys) == 2
    for key in keys:
        assert set(key) == {"kty", "n", "e", "kid", "use", "alg"}, "nothing private is published"
    assert httpx2.post(metadata["token_endpoint"], data={"role": "viewer"}, trust_env=False).status_code == 200
    assert metadata["authorization_endpoint"].startswith(metadata["issuer"])


async def test_a_token_holds_over_one_rotation_and_the_next_key_was_known_before(world: World) -> None:
    before = token(world)
    known = {key["kid"] for key in world.issuer.get("/jwks.json").json()["keys"]}
    world.issuer.post("/_control/rotate").raise_for_status()
    after = token(world)
    assert jwt.get_unverified_header(after)["kid"] != jwt.get_unverified_header(before)["kid"]
    assert jwt.get_unverified_header(after)["kid"] in known
    assert await accepted(world, before)
    assert await accepted(world, after)
    world.issuer.post("/_control/rotate").raise_for_status()
    with pytest.raises(Unauthorized):
        await accepted(world, before)


async def test_keys_outlive_a_kill(world: World) -> None:
    before = token(world)
    world.stop(signal.SIGKILL)
    world.start()
    assert await accepted(world, before)
    assert (world.state / "issuer.json").stat().st_mode & 0o777 == 0o600


class TestCodeFlow:
    def asked(self, **changes: str | None) -> dict[str, str]:
        request = {
            "response_type": "code",
            "client_id": "dashboard",
            "redirect_uri": CALLBACK,
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            "state": "a&b",
            "nonce": "once",
            "scope": "openid",
            **changes,
        }
        return {name: value for name, value in request.items() if value is not None}

    def sign_in(self, world: World, role: str = "refunder") -> dict[str, str]:
        """What the browser brings back to the dashboard."""
        answer = world.issuer.post("/authorize", params=self.asked(), data={"role": role, "sub": " ada "})
        assert answer.status_code == 303, answer.text
        assert answer.headers["location"].startswith(CALLBACK + "&")
        return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["location"]).query).items()}

    def redeem(self, world: World, code: str, **changes: str) -> httpx2.Response:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "client_id": "dashboard",
            "redirect_uri": CALLBACK,
            "code_verifier": VERIFIER,
            **changes,
        }
        return world.issuer.post("/token", data=form, headers={"Origin": "http://localhost:8080"})

    def asked_silently(self, world: World, session: str) -> dict[str, str]:
        """What comes back where the issuer may show no page, to a browser with this cookie."""
        headers = {"Cookie": f"sandbox-session={session}"}
        answer = world.issuer.get("/authorize", params=self.asked(prompt="none"), headers=headers)
        return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["location"]).query).items()}

    def test_who_has_signed_in_is_known_until_they_sign_out(self, world: World) -> None:
        """An ID token of ours must be shown, so that no other page can sign anybody out."""
        answer = world.issuer.post("/authorize", params=self.asked(), data={"role": "refunder", "sub": "ada"})
        session = answer.cookies["sandbox-session"]
        world.issuer.cookies.clear()
        assert {"HttpOnly", "SameSite=lax"} <= set(answer.headers["set-cookie"].split("; "))
        assert self.asked_silently(world, "guessed")["error"] == "login_required"
        tokens = self.redeem(world, self.asked_silently(world, session)["code"]).json()
        claims = jwt.decode(tokens["id_token"], options={"verify_signature": False})
        assert claims["sub"] == "ada"

        def leave(id_token: str, to: str = "http://localhost:8080/staff/signed-out") -> httpx2.Response:
            query = {"id_token_hint": id_token, "post_logout_redirect_uri": to, "client_id": "dashboard"}
            return world.issuer.get("/end-session", params=query, headers={"Cookie": f"sandbox-session={session}"})

        forged = jwt.encode(claims, "a secret of somebody else, long enough", "HS256", {"kid": "x"})
        assert [leave(wrong).status_code for wrong in ("", "a.b.c", forged)] == [400, 400, 400]
        assert leave(tokens["id_token"], "https://elsewhere.example/").status_code == 400
        assert "code" in self.asked_silently(world, session)
        answer = leave(tokens["id_token"])
        assert (answer.status_code, answer.headers["location"]) == (303, "http://localhost:8080/staff/signed-out")
        assert self.asked_silently(world, session)["error"] == "login_required"

    async def test_a_browser_gets_a_token_for_the_role_that_was_chosen(self, world: World) -> None:
        page = world.issuer.get("/authorize", params=self.asked())
        assert page.status_code == 200
        assert all(f'value="{role}"' in page.text for role in Role)
        assert "form-action 'self' http://localhost:8080;" in page.headers["content-security-policy"]

        back = self.sign_in(world)
        assert (back["state"], back["from"], back["iss"]) == ("a&b", "sign-in", world.url("issuer"))
        answer = self.redeem(world, back["code"])
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == "http://localhost:8080"
        assert await accepted(world, answer.json()["access_token"]) == {Role.REFUNDER}
        identity = self.verified(world, answer.json()["id_token"])
        assert (identity["sub"], identity["nonce"], identity["aud"]) == ("ada", "once", "dashboard")
        assert "roles" not in identity

    def verified(self, world: World, id_token: str) -> dict[str, Any]:
        key = jwt.PyJWKSet.from_dict(world.issuer.get("/jwks.json").json())[jwt.get_unverified_header(id_token)["kid"]]
        claims: dict[str, Any] = jwt.decode(
            id_token, key, algorithms=["RS256"], audience="dashboard", issuer=world.url("issuer")
        )
        return claims

    async def test_an_id_token_is_no_access_token(self, world: World) -> None:
        answer = self.redeem(world, self.sign_in(world)["code"]).json()
        with pytest.raises(Unauthorized):
            await accepted(world, answer["id_token"])

    def test_a_code_is_good_once(self, world: World) -> None:
        code = self.sign_in(world)["code"]
        assert self.redeem(world, code).status_code == 200
        assert self.redeem(world, code).json()["error"] == "invalid_grant"

    @pytest.mark.parametrize(
        "change",
        [
            {"code_verifier": "another-verifier-of-forty-three-characters"},
            {"code_verifier": ""},
            {"client_id": "another"},
            {"redirect_uri": "http://localhost:8080/elsewhere"},
        ],
    )
    def test_a_stolen_code_is_worth_nothing(self, world: World, change: dict[str, str]) -> None:
        code = self.sign_in(world)["code"]
        assert self.redeem(world, code, **change).json()["error"] == "invalid_grant"
        assert self.redeem(world, code).json()["error"] == "invalid_grant", "a failed try spends it"

    @pytest.mark.parametrize(
        "address",
        [
            "https://evil.example/",
            "http://localhost.evil.example/",
            "http://localhost@evil.example/",
            "http://evil.example\\@localhost/",
            "javascript:alert(1)//localhost",
            "//localhost/",
            "http://[::1/",
            "http://localhost/#fragment",
            "",
        ],
    )
    def test_nobody_is_sent_away_from_this_machine(self, world: World, address: str) -> None:
        for answer in (
            world.issuer.get("/authorize", params=self.asked(redirect_uri=address)),
            world.issuer.post("/authorize", params=self.asked(redirect_uri=address), data={"role": "viewer"}),
        ):
            assert answer.status_code == 400
            assert "redirect_uri is not" in answer.text

    @pytest.mark.parametrize(
        ("changes", "error"),
        [
            ({"code_challenge": None}, "invalid_request"),
            ({"code_challenge_method": "plain"}, "invalid_request"),
            ({"code_challenge_method": None}, "invalid_request"),
            ({"response_type": "token"}, "unsupported_response_type"),
        ],
    )
    def test_a_flow_without_pkce_goes_back_with_an_error(
        self, world: World, changes: dict[str, str | None], error: str
    ) -> None:
        answer = world.issuer.get("/authorize", params=self.asked(**changes))
        assert answer.status_code == 303
        back = parse_qs(urlsplit(answer.headers["location"]).query)
        assert (back["error"], back["state"]) == ([error], ["a&b"])

    def test_a_client_must_name_itself_and_its_name_is_escaped(self, world: World) -> None:
        assert world.issuer.get("/authorize", params=self.asked(client_id=None)).status_code == 400
        page = world.issuer.get("/authorize", params=self.asked(client_id="<script>alert(1)</script>"))
        assert "<script>alert" not in page.text

    def test_another_origin_may_not_read_tokens(self, world: World) -> None:
        answer = world.issuer.post("/token", data={"role": "viewer"}, headers={"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in answer.headers


def test_the_keys_file_holds_what_is_published_and_no_more_than_three(world: World) -> None:
    for _ in range(3):
        world.issuer.post("/_control/rotate").raise_for_status()
    kept = json.loads((world.state / "issuer.json").read_text())
    assert [key["kid"] for key in kept] == [key["kid"] for key in world.issuer.get("/jwks.json").json()["keys"]]
    assert len(kept) == 3
