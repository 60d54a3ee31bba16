"""The service's database: one request or message is one transaction, committed at the edge before the answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from functools import cache
from typing import Annotated, Any, TypeVar, TypeVarTuple, cast, overload
from uuid import UUID

import asyncpg
from fastapi import Depends, Request
from sqlalchemy import Executable, Select, Table, bindparam, make_url, select
from sqlalchemy.engine import Result, ScalarResult
from sqlalchemy.sql.selectable import TypedReturnsRows
from sqlmodel import SQLModel

from chassis import sql
from chassis.clock import Clock
from chassis.ids import Ids
from chassis.pool import Connection, NoFreeConnection, Pool

M = TypeVar("M", bound=SQLModel)
T = TypeVar("T")
Ts = TypeVarTuple("Ts")
Parameters = Mapping[str, Any] | Sequence[Mapping[str, Any]] | None


class Transaction:
    """One unit of work: its statements, its instant, its ids, and what happens once it is committed.

    Statements are SQLAlchemy's, run on the driver (chassis.sql). An entity that was read is a value: changing it writes nothing.
    Nobody commits but `Database.transaction`.
    """

    def __init__(self, database: Database, connection: Connection) -> None:
        self.database = database
        self.now: datetime = database.clock.now()
        self._connection = connection
        self._after_commit: list[Callable[[], None]] = []

    @overload
    async def execute(
        self, statement: TypedReturnsRows[*Ts], parameters: Parameters = None, *, alongside: Collection[sql.Part] = ()
    ) -> Result[*Ts]: ...

    @overload
    async def execute(
        self, statement: Executable, parameters: Parameters = None, *, alongside: Collection[sql.Part] = ()
    ) -> Result[*tuple[Any, ...]]: ...

    async def execute(
        self, statement: Executable, parameters: Parameters = None, *, alongside: Collection[sql.Part] = ()
    ) -> Result[Any]:
        """Runs a statement; with a sequence of parameters once for each of them, in one round trip and without rows.

        What stands `alongside` is run with it as one statement, whether or not the statement itself matches a row: join only to one that
        always does. All of them see the tables as they were before.
        """
        if isinstance(parameters, Sequence):
            return await self._execute_many(statement, parameters)
        shape, text, arguments = sql.written(sql.Part(statement, parameters or {}), alongside)
        self.database.tell_statement(self, text)
        return shape.result(await self._connection.fetch(text, *arguments))

    async def _execute_many(self, statement: Executable, parameters: Sequence[Mapping[str, Any]]) -> Result[Any]:
        shape, key = sql.compiled(statement, parameters[0])
        runs = [shape.arguments(each, key) for each in parameters]
        text = runs[0][0]
        self.database.tell_statement(self, text)
        await self._connection.executemany(text, [arguments for _, arguments in runs])
        return shape.result([])

    async def scalars(self, statement: Select[T]) -> ScalarResult[T]:
        """The first element of each row: `(await tx.scalars(select(Model).where(…))).one()`."""
        return (await self.execute(statement)).scalars()

    async def get(self, model: type[M], key: UUID, *, with_for_update: bool = False) -> M | None:
        """The entity with this primary key, held until the transaction ends where that is asked."""
        found = await self.execute(_by_key(model, lock=with_for_update), {"key": key})
        return cast("M | None", found.scalar_one_or_none())

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
    """The connections to one service's database, and the only place that commits.

    Statements end after 15 s, waits for a lock after 5 s. `url` may name SQLAlchemy's driver, as migrations want it; `pool` is how many
    connections may be open.
    """

    def __init__(self, url: str, clock: Clock, ids: Ids, *, pool: int = 20) -> None:
        self.clock = clock
        self.ids = ids
        self.connections_max = pool
        self.wake_relay: Callable[[], None] = lambda: None
        self.tell_watchers: Callable[[UUID], None] = lambda _: None
        self.tell_statement: Callable[[Transaction, str], None] = lambda *_: None
        """For those who count statements: called with the text of each, before it is run."""
        self.handovers: dict[str, Callable[[], Callable[[UUID], None] | None]] = {}
        self._pool = Pool(
            pool,
            dsn=make_url(url).set(drivername="postgresql").render_as_string(hide_password=False),
            statement_cache_size=500,
            max_cached_statement_lifetime=0,
            timeout=5,
            command_timeout=20,
            server_settings={
                "jit": "off",
                "statement_timeout": "15s",
                "lock_timeout": "5s",
                "idle_in_transaction_session_timeout": "30s",
            },
        )

    @property
    def connections_in_use(self) -> int:
        """Connections that a transaction holds now."""
        return self._pool.in_use

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Begins, commits when the block ends, rolls back when it raises. Raises NoFreeConnection."""
        async with self._pool.connection() as connection:
            tx = Transaction(self, connection)
            async with connection.transaction():
                yield tx
        tx.committed()

    @asynccontextmanager
    async def single(self) -> AsyncIterator[Transaction]:
        """For one statement that is a transaction by itself: it is committed when it has run, without two round trips more."""
        async with self._pool.connection() as connection:
            tx = Transaction(self, connection)
            yield tx
        tx.committed()

    async def answers(self) -> bool:
        """Runs a statement on a connection of the pool that requests use."""
        async with self._pool.connection() as connection:
            return bool(await connection.fetchval("SELECT true"))

    async def close(self) -> None:
        """Closes every connection."""
        await self._pool.close()


@cache
def _by_key(model: type[SQLModel], *, lock: bool) -> Select[Any]:
    rows = table(model)
    (key,) = rows.primary_key.columns
    query = select(model).where(key == bindparam("key", type_=key.type))
    return query.with_for_update() if lock else query


def table(model: type[SQLModel]) -> Table:
    """The table of a model, for Core statements."""
    return cast("Table", model.__table__)  # type: ignore[attr-defined]  # SQLModel does not declare it


_LOST = (asyncpg.InterfaceError, asyncpg.InternalClientError, NoFreeConnection, OSError, TimeoutError)
DATABASE_ERRORS = (asyncpg.PostgresError, *_LOST)
"""What a statement raises, the database being away among other reasons."""


def reason(error: Exception) -> str:
    """Class and SQLSTATE of a database error, for a log line: enough to tell an outage from a missing right."""
    state = sqlstate(error)
    return f"{type(error).__name__} {state}" if state else type(error).__name__


def sqlstate(error: BaseException) -> str | None:
    """PostgreSQL's code of the error, if it is one of PostgreSQL's (postgresql.org/docs/current/errcodes-appendix.html)."""
    return error.sqlstate if isinstance(error, asyncpg.PostgresError) else None


_AWAY = frozenset({"57P01", "57P02", "57P03"})
"""Shutting down, crashed, starting up."""


def is_outage(error: BaseException) -> bool:
    """Whether the database is away, as opposed to refusing this one statement: nothing is wrong with what was asked."""
    if isinstance(error, asyncpg.PostgresError):
        state = sqlstate(error) or ""
        return state[:2] in {"08", "53"} or state in _AWAY
    # Of its client errors asyncpg makes those about a value ValueErrors too.
    return isinstance(error, _LOST) and not isinstance(error, ValueError)


async def _transaction(request: Request) -> AsyncIterator[Transaction]:
    database: Database = request.app.state.database
    async with database.transaction() as tx:
        yield tx


Tx = Annotated[Transaction, Depends(_transaction, scope="function")]
"""The request's transaction. Function scope commits before the answer is sent; FastAPI's default would commit after it."""
