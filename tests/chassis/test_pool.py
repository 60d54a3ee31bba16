"""A connection is lent to one transaction at a time, whatever happens to it meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
from chassis import pool as pools
from chassis.db import DATABASE_ERRORS, is_outage
from chassis.pool import NoFreeConnection, Pool

from tests.support.service import eventually


async def _holds(found: bool) -> bool:  # noqa: FBT001  # what is waited for
    return found


@pytest.fixture
async def pool(postgres_url: str) -> AsyncIterator[Pool]:
    made = Pool(2, dsn=postgres_url)
    yield made
    await made.close()


async def test_a_connection_is_used_again(pool: Pool) -> None:
    async with pool.connection() as first:
        assert pool.in_use == 1
    async with pool.connection() as second:
        assert second is first
    assert pool.in_use == 0


async def test_more_than_the_pool_holds_wait_in_line(pool: Pool) -> None:
    """Twenty at once are served by two connections."""
    used: set[int] = set()

    async def work() -> None:
        async with pool.connection() as connection:
            used.add(await connection.fetchval("SELECT pg_backend_pid() FROM pg_sleep(0.005)"))

    await asyncio.gather(*(work() for _ in range(20)))
    assert len(used) == 2


async def test_who_waits_too_long_is_told(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "WAIT_S", 0.05)
    async with pool.connection(), pool.connection():
        with pytest.raises(NoFreeConnection):
            async with pool.connection():
                pass
    async with pool.connection() as connection:
        assert await connection.fetchval("SELECT 1") == 1


async def test_a_connection_that_the_server_closed_is_replaced(pool: Pool) -> None:
    async with pool.connection() as lost, pool.connection() as other:
        pid = await lost.fetchval("SELECT pg_backend_pid()")
        await other.execute("SELECT pg_terminate_backend($1)", pid)
        await eventually(lambda: _holds(lost.is_closed()))
    async with pool.connection() as first, pool.connection() as second:
        assert {await first.fetchval("SELECT 1"), await second.fetchval("SELECT 1")} == {1}


async def test_whoever_is_cancelled_leaves_no_half_done_work_behind(pool: Pool) -> None:
    """The connection of a cancelled statement is not lent again, and its place is free."""

    async def work() -> None:
        async with pool.connection() as connection, connection.transaction():
            await connection.execute("SELECT pg_sleep(30)")

    tasks = [asyncio.create_task(work()) for _ in range(2)]
    await eventually(lambda: _holds(pool.in_use == 2))
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    async with pool.connection() as first, pool.connection() as second:
        assert [await first.fetchval("SELECT 1"), await second.fetchval("SELECT 2")] == [1, 2]


async def test_a_transaction_that_was_left_open_is_not_lent_on(pool: Pool) -> None:
    async with pool.connection() as first:
        await first.execute("BEGIN")
    async with pool.connection() as second:
        assert second is not first
        assert not second.is_in_transaction()


async def test_a_server_that_is_away_leaves_every_place_free() -> None:
    pool = Pool(1, dsn="postgresql://booking:pw@127.0.0.1:1/booking", timeout=1)
    for _ in range(3):
        with pytest.raises(OSError, match="Connect"):
            async with pool.connection():
                pass
    assert pool.in_use == 0


@pytest.mark.parametrize("broken", [asyncpg.InternalClientError, asyncpg.InterfaceError, OSError, TimeoutError])
async def test_a_connection_that_broke_under_a_statement_is_an_outage_and_not_lent_again(
    pool: Pool, broken: type[Exception]
) -> None:
    """asyncpg says "another operation is in progress" of one that the server has just ended."""
    with pytest.raises(broken) as raised:
        async with pool.connection() as first:
            raise broken("while it was used")
    assert is_outage(raised.value)
    assert isinstance(raised.value, DATABASE_ERRORS)
    async with pool.connection() as second:
        assert second is not first


async def test_a_value_that_no_column_takes_is_no_outage(pool: Pool) -> None:
    """A message with one must be parked, not waited for."""
    async with pool.connection() as connection:
        with pytest.raises(asyncpg.DataError) as raised:
            await connection.fetch("SELECT $1::integer", "seven")
    assert not is_outage(raised.value)
