"""docker-compose.yml as a whole, without Docker: what a careful reader would look for in each service. `make compose-test` runs it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

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
    wanted = {*SERVICES, *ONE_SHOT, "gateway", "postgres", "rabbitmq", "prometheus", "alertmanager", "grafana"}
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
    example = set(re.findall(r"^([A-Z][A-Z0-9_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
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
