"""What keeps the event log small and its backlog visible, and removes what nobody needs any more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Delete, delete, func, select

from chassis import metrics
from chassis.db import DATABASE_ERRORS, Database, reason, table
from chassis.due import Sweep
from chassis.idempotency import IdempotencyRow
from chassis.outbox import OutboxRow

log = structlog.get_logger(__name__)

WATCH_S = 5.0
PRUNE_EVERY = timedelta(hours=1)
KEEP_ANSWERS = timedelta(days=30)


Outdated = Callable[[datetime], Sequence[Delete]]
"""What a service itself removes: statements for that which was done with before an instant."""


class Upkeep:
    """`run` it as a task. Measures the outbox and what waits for `sweeps`; removes old events and answers, and what `outdated` names."""

    def __init__(
        self,
        database: Database,
        retention_days: int,
        outdated: Outdated = lambda _: (),
        sweeps: Sequence[Sweep] = (),
    ) -> None:
        self.database = database
        self.sweeps = sweeps
        self.outdated = outdated
        self.retention = timedelta(days=retention_days)

    async def run(self) -> None:
        """Measures and prunes for ever."""
        prune_at = self.database.clock.now()
        while True:
            try:
                await self.measure()
                for sweep in self.sweeps:
                    await sweep.measure()
                if self.database.clock.now() >= prune_at:
                    await self.prune()
                    prune_at = self.database.clock.now() + PRUNE_EVERY
            except DATABASE_ERRORS as error:
                log.warning("upkeep could not reach the database", error=reason(error))
            await asyncio.sleep(WATCH_S)  # noqa: TID251  # the pace of a gauge, not work that falls due

    async def measure(self) -> None:
        """Sets the gauges of the outbox."""
        outbox = table(OutboxRow)
        unpublished = select(func.count(), func.min(outbox.c.occurred_at)).where(outbox.c.published_at.is_(None))
        async with self.database.single() as tx:
            count, oldest = (await tx.execute(unpublished)).one()
        metrics.OUTBOX_UNPUBLISHED.set(count)
        metrics.OUTBOX_OLDEST_SECONDS.set(self._age_s(oldest))
        metrics.DATABASE_ANSWERED_AT.set(self.database.clock.now().timestamp())

    async def prune(self) -> None:
        """Removes what `OUTBOX_RETENTION_DAYS` and KEEP_ANSWERS no longer keep. Unpublished events stay whatever their age."""
        answers = table(IdempotencyRow)
        async with self.database.transaction() as tx:
            await tx.execute(select(func.prune_outbox(tx.now - self.retention)))
            await tx.execute(delete(answers).where(answers.c.created_at < tx.now - KEEP_ANSWERS))
            for statement in self.outdated(tx.now - self.retention):
                await tx.execute(statement)

    def _age_s(self, oldest: datetime | None) -> float:
        return (self.database.clock.now() - oldest).total_seconds() if oldest else 0.0
