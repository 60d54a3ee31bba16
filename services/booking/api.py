"""Booking's HTTP interface. Each route is one call into the service."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from chassis.auth import Asker, Holder, Manager, Role, Staff, holder_of
from chassis.db import Tx
from chassis.errors import Forbidden
from chassis.idempotency import Idempotent
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse

from booking import cancellation, catalogue, service, stream
from booking.domain import Status
from booking.schemas import (
    BookingCancel,
    BookingCreate,
    BookingPage,
    BookingPlacedRead,
    BookingRead,
    Email,
    EventCancellation,
    EventChange,
    EventCreate,
    EventPage,
    EventRead,
)

router = APIRouter()

Limit = Annotated[int, Query(ge=1, le=100)]


@router.post("/events", status_code=201, response_model=EventRead)
async def create_event(body: EventCreate, manager: Manager, once: Idempotent) -> Response:
    return await once(lambda tx: catalogue.create_event(tx, manager, body))


@router.get("/events")
async def list_events(tx: Tx, *, ended: bool = False, cursor: UUID | None = None, limit: Limit = 50) -> EventPage:
    return await catalogue.list_events(tx, ended=ended, cursor=cursor, limit=limit)


@router.get("/events/{event_id}")
async def read_event(event_id: UUID, tx: Tx) -> EventRead:
    return await catalogue.read_event(tx, event_id)


@router.patch("/events/{event_id}")
async def change_event(event_id: UUID, body: EventChange, tx: Tx, manager: Manager) -> EventRead:
    return await catalogue.change_event(tx, manager, event_id, body)


@router.post("/events/{event_id}/cancel", response_model=EventCancellation)
async def cancel_event(
    event_id: UUID, request: Request, manager: Manager, once: Idempotent, *, dry_run: bool = False
) -> Response | EventCancellation:
    """With `dry_run` nothing is changed, nor is the key used up."""
    if dry_run:
        async with request.app.state.database.transaction() as tx:
            return await cancellation.preview(tx, event_id)
    return await once(lambda tx: cancellation.cancel_event(tx, manager, event_id), status=200)


@router.post("/bookings", status_code=201, response_model=BookingPlacedRead)
async def create_booking(body: BookingCreate, request: Request, once: Idempotent) -> Response:
    state = request.app.state
    return await once(lambda tx: service.create_booking(tx, state.sealer, state.auth.bookings, state.hold, body))


@router.get("/bookings")
async def list_bookings(
    request: Request,
    tx: Tx,
    _: Staff,
    *,
    event_id: UUID | None = None,
    status: Status | None = None,
    email: Email | None = None,
    cursor: UUID | None = None,
    limit: Limit = 50,
) -> BookingPage:
    return await service.list_bookings(
        tx, request.app.state.sealer, event_id=event_id, status=status, email=email, cursor=cursor, limit=limit
    )


@router.get("/bookings/{booking_id}")
async def read_booking(booking_id: UUID, request: Request, tx: Tx, holder: Holder) -> BookingRead:
    holder_of(holder, booking_id)
    return await service.read_booking(tx, request.app.state.sealer, booking_id)


@router.get("/bookings/{booking_id}/stream", response_class=StreamingResponse)
async def stream_booking(booking_id: UUID, request: Request, tx: Tx, holder: Holder) -> StreamingResponse:
    """Server-sent events `booking`, each with the whole booking and its revision as id; a comment at least every 15 s."""
    holder_of(holder, booking_id)
    state = request.app.state
    await service.read_booking(tx, state.sealer, booking_id)  # so that a booking that is not there is a 404
    return StreamingResponse(
        stream.updates(state.database, state.sealer, state.changes, booking_id),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


@router.post("/bookings/{booking_id}/cancel", response_model=BookingRead)
async def cancel_booking(
    booking_id: UUID, request: Request, asker: Asker, once: Idempotent, body: BookingCancel | None = None
) -> Response:
    if asker.kind == "staff" and not asker.has(Role.REFUNDER):
        raise Forbidden
    holder_of(asker, booking_id)
    ticket_ids = (body and body.ticket_ids) or ()
    sealer = request.app.state.sealer
    return await once(lambda tx: service.cancel_booking(tx, sealer, asker, booking_id, ticket_ids), status=200)
