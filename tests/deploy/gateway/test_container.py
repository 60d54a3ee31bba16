"""The gateway's configuration in a container: the same template, with services found by their names."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

GATEWAY = Path(__file__).parents[3] / "deploy" / "gateway"


def rendered(folder: Path, **variables: str) -> str:
    environment = {"PATH": os.environ["PATH"], "STATE_DIR": str(folder), "RATE_BOOKINGS": "5r/s", **variables}
    subprocess.run(["sh", GATEWAY / "container.sh", "--render"], env=environment, check=True, capture_output=True)
    return (folder / "nginx.conf").read_text()


def test_services_are_found_by_name_again_and_again(tmp_path: Path) -> None:
    """A container that comes back may have another address; two that swapped theirs would be asked for each other."""
    configuration = rendered(tmp_path)
    for service in ("booking", "payment", "refund", "notification"):
        assert f"upstream {service} {{ zone {service} 64k; server {service}:8000 resolve;" in configuration
    assert "resolver 127.0.0.11 valid=5s" in configuration
    assert "listen 8080 " in configuration
    assert "access_log /dev/stdout" in configuration
    assert "127.0.0.1:" not in configuration


def test_a_cluster_names_them_otherwise(tmp_path: Path) -> None:
    """And has a name server of its own."""
    address = "booking-api.boxoffice.svc.cluster.local:8000"
    configuration = rendered(tmp_path, BOOKING=address, RESOLVER="kube-dns.kube-system.svc.cluster.local")
    assert f"server {address} resolve;" in configuration
    assert "resolver kube-dns.kube-system.svc.cluster.local valid=5s" in configuration


def test_nginx_variables_stay(tmp_path: Path) -> None:
    """Only what the template has in braces is ours."""
    configuration = rendered(tmp_path)
    assert "$request_id" in configuration
    assert "rate=5r/s" in configuration
    assert "${" not in configuration
