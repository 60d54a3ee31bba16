"""The sandbox's sign-in: an OpenID Connect issuer that believes everybody, so that staff tokens need no accounts.

Discovery, keys, and two ways to a token: `POST /token` with a role (for the command line and tests), and the authorization code flow with
PKCE behind a page that asks for the role (for a dashboard in a browser). Access tokens follow RFC 9068. Who has signed in has a session,
which answers `prompt=none`, until they sign out (OpenID Connect RP-Initiated Logout 1.0) or the issuer restarts; anybody else is asked.

Three keys at most are published: the one that signs, the one that will sign after the next rotation, so that verifiers have it in time, and
the one that signed before the last, whose tokens may still be alive.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode, urlsplit

import jwt
from chassis import problems
from chassis.auth import Role
from chassis.clock import Clock
from cryptography.hazmat.primitives.asymmetric import rsa
from fastapi import FastAPI, Form, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response
from pydantic import BaseModel, Field
from starlette.middleware.cors import CORSMiddleware

from sandbox.pages import add_static, page

AUDIENCE = "boxoffice"
TOKEN_LIFE = timedelta(minutes=15)
CODE_LIFE = timedelta(minutes=1)
CODES_MAX = 1000
SESSIONS_MAX = 1000
SESSION_COOKIE = "sandbox-session"
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class Keys:
    """RSA keys in one file, oldest first."""

    def __init__(self, path: Path) -> None:
        self._path = path
        if path.exists():
            self._private: list[dict[str, Any]] = json.loads(path.read_text())
        else:
            self._private = [_new_key(), _new_key()]
            self._write()
        self._signing = self._current()

    def rotate(self) -> None:
        """The next key begins to sign. Tokens of the one before hold until the rotation after this."""
        self._private = [*self._private[-2:], _new_key()]
        self._write()
        self._signing = self._current()

    def sign(self, claims: dict[str, Any], kind: str) -> str:
        """A compact token with `typ` = `kind`."""
        return jwt.encode(claims, self._signing.key, "RS256", {"kid": self._signing.key_id, "typ": kind})

    def public(self) -> dict[str, Any]:
        """A JSON Web Key Set (RFC 7517)."""
        shown = ("kty", "n", "e", "kid", "use", "alg")
        return {"keys": [{name: key[name] for name in shown} for key in self._private]}

    def _current(self) -> jwt.PyJWK:
        """Read once a rotation, because reading an RSA key checks its primes, which takes 0.1 s."""
        return jwt.PyJWK(self._private[-2], "RS256")

    def _write(self) -> None:
        fresh = self._path.with_suffix(".new")
        with fresh.open("w") as file:
            json.dump(self._private, file)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)


def _new_key() -> dict[str, Any]:
    key: dict[str, Any] = jwt.algorithms.RSAAlgorithm.to_jwk(rsa.generate_private_key(65537, 2048), as_dict=True)
    del key["key_ops"]
    return {**key, "kid": secrets.token_hex(8), "use": "sig", "alg": "RS256"}


@dataclass(frozen=True)
class Asked:
    """An authorization request (RFC 6749, 4.1.1 and RFC 7636, 4.3) whose client and address are in order."""

    client_id: str
    redirect_uri: str
    code_challenge: str
    state: str | None = None
    nonce: str | None = None
    scope: str = "openid"


@dataclass(frozen=True)
class Granted:
    """What a code stands for until `expires_at`."""

    asked: Asked
    role: Role
    subject: str
    expires_at: datetime


class Refused(Exception):
    """An error of RFC 6749, 5.2: its `code` and a sentence."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


