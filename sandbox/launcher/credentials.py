"""Passwords and keys of one sandbox: made at its first start, kept in a file that only its user may read."""

from __future__ import annotations

import os
import secrets
import shlex
from collections.abc import Mapping
from pathlib import Path

from chassis.auth import new_token_keys
from chassis.crypto import new_index_key, new_keyset
from pydantic import BaseModel

SERVICES = ("booking", "payment", "refund", "notification")
DATABASE_ROLES = tuple(f"{service}{suffix}" for service in SERVICES for suffix in ("_owner", "", "_verify"))


class Credentials(BaseModel, frozen=True):
    """Nothing here is worth anything outside of the sandbox that made it."""

    postgres_password: str
    database_passwords: dict[str, str]
    """By role: <service>_owner, <service>, <service>_verify."""
    broker_passwords: dict[str, str]
    """By user: admin and the services."""
    seal_keyset: str
    blind_index_key: str
    token_signing_key: str
    token_public_keys: str
    stripe_api_key: str
    stripe_publishable_key: str


def kept(file: Path) -> Credentials:
    """Those in `file`; made and written when there is none."""
    if file.exists():
        return Credentials.model_validate_json(file.read_text())
    made = _made()
    write_private(file, made.model_dump_json(indent=2))
    return made


def write_private(file: Path, text: str) -> None:
    """Whole or not at all, and never readable by others."""
    part = file.with_name(f"{file.name}.part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as output:
        output.write(text)
    part.replace(file)


def environment_file(variables: Mapping[str, str]) -> str:
    """Lines that a shell can source."""
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in sorted(variables.items()))


def _made() -> Credentials:
    private, public = new_token_keys(f"sandbox-{secrets.token_hex(4)}")
    return Credentials(
        postgres_password=_password(),
        database_passwords={role: _password() for role in DATABASE_ROLES},
        broker_passwords={user: _password() for user in ("admin", *SERVICES)},
        seal_keyset=new_keyset(),
        blind_index_key=new_index_key(),
        token_signing_key=private,
        token_public_keys=public,
        stripe_api_key=f"sk_test_{secrets.token_hex(24)}",
        stripe_publishable_key=f"pk_test_{secrets.token_hex(24)}",
    )


def _password() -> str:
    return secrets.token_hex(16)
