"""The supervisor of one stack as a background process.

    python -m sandbox.launcher.daemon

It takes the stack's lock and ports, listens on the control socket, and ends when it is asked to bring the stack down or gets SIGTERM.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import logging
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from sandbox.launcher import control
from sandbox.launcher.home import Home
from sandbox.launcher.ports import NoPortsLeft
from sandbox.launcher.postgres import PostgresFailed
from sandbox.launcher.stack import Stack
from sandbox.launcher.status import status
from sandbox.launcher.supervisor import Report, StartFailed, Supervised, Supervisor, adopt_orphans

log = logging.getLogger(__name__)


class Unknown(RuntimeError):
    """The request names no command or no process that there is."""


class Daemon:
    """Answers the requests of the command line."""

    def __init__(self, supervisor: Supervisor, describe: Callable[[], dict[str, Any]]) -> None:
        self.supervisor = supervisor
        self.describe = describe
        self.over = asyncio.Event()
        self._rising = asyncio.Lock()

    async def serve(self, folder: Path) -> None:
        """Until the stack is brought down."""
        loop = asyncio.get_running_loop()
        ending: set[asyncio.Task[None]] = set()
        for sign in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(sign, lambda: ending.add(asyncio.create_task(self._down(log.info))))
        server = await asyncio.start_unix_server(self._answer, sock=control.listening(folder))
        await self.over.wait()
        server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def tell(line: dict[str, Any]) -> None:
            if not writer.is_closing():
                writer.write(json.dumps(line).encode() + b"\n")

        def report(sentence: str) -> None:
            log.info(sentence)
            tell({"progress": sentence})

        try:
            tell({"done": await self._do(json.loads(await reader.readline()), report)})
        except (StartFailed, Unknown) as error:
            log.info(str(error))
            tell({"failed": str(error), "log": str(error.log) if isinstance(error, StartFailed) else None})
        with suppress(ConnectionError):  # the caller may have gone
            await writer.drain()
        writer.close()

    async def _do(self, request: dict[str, str], report: Report) -> dict[str, Any]:
        match request:
            case {"do": "up"}:
                async with self._rising:
                    await self.supervisor.up(report)
            case {"do": "down"}:
                await self._down(report)
            case {"do": "status"}:
                pass
            case {"do": command, "process": name}:
                await self._one(command, self._named(name))
            case _:
                raise Unknown("The request is not understood.")
        return self.describe()

    async def _one(self, command: str, process: Supervised) -> None:
        async def kill() -> None:
            process.kill()

        async def restart() -> None:
            await process.stop()
            await process.start()

        commands: dict[str, Callable[[], Awaitable[object]]] = {
            "start": process.start,
            "stop": process.stop,
            "restart": restart,
            "kill": kill,
        }
        if command not in commands:
            raise Unknown(f"There is no command {command}.")
        await commands[command]()

    async def _down(self, report: Report) -> None:
        await self.supervisor.down(report)
        self.over.set()

    def _named(self, name: str) -> Supervised:
        if name not in self.supervisor.processes:
            raise Unknown(f"There is no process {name}; there are {', '.join(self.supervisor.processes)}.")
        return self.supervisor.processes[name]


def main() -> None:
    logging.basicConfig(stream=sys.stdout, format="%(asctime)s %(message)s", level=logging.INFO)
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    home = Home.chosen()
    home.make()
    with (home.folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit("Another supervisor runs this stack.")
        try:
            stack = Stack.open(home)
            supervisor = Supervisor(stack.stages(), home.log)
        except (NoPortsLeft, PostgresFailed) as error:
            sys.exit(str(error))
        adopt_orphans()
        asyncio.run(Daemon(supervisor, lambda: status(stack, supervisor.processes)).serve(home.folder))


if __name__ == "__main__":
    main()
