"""Every route that the stand-in offers: one line each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from sandbox.stripe import (
    account,
    balance,
    charges,
    confirmation,
    customers,
    disputes,
    events,
    intents,
    payment_methods,
    refunds,
    sdk_routes,
    webhook_endpoints,
)
from sandbox.stripe.errors import NotOffered, UnknownRoute
from sandbox.stripe.params import EXPAND, Schema
from sandbox.stripe.values import Object


@dataclass(frozen=True)
class Route:
    """`operation` is the name that faults and statistics use; `browser` marks what a publishable key may call."""

    operation: str
    handler: Callable[..., Object]
    schema: Schema = field(default_factory=lambda: EXPAND)
    browser: bool = False


ROUTES: dict[tuple[str, str], Route] = {
    ("GET", "/v1/account"): Route("accounts.retrieve_current", account.retrieve),
    ("GET", "/v1/balance"): Route("balance.retrieve", balance.retrieve),
    ("GET", "/v1/balance_transactions"): Route("balance_transactions.list", balance.list_transactions, balance.LIST),
    ("GET", "/v1/balance_transactions/{}"): Route("balance_transactions.retrieve", balance.retrieve_transaction),
    ("GET", "/v1/charges"): Route("charges.list", charges.listing, charges.LIST),
    ("GET", "/v1/charges/{}"): Route("charges.retrieve", charges.retrieve),
    ("POST", "/v1/charges/{}"): Route("charges.update", charges.update, charges.UPDATE),
    ("POST", "/v1/charges/{}/capture"): Route("charges.capture", charges.refuse_capture),
    ("POST", "/v1/customers"): Route("customers.create", customers.create, customers.SAVE),
    ("GET", "/v1/customers"): Route("customers.list", customers.listing, customers.LIST),
    ("GET", "/v1/customers/{}"): Route("customers.retrieve", customers.retrieve),
    ("POST", "/v1/customers/{}"): Route("customers.update", customers.update, customers.SAVE),
    ("DELETE", "/v1/customers/{}"): Route("customers.delete", customers.delete, {}),
    ("GET", "/v1/disputes"): Route("disputes.list", disputes.listing, disputes.LIST),
    ("GET", "/v1/disputes/{}"): Route("disputes.retrieve", disputes.retrieve),
    ("POST", "/v1/disputes/{}"): Route("disputes.update", disputes.update, disputes.UPDATE),
    ("POST", "/v1/disputes/{}/close"): Route("disputes.close", disputes.close),
    ("GET", "/v1/events"): Route("events.list", events.listing, events.LIST),
    ("GET", "/v1/events/{}"): Route("events.retrieve", events.retrieve),
    ("POST", "/v1/payment_intents"): Route("payment_intents.create", intents.create, intents.CREATE),
    ("GET", "/v1/payment_intents"): Route("payment_intents.list", intents.listing, intents.LIST),
    ("GET", "/v1/payment_intents/search"): Route("payment_intents.search", intents.search, intents.SEARCH),
    ("GET", "/v1/payment_intents/{}"): Route(
        "payment_intents.retrieve", intents.retrieve, intents.RETRIEVE, browser=True
    ),
    ("POST", "/v1/payment_intents/{}"): Route("payment_intents.update", intents.update, intents.UPDATE),
    ("POST", "/v1/payment_intents/{}/confirm"): Route(
        "payment_intents.confirm", confirmation.confirm, confirmation.CONFIRM_ROUTE, browser=True
    ),
    ("POST", "/v1/payment_intents/{}/capture"): Route("payment_intents.capture", intents.capture, intents.CAPTURE),
    ("POST", "/v1/payment_intents/{}/cancel"): Route("payment_intents.cancel", intents.cancel, intents.CANCEL),
    ("POST", "/v1/payment_methods"): Route(
        "payment_methods.create", payment_methods.create, payment_methods.CREATE, browser=True
    ),
    ("GET", "/v1/payment_methods"): Route("payment_methods.list", payment_methods.listing, payment_methods.LIST),
    ("GET", "/v1/payment_methods/{}"): Route("payment_methods.retrieve", payment_methods.retrieve),
    ("POST", "/v1/payment_methods/{}"): Route("payment_methods.update", payment_methods.update, payment_methods.UPDATE),
    ("POST", "/v1/payment_methods/{}/attach"): Route(
        "payment_methods.attach", payment_methods.attach, payment_methods.ATTACH
    ),
    ("POST", "/v1/payment_methods/{}/detach"): Route("payment_methods.detach", payment_methods.detach),
    ("POST", "/v1/refunds"): Route("refunds.create", refunds.create, refunds.CREATE),
    ("GET", "/v1/refunds"): Route("refunds.list", refunds.listing, refunds.LIST),
    ("GET", "/v1/refunds/{}"): Route("refunds.retrieve", refunds.retrieve),
    ("POST", "/v1/refunds/{}"): Route("refunds.update", refunds.update, refunds.UPDATE),
    ("POST", "/v1/refunds/{}/cancel"): Route("refunds.cancel", refunds.cancel),
    ("POST", "/v1/webhook_endpoints"): Route(
        "webhook_endpoints.create", webhook_endpoints.create, webhook_endpoints.CREATE
    ),
    ("GET", "/v1/webhook_endpoints"): Route(
        "webhook_endpoints.list", webhook_endpoints.listing, webhook_endpoints.LIST
    ),
    ("GET", "/v1/webhook_endpoints/{}"): Route("webhook_endpoints.retrieve", webhook_endpoints.retrieve),
    ("POST", "/v1/webhook_endpoints/{}"): Route(
        "webhook_endpoints.update", webhook_endpoints.update, webhook_endpoints.UPDATE
    ),
    ("DELETE", "/v1/webhook_endpoints/{}"): Route("webhook_endpoints.delete", webhook_endpoints.delete, {}),
}

COLLECTION_SEGMENTS = 3
"""`/v1/refunds` split at its slashes."""


def match(method: str, path: str) -> tuple[Route, list[str]]:
    """The route of a path and the id in it. Raises NotOffered for one that only Stripe has, UnknownRoute for any other."""
    if route := ROUTES.get((method, path)):
        return route, []
    segments = path.split("/")
    if len(segments) > COLLECTION_SEGMENTS:
        identifier = segments[COLLECTION_SEGMENTS]
        segments[COLLECTION_SEGMENTS] = "{}"
        route = ROUTES.get((method, "/".join(segments)))
        if route is not None and identifier:
            return route, [identifier]
    if sdk_routes.known(method, path):
        raise NotOffered(f"{method} {path}")
    raise UnknownRoute(method, path)
