"""Who is asking: staff by the organisation's sign-in (OIDC), customers by the token of their booking.

Both are JSON Web Tokens, checked as RFC 8725 asks: the algorithm is a property of the key and never of the token, keys
come by a known `kid` from the configured addresses only, the `typ` keeps the two kinds apart, and every time claim is
required. A token that fails is refused without saying why.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Literal, Protocol
from uuid import UUID

import httpx2
import jwt
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from fastapi.security.utils import get_authorization_scheme_param

from chassis.clock import Clock
from chassis.errors import Forbidden, NotFound, Unauthorized, Unavailable

log = structlog.get_logger(__name__)

TOKEN_BYTES_MAX = 8 * 1024
JWKS_BYTES_MAX = 64 * 1024
LEEWAY = timedelta(seconds=30)
BOOKING_TOKEN_DAYS = 400
"""An event may be sold a year ahead, and its refunds be asked for a month after it."""

_BOOKING_TYPE = "booking+jwt"
_BOOKING_ISSUER = "booking"
_BOOKING_AUDIENCE = "boxoffice"
_STAFF_TYPES = frozenset({"at+jwt", "application/at+jwt", "jwt"})  # RFC 9068; Keycloak writes plain JWT
_ALGORITHMS = {"RSA": "RS256", "EC": "ES256", "OKP": "EdDSA"}
_REFETCH = timedelta(seconds=30)
_REFETCH_WITHOUT_KEYS = timedelta(seconds=1)
_FRESH = timedelta(minutes=10)
"""A key that the issuer has withdrawn is forgotten after this time at the latest."""


class Role(StrEnum):
    """What staff may do; each role may also do what those before it may."""

    VIEWER = "viewer"
    REFUNDER = "refunder"
    MANAGER = "manager"


_RANK = {role: rank for rank, role in enumerate(Role)}


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks. `subject` is the id that audit rows name: staff's OIDC subject, or the booking's id."""

    kind: Literal["staff", "booking"]
    subject: str
    roles: frozenset[Role] = frozenset()
    booking_id: UUID | None = None

    def has(self, role: Role) -> bool:
        """Whether one of the roles is `role` or above it. A booking's token has none."""
        return any(_RANK[held] >= _RANK[role] for held in self.roles)


class AuthSettings(Protocol):
    """What `Auth` needs to be told; `chassis.settings.Shared` tells it."""

    oidc_issuer: str
    oidc_audience: str
    oidc_jwks_url: str
    token_public_keys: str


class Jwks:
    """The issuer's public keys, fetched when one is missing or the copy is old. A stale copy serves while it is down."""

    def __init__(self, url: str, clock: Clock) -> None:
        """Raises ValueError where BOXOFFICE_OIDC_JWKS_URL is no address."""
        if not url.startswith(("https://", "http://")):
            raise ValueError("BOXOFFICE_OIDC_JWKS_URL is not an http or https address")
        self._url = url
        self._clock = clock
        self._keys: Mapping[str, jwt.PyJWK] = {}
        self._fetched_at: datetime | None = None
        self._next_fetch_at: datetime | None = None
        self._lock = asyncio.Lock()
        self._client = httpx2.AsyncClient(timeout=3, follow_redirects=False)

    async def key(self, kid: str) -> jwt.PyJWK | None:
        """The key, or None where the issuer does not know it.

        Raises:
            Unavailable: no keys could ever be fetched.

        """
        # A known key of an old copy is used at once while another request already asks for the new copy.
        if kid not in self._keys or (self._stale() and not self._lock.locked()):
            async with self._lock:
                if self._may_fetch() and (kid not in self._keys or self._stale()):
                    await self._fetch()
        if self._fetched_at is None:
            raise Unavailable("The sign-in service does not answer; try again.")
        return self._keys.get(kid)

    async def close(self) -> None:
        """Closes the connection to the issuer."""
        await self._client.aclose()

    def _stale(self) -> bool:
        return self._fetched_at is None or self._clock.now() - self._fetched_at > _FRESH

    def _may_fetch(self) -> bool:
        return self._next_fetch_at is None or self._clock.now() >= self._next_fetch_at

    async def _fetch(self) -> None:
        try:
            keys = public_keys((await self._download()).decode())
        except (httpx2.HTTPError, ValueError) as error:
            self._next_fetch_at = self._clock.now() + (_REFETCH if self._keys else _REFETCH_WITHOUT_KEYS)
            log.warning("sign-in keys cannot be fetched", error=type(error).__name__)
            return
        self._keys = keys
        self._fetched_at = self._clock.now()
        self._next_fetch_at = self._fetched_at + _REFETCH

    async def _download(self) -> bytes:
        body = b""
        async with self._client.stream("GET", self._url) as response:
            if response.status_code != httpx2.codes.OK:
                raise ValueError(f"the issuer's key address answered {response.status_code}")
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > JWKS_BYTES_MAX:
                    raise ValueError(f"the issuer's key set is longer than {JWKS_BYTES_MAX} bytes")
        return body


