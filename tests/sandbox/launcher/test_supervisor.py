"""Processes are kept running, and nothing is left when they are stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from sandbox.launcher import control
from sandbox.launcher.ports import reserve
from sandbox.launcher.stack import silent
from tests.sandbox.launcher.waiting import until


@dataclass
class Small:
    folder: Path
    port: int
    process: subprocess.Popen[bytes]
    told: list[str] = field(default_factory=list)

    def ask(self, do: str, process: str | None = None) -> dict[str, Any]:
        request = {"do": do} if process is None else {"do": do, "process": process}
        return control.ask(self.folder, request, self.told.append)

    def below(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)


@pytest.fixture
def small(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Small]:
    if "broken" in request.node.name:
        (tmp_path / "broken").touch()
    block = reserve()
    script = Path(__file__).with_name("small_stack.py")
    process = subprocess.Popen([sys.executable, script, tmp_path, str(block["gateway"])])
    stack = Small(tmp_path, block["gateway"], process)

    def answers() -> bool:
        assert process.poll() is None
        try:
            stack.ask("status")
        except control.NotRunning:
            return False
        return True

    until(answers)
    yield stack
    process.terminate()
    process.wait(30)
    block.lock.close()


def test_up_starts_in_order_and_a_second_up_changes_nothing(small: Small) -> None:
    first = small.ask("up")
    assert [sentence.split()[0].rstrip(":") for sentence in small.told] == ["parent", "own", "note", "late"]
    assert all(process["state"] == "running" for process in first.values())
    assert small.ask("up") == first


def test_a_killed_process_is_back_within_a_second_and_is_counted(small: Small) -> None:
    before = small.ask("up")["parent"]
    small.ask("kill", "parent")
    until(lambda: not psutil.pid_exists(before["pid"]))
    began = time.monotonic()
    until(lambda: small.ask("status")["parent"]["pid"] is not None)
    assert time.monotonic() - began < 1.0
    after = small.ask("status")["parent"]
    assert after["restarts"] == 1
    assert after["pid"] != before["pid"]
    until(lambda: silent(small.port) is None)


def test_a_process_that_keeps_ending_is_started_again_ever_more_slowly(small: Small) -> None:
    small.ask("up")
    gaps = []
    for _ in range(4):
        pid = small.ask("status")["late"]["pid"]
        os.kill(pid, signal.SIGKILL)
        began = time.monotonic()
        until(lambda pid=pid: small.ask("status")["late"]["pid"] not in {None, pid})
        gaps.append(time.monotonic() - began)
    assert gaps[-1] > 3 * gaps[0]


def test_a_stopped_process_stays_down_until_it_is_started(small: Small) -> None:
    small.ask("up")
    assert small.ask("stop", "late")["late"] == {"pid": None, "state": "stopped", "restarts": 0}
    assert not (small.folder / "late.mark").exists(), "it was not stopped in order"
    assert small.ask("start", "late")["late"]["state"] == "running"
    before = small.ask("status")["late"]["pid"]
    assert small.ask("restart", "late")["late"]["pid"] != before


def test_down_leaves_no_process_behind_not_even_one_that_left_its_group(small: Small) -> None:
    small.ask("up")
    small.ask("kill", "parent")  # its child is an orphan now
    until(lambda: small.ask("status")["parent"]["restarts"] == 1)
    until(lambda: len(small.below()) >= 4)
    below = small.below()
    small.ask("down")
    small.process.wait(10)
    assert small.process.returncode == 0
    assert [process for process in below if process.is_running()] == []
    with pytest.raises(control.NotRunning):
        small.ask("status")


def test_when_the_supervisor_is_killed_its_processes_end(small: Small) -> None:
    pids = [process["pid"] for process in small.ask("up").values()]
    stray = [process for process in small.below() if process.pid not in pids]
    small.process.kill()
    small.process.wait()
    until(lambda: not any(psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie" for pid in pids))
    for process in stray:
        process.kill()  # only a supervisor that lives can find those


def test_a_broken_process_fails_up_with_what_it_said_and_where(small: Small) -> None:
    with pytest.raises(control.Refused, match=r"^broken ended before it was ready: the roof is missing$") as refused:
        small.ask("up")
    assert refused.value.log == str(small.folder / "broken.log")
    assert small.ask("status")["broken"]["state"] == "stopped"


def test_an_unknown_process_is_named(small: Small) -> None:
    with pytest.raises(control.Refused, match="There is no process bookng; there are parent, late"):
        small.ask("stop", "bookng")


def test_the_control_socket_works_however_deep_its_folder_lies(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    server = control.listening(deep)
    try:
        assert (deep / control.SOCKET).stat().st_mode & 0o777 == 0o600
    finally:
        server.close()
    with pytest.raises(control.NotRunning):
        control.ask(deep, {"do": "status"}, print)
