"""The outside world as a real process, on ports of its own."""

from __future__ import annotations

import os
import signal
import smtplib
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import httpx2
import pytest

from sandbox.launcher.ports import Block, reserve


@dataclass
class World:
    """Mail, CRM and issuer as clients of their addresses."""

    state: Path
    ports: Block
    process: subprocess.Popen[bytes] | None = None
    clients: dict[str, httpx2.Client] = field(default_factory=dict)

    def url(self, part: str) -> str:
        return f"http://127.0.0.1:{self.ports[part]}"

    @property
    def mail(self) -> httpx2.Client:
        return self.clients["mail"]

    @property
    def crm(self) -> httpx2.Client:
        return self.clients["crm"]

    @property
    def alerts(self) -> httpx2.Client:
        return self.clients["alerts"]

    @property
    def issuer(self) -> httpx2.Client:
        return self.clients["issuer"]

    def start(self) -> None:
        flags = [
            part
            for name in ("smtp", "mail", "crm", "issuer", "alerts")
            for part in (f"--{name}-port", str(self.ports[name]))
        ]
        with (self.state / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "sandbox.world", "--state", self.state, *flags],
                stdout=log,
                stderr=log,
                env={**os.environ, "BOXOFFICE_MODE": "sandbox"},
            )
        self.clients = {
            part: httpx2.Client(base_url=self.url(part), trust_env=False, timeout=10)
            for part in ("mail", "crm", "issuer", "alerts")
        }
        deadline = time.monotonic() + 30
        while True:
            try:
                for client in self.clients.values():
                    client.get("/")
            except httpx2.TransportError:
                assert self.process.poll() is None, self.log
                assert time.monotonic() < deadline, "it did not answer within 30 s"
                time.sleep(0.05)
            else:
                return

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        for client in self.clients.values():
            client.close()
        assert self.process is not None
        self.process.send_signal(how)
        self.process.wait(10)

    @property
    def log(self) -> str:
        return (self.state / "log").read_text()

    def smtp(self, timeout: float = 10) -> smtplib.SMTP:
        return smtplib.SMTP("127.0.0.1", self.ports["smtp"], timeout=timeout)

    def send(self, message: EmailMessage, timeout: float = 10) -> None:
        with self.smtp(timeout) as connection:
            connection.send_message(message)

    def messages(self, **conditions: Any) -> list[dict[str, Any]]:
        answer = self.mail.get("/api/messages", params=conditions)
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()
        return found

    def deliveries(self, **conditions: Any) -> list[dict[str, Any]]:
        answer = self.crm.get("/api/deliveries", params=conditions)
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()
        return found


@pytest.fixture(scope="session")
def running_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    ports = reserve()
    world = World(tmp_path_factory.mktemp("world"), ports)
    world.start()
    yield world
    world.stop()
    ports.lock.close()


@pytest.fixture
def world(running_world: World) -> World:
    """Empty, and everything up."""
    for part in (running_world.mail, running_world.crm):
        part.post("/_control", json={"mode": "up"}).raise_for_status()
    running_world.mail.delete("/api/messages").raise_for_status()
    running_world.crm.delete("/api/deliveries").raise_for_status()
    return running_world
