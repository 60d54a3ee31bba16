"""The routes of notification, all for staff. None shows who a buyer is."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from chassis.auth import Manager, Staff
from chassis.db import Tx
from chassis.idempotency import Idempotent
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from notification import outgoing, webhooks
from notification.domain import DeliveryStatus, MessageStatus, Template
from notification.schemas import (
    Deliveries,
    DeliveryOut,
    EndpointCreated,
    EndpointIn,
    EndpointOut,
    Endpoints,
    NotificationOut,
    Notifications,
)

router = APIRouter()


@router.get("/notifications")
async def list_notifications(  # a filter each
    tx: Tx,
    _: Staff,
    *,
    booking_id: UUID | None = None,
    status: MessageStatus | None = None,
    template: Template | None = None,
    cursor: UUID | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> Notifications:
    """The mails about a booking, oldest first, or of all bookings, newest first."""
    return await outgoing.list_messages(
        tx, booking_id=booking_id, status=status, template=template, cursor=cursor, limit=limit
    )


@router.post("/notifications/{notification_id}/resend", status_code=201, response_model=NotificationOut)
async def resend(notification_id: UUID, once: Idempotent, manager: Manager) -> Response:
    """Sends a mail once more, as a new notification."""
    return await once(lambda tx: outgoing.resend(tx, notification_id, manager.subject))


@router.get("/webhook-endpoints")
async def list_endpoints(tx: Tx, _: Manager) -> Endpoints:
    """Every endpoint, without secrets."""
    return await webhooks.all_endpoints(tx)


@router.post("/webhook-endpoints", status_code=201, response_model=EndpointCreated)
async def register_endpoint(body: EndpointIn, once: Idempotent, manager: Manager, request: Request) -> Response:
    """Registers an endpoint; the answer is the only one that shows its secret."""
    await request.app.state.guard.judge(body.url)
    return await once(lambda tx: webhooks.register(tx, body, manager.subject, request.app.state.sealer))


@router.delete("/webhook-endpoints/{endpoint_id}", status_code=204)
async def remove_endpoint(endpoint_id: UUID, tx: Tx, manager: Manager) -> None:
    """Removes an endpoint and what it is still owed."""
    await webhooks.remove(tx, endpoint_id, manager.subject)


@router.post("/webhook-endpoints/{endpoint_id}/enable")
async def enable_endpoint(endpoint_id: UUID, tx: Tx, manager: Manager) -> EndpointOut:
    """Calls an endpoint again that was disabled. What was given up meanwhile is delivered anew only where it is asked for."""
    return await webhooks.enable(tx, endpoint_id, manager.subject)


@router.get("/webhook-endpoints/{endpoint_id}/deliveries")
async def list_deliveries(
    endpoint_id: UUID, tx: Tx, _: Staff, before: UUID | None = None, status: DeliveryStatus | None = None
) -> Deliveries:
    """Deliveries of an endpoint, newest first, a page at a time."""
    return await webhooks.deliveries_of(tx, endpoint_id, before, status)


@router.get("/webhook-deliveries")
async def list_deliveries_of_booking(booking_id: UUID, tx: Tx, _: Staff, before: UUID | None = None) -> Deliveries:
    """What every endpoint was told about a booking, newest first, a page at a time."""
    return await webhooks.deliveries_about(tx, booking_id, before)


@router.post("/webhook-endpoints/{endpoint_id}/deliveries/{delivery_id}/redeliver", status_code=202)
async def redeliver(endpoint_id: UUID, delivery_id: UUID, tx: Tx, manager: Manager) -> DeliveryOut:
    """Delivers once more, under the same webhook-id."""
    return await webhooks.redeliver(tx, endpoint_id, delivery_id, manager.subject)
