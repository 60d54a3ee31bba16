"""Webhook endpoints: who is told of which events (docs.stripe.com/api/webhook_endpoints)."""

from __future__ import annotations

import typing
from urllib.parse import urlsplit

import stripe

from sandbox.stripe.errors import InvalidRequest
from sandbox.stripe.ids import new_id
from sandbox.stripe.params import EXPAND, PAGE, Required, Schema, array, boolean, choice, metadata, text
from sandbox.stripe.values import Object, merged_metadata
from sandbox.stripe.work import Params, Work

EVENT_TYPES = frozenset(typing.get_args(stripe.Event.__annotations__["type"])) | {"*"}
"""What the SDK of the pinned version knows."""

CREATE: Schema = {
    **EXPAND,
    "api_version": text(),
    "description": text(),
    "enabled_events": Required(array(choice(*sorted(EVENT_TYPES)))),
    "metadata": metadata,
    "url": Required(text()),
}
UPDATE: Schema = {
    **EXPAND,
    "description": text(),
    "disabled": boolean,
    "enabled_events": array(choice(*sorted(EVENT_TYPES))),
    "metadata": metadata,
    "url": text(),
}
LIST: Schema = {name: parser for name, parser in PAGE.items() if name != "created"}


def create(work: Work, params: Params) -> Object:
    """The answer to the creation is the only one that shows the signing secret."""
    if params.get("api_version") not in {None, stripe.api_version}:
        raise InvalidRequest(f"Invalid api_version: the stand-in speaks {stripe.api_version} only", param="api_version")
    endpoint: Object = {
        "id": new_id("we"),
        "object": "webhook_endpoint",
        "api_version": params.get("api_version"),
        "application": None,
        "created": work.now,
        "description": params.get("description"),
        "enabled_events": params["enabled_events"],
        "livemode": False,
        "metadata": merged_metadata({}, params.get("metadata")),
        "status": "enabled",
        "url": _checked(params["url"]),
        "_secret": new_id("whsec", 32),
    }
    work.store.put(endpoint)
    return endpoint | {"secret": endpoint["_secret"]}


def retrieve(work: Work, _params: Params, identifier: str) -> Object:
    return work.load("webhook_endpoint", identifier)


def update(work: Work, params: Params, identifier: str) -> Object:
    endpoint = work.load("webhook_endpoint", identifier)
    if "url" in params:
        _checked(params["url"])
    endpoint |= {name: params[name] for name in ("description", "enabled_events", "url") if name in params}
    endpoint["metadata"] = merged_metadata(endpoint["metadata"], params.get("metadata"))
    if "disabled" in params:
        endpoint["status"] = "disabled" if params["disabled"] else "enabled"
    work.store.put(endpoint)
    return endpoint


def delete(work: Work, _params: Params, identifier: str) -> Object:
    endpoint = work.load("webhook_endpoint", identifier)
    work.store.delete(endpoint)
    return {"id": identifier, "object": "webhook_endpoint", "deleted": True}


def listing(work: Work, params: Params) -> Object:
    return work.listed("webhook_endpoint", params)


def _checked(url: str | None) -> str:
    """Test mode takes plain http as well (docs.stripe.com/webhooks)."""
    if urlsplit(url or "").scheme not in {"http", "https"} or not urlsplit(url or "").hostname:
        raise InvalidRequest(
            "Invalid URL: An explicit scheme (such as https) must be provided", code="url_invalid", param="url"
        )
    return str(url)
