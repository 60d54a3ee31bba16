"""What PostgreSQL was asked to do: its own statement log, switched on for a short while, read as transactions.

With `%m [%p] %u@%d ` before each line, what a session did between BEGIN and COMMIT is a transaction. Parameters are not in the log.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg

LINE = re.compile(
    r"\S+ \S+ UTC \[(?P<session>\d+)\] (?P<user>\w+)@(?P<database>\w+) LOG:  (?:statement|execute [^:]+): (?P<sql>.*)",
    re.DOTALL,
)

SHARED = (
    "SKIP LOCKED",  # the relay, the claim of a sweep
    "SELECT webhook_endpoints.id FROM webhook_endpoints",  # endpoints with something due
    "SELECT bookings.id, bookings.revision FROM bookings",  # the watched pages
    "SELECT count(",  # the gauges
)
"""How statements begin that are run for all that there is, and whether or not there is anything."""

DRIVER = ("pg_catalog.pg_type", "set_config('jit'")
"""In the driver's own questions about types, asked once a connection."""


@dataclass(frozen=True)
class Transaction:
    """What one of a service's connections ran between BEGIN and COMMIT, these two left out."""

    service: str
    statements: tuple[str, ...]

    @property
    def is_shared(self) -> bool:
        """It belongs to no single booking."""
        return any(sign in self.statements[0] for sign in SHARED)

    @property
    def is_consumed_event(self) -> bool:
        """It is the effect of an event."""
        return self.statements[0].startswith("INSERT INTO inbox")


@dataclass
class StatementLog:
    """The transactions that were committed while it was on."""

    transactions: list[Transaction] = field(default_factory=list)

    @property
    def own(self) -> list[Transaction]:
        """Those of bookings."""
        return [transaction for transaction in self.transactions if not transaction.is_shared]


@asynccontextmanager
async def statement_log(superuser_url: str, log: Path) -> AsyncIterator[StatementLog]:
    """Has PostgreSQL log every statement inside the block; what it logged is there after it. `log` is where the server writes."""
    server = await asyncpg.connect(superuser_url)
    found = StatementLog()
    try:
        begin = await asyncio.to_thread(log.stat)
        await _log_statements(server, "all")
        try:
            yield found
        finally:
            await _log_statements(server, "none")
        found.transactions += await asyncio.to_thread(_read, log, begin.st_size)
    finally:
        await server.close()


async def _log_statements(server: asyncpg.Connection, which: str) -> None:
    await server.execute(f"ALTER SYSTEM SET log_statement = '{which}'")
    await server.execute("SELECT pg_reload_conf()")
    while await server.fetchval("SHOW log_statement") != which:
        pass  # each look makes the session read what was reloaded


def _read(log: Path, begin: int) -> list[Transaction]:
    with log.open(errors="replace") as lines:
        lines.seek(begin)
        return list(transactions(lines))


def transactions(lines: Iterable[str]) -> Iterator[Transaction]:
    """Those that services committed and that ran a statement; what other roles than a service's own did is left out."""
    begun: dict[str, list[str]] = {}
    for entry in _entries(lines):
        match = LINE.fullmatch(entry)
        if match is None or match["user"] != match["database"]:
            continue
        session, sql = match["session"], match["sql"]
        if sql.startswith("BEGIN"):
            begun[session] = []
        elif sql.startswith(("COMMIT", "ROLLBACK")):
            statements = begun.pop(session, [])
            if statements and sql.startswith("COMMIT"):
                yield Transaction(match["database"], tuple(statements))
        elif session in begun and not any(sign in sql for sign in DRIVER):
            begun[session].append(sql)


def _entries(lines: Iterable[str]) -> Iterator[str]:
    """A statement of several lines goes on with a tab."""
    entry: list[str] = []
    for line in lines:
        if not line.startswith("\t") and entry:
            yield " ".join(entry)
            entry = []
        entry.append(line.strip())
    if entry:
        yield " ".join(entry)
