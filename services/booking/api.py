"""Booking's HTTP interface. Each route is one call into the service."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from chassis.auth import TOKEN_OPTIONAL, Asker, Holder, Manager, Reader, Role, Staff, holder_of
from chassis.csv_export import CsvResponse
from chassis.db import Tx
from chassis.errors import Forbidden
from chassis.idempotency import Idempotent
from chassis.period import AskedPeriod
from chassis.timeline import Timeline
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse

from booking import analytics, cancellation, catalogue, search, service, stream, timeline
from booking.catalogue import EventFilters
from booking.domain import Status
from booking.schemas import (
    BookingCancel,
    BookingCreate,
    BookingPage,
    BookingPlacedRead,
    BookingRead,
    Email,
    EventAnalytics,
    EventCancellation,
    EventChange,
    EventCreate,
    EventPage,
    EventRead,
    EventSearch,
    Search,
)
from booking.search import Filters

router = APIRouter()

Limit = Annotated[int, Query(ge=1, le=100)]


class CalendarResponse(Response):
    """A calendar file."""

    media_type = "text/calendar"


@router.post("/events", status_code=201, response_model=EventRead)
async def create_event(body: EventCreate, manager: Manager, once: Idempotent) -> Response:
    return await once(lambda tx: catalogue.create_event(tx, manager, body))


def _event_filters(
    *, ended: bool = False, drafts: bool = False, latest_first: bool = False, q: EventSearch | None = None
) -> EventFilters:
    return EventFilters(ended=ended, drafts=drafts, latest_first=latest_first, q=q)


@router.get("/events", openapi_extra=TOKEN_OPTIONAL)
async def list_events(
    tx: Tx,
    reader: Reader,
    filters: Annotated[EventFilters, Depends(_event_filters)],
    cursor: UUID | None = None,
    limit: Limit = 50,
) -> EventPage:
    """Events by their start. `ended` adds those that are over, `drafts`, for staff, those that are not published."""
    return await catalogue.list_events(tx, reader, filters, cursor=cursor, limit=limit)


@router.get("/events/{event_id}", openapi_extra=TOKEN_OPTIONAL)
async def read_event(event_id: UUID, tx: Tx, reader: Reader) -> EventRead:
    """One event. A draft is there for staff only."""
    return await catalogue.read_event(tx, event_id, reader)


@router.patch("/events/{event_id}")
async def change_event(event_id: UUID, body: EventChange, tx: Tx, manager: Manager) -> EventRead:
    return await catalogue.change_event(tx, manager, event_id, body)


@router.post("/events/{event_id}/publish", response_model=EventRead)
async def publish_event(event_id: UUID, manager: Manager, once: Idempotent) -> Response:
    """Puts a draft on sale."""
    return await once(lambda tx: catalogue.publish_event(tx, manager, event_id), status=200)


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


def _filters(
    event_id: UUID | None = None, status: Status | None = None, email: Email | None = None, q: Search | None = None
) -> Filters:
    return Filters(event_id=event_id, status=status, email=email, q=q)


Filtered = Annotated[Filters, Depends(_filters)]


@router.get("/bookings")
async def list_bookings(
    request: Request, tx: Tx, _: Staff, filters: Filtered, cursor: UUID | None = None, limit: Limit = 50
) -> BookingPage:
    """The newest first."""
    return await search.list_bookings(tx, request.app.state.sealer, filters, cursor=cursor, limit=limit)


@router.get("/bookings.csv", response_class=CsvResponse)
async def export_bookings(request: Request, staff: Staff, filters: Filtered) -> CsvResponse:
    """The same bookings as a file for a spreadsheet, at most 50,000."""
    state = request.app.state
    return await search.export_bookings(state.database, state.sealer, staff, filters)


@router.get("/bookings/{booking_id}")
async def read_booking(booking_id: UUID, request: Request, tx: Tx, holder: Holder) -> BookingRead:
    holder_of(holder, booking_id)
    return await service.read_booking(tx, request.app.state.sealer, booking_id)


@router.get("/bookings/{booking_id}/timeline")
async def read_timeline(booking_id: UUID, tx: Tx, _: Staff) -> Timeline:
    """What happened to the booking, oldest first."""
    return await timeline.read_timeline(tx, booking_id)


@router.get("/bookings/{booking_id}/calendar.ics", response_class=CalendarResponse)
async def read_calendar(booking_id: UUID, tx: Tx, holder: Holder) -> Response:
    """The entry for the buyer's calendar, where and when the event takes place now. It is there once the booking is confirmed."""
    holder_of(holder, booking_id)
    headers = {"Content-Disposition": 'attachment; filename="event.ics"', "Cache-Control": "no-store"}
    return CalendarResponse(await service.calendar(tx, booking_id), headers=headers)


@router.get("/bookings/{booking_id}/stream", response_class=StreamingResponse)
async def stream_booking(booking_id: UUID, request: Request, holder: Holder) -> StreamingResponse:
    """Server-sent events `booking`, each with the whole booking and its revision as id; a comment at least every 15 s."""
    holder_of(holder, booking_id)
    state = request.app.state
    return StreamingResponse(
        await stream.begun(stream.updates(state.database, state.sealer, state.changes, booking_id)),
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


@router.get("/analytics/events")
async def read_event_analytics(tx: Tx, _: Staff, period: AskedPeriod) -> EventAnalytics:
    """What was sold, by the day of confirmation and by event. At most 366 days, which are those of `timezone`."""
    return await analytics.sales(tx, period)
