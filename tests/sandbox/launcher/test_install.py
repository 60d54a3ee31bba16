"""What the system must bring: installed when we may, named when we may not."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from sandbox.launcher import install, rabbitmq


def test_without_root_the_command_to_run_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(rabbitmq, "SCRIPTS", tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(
        install.NotInstalled, match=r"Run: sudo apt-get install -y --no-install-recommends .*rabbitmq-server"
    ):
        install.ensure(print)


def test_nothing_is_done_when_nothing_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "missing", list)
    install.ensure(pytest.fail)


def test_a_package_s_service_is_not_started_while_we_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    policy = tmp_path / "policy-rc.d"
    monkeypatch.setattr(install, "POLICY", policy)
    with install.no_service_starts():
        assert subprocess.run([policy], check=False).returncode == 101
    assert not policy.exists()


def test_a_policy_of_the_machine_s_own_is_left_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    policy = tmp_path / "policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 0\n")
    monkeypatch.setattr(install, "POLICY", policy)
    with install.no_service_starts():
        pass
    assert policy.read_text() == "#!/bin/sh\nexit 0\n"
