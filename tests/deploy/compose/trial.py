"""Brings the containers up as a user does, and looks from outside whether they do what docker-compose.yml promises.

    [DATABASE_SERVERS=each] python tests/deploy/compose/trial.py [--stand-ins]

With --stand-ins, on the Docker that standin/private.sh starts: what such a daemon cannot do (processor limits) or has no image for is left
out of the file first.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2

ROOT = Path(__file__).parents[3]
sys.path.insert(0, str(ROOT))

from sandbox.story.play import Story  # noqa: E402
from sandbox.story.shop import Shop  # noqa: E402
from sandbox.story.timeline import Timeline  # noqa: E402
from tests.deploy.prometheus.test_rules import RECORDED, asked  # noqa: E402

PROJECT = "boxoffice-trial"
WITHOUT_IMAGE = ("grafana", "tempo", "keycloak")
LASTING = (
    "postgres",
    "rabbitmq",
    "stripe",
    "world",
    "booking",
    "payment",
    "refund",
    "notification",
    "gateway",
    "watch",
)
MONITORING = ("prometheus", "alertmanager")
EACH = os.environ.get("DATABASE_SERVERS") == "each"
SERVERS = [f"{name}-db" for name in ("booking", "payment", "refund", "notification")] if EACH else ["postgres"]
DATABASE_PORTS = {name: port for port, name in enumerate(SERVERS, 15_432)}
UP_WITHIN_S = 300
SCRAPED_WITHIN_S = 180
LOOKS = {"WATCH_VERIFY_EVERY_S": "30", "WATCH_CANARY_EVERY_S": "45"}
"""Sooner than a user wants it."""
LATENCIES = ("http_request_seconds_bucket", "event_handling_seconds_bucket", "booking_confirm_seconds_bucket")
PROMETHEUS, RECEIVER = "http://localhost:9090", "http://localhost:9099"


class Trial:
    """One project of compose."""

    def __init__(self, file: Path) -> None:
        self.compose_file = file

    def compose(self, *arguments: str) -> str:
        """What a command of compose prints. Raises with what it said where it fails."""
        command = ["docker", "compose", "-p", PROJECT, "-f", str(self.compose_file), *arguments]
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if ended.returncode != 0:
            raise SystemExit(f"{' '.join(arguments)} ended with {ended.returncode}: {ended.stdout}{ended.stderr}")
        return ended.stdout

    def container(self, service: str) -> dict[str, Any]:
        """What Docker knows of a service's container."""
        name = self.compose("ps", "-q", service).strip()
        inspected = subprocess.run(["docker", "inspect", name], capture_output=True, text=True, check=True)
        found: dict[str, Any] = json.loads(inspected.stdout)[0]
        return found

    def secret(self, service: str, name: str) -> str:
        """A file that a container is given."""
        return self.compose("exec", "-T", service, "cat", f"/run/secrets/{name}").strip()

    def until_healthy(self, services: tuple[str, ...]) -> None:
        deadline = time.monotonic() + UP_WITHIN_S
        for service in services:
            while (state := self.container(service)["State"]).get("Health", {}).get("Status") != "healthy":
                if time.monotonic() > deadline:
                    raise SystemExit(
                        f"{service} is not healthy: {state}\n{self.compose('logs', '--tail', '40', service)}"
                    )
                time.sleep(1)


