"""Events (docs.stripe.com/api/events): the record of every change, kept whether or not anybody was told."""

from __future__ import annotations

from sandbox.stripe.params import PAGE, Schema, array, boolean, text
from sandbox.stripe.values import Object
from sandbox.stripe.work import Params, Work

LIST: Schema = {**PAGE, "delivery_success": boolean, "type": text(), "types": array(text())}


def retrieve(work: Work, _params: Params, identifier: str) -> Object:
    return _with_pending(work, work.load("event", identifier))


def listing(work: Work, params: Params) -> Object:
    page = work.listed("event", params, "type")
    data = [_with_pending(work, event) for event in page["data"]]
    if "delivery_success" in params:
        data = [event for event in data if (event["pending_webhooks"] == 0) is params["delivery_success"]]
    return page | {"data": data}


def _with_pending(work: Work, event: Object) -> Object:
    """`pending_webhooks`: endpoints that have not answered 2xx yet."""
    row = work.store.connection.execute(
        "SELECT COUNT(*) FROM deliveries WHERE event_id = ? AND state IN ('pending', 'failed', 'lost')", (event["id"],)
    ).fetchone()
    return event | {"pending_webhooks": row[0]}
