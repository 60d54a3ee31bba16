"""One request's, or one due row's, work on the store: the moment, who asks, and the events that it causes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import stripe

from sandbox.stripe.errors import InvalidParameter, ResourceMissing
from sandbox.stripe.ids import new_id
from sandbox.stripe.store import Page, Store
from sandbox.stripe.values import Object, rendered

Params = dict[str, Any]

PARAM_OF_KIND = {"payment_intent": "intent"}
"""The name that Stripe gives the parameter when an id in the path is unknown; elsewhere it is `id` or the kind's own."""


@dataclass
class Work:
    """`now` is the stand-in's time in seconds; `publishable` marks a caller that holds only the publishable key."""

    store: Store
    now: int
    public_url: str
    request_id: str | None = None
    idempotency_key: str | None = None
    publishable: bool = False
    search_lag_seconds: int = 0
    list_lag_seconds: int = 0
    events: list[str] = field(default_factory=list)

    def load(self, kind: str, identifier: str, param: str | None = None) -> Object:
        """The object, or ResourceMissing naming the parameter that carried the id."""
        value = self.store.get(kind, identifier)
        if value is None:
            raise ResourceMissing(kind, identifier, param or PARAM_OF_KIND.get(kind, "id"))
        return value

    def emit(self, kind: str, value: Object, previous: Object | None = None) -> None:
        """Record an event with a snapshot of the object, and a delivery to each endpoint that listens to it.

        Shape: docs.stripe.com/api/events/object. Which endpoints: docs.stripe.com/api/webhook_endpoints/object, `enabled_events`.
        """
        endpoints = [
            endpoint["id"]
            for endpoint in self.store.find("webhook_endpoint")[0]
            if endpoint["status"] == "enabled" and {"*", kind} & set(endpoint["enabled_events"])
        ]
        event = {
            "id": new_id("evt"),
            "object": "event",
            "api_version": stripe.api_version,
            "created": self.now,
            "data": {"object": rendered(value)} | ({"previous_attributes": previous} if previous is not None else {}),
            "livemode": False,
            "pending_webhooks": len(endpoints),
            "request": {"id": self.request_id, "idempotency_key": self.idempotency_key},
            "type": kind,
        }
        self.store.put(event)
        self.store.connection.executemany(
            "INSERT INTO deliveries (event_id, endpoint_id, attempts, next_at, state) VALUES (?, ?, 0, 0, 'pending')",
            [(event["id"], endpoint) for endpoint in endpoints],
        )
        self.events.append(str(event["id"]))

    def later(self, seconds: int, verb: str, identifier: str) -> None:
        """Have `verb` run on the object once the stand-in's clock has passed `seconds` more."""
        self.store.connection.execute(
            "INSERT INTO due (at, verb, object_id) VALUES (?, ?, ?)", (self.now + seconds, verb, identifier)
        )

    def listed(self, kind: str, params: Params, *facets: str) -> Object:
        """A page of a list (docs.stripe.com/api/pagination), filtered by those facets that the request names."""
        created = params.get("created", {})
        for cursor in ("starting_after", "ending_before"):
            if cursor in params and self.store.get(kind, params[cursor]) is None:
                raise InvalidParameter(f"No such {kind}: '{params[cursor]}'", code="resource_missing", param=cursor)
        page = Page(
            limit=params.get("limit", 10),
            starting_after=params.get("starting_after"),
            ending_before=params.get("ending_before"),
            created=created if isinstance(created, dict) else {"gte": created, "lte": created},
            created_at_most=self.now - self.list_lag_seconds if self.list_lag_seconds else None,
        )
        wanted = [(name, [params[name]]) for name in facets if name in params]
        if "types" in params:
            wanted.append(("type", params["types"]))
        data, more = self.store.find(kind, wanted, page)
        return {"object": "list", "data": data, "has_more": more, "url": f"/v1/{kind}s"}
