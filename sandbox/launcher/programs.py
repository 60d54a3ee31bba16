"""One program to run: what the supervisor and the tests' ground start."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

PR_SET_PDEATHSIG = 1  # linux/prctl.h
NOBODY = 65534
"""The user and group that own nothing: what PostgreSQL runs as when we are root, as it refuses to be root."""

_prctl = ctypes.CDLL(None, use_errno=True).prctl


@dataclass(frozen=True)
class Program:
    """What to execute. `env` is its whole environment; `user` only when it is not ours; `stop` is the signal that ends it in order."""

    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path = Path("/")
    user: int | None = None
    stop: signal.Signals = signal.SIGTERM


def base_environment(home: Path) -> dict[str, str]:
    """The little of our own environment that a process gets: where programs are, a home of its own, one locale."""
    return {
        "PATH": os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin",
        "HOME": str(home),
        "LANG": "C.UTF-8",
    }


def spawn(program: Program, log: Path) -> subprocess.Popen[bytes]:
    """Starts it in a session of its own, output appended to `log`. It is told to stop when we die, however we die."""
    with log.open("ab") as output:
        return subprocess.Popen(  # argv is put together by the launcher, not taken from input
            list(program.argv),
            env=dict(program.env),
            cwd=program.cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=die_with_parent(program.stop),  # noqa: PLW1509  # one prctl call; nothing else can set it before exec
            user=program.user,
            group=program.user,
            extra_groups=None if program.user is None else [],
        )


def die_with_parent(sign: signal.Signals) -> Callable[[], None]:
    """For preexec_fn: the kernel sends `sign` to the child when the thread that made it ends."""
    parent = os.getpid()

    def ask() -> None:
        _prctl(PR_SET_PDEATHSIG, int(sign), 0, 0, 0)
        if os.getppid() != parent:  # the parent died before we asked
            os._exit(1)

    return ask


def has_ended(pid: int) -> bool:
    """No such process, or one that only waits to be collected: not every pid 1 does that."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True
