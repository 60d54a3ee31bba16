from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import psutil
import pytest

from sandbox.launcher.ports import reserve
from tests.sandbox.world.conftest import World

PARTS = ("smtp", "mail", "crm", "issuer", "alerts")


def start(state: Path, ports: Mapping[str, int], mode: str | None) -> subprocess.CompletedProcess[str]:
    """Of a process that is expected to end at once."""
    environment = {name: value for name, value in os.environ.items() if name != "BOXOFFICE_MODE"}
    environment |= {} if mode is None else {"BOXOFFICE_MODE": mode}
    flags = [part for name, port in ports.items() for part in (f"--{name}-port", str(port))]
    command = [sys.executable, "-m", "sandbox.world", "--state", state, *flags]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, env=environment)


@pytest.mark.parametrize("mode", ["production", None, ""])
def test_it_does_not_start_outside_the_sandbox(tmp_path: Path, mode: str | None) -> None:
    """Unset means production to the services, so it does here."""
    ended = start(tmp_path / "state", dict.fromkeys(PARTS, 1), mode)
    assert ended.returncode == 1
    assert "BOXOFFICE_MODE is not sandbox" in ended.stderr
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("taken", PARTS)
def test_a_taken_port_is_named(tmp_path: Path, taken: str) -> None:
    block = reserve()
    try:
        ports = {name: block[name] for name in PARTS}
        with socket.create_server(("127.0.0.1", ports[taken])):
            ended = start(tmp_path, ports, "sandbox")
    finally:
        block.lock.close()
    assert ended.returncode == 1
    assert str(ports[taken]) in ended.stderr
    assert len(ended.stderr.splitlines()) == 1, ended.stderr


def test_it_listens_on_loopback_only(world: World) -> None:
    assert world.process is not None
    listening = [c.laddr for c in psutil.Process(world.process.pid).net_connections() if c.status == psutil.CONN_LISTEN]
    assert {address.ip for address in listening} == {"127.0.0.1"}
    assert {address.port for address in listening} == {world.ports[name] for name in PARTS}


def test_each_port_answers_as_its_own_part(world: World) -> None:
    assert world.mail.get("/api/secret").status_code == 404
    assert world.crm.get("/api/messages").status_code == 404
    assert world.issuer.get("/_control").status_code == 404
    assert world.mail.get("/static/world.css").status_code == 200


def test_what_it_keeps_is_for_its_user_alone(world: World) -> None:
    kept = [path for path in world.state.iterdir() if path.name != "log"]
    assert {path.name for path in kept} >= {"mail.sqlite3", "crm.sqlite3", "issuer.json"}
    assert {path.stat().st_mode & 0o077 for path in kept} == {0}


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_at_once_and_quietly(world: World, how: signal.Signals) -> None:
    """Also while somebody is kept waiting."""
    world.crm.post("/_control", json={"mode": "slow", "seconds": 60}).raise_for_status()
    said = world.log
    with socket.create_connection(("127.0.0.1", world.ports["mail"])), world.smtp():
        world.stop(how)
    assert world.log == said
    world.start()
