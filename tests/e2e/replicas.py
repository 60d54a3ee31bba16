"""A second process of each service beside those of the stack, on the same databases and broker, and a gateway that asks both."""

from __future__ import annotations

import asyncio
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import psutil

from sandbox.launcher.credentials import SERVICES
from sandbox.launcher.home import Home
from sandbox.launcher.programs import base_environment
from tests.e2e.stack import Stack, until


class Replica:
    """A second process of one service."""

    def __init__(self, service: str, home: Home) -> None:
        self.service = service
        self.home = home
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None
        self.changed: dict[str, str] = {}
        """Variables that it is told otherwise than the first one."""

    def start(self) -> None:
        """With what the launcher tells the first one."""
        told = (self.home.environments / f"{self.service}.env").read_text().splitlines()
        variables = dict(shlex.split(line)[1].split("=", 1) for line in told) | self.changed
        arguments = [
            "--factory",
            "--loop",
            "uvloop",
            "--http",
            "httptools",
            "--no-access-log",
            "--port",
            str(self.port),
        ]
        with self.home.log(f"{self.service}-2").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "uvicorn",
                    f"{self.service}.app:create_app",
                    *arguments,
                    "--timeout-graceful-shutdown",
                    "5",
                ],
                env={**base_environment(self.home.folder), **variables},
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    async def stop(self) -> None:
        """Ends it in order, and waits for that."""
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(self.process.wait, 30)
            self.process = None


class Replicas:
    """The second processes, by service, and who of both the gateway asks."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        home = Home(stack.running.home)
        self.second = {service: Replica(service, home) for service in SERVICES}
        self._configuration: Path = home.room() / "gateway" / "nginx.conf"
        self._original = self._configuration.read_text()
        self._gateway = psutil.Process(stack.status["processes"]["gateway"]["pid"])

    def urls(self, service: str) -> list[str]:
        """Where the two listen."""
        return [self.stack.status["processes"][service]["url"], self.second[service].url]

    async def until_ready(self, *urls: str) -> None:
        """Waits until each answers that it is."""

        async def look(url: str) -> bool:
            try:
                return (await self.stack.http.get(f"{url}/readyz")).is_success
            except httpx2.TransportError:
                return False

        for url in urls:
            await until(lambda url=url: look(url), f"{url} is not ready")

    async def ask(self, asked: dict[str, list[str]]) -> None:
        """Lets the gateway ask these addresses. Returns when nothing is under way to any other."""
        text = self._original
        for service, urls in asked.items():
            servers = " ".join(f"server {url.removeprefix('http://')};" for url in urls)
            text, changed = re.subn(rf"(upstream {service} \{{) server [^;]+;", rf"\1 {servers}", text)
            assert changed == 1
        await self._reload(text)

    async def restore(self) -> None:
        """As it was."""
        await self._reload(self._original)

    async def _reload(self, text: str) -> None:
        before = {worker.pid for worker in self._gateway.children()}
        self._configuration.write_text(text)
        self._gateway.send_signal(signal.SIGHUP)

        async def replaced() -> bool:
            workers = {worker.pid for worker in self._gateway.children() if _works(worker)}
            return bool(workers) and not workers & before

        await until(replaced, "the gateway's old workers still work")


@asynccontextmanager
async def two_of_each(stack: Stack) -> AsyncIterator[Replicas]:
    """Both are asked by the gateway; afterwards there is one of each again."""
    replicas = Replicas(stack)
    try:
        for replica in replicas.second.values():
            replica.start()
        await replicas.until_ready(*(replica.url for replica in replicas.second.values()))
        await replicas.ask({service: replicas.urls(service) for service in SERVICES})
        yield replicas
    finally:
        await replicas.restore()
        await asyncio.gather(*(replica.stop() for replica in replicas.second.values()))


def _works(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False  # it ended since it was listed


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
