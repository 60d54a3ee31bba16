"""What the system must bring: installed when we may, named when we may not."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from sandbox.launcher import install, monitoring, rabbitmq


def test_without_root_the_command_to_run_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(rabbitmq, "SCRIPTS", tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(
        install.NotInstalled, match=r"Run: sudo apt-get install -y --no-install-recommends .*rabbitmq-server"
    ):
        install.ensure(print)


def test_nothing_is_done_when_nothing_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "missing", list)
    monkeypatch.setattr(monitoring, "missing", list)
    install.ensure(pytest.fail)


def test_what_the_sandbox_can_do_without_is_asked_for_once_and_told_of(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without it the stack starts, and no start waits a second time for a package source that cannot be reached."""
    asked: list[list[str]] = []
    monkeypatch.setattr(install, "missing", list)
    monkeypatch.setattr(install, "TRIED", tmp_path / "tried")
    monkeypatch.setattr(install, "_apt", lambda arguments, *_, **__: asked.append(arguments))
    monkeypatch.setattr(monitoring, "PROGRAMS", {"prometheus": "no-such-program"})
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    for _ in range(2):
        told: list[str] = []
        install.ensure(told.append)
        assert "without prometheus nothing is measured" in told[-1]
    assert [arguments[0] for arguments in asked] == ["update", "install"]


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
