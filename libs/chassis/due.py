"""Rows that fall due. The row is the job: a column of its own table says when, and a sweep does what is due.

A sweep claims a row by moving its due column forward by a lease, commits, and only then works: no transaction is open while a provider, a
mail server or a CRM is called. Whoever dies at work leaves a row that falls due again when the lease ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy import Integer, Select, bindparam, func, select, update
from sqlalchemy.sql.dml import ReturningUpdate
from sqlmodel import SQLModel

from chassis import metrics, tracing
from chassis.db import DATABASE_ERRORS, Database, Transaction, reason, table
from chassis.relay import wait

log = structlog.get_logger(__name__)

POLL_S = 0.5
ENDING_S = 8.0
HANDED_OVER_MAX = 2
"""Rows that may run or wait, for each that may run: the second half waits for one piece of work, well within any lease."""


@dataclass(frozen=True)
class Due:
    """A due column: `name` for metrics, the `model` with its primary key `id`, the `column`, and how long a claim lasts."""

    name: str
    model: type[SQLModel]
    column: str
    lease: timedelta

    def __post_init__(self) -> None:
        """Prometheus sees no increase in what begins at 1."""
        for outcome in ("done", "failed"):
            metrics.DUE_ROWS.labels(self.name, outcome)

    def soon(self, tx: Transaction, row_id: UUID) -> datetime:
        """The value to write into the column of `row_id` so that it is worked on right after the commit.

        Where this process sweeps and has room, the row is handed over already claimed, which saves the claim's transaction.
        Where not, the row is due at once, for whoever has room: a row that waited past its lease would be claimed twice.
        """
        offer = tx.database.handovers.get(self.name)
        take = offer() if offer else None
        if take is None:
            return tx.now
        tx.after_commit(lambda: take(row_id))
        return tx.now + self.lease


def _claim_of(due: Due) -> ReturningUpdate[UUID]:
    rows = table(due.model)
    column = rows.c[due.column]
    claimed = (
        select(rows.c.id)
        .where(column <= bindparam("due_by", type_=column.type))
        .order_by(column)
        .limit(bindparam("at_most", type_=Integer))
        .with_for_update(skip_locked=True)
        .cte("due")
    )
    leased = bindparam("leased_until", type_=column.type)
    return update(rows).where(rows.c.id == claimed.c.id).values({column: leased}).returning(rows.c.id)


def _waiting_in(due: Due) -> Select[int, datetime | None]:
    column = table(due.model).c[due.column]
    due_by = bindparam("due_by", type_=column.type)
    return select(func.count(), func.min(column)).where(column <= due_by)


class Sweep:
    """Works on rows that fall due, at most `concurrency` at a time. `work` opens its own transactions and is given the row's id."""

    def __init__(
        self, due: Due, database: Database, work: Callable[[UUID], Awaitable[None]], *, concurrency: int = 16
    ) -> None:
        self.due = due
        self.database = database
        self._work = work
        self._claim = _claim_of(due)
        self.waiting = _waiting_in(due)
        """Counts what is due and not claimed, with the earliest instant; `due_by` is a parameter. Narrow it where claims are."""
        self._concurrency = concurrency
        self._slots = asyncio.Semaphore(concurrency)
        self._running: set[asyncio.Task[None]] = set()
        self._backlog = False
        self._freed = asyncio.Event()

    async def run(self) -> None:
        """Sweeps for ever. An outage of the database is waited out.

        Cancelled, it gives what it works on ENDING_S to finish; what does not is let go, and falls due again when its lease ends.
        """
        self.database.handovers[self.due.name] = self._offer
        try:
            while True:
                self._freed.clear()
                room = self._concurrency - len(self._running)
                self._backlog = room <= 0 or await self._start_due(room) == room
                await wait(self._freed, POLL_S)
        finally:
            del self.database.handovers[self.due.name]
            if self._running:
                _, unfinished = await asyncio.wait(self._running, timeout=ENDING_S)
                for task in unfinished:
                    task.cancel()

    async def claim(self, at_most: int) -> list[UUID]:
        """Claims due rows for one lease. Rows that another sweep holds are skipped."""
        async with self.database.single() as tx:
            bounds = {"due_by": tx.now, "leased_until": tx.now + self.due.lease, "at_most": at_most}
            return list((await tx.execute(self._claim, bounds)).scalars())

    async def measure(self) -> None:
        """Sets the gauges of what waits."""
        async with self.database.single() as tx:
            count, oldest = (await tx.execute(self.waiting, {"due_by": tx.now})).one()
            age_s = (tx.now - oldest).total_seconds() if oldest else 0.0
        metrics.DUE_WAITING.labels(self.due.name).set(count)
        metrics.DUE_OLDEST_SECONDS.labels(self.due.name).set(age_s)

    async def _start_due(self, room: int) -> int:
        try:
            claimed = await self.claim(room)
        except DATABASE_ERRORS as error:
            log.warning("due rows cannot be read", sweep=self.due.name, error=reason(error))
            return 0
        for row_id in claimed:
            self._start(row_id)
        return len(claimed)

    def _offer(self) -> Callable[[UUID], None] | None:
        """Takes a row that was claimed already; None where too many wait."""
        return self._start if len(self._running) < HANDED_OVER_MAX * self._concurrency else None

    def _start(self, row_id: UUID) -> None:
        task = asyncio.create_task(self._one(row_id))
        self._running.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if self._backlog:
            self._freed.set()

    async def _one(self, row_id: UUID) -> None:
        async with self._slots:
            try:
                with tracing.within(f"due {self.due.name}"):
                    await self._work(row_id)
            except Exception:  # whatever it is, the row falls due again when its lease ends
                metrics.DUE_ROWS.labels(self.due.name, "failed").inc()
                log.exception("due row failed", sweep=self.due.name, row=str(row_id))
            else:
                metrics.DUE_ROWS.labels(self.due.name, "done").inc()
