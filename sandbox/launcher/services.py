"""What each service and the operator are told: environment variables, made from the stack's ports and credentials."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sandbox.launcher.credentials import SERVICES, Credentials
from sandbox.launcher.ports import Block

TUNABLE = (
    "BOXOFFICE_RETRY_DELAYS_MS",
    "BOXOFFICE_LOG_LEVEL",
    "BOXOFFICE_OUTBOX_RETENTION_DAYS",
    "BOXOFFICE_OTLP_ENDPOINT",
    "BOXOFFICE_ROLES",
    "BOOKING_HOLD_SECONDS",
    "PAYMENT_STRIPE_ACCOUNT",
    "PAYMENT_PROVIDER_REFUNDS_PER_S",
    "PAYMENT_BALANCE_EVERY_S",
    "PAYMENT_PROVIDER_LISTING_EVERY_S",
    "PAYMENT_REVIEW_ABOVE_MINOR",
    "PAYMENT_REVIEW_DECLINES",
    "NOTIFICATION_SURVEYS",
    "NOTIFICATION_SURVEY_EVENT_DELAY_S",
    "NOTIFICATION_SURVEY_REFUND_DELAY_S",
    "REFUND_CAMPAIGN_PER_S",
    "REFUND_APPROVAL_ABOVE_MINOR",
    "WATCH_VERIFY_EVERY_S",
    "WATCH_CANARY_EVERY_S",
    *(f"{service.upper()}_{name}" for service in SERVICES for name in ("DATABASE_POOL", "PREFETCH")),
)
"""Taken from the environment of `boxoffice up` where they are set there."""

REAL_STRIPE = (
    "PAYMENT_STRIPE_API_KEY",
    "PAYMENT_STRIPE_PUBLISHABLE_KEY",
    "PAYMENT_STRIPE_WEBHOOK_SECRETS",
    "PAYMENT_STRIPE_API_BASE",
)
"""Taken together: with a key of one's own, payment talks to Stripe itself and not to the stand-in."""

STRIPE_PAGES = {
    "STRIPE_JS": "https://js.stripe.com/endive/stripe.js",
    "STRIPE_SCRIPT_SRC": "https://js.stripe.com",
    "STRIPE_FRAME_SRC": "https://js.stripe.com https://hooks.stripe.com",
    "STRIPE_CONNECT_SRC": "https://api.stripe.com",
}
"""Stripe.js of the API version that payment speaks, and what its page may load (docs.stripe.com/security/guide)."""


@dataclass(frozen=True)
class Addresses:
    """Where the parts of one stack are."""

    ports: Block
    gateway_port: int

    def http(self, name: str) -> str:
        return f"http://127.0.0.1:{self.gateway_port if name == 'gateway' else self.ports[name]}"

    def database(self, service: str, role: str, password: str, driver: str = "") -> str:
        return f"postgresql{driver}://{role}:{password}@127.0.0.1:{self.ports['postgres']}/{service}"

    def broker(self, user: str, password: str) -> str:
        return f"amqp://{user}:{password}@127.0.0.1:{self.ports['amqp']}/boxoffice?heartbeat=10"

    def management(self, password: str) -> str:
        return f"http://admin:{password}@127.0.0.1:{self.ports['management']}"


def service_variables(service: str, at: Addresses, known: Credentials, webhook_secret: str | None) -> dict[str, str]:
    """The variables of one service."""
    name = service.upper()
    return {
        **_shared(at, known),
        f"{name}_DATABASE_URL": at.database(service, service, known.database_passwords[service], "+asyncpg"),
        f"{name}_BROKER_URL": at.broker(service, known.broker_passwords[service]),
        **_own(service, at, known, webhook_secret),
        **{variable: os.environ[variable] for variable in TUNABLE if variable in os.environ},
    }


def operator_variables(at: Addresses, known: Credentials, webhook_secret: str | None) -> dict[str, str]:
    """The variables of the `boxoffice` command. Those of the services are among them: a parked message is retried by their code."""
    variables: dict[str, str] = {}
    for service in SERVICES:
        variables.update(service_variables(service, at, known, webhook_secret))
        for role, variable in ((f"{service}_owner", "DATABASE_URL"), (f"{service}_verify", "VERIFY_DATABASE_URL")):
            url = at.database(service, role, known.database_passwords[role], "+asyncpg")
            variables[f"OPS_{service.upper()}_{variable}"] = url
        variables[f"OPS_{service.upper()}_URL"] = at.http(service)
    return {
        "WATCH_VERIFY_EVERY_S": "300",
        **variables,
        "OPS_BROKER_URL": at.broker("admin", known.broker_passwords["admin"]),
        "OPS_BROKER_MANAGEMENT_URL": at.management(known.broker_passwords["admin"]),
        "OPS_MAIL_URL": at.http("mail"),
        "OPS_CRM_URL": at.http("crm"),
        "WATCH_PORT": str(at.ports["watch"]),
        "WATCH_STAFF_TOKEN_COMMAND": staff_token_command(),
        "WATCH_GATEWAY_URL": at.http("gateway"),
    }


