"""What every test may ask for: one PostgreSQL and one RabbitMQ for the whole run, started when the first test asks.

TEST_POSTGRES_URL and TEST_RABBITMQ_URL (with TEST_RABBITMQ_MANAGEMENT_URL) name servers to use instead. RabbitMQ comes from the
system; where it is missing it is installed when we are root, else the run ends and says what to run.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import httpx2
import pytest

from ops.privileges import in_broker
from sandbox.launcher.programs import has_ended

RUN_FOLDER = "BOXOFFICE_TEST_RUN"
"""Names the folder that pytest-xdist's workers share with the process that started them; they inherit the variable."""

SERVICES = ("booking", "payment", "refund", "notification")
START_SECONDS_MAX = 300.0


@dataclass(frozen=True)
class Broker:
    """A RabbitMQ node. `users` maps a user to an AMQP address that ends before the virtual host's name."""

    management_url: str
    users: dict[str, str]

    def url(self, vhost: str, user: str = "admin") -> str:
        """AMQP address of `user` (admin, booking, payment, refund, notification) in `vhost`."""
        address = urlsplit(self.users[user])
        return urlunsplit(address._replace(path=f"/{vhost}"))

    def management(self) -> httpx2.Client:
        """A client of the management API."""
        return httpx2.Client(base_url=self.management_url, timeout=10, trust_env=False)


@dataclass(frozen=True)
class Vhost:
    """A virtual host of its own, in which the services have the permissions that they have in production."""

    name: str
    broker: Broker

    def url(self, user: str = "admin") -> str:
        """AMQP address of `user` in this virtual host."""
        return self.broker.url(self.name, user)


def pytest_configure(config: pytest.Config) -> None:
    os.environ["BOXOFFICE_HOME"] = os.devnull  # a stack that runs from this clone is none of the tests' business
    if not hasattr(config, "workerinput"):
        os.environ[RUN_FOLDER] = tempfile.mkdtemp(prefix="boxoffice-run-")
        (Path(os.environ[RUN_FOLDER]) / "owner").write_text(str(os.getpid()))


def pytest_unconfigure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        return
    folder = Path(os.environ.pop(RUN_FOLDER))
    waiting = [pid for pid in (int(path.read_text()) for path in folder.glob("*.pid")) if _told_to_stop(pid)]
    deadline = time.monotonic() + 30
    while not all(has_ended(pid) for pid in waiting) and time.monotonic() < deadline:
        time.sleep(0.05)
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def postgres_url() -> str:
    """URL of the superuser, without a driver's name: postgresql://postgres:…@127.0.0.1:PORT/postgres."""
    return os.environ.get("TEST_POSTGRES_URL") or _ground("postgres")["url"]


@pytest.fixture(scope="session")
def rabbitmq() -> Broker:
    """The node. Tests that declare anything ask for `broker_vhost` instead."""
    given = os.environ.get("TEST_RABBITMQ_URL")
    if given is None:
        answer = _ground("rabbitmq")
        return Broker(answer["management"], {user: url for user, url in answer.items() if user != "management"})
    return Broker(os.environ["TEST_RABBITMQ_MANAGEMENT_URL"], dict.fromkeys(("admin", *SERVICES), given))


@pytest.fixture(scope="session")
def new_vhost(rabbitmq: Broker) -> Iterator[Callable[[str], Vhost]]:
    """Makes virtual hosts; those that are left are removed at the end of the session."""
    made: list[str] = []

    def make(label: str) -> Vhost:
        name = f"{label}-{os.getpid()}-{len(made)}"
        with rabbitmq.management() as management:
            management.put(f"/api/vhosts/{name}").raise_for_status()
            made.append(name)
            _permit(management, name, rabbitmq.users)
        return Vhost(name, rabbitmq)

    yield make
    with rabbitmq.management() as management:
        for name in made:
            management.delete(f"/api/vhosts/{name}")


@pytest.fixture(scope="module")
def broker_vhost(new_vhost: Callable[[str], Vhost], request: pytest.FixtureRequest) -> Iterator[Vhost]:
    """A fresh virtual host for the test module. It goes with it: the node keeps a log and a process for each of its many queues."""
    vhost = new_vhost(request.module.__name__.rpartition(".")[2])
    yield vhost
    with vhost.broker.management() as management:
        management.delete(f"/api/vhosts/{vhost.name}").raise_for_status()


def _permit(management: httpx2.Client, vhost: str, users: dict[str, str]) -> None:
    everything = {"configure": ".*", "write": ".*", "read": ".*"}
    shared_user = len({urlsplit(url).username for url in users.values()}) == 1
    for user, url in users.items():
        permission = everything if user == "admin" or shared_user else in_broker(user)
        management.put(f"/api/permissions/{vhost}/{urlsplit(url).username}", json=permission).raise_for_status()


def _ground(server: str) -> dict[str, str]:
    """Where `server` is; the first process that asks starts it."""
    folder = Path(os.environ[RUN_FOLDER])
    answer = folder / f"{server}.json"
    with (folder / f"{server}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not answer.exists():
            _start(server, answer)
    found: dict[str, str] = json.loads(answer.read_text())
    if "failed" in found:
        pytest.exit(f"{server} did not start: {found['failed']}", returncode=3)
    return found


def _start(server: str, answer: Path) -> None:
    owner = (answer.parent / "owner").read_text()
    with (answer.parent / f"{server}.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "sandbox.launcher.ground", server, "--answer", answer, "--lives-with", owner],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    (answer.parent / f"{server}.pid").write_text(str(process.pid))
    deadline = time.monotonic() + START_SECONDS_MAX
    while not answer.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            said = (answer.parent / f"{server}.log").read_text()
            pytest.exit(f"{server} did not start: {said}", returncode=3)
        time.sleep(0.05)
    process.returncode = 0  # it outlives this worker; the process that runs pytest stops it


def _told_to_stop(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        return False
    return True