class Issuer:
    """Makes tokens. Codes live in memory: after a restart one signs in again."""

    def __init__(self, url: str, keys: Keys, clock: Clock) -> None:
        self.url = url
        self.keys = keys
        self._clock = clock
        self._codes: dict[str, Granted] = {}
        self._sessions: dict[str, tuple[Role, str]] = {}

    def begin(self, role: Role, subject: str) -> str:
        """A session of somebody who has signed in; its name is a secret."""
        self._sessions = dict(list(self._sessions.items())[1 - SESSIONS_MAX :])
        session = secrets.token_urlsafe(32)
        self._sessions[session] = (role, subject)
        return session

    def known(self, session: str) -> tuple[Role, str] | None:
        """Whose session it is: role and subject."""
        return self._sessions.get(session)

    def end(self, session: str, id_token: str) -> None:
        """The session ends. Raises Refused for an ID token that is not ours, an old one being as good as any."""
        keys = {key["kid"]: jwt.PyJWK(key) for key in self.keys.public()["keys"]}
        try:
            key = keys[jwt.get_unverified_header(id_token)["kid"]]
            jwt.decode(id_token, key, ["RS256"], {"verify_exp": False, "verify_aud": False}, issuer=self.url)
        except (KeyError, jwt.PyJWTError):
            raise Refused("invalid_request", "id_token_hint is not an ID token of this issuer.") from None
        self._sessions.pop(session, None)

    def access_token(self, role: Role, subject: str, client_id: str) -> str:
        """Holds for TOKEN_LIFE (RFC 9068)."""
        claims = {
            **self._claims(AUDIENCE, subject),
            "client_id": client_id,
            "jti": secrets.token_hex(16),
            "roles": [role],
        }
        return self.keys.sign(claims, "at+jwt")

    def code(self, asked: Asked, role: Role, subject: str) -> str:
        """Good once, for CODE_LIFE."""
        now = self._clock.now()
        living = [(code, granted) for code, granted in self._codes.items() if granted.expires_at > now]
        self._codes = dict(living[-CODES_MAX:])
        code = secrets.token_urlsafe(32)
        self._codes[code] = Granted(asked, role, subject, now + CODE_LIFE)
        return code

    def redeem(self, code: str, client_id: str, redirect_uri: str, verifier: str) -> dict[str, Any]:
        """The token answer (RFC 6749, 5.1). Raises Refused; the code is spent in any case."""
        granted = self._codes.pop(code, None)
        if granted is None or granted.expires_at <= self._clock.now():
            raise Refused("invalid_grant", "code is unknown, spent or older than a minute.")
        if (client_id, redirect_uri) != (granted.asked.client_id, granted.asked.redirect_uri):
            raise Refused("invalid_grant", "client_id or redirect_uri differs from the authorization request's.")
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        if not hmac.compare_digest(challenge.encode(), granted.asked.code_challenge.encode()):
            raise Refused("invalid_grant", "code_verifier does not match the code_challenge.")
        # The ID token tells the client who signed in and carries no role: it opens nothing.
        identity = {**self._claims(client_id, granted.subject), "preferred_username": granted.subject}
        if granted.asked.nonce is not None:
            identity["nonce"] = granted.asked.nonce
        access = self.access_token(granted.role, granted.subject, client_id)
        return {**_answer(access), "id_token": self.keys.sign(identity, "JWT"), "scope": granted.asked.scope}

    def _claims(self, audience: str, subject: str) -> dict[str, Any]:
        now = int(self._clock.now().timestamp())
        life = int(TOKEN_LIFE.total_seconds())
        return {"iss": self.url, "aud": audience, "sub": subject, "iat": now, "nbf": now, "exp": now + life}


def _answer(access_token: str) -> dict[str, Any]:
    return {"access_token": access_token, "token_type": "Bearer", "expires_in": int(TOKEN_LIFE.total_seconds())}


def create_app(issuer: Issuer) -> FastAPI:
    """The issuer's addresses and pages."""
    app = FastAPI(title="Sign-in", docs_url=None, redoc_url=None)
    problems.install(app)
    app.add_exception_handler(Refused, _refused)
    add_static(app)
    # A dashboard on another port of this machine fetches its token by script.
    app.add_middleware(
        CORSMiddleware,
        allow_origin_regex=r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?",
        allow_methods=["GET", "POST"],
    )
    _add_metadata(app, issuer)
    _add_tokens(app, issuer)
    _add_sign_in(app, issuer)
    _add_sign_out(app, issuer)
    return app


def _add_metadata(app: FastAPI, issuer: Issuer) -> None:
    metadata = {
        "issuer": issuer.url,
        "authorization_endpoint": f"{issuer.url}/authorize",
        "token_endpoint": f"{issuer.url}/token",
        "end_session_endpoint": f"{issuer.url}/end-session",
        "jwks_uri": f"{issuer.url}/jwks.json",
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "client_credentials"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["none"],
        "scopes_supported": ["openid"],
        "prompt_values_supported": ["none", "login"],
        "claims_supported": ["iss", "aud", "sub", "exp", "iat", "nbf", "nonce", "preferred_username"],
        "authorization_response_iss_parameter_supported": True,
    }

    @app.get("/.well-known/openid-configuration")
    async def discovery() -> JSONResponse:
        return JSONResponse(metadata)

    @app.get("/jwks.json")
    async def jwks() -> JSONResponse:
        return JSONResponse(issuer.keys.public(), headers={"Cache-Control": "max-age=60"})

    @app.post("/_control/rotate", status_code=204)
    async def rotate() -> None:
        issuer.keys.rotate()

    @app.get("/")
    async def index() -> Response:
        return page("issuer.html", metadata=metadata, keys=issuer.keys.public()["keys"])


class TokenRequest(BaseModel):
    """The form of `POST /token`; what a grant does not use is passed over."""

    grant_type: str = "client_credentials"
    role: str = ""
    sub: Annotated[str, Field(max_length=200)] = ""
    code: str = ""
    client_id: str = ""
    redirect_uri: str = ""
    code_verifier: str = ""