def prepared(folder: Path, *, stand_ins: bool) -> Path:
    """The file as it is run: PostgreSQL is published, so that the story can read what happened; with stand-ins some is left out."""
    profiles = ["--profile", "operator", *(["--profile", "each"] if EACH else [])]
    file = str(ROOT / "docker-compose.yml")
    command = ["docker", "compose", *profiles, "-f", file, "config", "--format", "json"]
    config = json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)
    del config["name"]
    services = config["services"]
    for name, port in DATABASE_PORTS.items():
        services[name]["ports"] = [{"target": 5432, "published": str(port), "host_ip": "127.0.0.1", "mode": "ingress"}]
        services[name]["networks"]["front"] = None
        services[name].pop("profiles", None)
    if stand_ins:
        for name in WITHOUT_IMAGE:
            services.pop(name, None)
        for service in services.values():
            service.pop("deploy", None)
            service.pop("build", None)
            service.get("healthcheck", {}).pop("start_interval", None)
    for service in services.values():
        needs = service.get("depends_on", {})
        service["depends_on"] = {name: how for name, how in needs.items() if name in services}
    for network in config["networks"].values():
        network.pop("name", None)
    for volume in config["volumes"].values():
        volume.pop("name", None)
    run = folder / "compose.json"
    run.write_text(json.dumps(config, indent=2))
    return run


def look_at_containers(trial: Trial, services: tuple[str, ...]) -> None:
    """Nobody is root, nothing can be written, nothing secret stands in an environment or a command, and nobody has another's secrets."""
    secrets = {
        path: trial.secret("booking", path)
        for path in ("booking_database_url", "boxoffice_seal_keyset", "booking_token_signing_key")
    }
    for service in services:
        found = trial.container(service)
        uid = trial.compose("exec", "-T", service, "id", "-u").strip()
        assert uid != "0", f"{service} runs as root"
        assert found["HostConfig"]["ReadonlyRootfs"], f"{service} can write its root file system"
        written = trial.compose(
            "exec", "-T", service, "sh", "-c", "touch /planted 2>/dev/null; ls /planted 2>/dev/null || echo refused"
        )
        assert written.strip() == "refused", f"{service} wrote /planted"
        assert found["HostConfig"]["CapDrop"] == ["ALL"], service
        assert "no-new-privileges:true" in found["HostConfig"]["SecurityOpt"], service
        shown = json.dumps([found["Config"]["Env"], found["Config"]["Cmd"], found["Config"]["Entrypoint"]])
        for name, secret in secrets.items():
            assert secret not in shown, f"{name} is shown by docker inspect {service}"
        for binding in (found["HostConfig"]["PortBindings"] or {}).values():
            assert {each["HostIp"] for each in binding} == {"127.0.0.1"}, f"{service} is published to the network"
    for service in ("booking", "payment", "refund", "notification"):
        names = trial.compose("exec", "-T", service, "ls", "/run/secrets").split()
        assert f"{service}_database_url" in names, service
        assert all(name.startswith((f"{service}_", "boxoffice_")) for name in names), f"{service} is given {names}"
        seen = trial.compose("exec", "-T", service, "ls", "/opt/boxoffice/code").split()
        assert sorted(seen) == sorted(("chassis", "contracts", service)), f"{service} carries {seen}"


def until(holds: Callable[[], object], otherwise: Callable[[], object]) -> None:
    """Waits until it is scraped, or ends with what is found instead."""
    deadline = time.monotonic() + SCRAPED_WITHIN_S
    while not holds():
        if time.monotonic() > deadline:
            raise SystemExit(f"after {SCRAPED_WITHIN_S} s: {otherwise()}")
        time.sleep(2)


def asked_of(url: str, **query: object) -> Any:
    """The JSON at an address."""
    return httpx2.get(url, params=query, timeout=10, trust_env=False).raise_for_status().json()


def series(query: str) -> list[Any]:
    """What Prometheus finds now."""
    found: list[Any] = asked_of(f"{PROMETHEUS}/api/v1/query", query=query)["data"]["result"]
    return found


def without_exemplar() -> list[str]:
    """Histograms of latencies that lead to no trace."""
    now = time.time()
    address = f"{PROMETHEUS}/api/v1/query_exemplars"
    return [each for each in LATENCIES if not asked_of(address, query=each, start=now - 3600, end=now + 60)["data"]]


