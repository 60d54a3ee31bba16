"""docker-compose.yml as a whole, without Docker: what a careful reader would look for in each service. `make compose-test` runs it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.grafana.test_dashboards import queries
from tests.deploy.prometheus import exposed
from tests.deploy.prometheus.promql import Selector, selectors
from tests.deploy.prometheus.test_rules import RECORDED, asked

ROOT = Path(__file__).parents[3]
FILE = ROOT / "docker-compose.yml"
SERVICES = ("booking", "payment", "refund", "notification")
ONE_SHOT = {"secrets", "provision", "migrate", "operator", "stripe-endpoint", "crm-endpoint"}
WRITES_ITS_ROOT = {"keycloak"}
ASKED_BY_NOBODY = {"tempo"}
"""Its image has no program that could ask it."""
OUTSIDERS = ("POSTGRES_", "RABBITMQ_", "GF_", "KC_", "DATABASE_SERVERS")
"""Variables of other people's images, and those of deploy/compose."""

Service = dict[str, Any]


@pytest.fixture(scope="module")
def services() -> dict[str, Service]:
    found: dict[str, Service] = yaml.safe_load(FILE.read_text())["services"]
    return found


def environment(service: Service) -> dict[str, str]:
    found: dict[str, str] = service.get("environment", {})
    return found


def volumes(service: Service) -> list[tuple[str, str, bool]]:
    """Source, target and whether it is read only, of either notation."""
    found = []
    for volume in service.get("volumes", []):
        if isinstance(volume, str):
            source, target, *mode = volume.split(":")
            found.append((source, target, mode == ["ro"]))
        else:
            found.append((volume["source"], volume["target"], volume.get("read_only", False)))
    return found


