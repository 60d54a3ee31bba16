"""Connections to PostgreSQL, lent to one transaction at a time.

asyncpg's own pool makes two tasks, a proxy and a round trip for each loan, which is as much as a short transaction costs; here a loan is a
list's last element. Last in, first out: the connections used last know the statements.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import asyncpg

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

WAIT_S = 12.0
"""A rush waits in line for a connection; the gateway gives up after 15 s."""
IDLE_S_MAX = 300.0
"""What lies between us and the server may have forgotten a connection that was not used for longer."""


UNUSABLE_AFTER = (
    asyncio.CancelledError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)
"""Nobody knows what the connection is doing after these. asyncpg calls it an internal error when it is used while it breaks."""


class NoFreeConnection(Exception):
    """Every connection was in use for WAIT_S."""


class Pool:
    """At most `size` connections with asyncpg's `options`, opened as they are needed."""

    def __init__(self, size: int, **options: Any) -> None:
        self.size = size
        self._options = options
        self._slots = asyncio.Semaphore(size)
        self._idle: list[tuple[Connection, float]] = []
        self._lent: set[Connection] = set()

    @property
    def in_use(self) -> int:
        """Connections that are lent now."""
        return len(self._lent)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Lends a connection. Raises NoFreeConnection, and whatever asyncpg raises where the server is away."""
        try:
            async with asyncio.timeout(WAIT_S):
                await self._slots.acquire()
        except TimeoutError:
            raise NoFreeConnection from None
        try:
            connection = self._known() or await asyncpg.connect(**self._options)
            self._lent.add(connection)
            try:
                yield connection
            except UNUSABLE_AFTER:
                connection.terminate()
                raise
            finally:
                self._lent.discard(connection)
                self._keep(connection)
        finally:
            self._slots.release()

    def _known(self) -> Connection | None:
        now = asyncio.get_running_loop().time()
        while self._idle:
            connection, since = self._idle.pop()
            if not connection.is_closed() and now - since < IDLE_S_MAX:
                return connection
            connection.terminate()
        return None

    def _keep(self, connection: Connection) -> None:
        if connection.is_closed():
            return
        if connection.is_in_transaction():
            connection.terminate()  # it could not be rolled back
            return
        self._idle.append((connection, asyncio.get_running_loop().time()))

    async def close(self) -> None:
        """Closes what is idle and ends what is lent."""
        for connection in self._lent:
            connection.terminate()
        while self._idle:
            connection, _ = self._idle.pop()
            await connection.close(timeout=2)
