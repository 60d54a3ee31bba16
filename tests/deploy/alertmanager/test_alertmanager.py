"""Alerts reach whom they should, and what follows from a cause that is told stays silent."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx2
import pytest
import yaml

from sandbox.launcher.monitoring import Alertmanager, installed
from sandbox.launcher.ports import reserve
from sandbox.launcher.programs import spawn
from tests.deploy.prometheus.test_rules import ALERTS

DEPLOY = Path(__file__).parents[3] / "deploy" / "alertmanager"
CONFIG = DEPLOY / "alertmanager.yml"

needs_alertmanager = pytest.mark.skipif(not installed(), reason="Alertmanager is not installed")


@pytest.mark.skipif(shutil.which("amtool") is None, reason="amtool is not installed")
@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        (["alertname=ServiceDown", "severity=critical"], "calls"),
        (["alertname=MailsFail", "severity=warning"], "tickets"),
        (["alertname=Unheard", "severity=unheard"], "tickets"),
        (["alertname=Watchdog", "severity=none"], "heartbeat"),
    ],
)
def test_the_severity_decides_who_is_told(labels: list[str], receiver: str) -> None:
    command = ["amtool", "config", "routes", "test", f"--config.file={CONFIG}", *labels]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == receiver


def test_only_alerts_that_there_are_inhibit_or_are_inhibited() -> None:
    named = set(re.findall(r"\b[A-Z]\w+[a-z]\b", json.dumps(yaml.safe_load(CONFIG.read_text())["inhibit_rules"])))
    assert named
    assert named <= set(ALERTS)


@pytest.fixture
def told(tmp_path: Path) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Where Alertmanager takes alerts, and what it told: the receiver and the alert."""
    arrived: list[tuple[str, str]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            group = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            receiver = self.path.rpartition("/")[2]
            arrived.extend((receiver, _name(alert["labels"])) for alert in group["alerts"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    ports = reserve()
    alertmanager = Alertmanager(
        tmp_path / "am", DEPLOY, ports["alertmanager"], f"http://127.0.0.1:{server.server_address[1]}"
    )
    alertmanager.prepare()
    process = spawn(alertmanager.program(), tmp_path / "log")
    address = f"http://127.0.0.1:{ports['alertmanager']}"
    try:
        _until(lambda: _ready(address), "it is not ready")
        yield address, arrived
    finally:
        process.terminate()
        process.wait(20)
        server.shutdown()
        server.server_close()
        ports.lock.close()


@needs_alertmanager
def test_a_cause_is_told_and_what_follows_from_it_is_not(told: tuple[str, list[tuple[str, str]]]) -> None:
    """A service that is down keeps its own consequences silent, not those of another; a parked message is news in any case."""
    address, arrived = told
    fire(address, ServiceDown="booking")
    _until(lambda: ("calls", "ServiceDown booking") in arrived, "the cause is not told")
    fire(address, NoConsumers="booking", QueueBacklog="booking", OutboxLag="refund", MessagesParked="booking")
    _until(
        lambda: {("calls", "OutboxLag refund"), ("calls", "MessagesParked booking")} <= set(arrived),
        "others are not told",
    )
    fire(address, ReplicaDown="refund")
    _until(lambda: ("tickets", "ReplicaDown refund") in arrived, "a later one is not told")
    assert not {name for _, name in arrived} & {"NoConsumers booking", "QueueBacklog booking"}


@needs_alertmanager
def test_an_outage_pages_once(told: tuple[str, list[tuple[str, str]]]) -> None:
    """The database, the gateway, a connection to the broker, declined cards: what follows from each is no call of its own."""
    address, arrived = told
    causes = {"DatabaseDown": "booking", "GatewayDown": "", "NoConsumers": "refund", "PaymentsDeclined": ""}
    fire(address, **causes)
    _until(
        lambda: {("calls", f"{name} {service}") for name, service in causes.items()} <= set(arrived),
        "a cause is not told",
    )
    fire(address, CanaryFails="", NoPayments="", OutboxLag="refund", DueRowsLate="booking", WebhooksSilent="")
    fire(address, DueRowsLate="refund")
    _until(lambda: ("calls", "DueRowsLate refund") in arrived, "what no cause explains is not told")
    assert {name for _, name in arrived} == {f"{name} {service}" for name, service in causes.items()} | {
        "DueRowsLate refund"
    }


def fire(address: str, **service_by_alert: str) -> None:
    """As Prometheus does."""
    alerts = [
        {"labels": {"alertname": name, "severity": ALERTS[name]["labels"]["severity"], "service": service}}
        for name, service in service_by_alert.items()
    ]
    httpx2.post(f"{address}/api/v2/alerts", json=alerts, trust_env=False).raise_for_status()


def _name(labels: dict[str, str]) -> str:
    return f"{labels['alertname']} {labels.get('service', '')}"


def _ready(address: str) -> bool:
    try:
        return httpx2.get(f"{address}/-/ready", trust_env=False).is_success
    except httpx2.TransportError:
        return False


def _until(condition: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.05)