def _add_tokens(app: FastAPI, issuer: Issuer) -> None:
    @app.post("/token")
    async def token(asked: Annotated[TokenRequest, Form()]) -> JSONResponse:
        if asked.grant_type == "client_credentials":
            role = _role(asked.role)
            answer = _answer(issuer.access_token(role, asked.sub or f"sandbox-{role}", asked.client_id or "sandbox"))
        elif asked.grant_type == "authorization_code":
            answer = issuer.redeem(asked.code, asked.client_id, asked.redirect_uri, asked.code_verifier)
        else:
            raise Refused("unsupported_grant_type", "grant_type is neither authorization_code nor client_credentials.")
        return JSONResponse(answer, headers={"Cache-Control": "no-store"})


def _add_sign_in(app: FastAPI, issuer: Issuer) -> None:
    @app.get("/authorize")
    async def ask(request: Request) -> Response:
        asked = _asked(request, issuer)
        if isinstance(asked, Response):
            return asked
        if request.query_params.get("prompt") == "none":
            known = issuer.known(request.cookies.get(SESSION_COOKIE, ""))
            answer = {"error": "login_required"} if known is None else {"code": issuer.code(asked, *known)}
            return _back(asked.redirect_uri, asked.state, **answer, iss=issuer.url)
        destination = urlsplit(asked.redirect_uri)
        # Browsers apply form-action to the redirect that follows the form, too.
        allowed = f"'self' {destination.scheme}://{destination.netloc}"
        return page("authorize.html", form_action=allowed, asked=asked, roles=list(Role), query=request.url.query)

    @app.post("/authorize")
    async def grant(
        request: Request, role: Annotated[str, Form()], sub: Annotated[str, Form(max_length=200)] = ""
    ) -> Response:
        asked = _asked(request, issuer)
        if isinstance(asked, Response):
            return asked
        granted = _role(role)
        subject = sub.strip() or f"sandbox-{granted}"
        answer = _back(asked.redirect_uri, asked.state, code=issuer.code(asked, granted, subject), iss=issuer.url)
        answer.set_cookie(SESSION_COOKIE, issuer.begin(granted, subject), httponly=True, samesite="lax")
        return answer


def _asked(request: Request, issuer: Issuer) -> Asked | Response:
    """The request in the query, or what to answer where it is wrong: to the client where its address can be trusted, else a page."""
    query = request.query_params
    redirect_uri, state = query.get("redirect_uri", ""), query.get("state")
    if not query.get("client_id"):
        return page("refused.html", status=400, sentence="client_id is missing.")
    if not _on_this_machine(redirect_uri):
        sentence = "redirect_uri is not an http or https address of this machine without a fragment."
        return page("refused.html", status=400, sentence=sentence)
    if query.get("response_type") != "code":
        return _back(redirect_uri, state, error="unsupported_response_type", iss=issuer.url)
    if query.get("code_challenge_method") != "S256" or not query.get("code_challenge"):
        wrong = {
            "error": "invalid_request",
            "error_description": "code_challenge with the method S256 is required.",
        }
        return _back(redirect_uri, state, **wrong, iss=issuer.url)
    scope = query.get("scope", "openid")
    return Asked(query["client_id"], redirect_uri, query["code_challenge"], state, query.get("nonce"), scope)


def _add_sign_out(app: FastAPI, issuer: Issuer) -> None:
    @app.get("/end-session")
    async def end(
        request: Request, id_token_hint: str = "", post_logout_redirect_uri: str = "", state: str | None = None
    ) -> Response:
        if not _on_this_machine(post_logout_redirect_uri):
            sentence = "post_logout_redirect_uri is not an http or https address of this machine without a fragment."
            return page("refused.html", status=400, sentence=sentence)
        try:
            issuer.end(request.cookies.get(SESSION_COOKIE, ""), id_token_hint)
        except Refused as refused:
            return page("refused.html", status=400, sentence=str(refused))
        answer = _back(post_logout_redirect_uri, state)
        answer.delete_cookie(SESSION_COOKIE, httponly=True, samesite="lax")
        return answer


def _back(redirect_uri: str, state: str | None, **facts: str) -> Response:
    """To the client; what tells it something, with `iss` against mix-up (RFC 9207)."""
    query = urlencode({**facts, **({} if state is None else {"state": state})})
    joint = "" if not query else "&" if urlsplit(redirect_uri).query else "?"
    return RedirectResponse(f"{redirect_uri}{joint}{query}", 303)


def _on_this_machine(address: str) -> bool:
    try:
        parts = urlsplit(address)
        host = parts.hostname
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and host in LOOPBACK and "#" not in address and "\\" not in address


def _role(name: str) -> Role:
    try:
        return Role(name)
    except ValueError:
        raise Refused("invalid_request", f"role is not one of {', '.join(Role)}.") from None


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    answer = {"error": error.code, "error_description": str(error)}
    return JSONResponse(answer, 400, {"Cache-Control": "no-store"})
