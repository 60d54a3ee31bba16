"""Plants corruptions in a made-up world and must find each: whoever trusts `verify` can see it fail.

The world lies in a schema of its own beside the real tables, made like them, in a transaction that is rolled back: nothing of it is ever
seen by a service, and nothing stays.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import cast

from chassis import audit
from chassis.clock import SystemClock
from chassis.db import Database, Transaction
from chassis.ids import SystemIds
from chassis.pool import Connection
from contracts.catalogue import PUBLISHERS
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from ops.privileges import on_table
from ops.settings import Settings
from ops.verify.corruptions import CORRUPTIONS, Corruption
from ops.verify.reading import Snapshot
from ops.verify.records import Outside, Terms
from ops.verify.report import Report
from ops.verify.run import Inside, compare, kept_since
from ops.verify.specimen import Specimen

SCHEMA = "verify_selftest"
ENDINGS = ("confirmed", "free", "expired", "half_back", "nothing_back", "failed_later", "seats_gone", "disputed")
TABLES = """
    SELECT c.relname FROM pg_class c
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND c.relname NOT LIKE '%\\_schema' ORDER BY c.relname"""


@dataclass(frozen=True)
class Result:
    """Whether a corruption was found by the check that should."""

    check: str
    corruption: str
    found: bool
    comment: str = ""


async def selftest(settings: Settings) -> list[Result]:
    """The clean world first, in which nothing may be found, then one corruption after the other."""
    now = SystemClock().now()
    specimen = Specimen(now)
    terms = Terms(now, settled=True, kept_since=kept_since(now, timedelta(days=30)))
    async with AsyncExitStack() as stack:
        made = {
            service: await stack.enter_async_context(_world(service, settings.database_url(service), specimen))
            for service in PUBLISHERS
        }
        opened = Inside(made, made)
        clean = await _compared(opened, specimen.outside, terms)
        known = {difference.identity for difference in clean.differences}
        # Whether this server is durable is not under test here.
        differences = [found for found in clean.differences if not found.subject.startswith("postgresql/")]
        shown = "; ".join(f"{found.check} {found.subject}: {found.expected} / {found.found}" for found in differences)
        results = [Result("-", "nothing planted, nothing found", not differences, shown and f": {shown}")]
        return results + [await _planted(opened, specimen, corruption, terms, known) for corruption in CORRUPTIONS]


async def _compared(opened: Inside, outside: Outside, terms: Terms) -> Report:
    async def read() -> Outside:
        return outside

    return await compare(opened, read, terms)


async def _planted(
    opened: Inside, specimen: Specimen, corruption: Corruption, terms: Terms, known: set[tuple[str, str, str]]
) -> Result:
    outside = copy.deepcopy(specimen.outside)
    corruption.outside(outside)
    connection = opened.read[corruption.service].connection
    savepoint = await connection.begin_nested()
    for statement in filter(None, corruption.sql.split(";")):
        changed = await connection.execute(text(statement), _ids(specimen, statement))
        assert changed.rowcount != 0, f"there is nothing to corrupt: {corruption.what}"
    report = await _compared(opened, outside, terms)
    await savepoint.rollback()
    new = [difference for difference in report.differences if difference.identity not in known]
    others = sorted({difference.check for difference in new} - {corruption.check})
    found = any(difference.check == corruption.check for difference in new)
    return Result(corruption.check, corruption.what, found, f" (also {', '.join(others)})" if others else "")


def _ids(specimen: Specimen, statement: str) -> dict[str, object]:
    """The ids that a statement names."""
    (refund,) = (row for row in specimen.tables["refund"]["refunds"] if row["booking_id"] == specimen.half_back)
    (payment,) = (row for row in specimen.tables["payment"]["payments"] if row["booking_id"] == specimen.confirmed)
    known = {name: getattr(specimen, name) for name in ENDINGS}
    known |= {"confirmed_payment": payment["id"], "half_back_refund": refund["id"]}
    return {name: known[name] for name in re.findall(r"(?<!:):(\w+)", statement) if name in known}


@asynccontextmanager
async def _world(service: str, url: str, specimen: Specimen) -> AsyncIterator[Snapshot]:
    engine = create_async_engine(url, poolclass=NullPool, connect_args={"timeout": 5})
    async with engine.connect() as connection:
        await _make(connection, service, specimen)
        await _audited(connection, url)
        try:
            yield await Snapshot.of(service, connection)
        finally:
            await connection.rollback()
    await engine.dispose()


async def _make(connection: AsyncConnection, service: str, specimen: Specimen) -> None:
    """Tables with the columns of the real ones and the rights that are declared, and the specimen's rows in them."""
    await connection.execute(text(f"CREATE SCHEMA {SCHEMA}"))
    await connection.execute(text(f"SET LOCAL search_path TO {SCHEMA}"))
    await connection.execute(text("SET LOCAL synchronous_commit TO on"))
    for (table,) in (await connection.execute(text(TABLES))).all():
        await connection.execute(text(f'CREATE TABLE "{table}" AS TABLE public."{table}" WITH NO DATA'))
        for role in (service, f"{service}_verify"):
            rights = ", ".join(on_table(service, role, table))
            await connection.execute(text(f'REVOKE ALL ON "{table}" FROM {role}'))
            await connection.execute(text(f'GRANT {rights} ON "{table}" TO {role}'))
    for table, rows in specimen.tables[service].items():
        row_type = f'NULL::"{table}"'
        insert = text(f'INSERT INTO "{table}" SELECT * FROM jsonb_populate_recordset({row_type}, CAST(:rows AS jsonb))')  # noqa: S608  # a table of ours
        await connection.execute(insert, {"rows": json.dumps(rows, default=str)})


async def _audited(connection: AsyncConnection, url: str) -> None:
    """Three rows of a chain, written by the code that writes them, within the transaction that is rolled back."""
    driver = (await connection.get_raw_connection()).driver_connection
    tx = Transaction(Database(url, SystemClock(), SystemIds()), cast("Connection", driver))
    for number in range(3):
        await audit.record(tx, actor="staff-1", action="refund.create", subject=f"refund/{number}")
