"""Publishes the outbox. Any number of relays may run: each claims rows that no other holds."""

from __future__ import annotations

import asyncio
from typing import Any

import structlog
from faststream.rabbit import RabbitBroker
from sqlalchemy import ARRAY, Row, Uuid, any_, bindparam, select, update

from chassis import broker as amqp
from chassis import metrics
from chassis.db import DATABASE_ERRORS, Database, Transaction, reason, table
from chassis.outbox import OutboxRow
from chassis.topology import events_exchange

log = structlog.get_logger(__name__)

BATCH = 100
POLL_S = 1.0
"""How long a row waits at most when nobody woke the relay: another process wrote it, or the broker was away."""


class Relay:
    """One service's relay: `run` it as a task, `wake` it after a commit."""

    def __init__(self, service: str, database: Database, broker: RabbitBroker) -> None:
        self.service = service
        self.database = database
        self.broker = broker
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """There is something to publish."""
        self._woken.set()

    async def run(self) -> None:
        """Publishes for ever. An outage of the database or the broker is waited out."""
        while True:
            self._woken.clear()
            try:
                while await self.publish_batch() == BATCH:
                    pass
            except DATABASE_ERRORS as error:
                log.warning("outbox cannot be read", error=reason(error))
            await wait(self._woken, POLL_S)

    async def publish_batch(self) -> int:
        """Publishes up to BATCH rows at once and stamps those that the broker confirmed. Returns how many it stamped.

        Rows are claimed by `published_at IS NULL`, never by a position: an id that commits late would be skipped for ever.
        """
        async with self.database.transaction() as tx:
            rows = (await tx.execute(_CLAIM)).all()
            if not rows:
                return 0
            confirmed = await asyncio.gather(*(self._publish(row) for row in rows))
            sent = [row.id for row, ok in zip(rows, confirmed, strict=True) if ok]
            failed = [row.id for row, ok in zip(rows, confirmed, strict=True) if not ok]
            await self._stamp(tx, sent, failed)
        metrics.RELAY_BATCH.observe(len(rows))
        if failed:
            log.warning("events not published", count=len(failed), first=str(failed[0]))
        return len(sent)

    async def _publish(self, row: Row[Any]) -> bool:
        headers: dict[str, str | int] = {
            "ce-specversion": "1.0",
            "ce-id": str(row.id),
            "ce-source": self.service,
            "ce-type": row.type,
            "ce-subject": str(row.subject),
            "ce-time": row.occurred_at.isoformat(),
            "version": row.version,
        }
        if row.traceparent:
            headers["traceparent"] = row.traceparent
        try:
            await amqp.publish(
                self.broker,
                row.body,
                exchange=events_exchange(self.service),
                routing_key=row.type,
                message_id=row.id,
                type=row.type,
                headers=headers,
                timestamp=row.occurred_at,
            )
        except amqp.BROKER_ERRORS as error:
            log.debug("event not published", event_id=str(row.id), type=row.type, error=type(error).__name__)
            return False
        metrics.EVENTS_PUBLISHED.labels(row.type).inc()
        return True

    async def _stamp(self, tx: Transaction, sent: list[object], failed: list[object]) -> None:
        if sent:
            await tx.execute(_STAMP, {"ids": sent, "at": self.database.clock.now()})
        if failed:
            await tx.execute(_FAILED, {"ids": failed})


_OUTBOX = table(OutboxRow)
_IDS = _OUTBOX.c.id == any_(bindparam("ids", type_=ARRAY(Uuid)))
_CLAIM = (
    select(_OUTBOX)
    .where(_OUTBOX.c.published_at.is_(None))
    .order_by(_OUTBOX.c.attempts, _OUTBOX.c.seq)
    .limit(BATCH)
    .with_for_update(skip_locked=True)
)
_STAMP = update(_OUTBOX).where(_IDS).values(published_at=bindparam("at"))
_FAILED = update(_OUTBOX).where(_IDS).values(attempts=_OUTBOX.c.attempts + 1)


async def wait(event: asyncio.Event, at_most_s: float) -> None:
    """Waits until `event` is set, or for `at_most_s`."""
    try:
        async with asyncio.timeout(at_most_s):
            await event.wait()
    except TimeoutError:
        return
