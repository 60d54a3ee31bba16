"""Messages that a service gave up: looked at, tried in a transaction that is rolled back, and sent back to their queue.

A message is taken from its parked queue only after the broker has confirmed its copy. Whoever is killed in between leaves two, and the
second dies in the inbox.
"""

from __future__ import annotations

import asyncio
import importlib
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from chassis import inbox
from chassis.clock import SystemClock
from chassis.consumers import Consumers, Subscription
from chassis.db import Database, Transaction
from chassis.ids import SystemIds
from chassis.topology import parked_queue
from contracts.catalogue import CONSUMERS, queue_name
from pydantic import ValidationError
from sqlalchemy import text

from ops.settings import Settings

WORK_QUEUES = {queue_name(service, event): service for event, services in CONSUMERS.items() for service in services}
"""Each queue with the service that it is for."""

LOOKS_MAX = 10
"""RabbitMQ 4 removes what was handed out and put back 20 times: a message that was looked at this often is put back as a new one."""

TIMEOUT_S = 30.0


class UnknownMessage(LookupError):
    """No such queue, or no such message in it; the text says which."""


@dataclass(frozen=True)
class Parked:
    """A parked message. `body` is as it was published: sealed fields stay sealed."""

    queue: str
    message_id: str
    type: str
    occurred_at: str | None
    tried: int
    error: str
    headers: dict[str, Any]
    body: str


@dataclass(frozen=True)
class Rehearsal:
    """What a handler would do: rows inserted, updated and deleted by table, and events published. Nothing of it was kept."""

    message_id: str
    outcome: str
    error: str | None
    changes: dict[str, dict[str, int]]
    events: list[str]


@asynccontextmanager
async def _channel(settings: Settings) -> AsyncIterator[AbstractChannel]:
    """What was got and not acknowledged goes back to its place when this ends."""
    async with (
        asyncio.timeout(TIMEOUT_S),
        await aio_pika.connect(settings.broker_url.get_secret_value(), timeout=10) as connection,
        connection.channel(publisher_confirms=True, on_return_raises=True) as channel,
    ):
        yield channel


async def _waiting(channel: AbstractChannel, queue: str) -> AsyncIterator[AbstractIncomingMessage]:
    """The messages that are parked now, oldest first. Ones that are parked meanwhile are left for the next time."""
    parked = await channel.get_queue(parked_queue(queue))
    for _ in range(parked.declaration_result.message_count or 0):
        message = await parked.get(fail=False)
        if message is None:
            return
        yield message


