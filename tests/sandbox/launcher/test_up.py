"""The whole stack by the command that a newcomer uses."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import httpx2
import jwt
import psutil
import pytest

from sandbox.launcher import monitoring

BOXOFFICE = Path(sys.executable).with_name("boxoffice")
PROCESSES = {
    "epmd",
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
    *(() if monitoring.missing() else ("prometheus", "alertmanager")),
}


@pytest.mark.timeout(600)
def test_up_is_repeatable_tells_every_address_and_down_leaves_nothing(tmp_path: Path) -> None:
    def boxoffice(*arguments: str) -> str:
        environment = {**os.environ, "BOXOFFICE_HOME": str(tmp_path / "home")}
        ended = subprocess.run([BOXOFFICE, *arguments], env=environment, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    try:
        boxoffice("up")
        found = json.loads(boxoffice("status", "--json"))
        assert found["processes"].keys() == PROCESSES
        assert {process["state"] for process in found["processes"].values()} == {"running"}
        assert found["databases"].keys() == {"booking", "payment", "refund", "notification"}
        for service in found["databases"]:
            assert httpx2.get(found["processes"][service]["url"] + "/readyz", trust_env=False).status_code == 200
            assert "http_request" in httpx2.get(found["processes"][service]["metrics"], trust_env=False).text
        assert httpx2.get(found["gateway"] + "/api/events", trust_env=False).status_code == 200
        for name in ("mail", "crm", "issuer"):
            assert httpx2.get(found[name], trust_env=False, follow_redirects=True).status_code < 500

        token = boxoffice("token", "--role", "manager").strip()
        assert jwt.decode(token, options={"verify_signature": False})["iss"] == found["issuer"]
        as_staff = {"Authorization": f"Bearer {token}"}
        assert httpx2.get(found["gateway"] + "/api/bookings", headers=as_staff, trust_env=False).status_code == 200
        assert httpx2.get(found["gateway"] + "/api/bookings", trust_env=False).status_code == 401

        boxoffice("up")
        endpoints = httpx2.get(found["gateway"] + "/api/webhook-endpoints", headers=as_staff, trust_env=False).json()[
            "items"
        ]
        assert [endpoint["url"] for endpoint in endpoints] == [found["crm"] + "/hooks"]
        at_stripe = httpx2.get(
            found["stripe_sandbox"] + "/v1/webhook_endpoints", auth=(found["stripe_api_key"], ""), trust_env=False
        ).json()["data"]
        assert [endpoint["url"] for endpoint in at_stripe] == [found["gateway"] + "/webhooks/stripe"]
        assert json.loads(boxoffice("status", "--json"))["processes"] == found["processes"]

        all_of_them = [
            psutil.Process(found["supervisor"]),
            *psutil.Process(found["supervisor"]).children(recursive=True),
        ]
        boxoffice("down")
        assert [process for process in all_of_them if process.is_running() and process.status() != "zombie"] == []
        assert (
            "nothing is running"
            in subprocess.run(
                [BOXOFFICE, "down"],
                env={**os.environ, "BOXOFFICE_HOME": str(tmp_path / "home")},
                capture_output=True,
                text=True,
                check=True,
            ).stderr
        )
    finally:
        _end_supervisor_of(tmp_path / "home")
        room = tmp_path / "home" / "room"
        if room.exists():
            shutil.rmtree(room.read_text())


def _end_supervisor_of(home: Path) -> None:
    """Without the command under test, which may be what failed."""
    for process in psutil.process_iter(["cmdline"]):
        if process.info["cmdline"] and process.info["cmdline"][-1] == "sandbox.launcher.daemon":
            with suppress(psutil.Error):
                if process.environ().get("BOXOFFICE_HOME") == str(home):
                    process.terminate()
                    process.wait(60)
