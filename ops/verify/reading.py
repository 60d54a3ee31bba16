"""Reads databases: one snapshot of each, streamed in the order of booking ids and merged into dossiers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from uuid import UUID

import asyncpg
from chassis import audit
from contracts.catalogue import PUBLISHERS
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, create_async_engine
from sqlalchemy.pool import NullPool

from ops.verify import records, statements
from ops.verify.records import Dossier, EventRow, Told

T = TypeVar("T")

CHUNK = 1000
SNAPSHOT_ORDER = ("notification", "booking", "refund", "payment")
"""What follows from another database is read before it: a mail before its transition, a confirmation before its payment."""


@dataclass(frozen=True)
class Snapshot:
    """One database as it was at one instant."""

    service: str
    connection: AsyncConnection
    driver: Any
    """The asyncpg connection below, which streams rows at a fraction of the cost."""

    @classmethod
    async def of(cls, service: str, connection: AsyncConnection) -> Snapshot:
        """The first statement fixes the instant."""
        await connection.execute(text("SELECT 1 FROM outbox LIMIT 1"))
        return cls(service, connection, (await connection.get_raw_connection()).driver_connection)

    async def stream(self, model: type[T], sql: str, *arguments: object) -> AsyncIterator[list[T]]:
        """Rows as `model`, in chunks. Columns are called like the model's fields."""
        cursor = await self.driver.cursor(sql, *arguments)
        while rows := await cursor.fetch(CHUNK):
            yield [_made(model, row) for row in rows]

    async def rows(self, model: type[T], sql: str, *arguments: object) -> list[T]:
        """All rows as `model`; for what is few."""
        return [row async for chunk in self.stream(model, sql, *arguments) for row in chunk]

    async def tuples(self, sql: str, *arguments: object) -> list[tuple[Any, ...]]:
        """All rows as they are; for what is few."""
        return [tuple(row) for row in await self.driver.fetch(sql, *arguments)]

    async def audit_chain(self, anchor: audit.Head | None = None) -> tuple[audit.Head, list[str]]:
        """The head of the audit chain, and what is wrong with it."""
        async with AsyncSession(bind=self.connection, autoflush=False) as session:
            return await audit.head(session), await audit.verify_chain(session, anchor)


@asynccontextmanager
async def snapshot(service: str, url: str) -> AsyncIterator[Snapshot]:
    """Opens a database for reading alone. Raises what asyncpg and SQLAlchemy raise where it cannot be read."""
    engine = create_async_engine(
        url,
        poolclass=NullPool,
        hide_parameters=True,
        isolation_level="REPEATABLE READ",
        execution_options={"postgresql_readonly": True},
        connect_args={"timeout": 5, "server_settings": {"application_name": "boxoffice verify"}},
    )
    try:
        async with engine.connect() as connection:
            yield await Snapshot.of(service, connection)
    finally:
        await engine.dispose()


@asynccontextmanager
async def snapshots(urls: dict[str, str]) -> AsyncIterator[dict[str, Snapshot]]:
    """All four, each a moment after the one that follows from it."""
    async with AsyncExitStack() as stack:
        yield {service: await stack.enter_async_context(snapshot(service, urls[service])) for service in SNAPSHOT_ORDER}


def _made(model: type[T], row: asyncpg.Record) -> T:
    values = dict(row)
    if "told" in values:
        values["told"] = [Told(*event) for event in values["told"] or ()]
    return model(**values)


class Merged(Generic[T]):
    """A stream in ascending order of a UUID, from which the rows of one key after the other are taken."""

    def __init__(self, chunks: AsyncIterator[list[T]], key: str) -> None:
        self._chunks = chunks
        self._key = key
        self._rows: list[T] = []
        self._at = 0
        self.head: UUID | None = None

    async def start(self) -> None:
        """Fetches the first chunk."""
        await self._refill()

    async def _refill(self) -> None:
        self._rows, self._at = await anext(self._chunks, []), 0
        self.head = getattr(self._rows[0], self._key) if self._rows else None

    async def take(self, key: UUID) -> list[T]:
        """The rows of `key`, which is not above `head`; afterwards `head` is the next row's key, or None at the end."""
        taken: list[T] = []
        while self.head == key:
            row, self._at = self._rows[self._at], self._at + 1
            taken.append(row)
            if self._at == len(self._rows):
                await self._refill()
            else:
                self.head = getattr(self._rows[self._at], self._key)
        return taken


async def dossiers(read: dict[str, Snapshot]) -> AsyncIterator[Dossier]:
    """One dossier for every booking id that any database knows, in ascending order."""
    sources: dict[str, Merged[Any]] = {
        name: Merged(read[source.service].stream(source.model, source.sql), source.key)
        for name, source in statements.BY_BOOKING.items()
    }
    for source in sources.values():
        await source.start()
    while heads := [source.head for source in sources.values() if source.head is not None]:
        booking_id = min(heads)
        dossier = Dossier(booking_id)
        for name, source in sources.items():
            if source.head == booking_id:
                rows = await source.take(booking_id)
                setattr(dossier, name, rows if statements.BY_BOOKING[name].many else rows[0])
        yield dossier


@dataclass(slots=True)
class Consumption:
    """One event id: what the outboxes have under it, which consumers have had it, and for which a person discarded it."""

    event_id: UUID
    events: Sequence[EventRow]
    consumers: Sequence[str]
    discarded: Sequence[str] = ()


async def consumption(
    inboxes: dict[str, Snapshot], outboxes: dict[str, Snapshot], kept_since: UUID
) -> AsyncIterator[Consumption]:
    """Every event that is in an outbox or an inbox, by its id. `inboxes` are the earlier snapshots: they follow from outboxes."""
    consumed: list[Merged[Any]] = [
        Merged(inboxes[service].stream(records.InboxRow, statements.INBOX, kept_since), "event_id")
        for service in PUBLISHERS
    ]
    written: list[Merged[Any]] = [
        Merged(outboxes[service].stream(EventRow, statements.OUTBOX, kept_since, service), "id")
        for service in PUBLISHERS
    ]
    for source in (*consumed, *written):
        await source.start()
    while heads := [source.head for source in (*consumed, *written) if source.head is not None]:
        event_id = min(heads)
        events = [event for source in written for event in await source.take(event_id)]
        rows = [row for source in consumed for row in await source.take(event_id)]
        had, discarded = ([row.consumer for row in rows if row.discarded is given_up] for given_up in (False, True))
        yield Consumption(event_id, events, had, discarded)