def _read(queue: str, message: AbstractIncomingMessage) -> Parked:
    headers = {name: value for name, value in message.headers.items() if name != "x-death"}
    tried = headers.get("x-tried")
    return Parked(
        queue=queue,
        message_id=message.message_id or "",
        type=message.type or "",
        occurred_at=_text(headers.get("ce-time")),
        tried=tried if isinstance(tried, int) else 0,
        error=_text(headers.get("x-error")) or "its consumer died each time it was delivered",
        headers={name: _plain(value) for name, value in headers.items()},
        body=message.body.decode("utf-8", "replace"),
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _plain(value: object) -> object:
    return value if isinstance(value, str | int | bool | None) else str(value)


async def parked_messages(settings: Settings, queue: str | None = None) -> list[Parked]:
    """What is parked, by queue, oldest first. Raises UnknownMessage for a queue that the contracts do not know."""
    found: list[Parked] = []
    async with _channel(settings) as channel:
        for name in _chosen(queue):
            async for message in _waiting(channel, name):
                found.append(_read(name, message))
                looks = message.headers.get("x-delivery-count", 0)
                if isinstance(looks, int) and looks >= LOOKS_MAX:
                    await _publish(channel, message, parked_queue(name), dict(message.headers))
    return found


async def one(settings: Settings, queue: str, message_id: str) -> Parked:
    """Raises UnknownMessage."""
    for message in await parked_messages(settings, queue):
        if message.message_id == message_id:
            return message
    raise UnknownMessage(f"{message_id} is not parked in {queue}")


async def retry(settings: Settings, queue: str, message_id: str | None) -> int:
    """Sends one message, or all, back to the queue as if it had never been tried. Returns how many. Raises UnknownMessage."""
    retried = 0
    async with _channel(settings) as channel:
        (name,) = _chosen(queue)
        async for message in _waiting(channel, name):
            if message_id in {None, message.message_id}:
                kept = {key: value for key, value in message.headers.items() if not key.startswith("x-")}
                await _publish(channel, message, name, kept)
                retried += 1
    if message_id is not None and not retried:
        raise UnknownMessage(f"{message_id} is not parked in {queue}")
    return retried


async def _publish(
    channel: AbstractChannel, message: AbstractIncomingMessage, queue: str, headers: dict[str, Any]
) -> None:
    """The copy is confirmed before the message goes. The default exchange routes by the queue's name."""
    headers.pop("x-delivery-count", None)
    copy = aio_pika.Message(
        message.body,
        headers=headers,
        message_id=message.message_id,
        type=message.type,
        content_type=message.content_type,
        timestamp=message.timestamp,
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
    )
    await channel.default_exchange.publish(copy, queue, mandatory=True, timeout=5)
    await message.ack()


def _chosen(queue: str | None) -> Sequence[str]:
    if queue is None:
        return sorted(WORK_QUEUES)
    name = queue.removesuffix(".parked")
    if name not in WORK_QUEUES:
        raise UnknownMessage(f"there is no queue {queue}; the queues are {', '.join(sorted(WORK_QUEUES))}")
    return [name]


async def rehearse(settings: Settings, messages: Sequence[Parked]) -> list[Rehearsal]:
    """Runs the service's handler for each message in a transaction that is rolled back."""
    results: list[Rehearsal] = []
    for service in sorted({WORK_QUEUES[message.queue] for message in messages}):
        consumers: Consumers = importlib.import_module(f"{service}.consumers").consumers
        database = Database(settings.database_url(service), SystemClock(), SystemIds(), pool=1)
        results += [
            await _rehearsed(database, consumers.subscriptions[message.queue], message)
            for message in messages
            if WORK_QUEUES[message.queue] == service
        ]
        await database.close()
    return results


class _UndoneError(Exception):
    """Ends the transaction of a rehearsal, with what it found."""

    def __init__(self, rehearsal: Rehearsal) -> None:
        super().__init__()
        self.rehearsal = rehearsal


async def _rehearsed(database: Database, subscription: Subscription, message: Parked) -> Rehearsal:
    try:
        event = subscription.event.model_validate_json(message.body)
        event_id = UUID(message.message_id)
    except (ValidationError, ValueError) as error:
        return Rehearsal(message.message_id, "cannot be read", type(error).__name__, {}, [])
    try:
        async with database.transaction() as tx:
            outcome = "already consumed"
            if await inbox.first_time(tx, subscription.queue, event_id):
                await subscription.handler(event, tx)
                outcome = "would be done"
            rehearsal = Rehearsal(message.message_id, outcome, None, await _changes(tx), await _events(tx))
            raise _UndoneError(rehearsal)  # noqa: TRY301  # it is what rolls back
    except _UndoneError as undone:
        return undone.rehearsal
    except Exception as error:  # noqa: BLE001  # whatever the handler raises is what the rehearsal is to show
        return Rehearsal(message.message_id, "would fail", f"{type(error).__name__}: {error}"[:500], {}, [])


async def _changes(tx: Transaction) -> dict[str, dict[str, int]]:
    """PostgreSQL counts the rows that the running transaction has touched."""
    counted = await tx.execute(
        text(
            "SELECT relname, n_tup_ins AS inserted, n_tup_upd AS updated, n_tup_del AS deleted FROM pg_stat_xact_user_tables "
            "WHERE n_tup_ins + n_tup_upd + n_tup_del > 0 ORDER BY relname"
        )
    )
    return {
        row["relname"]: {kind: row[kind] for kind in ("inserted", "updated", "deleted") if row[kind]}
        for row in counted.mappings()
    }


async def _events(tx: Transaction) -> list[str]:
    written = await tx.execute(
        text(
            "SELECT type, subject, version FROM outbox WHERE published_at IS NULL AND xmin = pg_current_xact_id()::xid ORDER BY seq"
        )
    )
    return [f"{row.type} of {row.subject}, version {row.version}" for row in written]


def as_json(items: Sequence[Parked | Rehearsal]) -> str:
    """For programs."""
    return json.dumps([asdict(item) for item in items], indent=2)
