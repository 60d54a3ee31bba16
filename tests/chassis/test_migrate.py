"""Migrations beside traffic, beside each other, and after one that was killed."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import asyncpg
import pytest
from chassis import migrate as migration
from chassis.migrate import migrate

from tests.support.service import as_role, eventually, fresh_database
from tests.support.upgrade import database_at

PATIENCE_S = 90.0
INVALID = "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid"
OWNERS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename LIKE '%_owner'"
BUILDING = """
    SELECT pid FROM pg_stat_activity
    WHERE datname = current_database() AND usename LIKE '%_owner' AND query LIKE '%CREATE UNIQUE INDEX CONCURRENTLY%'
"""


@asynccontextmanager
async def _migrating(service: str, url: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """`boxoffice migrate` of one service in a process of its own, killed if it has not ended by itself."""
    code = f"from chassis.migrate import migrate; migrate({service!r}, {as_role(url, f'{service}_owner')!r})"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@asynccontextmanager
async def _connections(url: str, count: int) -> AsyncIterator[list[asyncpg.Connection[asyncpg.Record]]]:
    """Connections that bear what a service's bear, and that are gone with whatever they hold when the block ends."""
    async with AsyncExitStack() as stack:
        opened = []
        for _ in range(count):
            connection = await asyncpg.connect(url, server_settings={"lock_timeout": "5s"})
            stack.push_async_callback(connection.close)
            opened.append(connection)
        yield opened


async def test_several_that_start_at_once_migrate_once(postgres_url: str) -> None:
    """Replicas that each migrate before they start: one does, the others wait, and all of them go on."""
    url = await fresh_database("notification", postgres_url)
    key = int(b"boxoffic".hex(), 16)
    async with _connections(url, 1) as (first,):
        await first.execute("SELECT pg_advisory_lock($1)", key)
        async with _migrating("notification", url) as one, _migrating("notification", url) as another:
            await eventually(lambda: _is(first, OWNERS, 2), PATIENCE_S)
            assert await first.fetchval("SELECT to_regclass('messages')") is None
            await first.execute("SELECT pg_advisory_unlock($1)", key)
            assert [await one.wait(), await another.wait()] == [0, 0]
        assert await first.fetchval("SELECT to_regclass('messages_seq')") == "messages_seq"


async def _is(connection: asyncpg.Connection[asyncpg.Record], query: str, expected: int) -> bool:
    return bool(await connection.fetchval(query) == expected)


async def test_a_lock_that_is_held_stops_the_migration_and_not_the_traffic(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A report reads for minutes. The migration may not change the table meanwhile, and must not stand in the way of those who may."""
    monkeypatch.setattr(migration, "PAUSES_S", (0.1,) * 600)
    url = await database_at("booking", "booking_0002", postgres_url)
    said: list[str] = []
    async with _connections(url, 2) as (report, traffic):
        reading = report.transaction()
        await reading.start()
        await report.execute("SELECT count(*) FROM events")
        going = asyncio.create_task(asyncio.to_thread(migrate, "booking", as_role(url, "booking_owner"), said.append))
        while len(said) < 2:
            await traffic.execute("UPDATE events SET version = version + 1")
            await traffic.execute("SELECT FROM events")
            assert not going.done()
        assert said[0] == "booking database: a lock is held, tried again in 0.1 s"
        await reading.rollback()
        await going
        assert await traffic.fetchval("SELECT count(draft) FROM events") == 0


async def test_killed_while_it_builds_an_index_it_ends_right_when_it_runs_again(postgres_url: str) -> None:
    """The server goes on for a client that is gone, so the next one waits. What it leaves is an index that is kept up and never used."""
    url = await database_at("refund", "refund_0004", postgres_url)
    async with _connections(url, 2) as (writer, looking):
        writing = writer.transaction()
        await writing.start()
        await writer.execute("LOCK TABLE refunds IN ROW EXCLUSIVE MODE")  # as any INSERT: the index waits for its end
        async with _migrating("refund", url) as killed:
            left = await eventually(lambda: looking.fetchval(BUILDING), PATIENCE_S)
            await eventually(lambda: looking.fetchval(INVALID), PATIENCE_S)
            killed.kill()
            await killed.wait()
        assert await looking.fetchval(INVALID) == "refunds_one_for_its_event"

        async with _migrating("refund", url) as again:
            await eventually(lambda: _is(looking, OWNERS, 2), PATIENCE_S)
            await looking.execute("SELECT pg_terminate_backend($1)", left)
            await writing.rollback()
            assert await again.wait() == 0
        assert await looking.fetch(INVALID) == []
        found = await looking.fetch(
            "SELECT indexdef FROM pg_indexes WHERE indexname LIKE 'refunds_one%' ORDER BY indexname"
        )
    decision, for_its_event = (row["indexdef"] for row in found)
    assert "event_cancelled" not in decision
    assert "event_cancelled" in for_its_event


async def test_an_index_that_gave_up_its_name_is_not_missed(postgres_url: str) -> None:
    """Killed after the last statement and before the revision was noted: everything is there, and is done once more."""
    url = await database_at("refund", "refund_0005", postgres_url)
    async with _connections(url, 1) as (looking,):
        await looking.execute("UPDATE refund_schema SET version_num = 'refund_0004'")
        await asyncio.to_thread(migrate, "refund", as_role(url, "refund_owner"))
        found = await looking.fetch("SELECT indexdef FROM pg_indexes WHERE indexname LIKE 'refunds_one_decision%'")
    assert ["event_cancelled" in row["indexdef"] for row in found] == [False]