def look_at_monitoring() -> None:
    """Everybody who should be is scraped, `watch` looks and finds nothing wrong, latencies lead to traces, and alerts arrive."""
    wanted = {selector.name for _, selector in asked()} - RECORDED - {"expiry_certificate_unreadable"}  # there is none

    def missing() -> list[str]:
        return sorted(name for name in wanted if not series(name))

    until(lambda: not series('up == 0 or absent(up{job="watch"}) or absent(up{job="rabbitmq"})'), lambda: series("up"))
    until(lambda: not missing(), missing)
    until(
        lambda: series("verify_exit_code == 0 and on () sum(verify_differences) == 0"),
        lambda: series("verify_differences > 0"),
    )
    until(lambda: series('canary_runs_total{outcome="passed"} > 0'), lambda: series("canary_failures_total > 0"))
    assert {each["metric"]["name"] for each in series('expiry_timestamp_seconds{kind="key"} > time() + 86400')} >= {
        "data-keys"
    }
    until(lambda: not without_exemplar(), without_exemplar)
    until(
        lambda: asked_of(f"{RECEIVER}/api/alerts", name="Watchdog"), lambda: "the watchdog's heartbeat does not arrive"
    )
    assert series('ALERTS{alertstate="firing",alertname!="Watchdog"}') == []
    print(f"{len(series('up'))} targets are scraped, {len(wanted)} metrics of rules are there, and alerts arrive")


async def play(trial: Trial) -> None:
    """One booking from seat to refund, from outside."""
    databases = {}
    for service in ("booking", "payment", "refund", "notification"):
        address = trial.compose(
            "run",
            "--rm",
            "-T",
            "--no-deps",
            "--entrypoint",
            "cat",
            "operator",
            f"/run/secrets/ops_{service}_verify_database_url",
        )
        databases[service] = address.strip().replace("+asyncpg", "")
        for name, port in DATABASE_PORTS.items():
            databases[service] = databases[service].replace(f"@{name}:5432", f"@127.0.0.1:{port}")
    status = {
        "gateway": "http://localhost:8080",
        "stripe_sandbox": "http://localhost:8081",
        "stripe_api_key": trial.secret("stripe", "api_key"),
        "stripe_publishable_key": trial.secret("stripe", "publishable_key"),
        "mail": "http://localhost:8082",
        "crm": "http://localhost:8083",
        "issuer": "http://localhost:8084",
        "databases": databases,
    }
    async with Shop(status) as shop:
        await Story(shop, Timeline(quiet=False)).play()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--stand-ins", action="store_true")
    stand_ins = parser.parse_args().stand_ins
    os.environ |= LOOKS
    with tempfile.TemporaryDirectory() as folder:
        trial = Trial(prepared(Path(folder), stand_ins=stand_ins))
        present = json.loads(trial.compose_file.read_text())["services"]
        lasting = (
            *LASTING,
            *(SERVERS if EACH else ()),
            *MONITORING,
            *(["grafana"] if "grafana" in present else []),
        )
        try:
            began = time.monotonic()
            # Test purchases would be on their way while everything is compared.
            trial.compose("up", "-d", "--scale", "watch=0", *([] if stand_ins else ["--build"]))
            trial.until_healthy(tuple(name for name in lasting if name != "watch"))
            print(f"up and healthy after {time.monotonic() - began:.0f} s")
            asyncio.run(play(trial))
            print(trial.compose("run", "--rm", "-T", "operator", "verify", "--wait", "60"))
            trial.compose("up", "-d")
            trial.until_healthy(lasting)
            look_at_containers(trial, lasting)
            print("nobody is root, nothing is written, nobody has another's secrets")
            look_at_monitoring()
            trial.compose("up", "-d")
            trial.until_healthy(lasting)
            print("a second `up` changes nothing")
        except BaseException:
            if os.environ.get("COMPOSE_KEEP"):
                print(trial.compose("ps", "-a"), trial.compose("logs", "--tail", "30"), file=sys.stderr)
            raise
        finally:
            trial.compose("down", "-v", "--timeout", "20")


if __name__ == "__main__":
    main()