def test_it_is_what_the_specification_knows() -> None:
    """Unknown keys included."""
    command = [Path(sys.executable).with_name("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", FILE]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_every_part_is_there(services: dict[str, Service]) -> None:
    wanted = {*SERVICES, *ONE_SHOT, "gateway", "postgres", "rabbitmq", "watch", "prometheus", "alertmanager", "grafana"}
    assert set(services) >= {*wanted, "tempo", "stripe", "world", "keycloak"}


def test_every_image_is_pinned(services: dict[str, Service]) -> None:
    """By an exact version or a digest; those that are built here are named so and have a Dockerfile whose bases are pinned, too."""
    for name, service in services.items():
        image = service["image"]
        if image.startswith("boxoffice/"):
            assert image.endswith(":local"), name
        else:
            assert re.search(r"(:v?\d+\.\d+(\.\d+)?[\w.-]*|@sha256:[0-9a-f]{64})$", image), f"{name}: {image}"
    built = {service["image"] for service in services.values() if "build" in service}
    assert {service["image"] for service in services.values() if service["image"].startswith("boxoffice/")} == built
    for file in ("deploy/Dockerfile", "deploy/gateway/Dockerfile"):
        text = (ROOT / file).read_text()
        bases = re.findall(r"^ARG \w+_IMAGE=(.+)$", text, re.MULTILINE)
        stages = set(re.findall(r"^FROM \S+ AS (\S+)$", text, re.MULTILINE))
        assert bases
        assert all(re.search(r":v?\d+\.\d+\.\d+", base) for base in bases), file
        sources = set(re.findall(r"^FROM (\S+)", text, re.MULTILINE))
        assert all(source in stages or re.fullmatch(r"\$\{\w+_IMAGE\}", source) for source in sources), file


def test_nobody_is_root_and_nothing_can_be_written(services: dict[str, Service]) -> None:
    for name, service in services.items():
        user = service.get("user") or "10001:10001"  # what the image of the sandbox says of itself
        assert user.partition(":")[0] not in {"0", "root"}, name
        assert service["read_only"] is (name not in WRITES_ITS_ROOT), name
        assert service["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert not service.get("privileged"), name
        assert "docker.sock" not in str(service), name


def test_every_container_has_limits(services: dict[str, Service]) -> None:
    """Processor, memory and processes: one that runs wild does not take the others with it."""
    for name, service in services.items():
        assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}, name
        assert service["logging"]["options"]["max-size"], name


def test_what_lasts_is_asked_whether_it_is_well(services: dict[str, Service]) -> None:
    """What is done once is waited for by its end instead."""
    for name, service in services.items():
        if name in ONE_SHOT:
            assert service["restart"] == "no", name
        elif name not in ASKED_BY_NOBODY:
            assert service["healthcheck"]["test"], name
            assert service["restart"] == "unless-stopped", name
        for needed, how in (service.get("depends_on") or {}).items():
            completed = how["condition"] == "service_completed_successfully"
            assert completed is (needed in ONE_SHOT), f"{name} waits for {needed}"


def test_only_loopback_is_published(services: dict[str, Service]) -> None:
    for name, service in services.items():
        assert all(str(port).startswith("127.0.0.1:") for port in service.get("ports", [])), name
        assert service.get("network_mode", "none") == "none", name


def test_secrets_are_files_that_nobody_else_has(services: dict[str, Service]) -> None:
    """No variable holds one, and only the job that makes them sees more than one volume of them."""
    for name, service in services.items():
        for variable, value in environment(service).items():
            secretive = re.search(r"PASSWORD|SECRET|KEY|DATABASE_URL|BROKER_URL", variable) and not variable.endswith(
                ("_FILE", "__FILE", "_DIR")
            )
            assert not secretive, f"{name}: {variable}"
            assert not re.search(r"://[^/\s]+:[^/\s]+@", str(value)), f"{name}: {variable}"
        mounted = [(source, read_only) for source, _, read_only in volumes(service) if source.endswith("-secrets")]
        if name not in {"secrets", "stripe-endpoint"}:
            assert len(mounted) <= 1, name
            assert all(read_only for _, read_only in mounted), name
    for service_name in SERVICES:
        assert (f"{service_name}-secrets", "/run/secrets", True) in volumes(services[service_name])


def test_every_variable_is_one_that_we_know(services: dict[str, Service]) -> None:
    """Listed in .env.example, or in the gateway's template."""
    example = set(re.findall(r"^(?:# )?([A-Z][A-Z0-9_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    template = (ROOT / "deploy" / "gateway" / "nginx.conf.template").read_text()
    pages = {
        name for name in environment(services["gateway"]) if name.startswith(("STRIPE_", "OIDC_")) or name == "MODE"
    }
    known = example | set(re.findall(r"\$\{([A-Z_]+)\}", template)) | pages
    for name, service in services.items():
        for variable in environment(service):
            assert variable in known or variable.startswith(OUTSIDERS), f"{name}: {variable}"


def test_what_is_mounted_is_there(services: dict[str, Service]) -> None:
    """Docker would make an empty folder of a missing file. Monitoring's folders have tests of their own."""
    declared = yaml.safe_load(FILE.read_text())["volumes"]
    for name, service in services.items():
        for source, _, read_only in volumes(service):
            if source.startswith("./"):
                assert read_only, f"{name} could write {source}"
                if name not in {"prometheus", "alertmanager", "grafana"}:
                    assert (ROOT / source).exists(), f"{name}: {source}"
            else:
                assert source in declared, f"{name}: {source}"


def targets() -> dict[str, list[tuple[str, int]]]:
    """Who is asked, as host and port, by the job of deploy/prometheus; Alertmanager under its own name."""
    folder = ROOT / "deploy" / "prometheus"
    config = yaml.safe_load((folder / "prometheus.yml").read_text())
    jobs = {job["job_name"]: job["file_sd_configs"] for job in config["scrape_configs"]}
    jobs["alertmanager"] = config["alerting"]["alertmanagers"][0]["file_sd_configs"]
    found: dict[str, list[tuple[str, int]]] = {}
    for job, sources in jobs.items():
        files = [file for source in sources for file in source["files"]]
        groups = [group for file in files for group in json.loads((folder / file).read_text())]
        addresses = [address.partition(":") for group in groups for address in group["targets"]]
        found[job] = [(host, int(port)) for host, _, port in addresses]
    return found


def test_prometheus_reaches_whoever_it_asks(services: dict[str, Service]) -> None:
    """By a network that both are in, on the port whose answer the container is called healthy by; RabbitMQ's is its plugin's own."""
    for job, addresses in targets().items():
        assert addresses, job
        for host, port in addresses:
            assert host in services, f"{job}: there is no {host}"
            assert set(services[host]["networks"]) & set(services["prometheus"]["networks"]), (
                f"{job}: {host} is far away"
            )
            asked_for = str(services[host]["healthcheck"]["test"])
            assert f":{port}/" in asked_for or (host, port) == ("rabbitmq", 15692), f"{host} does not listen on {port}"
    assert environment(services["watch"])["WATCH_HOST"] == "0.0.0.0"  # noqa: S104  # in a container of its own
    assert "rabbitmq_prometheus" in (ROOT / "deploy" / "rabbitmq" / "enabled_plugins").read_text()


def test_everything_that_rules_and_dashboards_ask_for_is_scraped() -> None:
    """An alert whose metric nobody collects never fires."""
    asks = [*asked(), *((place, selector) for place, query in queries() for selector in selectors(query))]
    hosts = {host for addresses in targets().values() for host, _ in addresses}
    assert [f"{place}: {selector.name}" for place, selector in asks if not _is_scraped(selector, hosts)] == []


def _is_scraped(selector: Selector, hosts: set[str]) -> bool:
    if selector.name in RECORDED | {"ALERTS"}:
        return True
    if selector.name == "up":
        of_job = [value for label, _, value in selector.matchers if label == "job"]
        return set(of_job or SERVICES) <= hosts
    return bool(exposed.exposers()[selector.name] & hosts)


def test_what_only_somebody_can_switch_on_is_on(services: dict[str, Service]) -> None:
    """Test purchases and verify run, keys have a day, and latencies keep their traces."""
    told = environment(services["watch"])
    for interval in ("WATCH_VERIFY_EVERY_S", "WATCH_CANARY_EVERY_S"):
        assert re.fullmatch(r"\$\{\w+:-[1-9]\d*\}", told[interval]), interval
    assert "watch_keys_end" in (ROOT / "deploy" / "compose" / "make_secrets.py").read_text()
    assert "--enable-feature=exemplar-storage" in services["prometheus"]["command"]
    port = environment(services["booking"])["BOXOFFICE_OTLP_ENDPOINT"].rpartition(":")[2]
    receivers = yaml.safe_load((ROOT / "deploy" / "compose" / "tempo.yaml").read_text())["distributor"]["receivers"]
    assert receivers["otlp"]["protocols"]["http"]["endpoint"] == f"0.0.0.0:{port}"
    for service in SERVICES:
        assert set(services[service]["networks"]) & set(services["tempo"]["networks"]), service
