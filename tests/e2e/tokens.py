"""Tokens that no service may accept, each as good as a real one but for one thing."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import shlex
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

Claims = dict[str, Any]
DAY_S = 86_400


@dataclass(frozen=True)
class Signer:
    """A key with its `kid`, as the sandbox keeps it, and what its tokens must say."""

    key: Any
    kid: str
    algorithm: str
    kind: str
    claims: Claims

    def sign(self, key: Any = None, kind: str | None = None, **changed: Any) -> str:
        """A token. What is changed to None is left out."""
        claims = {name: value for name, value in {**self.claims, **changed}.items() if value is not None}
        return jwt.encode(claims, key or self.key, self.algorithm, {"kid": self.kid, "typ": kind or self.kind})

    def unsigned(self) -> str:
        """With the algorithm `none`."""
        return jwt.encode(self.claims, "", "none", {"kid": self.kid, "typ": self.kind})

    def by_public_key(self) -> str:
        """HS256 with what everybody knows as its secret: the public key."""
        form = (Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        secret = self.key.public_key().public_bytes(*form)
        head = {"alg": "HS256", "kid": self.kid, "typ": self.kind}
        signed = b".".join(_encoded(json.dumps(part).encode()) for part in (head, self.claims))
        return b".".join((signed, _encoded(hmac.new(secret, signed, hashlib.sha256).digest()))).decode()


def _encoded(part: bytes) -> bytes:
    return base64.urlsafe_b64encode(part).rstrip(b"=")


def staff(home: Path, issuer: str, *roles: str) -> Signer:
    """The sandbox's sign-in: the last key but one signs."""
    entry = json.loads((home / "world" / "issuer.json").read_text())[-2]
    claims = {**_times(), "iss": issuer, "aud": "boxoffice", "sub": "somebody", "roles": list(roles)}
    return Signer(jwt.PyJWK(entry, "RS256").key, entry["kid"], "RS256", "at+jwt", claims)


def booking_key(home: Path) -> dict[str, str]:
    """What booking signs with, as a JWK: `d` is the secret."""
    lines = (shlex.split(line)[1] for line in (home / "env" / "booking.env").read_text().splitlines())
    entry: dict[str, str] = json.loads(dict(line.split("=", 1) for line in lines)["BOOKING_TOKEN_SIGNING_KEY"])
    return entry


def booking(home: Path, booking_id: str) -> Signer:
    """As booking does."""
    entry = booking_key(home)
    claims = {**_times(), "iss": "booking", "aud": "boxoffice", "sub": booking_id}
    return Signer(jwt.PyJWK(entry, "EdDSA").key, entry["kid"], "EdDSA", "booking+jwt", claims)


def refused(manager: Signer, holder: Signer) -> dict[str, str | None]:
    """Values of the Authorization header, by what is wrong with them."""
    stranger = {"RS256": rsa.generate_private_key(65537, 2048), "EdDSA": Ed25519PrivateKey.generate()}
    wrong: dict[str, str | None] = {
        "no header": None,
        "another scheme": f"Basic {manager.sign()}",
        "nothing after Bearer": "Bearer",
        "nonsense": "Bearer nonsense",
        "staff claims as a booking's": f"Bearer {manager.sign(kind='booking+jwt')}",
        "a booking's claims as staff's": f"Bearer {holder.sign(kind='at+jwt', roles=['manager'])}",
        "an ID token's audience": f"Bearer {manager.sign(kind='JWT', aud='dashboard')}",
    }
    past, future = int(time.time()) - DAY_S, int(time.time()) + DAY_S
    for who, signer in (("staff", manager), ("booking", holder)):
        good = signer.sign()
        wrong |= {
            f"{who}: {what}": f"Bearer {token}"
            for what, token in {
                "algorithm none": signer.unsigned(),
                "HS256 by the public key": signer.by_public_key(),
                "expired": signer.sign(exp=past),
                "not valid yet": signer.sign(nbf=future),
                "without expiry": signer.sign(exp=None),
                "other issuer": signer.sign(iss="https://sign-in.example.org"),
                "other audience": signer.sign(aud="another-system"),
                "signed by a stranger": signer.sign(stranger[signer.algorithm]),
                "signature cut": good[:-20],
                "signature of other claims": ".".join((*signer.sign(sub="else").split(".")[:2], good.split(".")[2])),
            }.items()
        }
    return wrong


def _times() -> Claims:
    now = int(time.time())
    return {"iat": now, "nbf": now, "exp": now + 600}
