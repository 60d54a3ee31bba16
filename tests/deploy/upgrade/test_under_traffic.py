"""A running installation bears its migration: who reads and writes meanwhile is not refused and does not wait for long."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import asyncpg
import pytest
from chassis.migrate import migrate
from sqlalchemy import Connection, Engine, event

from tests.deploy.upgrade.before import SERVICES
from tests.support.service import as_role
from tests.support.upgrade import database_at

SERVICE = {"lock_timeout": "5s", "statement_timeout": "15s"}
"""What a service's connections bear (chassis.db)."""

READ_UNDER_LOCK = """
    SELECT l.relation::regclass::text, l.mode, coalesce(s.seq_tup_read, 0),
           extract(epoch FROM clock_timestamp() - transaction_timestamp())
    FROM pg_locks l LEFT JOIN pg_stat_xact_user_tables s ON s.relid = l.relation
    WHERE l.pid = pg_backend_pid() AND l.locktype = 'relation'
      AND l.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
"""


@dataclass
class Held:
    """What each transaction of a migration had locked against writers when it was committed."""

    tables: set[str] = field(default_factory=set)
    read: list[str] = field(default_factory=list)
    """Tables that were read row by row meanwhile: it takes longer the more rows there are."""
    longest_s: float = 0.0

    def look(self, connection: Connection) -> None:
        for table, mode, rows, seconds in connection.exec_driver_sql(READ_UNDER_LOCK):
            self.tables.add(table)
            self.longest_s = max(self.longest_s, float(seconds))
            if rows:
                self.read.append(f"{table}: {rows} rows under {mode}")


@contextmanager
def _locks_are_looked_at() -> Iterator[Held]:
    held = Held()
    event.listen(Engine, "commit", held.look)
    yield held
    event.remove(Engine, "commit", held.look)


async def _go_on(url: str, statements: tuple[str, ...], ended: asyncio.Event) -> int:
    """Runs the statements until `ended`, and once more. Returns how many were run; raises what the first that fails raises."""
    connection = await asyncpg.connect(url, server_settings=SERVICE)
    count, is_last = 0, False
    while not is_last:
        is_last = ended.is_set()
        for statement in statements:
            await connection.execute(statement)
            count += 1
    await connection.close()
    return count


@pytest.mark.parametrize("service", SERVICES)
async def test_those_who_read_and_write_meanwhile_are_not_stopped(postgres_url: str, service: str) -> None:
    """Nor does the version before, which goes on afterwards, leave anything that the new one misses."""
    before = SERVICES[service]
    url = await database_at(service, f"{service}_0002", postgres_url)
    admin = await asyncpg.connect(url)
    for statement in before.rows:
        await admin.execute(statement)
    await admin.execute("ANALYZE")
    ended = asyncio.Event()
    as_service = as_role(url, service).replace("+asyncpg", "")
    async with asyncio.TaskGroup() as replicas:
        writing = replicas.create_task(_go_on(as_service, before.writes, ended))
        reading = replicas.create_task(_go_on(as_service, before.reads, ended))
        try:
            with _locks_are_looked_at() as held:
                await asyncio.to_thread(migrate, service, as_role(url, f"{service}_owner"))
        finally:
            ended.set()

    assert held.read == []
    assert held.longest_s < 5
    assert writing.result() >= 2 * len(before.writes)
    assert reading.result() >= 2 * len(before.reads)
    assert await admin.fetchval(before.missing) == 0
    assert await admin.fetchval("SELECT count(*) FROM pg_index WHERE NOT indisvalid") == 0
    assert await admin.fetchval("SELECT count(*) FROM pg_constraint WHERE NOT convalidated") == 0
    await admin.close()
