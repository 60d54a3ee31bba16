"""A TCP proxy between a service and a server, which can stall (no FIN, no answer) or cut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


class Proxy:
    """Forwards bytes until it is told to `stall`; `flow` forwards again, what waited meanwhile included."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0

    def stall(self) -> None:
        """Nothing passes, and nobody is told."""
        self._flowing.clear()

    def flow(self) -> None:
        """Everything passes again."""
        self._flowing.set()

    def cut(self) -> None:
        """Every open connection is reset."""
        for writer in self._writers:
            writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, both ways."""
        try:
            upstream, downstream = await asyncio.open_connection(self._host, self._port)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, downstream}
        with suppress(OSError):
            await asyncio.gather(self._pump(reader, downstream), self._pump(upstream, writer))
        self._writers -= {writer, downstream}

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            await self._flowing.wait()
            writer.write(data)
            await writer.drain()
        writer.close()


@asynccontextmanager
async def proxied(host: str, port: int) -> AsyncIterator[Proxy]:
    """A proxy before `host:port`, on a free port of its own."""
    proxy = Proxy(host, port)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    yield proxy
    proxy.flow()
    proxy.cut()
    server.close()
