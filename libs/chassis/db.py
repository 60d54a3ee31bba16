"""The service's database: one request or message is one transaction, committed at the edge before the answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, Any, cast
from uuid import UUID

from fastapi import Depends, Request
from sqlalchemy import Table
from sqlalchemy.exc import DBAPIError, InterfaceError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as NoFreeConnection
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlmodel import SQLModel

from chassis.clock import Clock
from chassis.ids import Ids


class Transaction(AsyncSession):
    """One unit of work: its statements, its instant, its ids, and what happens once it is committed.

    Entities are read by `(await tx.scalars(select(Model).where(…))).one()`, everything else is `tx.execute` with a Core statement.
    It is SQLAlchemy's session, since SQLModel's warns at each `execute`. Nobody commits it but `Database.transaction`.
    """

    def __init__(self, *args: Any, database: Database, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.database = database
        self.now: datetime = database.clock.now()
        self._after_commit: list[Callable[[], None]] = []

    def new_id(self) -> UUID:
        """A UUIDv7."""
        return self.database.ids.uuid7(self.now)

    def new_secret(self) -> str:
        """128 random bits as text."""
        return self.database.ids.secret()

    def after_commit(self, act: Callable[[], None]) -> None:
        """Calls `act` once the transaction is committed, never when it is rolled back. A crash may lose the call: only wake things up."""
        self._after_commit.append(act)

    def committed(self) -> None:
        """Runs what `after_commit` was given."""
        for act in self._after_commit:
            act()


class Database:
    """The engine of one service's database, and the only place that commits."""

    def __init__(self, engine: AsyncEngine, clock: Clock, ids: Ids) -> None:
        self.engine = engine
        self.clock = clock
        self.ids = ids
        self.wake_relay: Callable[[], None] = lambda: None
        self.tell_watchers: Callable[[UUID], None] = lambda _: None
        self.handovers: dict[str, Callable[[], Callable[[UUID], None] | None]] = {}
        self._sessions = async_sessionmaker(
            engine, class_=Transaction, database=self, expire_on_commit=False, autoflush=False
        )

    @classmethod
    def connect(cls, url: str, clock: Clock, ids: Ids, *, pool: int = 20) -> Database:
        """A pool of at most `pool` connections, opened as they are needed and waited for up to 12 s.

        Statements end after 15 s, waits for a lock after 5 s.
        """
        engine = create_async_engine(
            url,
            pool_size=pool,
            max_overflow=0,
            pool_use_lifo=True,  # the connections used last know the statements and the types
            pool_timeout=12,  # a rush waits in line; the gateway gives up after 15
            hide_parameters=True,
            connect_args={
                "timeout": 5,
                "command_timeout": 20,
                "server_settings": {
                    "jit": "off",
                    "statement_timeout": "15s",
                    "lock_timeout": "5s",
                    "idle_in_transaction_session_timeout": "30s",
                },
            },
        )
        return cls(engine, clock, ids)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Begins, commits when the block ends, rolls back when it raises."""
        async with self._sessions() as tx:
            async with tx.begin():
                yield tx
            tx.committed()

    async def close(self) -> None:
        """Closes every connection."""
        await self.engine.dispose()


def table(model: type[SQLModel]) -> Table:
    """The table of a model, for Core statements: they skip the unit of work."""
    return cast("Table", model.__table__)  # type: ignore[attr-defined]  # SQLModel does not declare it


DATABASE_ERRORS = (SQLAlchemyError, OSError, TimeoutError)
"""What a statement raises, the database being away among other reasons."""


def reason(error: Exception) -> str:
    """Class and SQLSTATE of a database error, for a log line: enough to tell an outage from a missing right."""
    state = getattr(getattr(error, "orig", None), "sqlstate", None)
    return f"{type(error).__name__} {state}" if state else type(error).__name__


_AWAY = frozenset({"57P01", "57P02", "57P03"})
"""Shutting down, crashed, starting up (postgresql.org/docs/current/errcodes-appendix.html)."""


def is_outage(error: BaseException) -> bool:
    """Whether the database is away, as opposed to refusing this one statement: nothing is wrong with what was asked."""
    if not isinstance(error, DBAPIError):
        return isinstance(error, OSError | TimeoutError | NoFreeConnection)
    state = getattr(error.orig, "sqlstate", None) or ""
    return (
        error.connection_invalidated or isinstance(error, InterfaceError) or state[:2] in {"08", "53"} or state in _AWAY
    )


async def _transaction(request: Request) -> AsyncIterator[Transaction]:
    database: Database = request.app.state.database
    async with database.transaction() as tx:
        yield tx


Tx = Annotated[Transaction, Depends(_transaction, scope="function")]
"""The request's transaction. Function scope commits before the answer is sent; FastAPI's default would commit after it."""
