"""A PostgreSQL or a RabbitMQ for tests, which lives as long as the process that asked for it.

    python -m sandbox.launcher.ground postgres --answer FILE --lives-with PID

writes FILE (JSON: where the server is) when it answers, or {"failed": sentence}. It stops the server, removes its folder and ends
when it gets SIGTERM or when the process PID ends, however that ends.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import select
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from sandbox.launcher import install, postgres, programs, rabbitmq
from sandbox.launcher.ports import reserve

DEPLOY = Path(__file__).parents[2] / "deploy"
READY_SECONDS_MAX = 90.0
STOP_SECONDS_MAX = 20.0


class Ground:
    """The started programs, the folder that they share and what to tell about them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started: list[tuple[programs.Program, subprocess.Popen[bytes]]] = []

    def postgres(self) -> dict[str, str]:
        binaries = postgres.enterable_binaries(self.folder)
        ports = reserve()
        server = postgres.Server(self.folder / "data", binaries, ports["postgres"], secrets.token_hex(16), fast=True)
        server.prepare()
        self._start(server.program(), "postgres.log")
        self._wait(server.answers, "postgres.log")
        return {"url": server.url()}

    def rabbitmq(self) -> dict[str, str]:
        install.ensure(print)
        passwords = {user: secrets.token_hex(16) for user in (rabbitmq.ADMIN, *rabbitmq.SERVICES)}
        node = rabbitmq.Node(self.folder / "node", reserve(), passwords, DEPLOY / "rabbitmq")
        node.prepare()
        self._start(node.name_server(), "epmd.log")
        self._start(node.program(), "rabbitmq.log")
        self._wait(node.answers, "rabbitmq.log")
        management = node.management_url.replace("://", f"://{rabbitmq.ADMIN}:{passwords[rabbitmq.ADMIN]}@")
        return {"management": management, **{user: node.url(user, "") for user in passwords}}

    def stop(self) -> None:
        """Last started, first stopped; nothing is left behind."""
        for program, process in reversed(self.started):
            process.send_signal(program.stop)
            try:
                process.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.folder)

    def _start(self, program: programs.Program, log: str) -> None:
        self.started.append((program, programs.spawn(program, self.folder / log)))

    def _wait(self, ready: Callable[[], bool], log: str) -> None:
        process = self.started[-1][1]
        deadline = time.monotonic() + READY_SECONDS_MAX
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{log} says: {(self.folder / log).read_text(errors='replace')[-2000:]}")
            time.sleep(0.1)


def main() -> None:
    arguments = argparse.ArgumentParser(prog="sandbox.launcher.ground")
    arguments.add_argument("server", choices=["postgres", "rabbitmq"])
    arguments.add_argument("--answer", type=Path, required=True)
    arguments.add_argument("--lives-with", type=int, required=True)
    asked = arguments.parse_args()
    owner = os.pidfd_open(asked.lives_with)
    told, tell = os.pipe()
    signal.set_wakeup_fd(_unblocking(tell))
    for sign in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sign, lambda *_: None)
    folder = Path(
        tempfile.mkdtemp(prefix="boxoffice-test-", dir="/var/tmp")
    )  # made private by mkdtemp; must be enterable by `nobody`
    folder.chmod(0o711)
    ground = Ground(folder)
    try:
        answer = ground.postgres() if asked.server == "postgres" else ground.rabbitmq()
    except (RuntimeError, OSError) as error:
        answer = {"failed": str(error)}
    part = asked.answer.with_suffix(".part")
    part.write_text(json.dumps(answer))
    part.rename(asked.answer)
    ended: list[int] = []
    if "failed" not in answer:
        ended, _, _ = select.select([owner, told], [], [])
    ground.stop()
    if owner in ended:  # it had no time to tidy up
        shutil.rmtree(asked.answer.parent, ignore_errors=True)


def _unblocking(fd: int) -> int:
    os.set_blocking(fd, False)
    return fd


if __name__ == "__main__":
    main()
