"""The chain in a real PostgreSQL, written by the service's own role and attacked by the server's superuser."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from alembic import command
from asyncpg.exceptions import InsufficientPrivilegeError
from chassis.audit import AUDIT_GRANTS, GENESIS, AuditRow, Head, head, record, verify_chain
from chassis.clock import SystemClock
from chassis.db import Database, table
from chassis.ids import SystemIds
from chassis.migrate import _config
from sqlalchemy import select, text

from tests.support.service import as_role, fresh_database

REFUND = UUID("01936f3e-0000-7000-8000-000000000001")


class SummerClock:
    """Tells the instant in another zone than the database does."""

    def now(self) -> datetime:
        return SystemClock().now().astimezone(timezone(timedelta(hours=2)))


@dataclass
class Chain:
    database: Database
    superuser: asyncpg.Connection

    async def write(self, count: int) -> None:
        for number in range(count):
            async with self.database.transaction() as tx:
                await record(
                    tx,
                    actor="staff-7",
                    action="refund.approved",
                    subject=f"refund/{number}",
                    reason="Sturm über Köln",
                    before={"status": "requested", "amount_minor": number},
                    after={"status": "approved", "amount_minor": number, "lines": [1, None, True], "refund": REFUND},
                )

    async def head(self) -> Head:
        async with self.database.transaction() as tx:
            return await head(tx)

    async def problems(self, anchor: Head | None = None) -> list[str]:
        async with self.database.transaction() as tx:
            return await verify_chain(tx, anchor)


@pytest.fixture
async def chain(postgres_url: str) -> AsyncIterator[Chain]:
    url = await fresh_database("refund", postgres_url)
    await asyncio.to_thread(command.upgrade, _config("chassis", "refund", as_role(url, "refund_owner")), "head")
    database = Database(as_role(url, "refund"), SummerClock(), SystemIds(), pool=5)
    superuser: asyncpg.Connection = await asyncpg.connect(url)
    yield Chain(database, superuser)
    await superuser.close()
    await database.close()


async def test_an_empty_chain_is_whole(chain: Chain) -> None:
    assert await chain.head() == Head(0, GENESIS)
    assert await chain.problems() == []
    assert await chain.problems(Head(0, GENESIS)) == []


async def test_rows_tell_who_did_what_and_continue_each_other(chain: Chain) -> None:
    await chain.write(3)
    async with chain.database.transaction() as tx:
        rows = (await tx.execute(select(table(AuditRow)).order_by(table(AuditRow).c.seq))).all()
    assert [row.seq for row in rows] == [1, 2, 3]
    assert [row.previous_hash for row in rows] == [GENESIS, rows[0].hash, rows[1].hash]
    assert rows[1].actor == "staff-7"
    assert rows[1].before == {"status": "requested", "amount_minor": 1}
    assert rows[1].after["refund"] == str(REFUND)
    assert await chain.head() == Head(3, rows[2].hash)
    assert await chain.problems() == []
    assert await chain.problems(Head(2, rows[1].hash)) == []


async def test_a_row_is_written_with_its_action_or_not_at_all(chain: Chain) -> None:
    async def refused_after_it_was_recorded() -> None:
        async with chain.database.transaction() as tx:
            await record(tx, actor="staff-7", action="refund.approved", subject="refund/1")
            raise KeyError

    with pytest.raises(KeyError):
        await refused_after_it_was_recorded()
    assert await chain.head() == Head(0, GENESIS)


async def test_writers_at_the_same_time_make_one_chain(chain: Chain) -> None:
    await asyncio.gather(*(chain.write(5) for _ in range(6)))
    assert (await chain.head()).seq == 30
    assert await chain.problems() == []


TAMPERINGS = {
    "UPDATE audit SET actor = 'staff-8' WHERE seq = 3": "audit row 3 was changed",
    "UPDATE audit SET at = at + interval '1 microsecond' WHERE seq = 3": "audit row 3 was changed",
    "UPDATE audit SET after = jsonb_set(after, '{amount_minor}', '1000') WHERE seq = 3": "audit row 3 was changed",
    "UPDATE audit SET reason = NULL WHERE seq = 3": "audit row 3 was changed",
    "UPDATE audit SET previous_hash = 'no hash' WHERE seq = 3": "audit row 3 does not continue row 2",
    "UPDATE audit SET hash = repeat('0', 64) WHERE seq = 3": "audit row 3 was changed",
    "DELETE FROM audit WHERE seq = 3": "audit rows 3 to 3 are missing",
    "DELETE FROM audit WHERE seq <= 2": "audit rows 1 to 2 are missing",
    "UPDATE audit SET seq = seq + 10 WHERE seq > 3": "audit rows 4 to 13 are missing",
}


@pytest.mark.parametrize("statement", TAMPERINGS)
async def test_tampering_is_found_and_named(chain: Chain, statement: str) -> None:
    await chain.write(5)
    await chain.superuser.execute(statement)
    problems = await chain.problems()
    assert problems, "nothing was found"
    assert problems[0].startswith(TAMPERINGS[statement])


async def test_a_slipped_in_row_does_not_fit(chain: Chain) -> None:
    await chain.write(2)
    await chain.superuser.execute(
        "INSERT INTO audit SELECT 3, at, actor, action, subject, reason, before, after, previous_hash, repeat('a', 64)"
        " FROM audit WHERE seq = 2"
    )
    assert await chain.problems() == [
        "audit row 3 does not continue row 2",
        "audit row 3 was changed: its hash does not match its content",
    ]


async def test_a_cut_tail_is_found_by_the_head_kept_outside(chain: Chain) -> None:
    await chain.write(5)
    anchor = await chain.head()
    await chain.superuser.execute("DELETE FROM audit WHERE seq > 3")
    assert await chain.problems() == [], "the chain alone cannot show it"
    assert await chain.problems(anchor) == ["audit row 5 was anchored and is gone: the chain ends at row 3"]


async def test_a_chain_written_anew_is_found_by_the_head_kept_outside(chain: Chain) -> None:
    await chain.write(5)
    anchor = await chain.head()
    await chain.superuser.execute("DELETE FROM audit")
    await chain.write(6)
    assert await chain.problems() == []
    assert await chain.problems(anchor) == ["audit row 5 is not the one that was anchored: the chain was written anew"]


async def test_the_migration_grants_what_the_module_says(chain: Chain) -> None:
    granted = await chain.superuser.fetch(
        "SELECT privilege_type FROM information_schema.role_table_grants"
        " WHERE table_name = 'audit' AND grantee = 'refund' ORDER BY 1"
    )
    assert ", ".join(row[0] for row in granted) == AUDIT_GRANTS


@pytest.mark.parametrize("statement", ["UPDATE audit SET actor = 'x'", "DELETE FROM audit", "TRUNCATE audit"])
async def test_the_service_itself_may_only_add(chain: Chain, statement: str) -> None:
    await chain.write(1)
    with pytest.raises(InsufficientPrivilegeError, match="permission denied"):
        async with chain.database.transaction() as tx:
            await tx.execute(text(statement))


async def test_free_text_is_kept_without_people(chain: Chain) -> None:
    async with chain.database.transaction() as tx:
        await record(
            tx, actor="staff-7", action="a", subject="s", reason="ada@example.org paid with 4242 4242 4242 4242"
        )
        assert (await tx.execute(select(table(AuditRow).c.reason))).scalar_one() == "[masked] paid with [masked]"


@pytest.mark.parametrize(
    ("after", "problem"),
    [
        ({"contact": {"mail": "ada@example.org"}}, r"^after\.contact\.mail holds personal data"),
        ({"lines": ["ok", "4242424242424242"]}, r"^after\.lines\[1\] holds personal data"),
        ({"share": 0.5}, r"^after\.share is a float"),
        ({"at": object()}, r"^after\.at is a object"),
    ],
)
async def test_what_an_audit_row_must_not_keep_is_refused(chain: Chain, after: dict[str, Any], problem: str) -> None:
    async with chain.database.transaction() as tx:
        with pytest.raises(ValueError, match=problem):
            await record(tx, actor="staff-7", action="a", subject="s", after=after)
    assert await chain.head() == Head(0, GENESIS)
