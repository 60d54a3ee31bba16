"""Where the provider tells that something has happened. Outside of sign-in: the signature on the body is what counts."""

from __future__ import annotations

import structlog
from chassis.db import Database
from chassis.errors import Malformed
from fastapi import APIRouter, HTTPException, Request

from payment import metrics, receipts
from payment.gateways import BadWebhook, Gateway

log = structlog.get_logger(__name__)

router = APIRouter(tags=["webhooks"])

LARGEST_BODY_BYTES = 1024 * 1024


@router.post("/webhooks/stripe")
async def receive_stripe(request: Request) -> dict[str, str]:
    """Answered as soon as it is kept; 400 for what is not from the provider, of which only a counter stays."""
    gateway: Gateway = request.app.state.gateway
    database: Database = request.app.state.database
    body = await _body(request)
    try:
        event = gateway.parse_webhook(body, request.headers.get("stripe-signature"), database.clock.now())
    except BadWebhook as error:
        metrics.WEBHOOKS.labels(error.reason).inc()
        raise Malformed("The webhook is not accepted.") from None
    async with database.single() as tx:  # the insert is all that is written
        outcome = await receipts.receive(tx, gateway, request.app.state.sealer, event, body)
    metrics.WEBHOOKS.labels(outcome).inc()
    metrics.LAST_WEBHOOK.set(database.clock.now().timestamp())
    return {"outcome": outcome}


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_BODY_BYTES:
            metrics.WEBHOOKS.labels("too_large").inc()
            raise HTTPException(413)
    return bytes(body)
