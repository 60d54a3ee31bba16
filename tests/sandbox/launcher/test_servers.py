"""The real servers under the supervisor: killed, wiped, twice on one machine, and gone when they are brought down."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import aio_pika
import asyncpg
import psutil
import pytest

from sandbox.launcher import control
from tests.sandbox.launcher.waiting import until


class Servers:
    def __init__(self, home: Path, process: subprocess.Popen[bytes]) -> None:
        self.home = home
        self.process = process

    def ask(self, do: str, process: str | None = None) -> dict[str, Any]:
        request = {"do": do} if process is None else {"do": do, "process": process}
        return control.ask(self.home, request, lambda _: None)

    @property
    def found(self) -> dict[str, Any]:
        return self.ask("status")

    async def work(self) -> None:
        """Raises when one of them does not do its work."""
        database = await asyncpg.connect(self.found["postgres"]["url"])
        await database.execute("CREATE TABLE IF NOT EXISTS kept (id int); INSERT INTO kept VALUES (1)")
        await database.close()
        async with await aio_pika.connect(self.found["rabbitmq"]["amqp"]) as broker, broker.channel() as channel:
            await channel.declare_queue("probe", durable=True, arguments={"x-queue-type": "quorum"})


@contextmanager
def servers(home: Path) -> Iterator[Servers]:
    home.mkdir()
    script = Path(__file__).with_name("servers_only.py")
    process = subprocess.Popen([sys.executable, script], env={**os.environ, "BOXOFFICE_HOME": str(home)})
    running = Servers(home, process)

    def answers() -> bool:
        assert process.poll() is None
        try:
            running.ask("status")
        except control.NotRunning:
            return False
        return True

    until(answers, 30)
    try:
        yield running
    finally:
        process.terminate()
        process.wait(60)
        room = home / "room"
        if room.exists():
            shutil.rmtree(room.read_text())


@pytest.mark.timeout(300)
async def test_servers_come_back_from_kill_and_wipe_and_leave_nothing(tmp_path: Path) -> None:
    with ExitStack() as both:
        one, other = (both.enter_context(servers(tmp_path / name)) for name in ("one", "other"))
        one.ask("up")
        other.ask("up")
        assert one.found["rabbitmq"]["amqp"] != other.found["rabbitmq"]["amqp"]
        await one.work()
        await other.work()

        for name in ("postgres", "rabbitmq"):
            before = one.found["processes"][name]
            one.ask("kill", name)
            until(lambda name=name, before=before: one.found["processes"][name]["pid"] not in {None, before["pid"]})
            one.ask("start", name)  # waits until it is ready
            assert one.found["processes"][name]["restarts"] >= 1
        await one.work()

        one.ask("stop", "rabbitmq")
        shutil.rmtree(one.found["rabbitmq"]["data"])
        one.ask("start", "rabbitmq")
        await one.work()

        below = psutil.Process(one.process.pid).children(recursive=True)
        assert {"postgres", "beam.smp", "epmd"} <= {process.name() for process in below}
        one.ask("down")
        one.process.wait(10)
        assert [process for process in below if process.is_running()] == []
        await other.work()  # it has not noticed
