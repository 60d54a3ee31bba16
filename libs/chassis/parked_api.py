"""The parked messages of a service for the desk. Every service has these routes, each under its own name."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Annotated, Any

from aio_pika.exceptions import AMQPError
from contracts.catalogue import PUBLISHERS
from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, Field

from chassis.auth import Manager, Staff
from chassis.consumers import Consumers
from chassis.errors import Invalid, NotFound, Unavailable
from chassis.parked import REASON_MAX, ParkedMessages, UnknownMessage
from chassis.rehearsal import rehearse

LISTED_MAX = 200

router = APIRouter(prefix="/parked/{service}")

ServiceName = Annotated[str, Path(json_schema_extra={"enum": list(PUBLISHERS)})]


class ParkedSummary(BaseModel):
    """A message that its handler failed at in every try."""

    queue: str
    message_id: str
    type: str
    occurred_at: str | None = Field(
        description="when the event happened, ISO 8601; null where the message does not say"
    )
    tried: int
    error: str = Field(description="of the last try")


class ParkedList(BaseModel):
    """`total` may be more than are listed."""

    items: list[ParkedSummary]
    total: int


class ParkedDetail(ParkedSummary):
    """`body` is as it was published: what is sealed stays sealed."""

    headers: dict[str, str | int | bool | None]
    body: str


class ParkedRehearsal(BaseModel):
    """What the handler would do: rows by table and by what becomes of them, and events. Nothing of it was kept."""

    outcome: str
    error: str | None
    changes: dict[str, dict[str, int]]
    events: list[str]


class ParkedDiscard(BaseModel):
    """Why nothing shall come of it."""

    reason: Annotated[str, Field(min_length=1, max_length=REASON_MAX)]


@router.get("")
async def list_parked(service: ServiceName, request: Request, _: Staff) -> ParkedList:
    """What the service gave up, by queue, oldest first."""
    async with _of(request, service) as parked:
        found, total = await parked.all(LISTED_MAX)
    return ParkedList(items=[ParkedSummary(**_summary(asdict(each))) for each in found], total=total)


@router.get("/{queue}/{message_id}")
async def read_parked(service: ServiceName, queue: str, message_id: str, request: Request, _: Staff) -> ParkedDetail:
    """One message with its headers and its body."""
    async with _of(request, service) as parked:
        return ParkedDetail(**asdict(await parked.one(queue, message_id)))


@router.post("/{queue}/{message_id}/rehearse")
async def rehearse_parked(
    service: ServiceName, queue: str, message_id: str, request: Request, _: Manager
) -> ParkedRehearsal:
    """Has the handler work in a transaction that is rolled back."""
    consumers: Consumers = request.app.state.consumers
    async with _of(request, service) as parked:
        message = await parked.one(queue, message_id)
    tried = await rehearse(request.app.state.database, consumers.subscriptions, message)
    return ParkedRehearsal(outcome=tried.outcome, error=tried.error, changes=tried.changes, events=tried.events)


@router.post("/{queue}/{message_id}/retry", status_code=204)
async def retry_parked(service: ServiceName, queue: str, message_id: str, request: Request, manager: Manager) -> None:
    """Sends the message back to its queue as if it had never been tried."""
    async with _of(request, service) as parked:
        await parked.retry(queue, message_id, manager.subject)


@router.post("/{queue}/{message_id}/discard", status_code=204)
async def discard_parked(  # what names the message, and why
    service: ServiceName, queue: str, message_id: str, *, body: ParkedDiscard, request: Request, manager: Manager
) -> None:
    """Takes the message away for good. Its event never has its effect in this service."""
    async with _of(request, service) as parked:
        try:
            await parked.discard(queue, message_id, body.reason, manager.subject)
        except ValueError as error:
            raise Invalid("reason", str(error)) from None


def _summary(message: dict[str, Any]) -> dict[str, Any]:
    return {name: message[name] for name in ParkedSummary.model_fields}


@asynccontextmanager
async def _of(request: Request, service: str) -> AsyncIterator[ParkedMessages]:
    """The messages of this service. Raises NotFound for another's and for what is not parked, Unavailable without the broker."""
    parked: ParkedMessages = request.app.state.parked
    if service != parked.service:
        raise NotFound("service here")
    try:
        yield parked
    except UnknownMessage:
        raise NotFound("parked message") from None
    except (AMQPError, ConnectionError, TimeoutError) as error:
        raise Unavailable("The service cannot reach its message broker; try again.") from error