def public_keys(jwks_json: str) -> dict[str, jwt.PyJWK]:
    """The signing keys of a JWKS by `kid`, each with the one algorithm that it may be used with.

    Others that may stand in it are left out: encryption keys, symmetric keys, private keys, keys without a `kid`.

    Raises:
        ValueError: it is no JWKS, or no key is left.

    """
    try:
        listed = json.loads(jwks_json)["keys"]
        keys = {entry["kid"]: _verifying(entry) for entry in listed if _usable(entry)}
    except (KeyError, TypeError, AttributeError, RecursionError, ValueError, jwt.PyJWTError):
        raise ValueError("it is not a JSON Web Key Set of public keys") from None
    if not keys:
        raise ValueError("it holds no key that a token may be signed with")
    return keys


def _usable(entry: Mapping[str, Any]) -> bool:
    algorithm = _ALGORITHMS.get(entry.get("kty", ""))
    return (
        algorithm is not None
        and entry.get("alg", algorithm) == algorithm
        and entry.get("use", "sig") == "sig"
        and entry.get("crv", "") in {"", "P-256", "Ed25519"}
        and isinstance(entry.get("kid"), str)
        and "d" not in entry
    )


def _verifying(entry: Mapping[str, Any]) -> jwt.PyJWK:
    return jwt.PyJWK(dict(entry), _ALGORITHMS[entry["kty"]])


class StaffTokens:
    """Verifies the access tokens of the organisation's issuer."""

    def __init__(self, issuer: str, audience: str, keys: Jwks, clock: Clock) -> None:
        self._issuer = issuer
        self._audience = audience
        self._keys = keys
        self._clock = clock

    async def verify(self, token: str, header: Mapping[str, Any]) -> Principal:
        """The principal of a valid token. Raises Unauthorized, or Unavailable while no key was ever fetched."""
        if str(header.get("typ", "jwt")).lower() not in _STAFF_TYPES:
            raise Unauthorized
        key = await self._keys.key(_kid(header))
        claims = _verified_claims(token, key, self._issuer, self._audience, self._clock.now())
        return Principal("staff", claims["sub"], _roles(claims))


class BookingTokens:
    """Signs and verifies the token that a booking's holder carries. Only booking has the signing key."""

    def __init__(self, token_public_keys: str, clock: Clock, signing_key: str | None = None) -> None:
        """Takes BOXOFFICE_TOKEN_PUBLIC_KEYS and, in booking, BOOKING_TOKEN_SIGNING_KEY.

        Raises:
            ValueError: one of them is not what it should be; the sentence names the variable and shows no key.

        """
        try:
            self._keys = public_keys(token_public_keys)
        except ValueError as error:
            raise ValueError(f"BOXOFFICE_TOKEN_PUBLIC_KEYS is wrong: {error}") from None
        self._clock = clock
        self._signing = None if signing_key is None else _signing_key(signing_key)

    def sign(self, booking_id: UUID, now: datetime) -> str:
        """A token for `booking_id` that holds for BOOKING_TOKEN_DAYS from `now`. Equal input, equal token."""
        assert self._signing is not None, "only the service with the signing key signs"
        kid, key = self._signing
        issued = int(now.timestamp())
        claims = {
            "iss": _BOOKING_ISSUER,
            "aud": _BOOKING_AUDIENCE,
            "sub": str(booking_id),
            "iat": issued,
            "nbf": issued,
            "exp": issued + int(timedelta(days=BOOKING_TOKEN_DAYS).total_seconds()),
        }
        return jwt.encode(claims, key, "EdDSA", {"typ": _BOOKING_TYPE, "kid": kid})

    def verify(self, token: str, header: Mapping[str, Any]) -> Principal:
        """The principal of a valid token. Raises Unauthorized."""
        key = self._keys.get(_kid(header))
        claims = _verified_claims(token, key, _BOOKING_ISSUER, _BOOKING_AUDIENCE, self._clock.now())
        try:
            booking_id = UUID(claims["sub"])
        except ValueError:
            raise Unauthorized from None
        return Principal("booking", str(booking_id), booking_id=booking_id)


def new_token_keys(kid: str) -> tuple[str, str]:
    """A fresh Ed25519 pair: BOOKING_TOKEN_SIGNING_KEY (a private JWK) and BOXOFFICE_TOKEN_PUBLIC_KEYS (a JWKS)."""
    private = {**jwt.algorithms.OKPAlgorithm.to_jwk(Ed25519PrivateKey.generate(), as_dict=True), "kid": kid}
    public = {name: value for name, value in private.items() if name != "d"}
    return json.dumps(private), json.dumps({"keys": [public]})


