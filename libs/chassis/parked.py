"""Messages that a service gave up: looked at, sent back to their queue, or discarded. `boxoffice parked` and the desk do it with this.

A message is taken from its parked queue only after what replaces it is safe: a copy that the broker has confirmed, or a row that says that
its event shall have no effect. Whoever is killed in between leaves one too many, and it dies in the inbox.

What is looked at is nobody else's meanwhile, so whoever looks at the same time would find the queue empty: they queue at a lock of the
database, which all replicas and the command line share.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from contracts.catalogue import consumed_by, queue_name
from sqlalchemy import func, select

from chassis import audit, inbox
from chassis.db import Database, Transaction
from chassis.topology import parked_exchange, parked_queue, retry_exchange

LOOKS_MAX = 10
"""RabbitMQ 4 removes what was handed out and put back 20 times: a message that was looked at this often is put back as a new one."""

TIMEOUT_S = 25.0
"""Below the time after which PostgreSQL ends an idle transaction, and with it the lock."""

REASON_MAX = 1_000

_LOCK = 0x7061726B
"""Key of the advisory lock that those who look queue at: "park" in ASCII. Each service has a database of its own."""


class UnknownMessage(LookupError):
    """No such queue, or no such message in it; the text says which."""


@dataclass(frozen=True)
class Parked:
    """A parked message. `body` is as it was published: sealed fields stay sealed. `occurred_at` is ISO 8601."""

    queue: str
    message_id: str
    type: str
    occurred_at: str | None
    tried: int
    error: str
    headers: dict[str, Any]
    body: str


class ParkedMessages:
    """What one service has given up, as its own users of database and broker, or an administrator, may handle it."""

    def __init__(self, service: str, database: Database, broker_url: str, retry_delay_ms: int) -> None:
        self.service = service
        self.types = {queue_name(service, event): event.type for event in consumed_by(service)}
        self._database = database
        self._broker_url = broker_url
        # The service may not write to a queue itself: what goes back to one waits the shortest time before it.
        self._back = retry_exchange(service, retry_delay_ms)

    async def all(self, limit: int | None = None) -> tuple[list[Parked], int]:
        """What is parked, by queue, oldest first, at most `limit`; and how many there are."""
        found: list[Parked] = []
        total = 0
        async with self._looking() as (_, channel):
            for queue in sorted(self.types):
                left = None if limit is None else limit - len(found)
                messages, count = await self._held(channel, queue, left)
                found += [_read(queue, message) for message in messages]
                total += count
        return found, total

    async def one(self, queue: str, message_id: str) -> Parked:
        """Raises UnknownMessage."""
        async with self._looking() as (_, channel):
            return _read(queue, (await self._chosen(channel, queue, message_id))[0])

    async def retry(self, queue: str, message_id: str | None, actor: str) -> int:
        """Sends one message, or all, back to the queue as if it had never been tried. Returns how many. Raises UnknownMessage."""
        async with self._looking() as (tx, channel):
            messages = await self._chosen(channel, queue, message_id)
            await channel.get_queue(queue)  # where it is gone, nothing would tell that the way back ends nowhere
            if messages:
                subject = queue if message_id is None else f"{queue}/{message_id}"
                after = {"type": self.types[queue], "messages": len(messages)}
                await audit.record(tx, actor=actor, action="parked.retry", subject=subject, after=after)
            for message in messages:
                kept = {key: value for key, value in message.headers.items() if not key.startswith("x-")}
                await _move(channel, message, self._back, queue, kept)
        return len(messages)

    async def discard(self, queue: str, message_id: str, reason: str, actor: str) -> None:
        """Takes a message away for good. Its event never has its effect here, also not when it is published again.

        Raises:
            UnknownMessage: it is not parked.
            ValueError: there is no reason, or one of more than REASON_MAX characters.

        """
        reason = reason.strip()
        if not 0 < len(reason) <= REASON_MAX:
            raise ValueError(f"a reason of 1 to {REASON_MAX} characters is needed")
        async with self._looking() as (tx, channel):
            await self._chosen(channel, queue, message_id)
            event_id = _uuid(message_id)
            had = event_id is not None and not await inbox.discard(tx, queue, event_id)
            await audit.record(
                tx,
                actor=actor,
                action="parked.discard",
                subject=f"{queue}/{message_id}",
                reason=reason,
                after={"type": self.types[queue], "had_its_effect_or_was_discarded_before": had},
            )
        async with self._looking() as (_, channel):
            messages, _count = await self._held(channel, queue)
            for message in messages:
                if message.message_id == message_id:
                    await message.ack()

    @asynccontextmanager
    async def _looking(self) -> AsyncIterator[tuple[Transaction, AbstractChannel]]:
        """What was got and not acknowledged goes back to its place when this ends, before the next one may look."""
        async with asyncio.timeout(TIMEOUT_S), self._database.transaction() as tx:
            await tx.execute(select(func.pg_advisory_xact_lock(_LOCK)))
            async with (
                await aio_pika.connect(self._broker_url, timeout=5) as connection,
                connection.channel(publisher_confirms=True, on_return_raises=True) as channel,
            ):
                yield tx, channel

    async def _held(
        self, channel: AbstractChannel, queue: str, limit: int | None = None
    ) -> tuple[list[AbstractIncomingMessage], int]:
        """The messages that are parked now, oldest first, and how many there are. Ones that are parked meanwhile are left for next time.

        Raises UnknownMessage for a queue that is not this service's.
        """
        if queue not in self.types:
            raise UnknownMessage(f"there is no queue {queue}; the queues are {', '.join(sorted(self.types))}")
        parked = await channel.get_queue(parked_queue(queue))
        count = parked.declaration_result.message_count or 0
        left = count if limit is None else min(count, limit)
        held: list[AbstractIncomingMessage] = []
        while len(held) < left and (message := await parked.get(fail=False)) is not None:
            looks = message.headers.get("x-delivery-count", 0)
            if isinstance(looks, int) and looks >= LOOKS_MAX:
                kept = {key: value for key, value in message.headers.items() if key != "x-delivery-count"}
                await _move(channel, message, parked_exchange(self.service), queue, kept)
            else:
                held.append(message)
        return held, count

    async def _chosen(
        self, channel: AbstractChannel, queue: str, message_id: str | None
    ) -> list[AbstractIncomingMessage]:
        """The copies of one message, or all. Raises UnknownMessage where that one is not there."""
        messages, _ = await self._held(channel, queue)
        chosen = [message for message in messages if message_id in {None, message.message_id or ""}]
        if message_id is not None and not chosen:
            raise UnknownMessage(f"{message_id} is not parked in {queue}")
        return chosen


async def _move(
    channel: AbstractChannel, message: AbstractIncomingMessage, exchange: str, queue: str, headers: dict[str, Any]
) -> None:
    """The copy is confirmed before the message goes."""
    copy = aio_pika.Message(
        message.body,
        headers=headers,
        message_id=message.message_id,
        type=message.type,
        content_type=message.content_type,
        timestamp=message.timestamp,
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
    )
    target = await channel.get_exchange(exchange, ensure=False)
    await target.publish(copy, queue, mandatory=True, timeout=5)
    await message.ack()


def _read(queue: str, message: AbstractIncomingMessage) -> Parked:
    headers = {name: value for name, value in message.headers.items() if name != "x-death"}
    tried = headers.get("x-tried")
    return Parked(
        queue=queue,
        message_id=message.message_id or "",
        type=message.type or "",
        occurred_at=_instant(headers.get("ce-time")),
        tried=tried if isinstance(tried, int) else 0,
        error=_text(headers.get("x-error")) or "its consumer died each time it was delivered",
        headers={name: _plain(value) for name, value in headers.items()},
        body=message.body.decode("utf-8", "replace"),
    )


def _instant(value: object) -> str | None:
    """None for what is no instant: whoever wrote the message may not have been the relay."""
    try:
        return datetime.fromisoformat(value).isoformat() if isinstance(value, str) else None
    except ValueError:
        return None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _plain(value: object) -> str | int | bool | None:
    return value if isinstance(value, str | int | bool | None) else str(value)


def _uuid(text: str) -> UUID | None:
    """None for what no event is called like: there is nothing that could come again."""
    try:
        return UUID(text)
    except ValueError:
        return None
