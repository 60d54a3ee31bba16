"""Makes the passwords and keys of a stack of containers, once, and lays each where only its container finds it.

    python make_secrets.py /secrets

/secrets/<who>/ is the volume of one container. Files are called like the variables that they stand for (chassis.settings). What is there
stays as it is: delete the volumes for new secrets. DATABASE_SERVERS is `one` server for all databases, or one for `each`.
"""

from __future__ import annotations

import json
import os
import secrets
import string
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from chassis.clock import SystemClock

from sandbox.launcher.credentials import DATABASE_ROLES, SERVICES, Credentials, kept
from sandbox.launcher.rabbitmq import hashed

RABBITMQ = Path(__file__).parents[1] / "rabbitmq"
KEYS = ("passwords", "data-keys", "token-keys", "webhook-secret")
KEYS_LAST = timedelta(days=365)
"""docs/runbooks/rotate-*.md replace them; `boxoffice watch` says when it is time (KeyEnds)."""
MOUNTED = "/run/secrets"
"""Where a container finds its volume."""
READABLE_BY_THE_CONTAINER = 0o444
"""Its user's id differs from image to image; nobody else mounts the volume."""


def database_url(known: Credentials, service: str, role: str) -> str:
    """As SQLAlchemy wants it."""
    server = f"{service}-db" if os.environ.get("DATABASE_SERVERS") == "each" else "postgres"
    return f"postgresql+asyncpg://{role}:{known.database_passwords[role]}@{server}:5432/{service}"


def broker_url(known: Credentials, user: str) -> str:
    """With the heartbeat that notices a broker that is gone."""
    return f"amqp://{user}:{known.broker_passwords[user]}@rabbitmq:5672/boxoffice?heartbeat=10"


def of_service(known: Credentials, service: str) -> dict[str, str]:
    """What one service is told."""
    own = {
        "boxoffice_seal_keyset": known.seal_keyset,
        "boxoffice_blind_index_key": known.blind_index_key,
        "boxoffice_token_public_keys": known.token_public_keys,
        f"{service}_database_url": database_url(known, service, service),
        f"{service}_broker_url": broker_url(known, service),
    }
    match service:
        case "booking":
            own["booking_token_signing_key"] = known.token_signing_key
        case "payment":
            own["payment_stripe_api_key"] = known.stripe_api_key
            own["payment_stripe_publishable_key"] = known.stripe_publishable_key
    return own


def of_operator(known: Credentials) -> dict[str, str]:
    """All that the `boxoffice` command is told: a parked message is retried by the services' code."""
    told = {name: text for service in SERVICES for name, text in of_service(known, service).items()}
    for service in SERVICES:
        told[f"ops_{service}_database_url"] = database_url(known, service, f"{service}_owner")
        told[f"ops_{service}_verify_database_url"] = database_url(known, service, f"{service}_verify")
    # What is laid stays: this is the day until which the first keys are good.
    told["watch_keys_end"] = json.dumps(dict.fromkeys(KEYS, f"{SystemClock().now() + KEYS_LAST:%Y-%m-%d}"))
    told["ops_broker_url"] = broker_url(known, "admin")
    told["ops_broker_management_url"] = f"http://admin:{known.broker_passwords['admin']}@rabbitmq:15672"
    return told


def of_servers(known: Credentials, grafana: str, keycloak: str) -> dict[str, dict[str, str]]:
    """What PostgreSQL, RabbitMQ, the stand-in and the dashboards' servers are told."""
    roles = "".join(f"\\set {role}_password '{known.database_passwords[role]}'\n" for role in DATABASE_ROLES)
    hashes = {f"{user.upper()}_PASSWORD_HASH": hashed(password) for user, password in known.broker_passwords.items()}
    return {
        "postgres": {"superuser": known.postgres_password},
        "provision": {"superuser": known.postgres_password, "passwords.sql": roles},
        "rabbitmq": {
            "definitions.json": _rendered("definitions.json", hashes),
            "rabbitmq.conf": _rendered("rabbitmq.conf", {"DEFINITIONS": f"{MOUNTED}/definitions.json"}),
        },
        "stripe": {"api_key": known.stripe_api_key, "publishable_key": known.stripe_publishable_key},
        "grafana": {"admin_password": grafana},
        "keycloak": {"admin_password": keycloak},
    }


def _rendered(name: str, values: Mapping[str, str]) -> str:
    return string.Template((RABBITMQ / f"{name}.template").read_text()).substitute(values)


def lay(folder: Path, files: dict[str, str]) -> None:
    """Writes what is missing."""
    for name, text in files.items():
        target = folder / name
        if not target.exists():
            part = folder / f".{name}.part"
            part.write_text(text)
            part.chmod(READABLE_BY_THE_CONTAINER)
            part.replace(target)


def main() -> None:
    """`make_secrets.py FOLDER`"""
    folder = Path(sys.argv[1])
    known = kept(folder / "operator" / "credentials.json")
    told = {service: of_service(known, service) for service in SERVICES}
    told |= {"operator": of_operator(known), **of_servers(known, secrets.token_hex(16), secrets.token_hex(16))}
    for who, files in told.items():
        lay(folder / who, files)


if __name__ == "__main__":
    main()