def page_variables(at: Addresses, known: Credentials, pages: Path) -> dict[str, str]:
    """What the gateway's template is told about the pages: where they lie, where Stripe.js is, and who signs staff in."""
    stand_in = {**dict.fromkeys(STRIPE_PAGES, at.http("stripe")), "STRIPE_JS": f"{at.http('stripe')}/stripe.js"}
    return {
        **(STRIPE_PAGES if own_stripe(known, os.environ) else stand_in),
        "OIDC_ISSUER": at.http("issuer"),
        "OIDC_ORIGIN": at.http("issuer"),
        "OIDC_CLIENT_ID": "boxoffice-pages",
        "MODE": "sandbox",
        "PAGES_DIR": str(pages),
    }


def staff_token_command() -> str:
    """What prints a token of a manager."""
    return f"{Path(sys.executable).with_name('boxoffice')} token --role manager"


def own_stripe(known: Credentials, environment: Mapping[str, str]) -> bool:
    """The user brought a Stripe key."""
    return environment.get("PAYMENT_STRIPE_API_KEY", known.stripe_api_key) != known.stripe_api_key


def _shared(at: Addresses, known: Credentials) -> dict[str, str]:
    return {
        "BOXOFFICE_MODE": "sandbox",
        "BOXOFFICE_SEAL_KEYSET": known.seal_keyset,
        "BOXOFFICE_BLIND_INDEX_KEY": known.blind_index_key,
        "BOXOFFICE_OIDC_ISSUER": at.http("issuer"),
        "BOXOFFICE_OIDC_AUDIENCE": "boxoffice",
        "BOXOFFICE_OIDC_JWKS_URL": f"{at.http('issuer')}/jwks.json",
        "BOXOFFICE_TOKEN_PUBLIC_KEYS": known.token_public_keys,
        "BOXOFFICE_RETRY_DELAYS_MS": "500,1000,2000,4000,8000",
        "BOXOFFICE_PUBLIC_URL": at.http("gateway"),
    }


def _own(service: str, at: Addresses, known: Credentials, webhook_secret: str | None) -> dict[str, str]:
    match service:
        case "booking":
            return {"BOOKING_TOKEN_SIGNING_KEY": known.token_signing_key}
        case "payment":
            return {"PAYMENT_REVIEW_ABOVE_MINOR": '{"EUR": 200000}', **_stripe(at, known, webhook_secret)}
        case "refund":
            return {"REFUND_APPROVAL_ABOVE_MINOR": '{"EUR": 50000}'}
        case "notification":
            return {
                "NOTIFICATION_SMTP_HOST": "127.0.0.1",
                "NOTIFICATION_SMTP_PORT": str(at.ports["smtp"]),
                "NOTIFICATION_SMTP_STARTTLS": "false",
                "NOTIFICATION_MAIL_FROM": "Boxoffice <tickets@boxoffice.example>",
                "NOTIFICATION_STAFF_ADDRESS": "desk@boxoffice.example",
                "NOTIFICATION_SURVEY_EVENT_DELAY_S": "5",
                "NOTIFICATION_SURVEY_REFUND_DELAY_S": "5",
                "NOTIFICATION_WEBHOOK_ALLOWED_HOSTS": f"127.0.0.1:{at.ports['crm']}",
            }
        case _:
            return {}


def _stripe(at: Addresses, known: Credentials, webhook_secret: str | None) -> dict[str, str]:
    if own_stripe(known, os.environ):
        return {variable: os.environ[variable] for variable in REAL_STRIPE if variable in os.environ}
    stand_in = {
        "PAYMENT_STRIPE_API_KEY": known.stripe_api_key,
        "PAYMENT_STRIPE_PUBLISHABLE_KEY": known.stripe_publishable_key,
        "PAYMENT_STRIPE_API_BASE": at.http("stripe"),
    }
    return stand_in if webhook_secret is None else {**stand_in, "PAYMENT_STRIPE_WEBHOOK_SECRETS": webhook_secret}
