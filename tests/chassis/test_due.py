"""Rows that fall due are worked on once, by whoever lives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg
import pytest
from chassis.clock import SystemClock
from chassis.db import Database, table
from chassis.due import Due, Sweep
from chassis.ids import SystemIds
from chassis.metrics import REGISTRY
from sqlalchemy import DateTime, MetaData, func, insert, select, update
from sqlmodel import Field, SQLModel

from tests.support.service import as_role, eventually, fresh_database


class Chore(SQLModel, table=True):
    metadata = MetaData()
    __tablename__ = "chores"

    id: UUID = Field(primary_key=True)
    due_at: datetime | None = Field(sa_type=DateTime(timezone=True))
    done: int = 0


CHORES = Due("chores", Chore, "due_at", lease=timedelta(seconds=0.5))
rows = table(Chore)


@pytest.fixture
async def database(postgres_url: str) -> AsyncIterator[Database]:
    url = await fresh_database("refund", postgres_url)
    owner = await asyncpg.connect(url)
    await owner.execute(
        "CREATE TABLE chores (id uuid PRIMARY KEY, due_at timestamptz, done int NOT NULL); GRANT ALL ON chores TO refund"
    )
    await owner.close()
    database = Database(as_role(url, "refund"), SystemClock(), SystemIds(), pool=10)
    yield database
    await database.close()


async def add(database: Database, count: int, *, in_s: float = 0) -> list[UUID]:
    async with database.transaction() as tx:
        ids = [tx.new_id() for _ in range(count)]
        due_at = tx.now + timedelta(seconds=in_s)
        await tx.execute(insert(rows).values([{"id": row_id, "due_at": due_at, "done": 0} for row_id in ids]))
    return ids


async def done(database: Database) -> list[int]:
    async with database.transaction() as tx:
        return list((await tx.execute(select(rows.c.done))).scalars())


def chore(database: Database) -> Sweep:
    async def work(row_id: UUID) -> None:
        async with database.transaction() as tx:
            await tx.execute(update(rows).where(rows.c.id == row_id).values(done=rows.c.done + 1, due_at=None))

    return Sweep(CHORES, database, work, concurrency=4)


@pytest.fixture
async def running() -> AsyncIterator[list[asyncio.Task[None]]]:
    tasks: list[asyncio.Task[None]] = []
    yield tasks
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_two_sweeps_do_each_row_once(database: Database, running: list[asyncio.Task[None]]) -> None:
    """Claims skip rows that another sweep holds, and more than one batch is worked through."""
    await add(database, 50)
    running += [asyncio.create_task(chore(database).run()) for _ in range(2)]

    async def all_done() -> bool:
        return all(await done(database))

    await eventually(all_done)
    assert await done(database) == [1] * 50


async def test_a_row_is_not_done_before_it_is_due(database: Database) -> None:
    """Nothing is claimed ahead of time; what is due is claimed for one lease."""
    await add(database, 1, in_s=3600)
    due = await add(database, 1)
    sweep = chore(database)
    assert await sweep.claim(10) == due
    assert await sweep.claim(10) == []


async def test_what_waits_is_measured_and_what_is_claimed_does_not_wait(database: Database) -> None:
    """The age is that of the first row that nobody took; a claimed one is at work."""
    await add(database, 1, in_s=-40)
    await add(database, 2, in_s=-20)
    await add(database, 1, in_s=3600)
    sweep = chore(database)

    async def measured() -> tuple[float, float]:
        await sweep.measure()
        samples = (
            REGISTRY.get_sample_value(name, {"sweep": "chores"}) for name in ("due_waiting_rows", "due_oldest_seconds")
        )
        waiting, oldest_s = samples
        assert waiting is not None
        assert oldest_s is not None
        return waiting, oldest_s

    waiting, oldest_s = await measured()
    assert waiting == 3
    assert 40 <= oldest_s < 45
    await sweep.claim(1)
    waiting, oldest_s = await measured()
    assert waiting == 2
    assert 20 <= oldest_s < 25
    await sweep.claim(9)
    assert await measured() == (0, 0)


async def test_a_row_whose_worker_died_falls_due_again(database: Database, running: list[asyncio.Task[None]]) -> None:
    """The lease is all that a dead worker holds."""
    await add(database, 1)
    tries = 0

    async def die_once(row_id: UUID) -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise ConnectionError("died at work")
        async with database.transaction() as tx:
            await tx.execute(update(rows).where(rows.c.id == row_id).values(done=1, due_at=None))

    running.append(asyncio.create_task(Sweep(CHORES, database, die_once).run()))

    async def is_done() -> bool:
        return await done(database) == [1]

    await eventually(is_done)
    assert tries == 2


async def test_a_row_handed_over_is_worked_on_after_the_commit_and_only_then(
    database: Database, running: list[asyncio.Task[None]]
) -> None:
    """`soon` claims the row for this process in the transaction that makes it due."""
    [row_id] = await add(database, 1, in_s=3600)
    running.append(asyncio.create_task(chore(database).run()))

    async def listening() -> bool:
        return CHORES.name in database.handovers

    await eventually(listening)
    async with database.transaction() as tx:
        await tx.execute(update(rows).where(rows.c.id == row_id).values(due_at=CHORES.soon(tx, row_id)))
        assert await done(database) == [0]

    async def is_done() -> bool:
        return await done(database) == [1]

    await eventually(is_done, 0.45)
    async with database.transaction() as tx:
        assert (await tx.execute(select(func.count()).where(rows.c.due_at.is_not(None)))).scalar_one() == 0


async def test_without_a_sweep_here_the_row_is_due_for_whoever_sweeps(database: Database) -> None:
    """A process without the role leaves the row to others, at once."""
    [row_id] = await add(database, 1, in_s=3600)
    async with database.transaction() as tx:
        await tx.execute(update(rows).where(rows.c.id == row_id).values(due_at=CHORES.soon(tx, row_id)))
    assert await chore(database).claim(10) == [row_id]


async def test_a_stopping_sweep_finishes_what_it_works_on(database: Database) -> None:
    """A restart must not leave a capture half done until its lease ends."""
    await add(database, 1)
    began = asyncio.Event()

    async def slow(row_id: UUID) -> None:
        began.set()
        await asyncio.sleep(0.1)
        async with database.transaction() as tx:
            await tx.execute(update(rows).where(rows.c.id == row_id).values(done=1, due_at=None))

    running = asyncio.create_task(Sweep(CHORES, database, slow).run())
    await began.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert await done(database) == [1]


async def test_a_busy_sweep_takes_no_more_than_it_can_do_within_the_lease(
    database: Database, running: list[asyncio.Task[None]]
) -> None:
    """What is handed over is claimed: it must not wait so long that another sweep claims it too."""
    ids = await add(database, 20, in_s=3600)
    free = asyncio.Event()
    tries: list[UUID] = []

    async def held_up(row_id: UUID) -> None:
        tries.append(row_id)
        await free.wait()
        async with database.transaction() as tx:
            await tx.execute(update(rows).where(rows.c.id == row_id).values(done=rows.c.done + 1, due_at=None))

    running.append(asyncio.create_task(Sweep(CHORES, database, held_up, concurrency=2).run()))

    async def listening() -> bool:
        return CHORES.name in database.handovers

    await eventually(listening)
    for row_id in ids:
        async with database.transaction() as tx:
            await tx.execute(update(rows).where(rows.c.id == row_id).values(due_at=CHORES.soon(tx, row_id)))
    async with database.transaction() as tx:
        waiting = await tx.execute(select(func.count()).where(rows.c.due_at <= tx.now))
        assert waiting.scalar_one() >= 20 - 2 * 2
    free.set()

    async def all_done() -> bool:
        return min(await done(database)) == 1

    await eventually(all_done)