class Auth:
    """What turns a bearer token into a principal. Stands on `app.state.auth`."""

    def __init__(self, settings: AuthSettings, clock: Clock, token_signing_key: str | None = None) -> None:
        self._keys = Jwks(settings.oidc_jwks_url, clock)
        self.staff = StaffTokens(settings.oidc_issuer, settings.oidc_audience, self._keys, clock)
        self.bookings = BookingTokens(settings.token_public_keys, clock, token_signing_key)

    async def principal(self, token: str) -> Principal:
        """Raises Unauthorized, or Unavailable while no staff key was ever fetched."""
        if len(token) > TOKEN_BYTES_MAX:
            raise Unauthorized
        try:
            header = jwt.get_unverified_header(token)
        except (jwt.PyJWTError, UnicodeError):
            raise Unauthorized from None
        if header.get("typ") == _BOOKING_TYPE:
            return self.bookings.verify(token, header)
        return await self.staff.verify(token, header)

    async def close(self) -> None:
        """Ends what it holds open."""
        await self._keys.close()


_bearer = HTTPBearer(auto_error=False, description="A staff access token, or the token of a booking.")


async def _principal(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> Principal:
    if credentials is None:
        raise Unauthorized
    auth: Auth = request.app.state.auth
    return await auth.principal(credentials.credentials)


Asker = Annotated[Principal, Depends(_principal)]
"""Whoever has a valid token of either kind; what they may do is not decided yet."""


def require_role(role: Role | str) -> Callable[[Principal], Awaitable[Principal]]:
    """A dependency that lets staff with `role` or a higher one through; anyone else gets 403."""
    needed = Role(role)

    async def staff_with_role(principal: Asker) -> Principal:
        if not principal.has(needed):
            raise Forbidden
        return principal

    return staff_with_role


async def _holder(principal: Asker) -> Principal:
    if principal.kind != "booking" and not principal.has(Role.VIEWER):
        raise Forbidden
    return principal


async def _reader(request: Request) -> Principal | None:
    scheme, token = get_authorization_scheme_param(request.headers.get("Authorization"))
    if scheme.lower() != "bearer":
        return None
    auth: Auth = request.app.state.auth
    return await auth.principal(token)


Reader = Annotated[Principal | None, Depends(_reader)]
"""Whoever reads what anyone may see, where staff see more: None without a token. A token that is wrong is refused all the same."""

TOKEN_OPTIONAL: dict[str, Any] = {"security": [{}, {"HTTPBearer": []}]}
"""For `openapi_extra` of a route with a Reader."""

Staff = Annotated[Principal, Depends(require_role(Role.VIEWER))]
Refunder = Annotated[Principal, Depends(require_role(Role.REFUNDER))]
Manager = Annotated[Principal, Depends(require_role(Role.MANAGER))]
Holder = Annotated[Principal, Depends(_holder)]
"""Staff, or the holder of some booking's token: call `holder_of` before showing anything."""


def holder_of(principal: Principal, booking_id: UUID, what: str = "booking") -> None:
    """Raises NotFound for the token of another booking, as if what was asked for did not exist."""
    if principal.kind == "booking" and principal.booking_id != booking_id:
        raise NotFound(what)


def _kid(header: Mapping[str, Any]) -> str:
    kid = header.get("kid")
    if not isinstance(kid, str):
        raise Unauthorized
    return kid


def _verified_claims(token: str, key: jwt.PyJWK | None, issuer: str, audience: str, now: datetime) -> dict[str, Any]:
    if key is None:
        raise Unauthorized
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[key.algorithm_name],
            issuer=issuer,
            audience=audience,
            options={
                "require": ["iss", "aud", "sub", "exp", "nbf", "iat"],
                "enforce_minimum_key_length": True,
                # The library reads the machine's clock; the times are checked below against ours.
                "verify_exp": False,
                "verify_nbf": False,
                "verify_iat": False,
            },
        )
    except (jwt.PyJWTError, UnicodeError, RecursionError):
        raise Unauthorized from None
    _check_times(claims, now)
    return claims


def _check_times(claims: Mapping[str, Any], now: datetime) -> None:
    for claim in ("exp", "nbf", "iat"):
        value = claims[claim]
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise Unauthorized
    instant, leeway = now.timestamp(), LEEWAY.total_seconds()
    if claims["exp"] <= instant - leeway or max(claims["nbf"], claims["iat"]) > instant + leeway:
        raise Unauthorized


def _roles(claims: Mapping[str, Any]) -> frozenset[Role]:
    """From `roles`, or where Keycloak writes them, `realm_access.roles`. Roles of other systems are passed over."""
    realm = claims.get("realm_access")
    named = claims.get("roles", realm.get("roles") if isinstance(realm, dict) else None)
    return frozenset(role for role in Role if isinstance(named, list) and role.value in named)


def _signing_key(jwk_json: str) -> tuple[str, Ed25519PrivateKey]:
    try:
        entry = json.loads(jwk_json)
        key = jwt.algorithms.OKPAlgorithm.from_jwk(entry)
        if isinstance(key, Ed25519PrivateKey) and isinstance(entry["kid"], str):
            return entry["kid"], key
    except (ValueError, KeyError, TypeError, jwt.PyJWTError):
        pass  # the same sentence is due as for a key of another kind; the cause may quote the key
    raise ValueError("BOOKING_TOKEN_SIGNING_KEY is not a private Ed25519 key as a JWK with a kid")
