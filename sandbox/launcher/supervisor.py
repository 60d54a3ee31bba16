"""Keeps processes running: starts them in order, waits until they are ready, starts one again when it ends unasked."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from sandbox.launcher import programs
from sandbox.launcher.programs import Program

log = logging.getLogger(__name__)

PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
RESTART_SECONDS_MIN, RESTART_SECONDS_MAX = 0.2, 10.0
STEADY_SECONDS = 3.0
"""A process that lived this long did not end because it could not start."""
POLL_SECONDS = 0.05

Report = Callable[[str], None]


class StartFailed(RuntimeError):
    """A process or a step of the start failed; `log` says more."""

    def __init__(self, sentence: str, log: Path) -> None:
        super().__init__(sentence)
        self.log = log


@dataclass(frozen=True)
class Step:
    """Something to be done between the starts of processes, at each `up`. Raises OSError or RuntimeError with a sentence."""

    name: str
    run: Callable[[], None]
    log: Path


@dataclass(frozen=True)
class Spec:
    """One process of a stack. `prepare` and `missing` may block; `program` is asked before each start."""

    name: str
    program: Callable[[], Program]
    missing: Callable[[], str | None]
    """What still keeps it from being ready; None when it is."""
    prepare: Callable[[], None] = lambda: None
    ready_seconds_max: float = 120.0
    stop_seconds_max: float = 20.0
    url: str | None = None
    metrics: str | None = None
    steps: Sequence[Step] = ()
    """What `up` does when it is ready, while the others of its stage still start."""
    early: Callable[[], bool] = lambda: False
    """Whether `up` may start it at once, and only wait for it in its stage: what it needs was there before and it bears its absence."""


@dataclass(frozen=True)
class Stage:
    """Processes that start side by side, and what is to be done when all of them are ready."""

    specs: Sequence[Spec]
    steps: Sequence[Step] = ()


@dataclass
class Supervised:
    """A process and what became of it."""

    spec: Spec
    log: Path
    process: subprocess.Popen[bytes] | None = None
    wanted: bool = False
    restarts: int = 0
    _leaving: bool = False
    _early: bool = False
    _quick_ends: int = 0
    _started: float = 0.0
    _ended: asyncio.Event = field(default_factory=asyncio.Event)
    _again: asyncio.TimerHandle | None = None
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def pid(self) -> int | None:
        return None if self.process is None else self.process.pid

    @property
    def state(self) -> str:
        if self.process is None:
            return "restarting" if self.wanted else "stopped"
        return "running" if self.wanted else "starting"

    async def start(self) -> bool:
        """Starts it unless it runs, and waits until it is ready. False: it ran already. Raises StartFailed."""
        async with self._turn:
            self._cancel_restart()
            self._leaving = False
            ran = self.process is not None and not self._early
            self._early = False
            if self.process is None:
                self.wanted = False  # an end before it is ready is a failure, not a reason to try again
                try:
                    await asyncio.to_thread(self.spec.prepare)
                    self._spawn()
                except (OSError, RuntimeError) as error:
                    raise StartFailed(f"{self.spec.name} could not be started: {error}", self.log) from error
            await self._until_ready()
            self.wanted = True
            return not ran

    async def start_early(self) -> None:
        """Starts it and does not wait; `start` does. A failure is left to `start` as well."""
        async with self._turn:
            if self.process is None and not self.wanted and self.spec.early():
                with suppress(OSError, RuntimeError):
                    await asyncio.to_thread(self.spec.prepare)
                    self._spawn()
                    self._early = True

    async def stop(self) -> None:
        """Ends it in order, by force when that takes too long, and does not start it again."""
        self._leaving = True
        async with self._turn:
            self._cancel_restart()
            self.wanted = False
            if self.process is None:
                return
            self.process.send_signal(self.spec.program().stop)
            try:
                async with asyncio.timeout(self.spec.stop_seconds_max):
                    await self._ended.wait()
            except TimeoutError:
                self._kill_group(self.process.pid)
                await self._ended.wait()

    def kill(self) -> None:
        """Kill -9, as a fault; it is started again when it was wanted."""
        if self.process is not None:
            self.process.kill()

    def _spawn(self) -> None:
        self._ended.clear()
        self._started = time.monotonic()
        self.process = programs.spawn(self.spec.program(), self.log)
        watched = os.pidfd_open(self.process.pid)
        asyncio.get_running_loop().add_reader(watched, self._on_end, watched, self.process)

    def _on_end(self, watched: int, process: subprocess.Popen[bytes]) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(watched)
        os.close(watched)
        process.wait()
        self._kill_group(process.pid)  # what it started must not keep its ports
        self.process = None
        self._ended.set()
        if self.wanted:
            quick = time.monotonic() - self._started < STEADY_SECONDS
            self._quick_ends = self._quick_ends + 1 if quick else 0
            delay = min(RESTART_SECONDS_MIN * 2 ** max(self._quick_ends - 1, 0), RESTART_SECONDS_MAX)
            log.info("%s ended with %s; starts again in %.1f s", self.spec.name, process.returncode, delay)
            self._again = loop.call_later(delay, self._restart)

    def _restart(self) -> None:
        self._again = None
        if self.wanted and self.process is None:
            self.restarts += 1
            self._spawn()

    def _cancel_restart(self) -> None:
        if self._again is not None:
            self._again.cancel()
            self._again = None

    async def _until_ready(self) -> None:
        deadline = time.monotonic() + self.spec.ready_seconds_max
        while missing := await asyncio.to_thread(self.spec.missing):
            if self._leaving:
                raise StartFailed(f"{self.spec.name} was stopped before it was ready.", self.log)
            if self.process is None and not self.wanted:
                raise StartFailed(f"{self.spec.name} ended before it was ready: {_last_words(self.log)}", self.log)
            if time.monotonic() > deadline:
                await self._give_up()
                raise StartFailed(
                    f"{self.spec.name} was not ready after {self.spec.ready_seconds_max:.0f} s: {missing}", self.log
                )
            await asyncio.sleep(POLL_SECONDS)  # noqa: TID251  # a real process is waited for

    async def _give_up(self) -> None:
        if self.process is not None and not self.wanted:
            self._kill_group(self.process.pid)
            await self._ended.wait()

    @staticmethod
    def _kill_group(group: int) -> None:
        with suppress(ProcessLookupError, PermissionError):  # gone, or only what changed its user and ends by itself
            os.killpg(group, signal.SIGKILL)


class Supervisor:
    """All processes of a stack."""

    def __init__(self, stages: Sequence[Stage], log: Callable[[str], Path]) -> None:
        self.stages = stages
        specs = [spec for stage in stages for spec in stage.specs]
        self.processes: Mapping[str, Supervised] = {spec.name: Supervised(spec, log(spec.name)) for spec in specs}

    async def up(self, report: Report) -> None:
        """Starts what does not run, stage by stage. Raises StartFailed with the first thing that went wrong."""
        await _all(process.start_early() for process in self.processes.values())
        for stage in self.stages:
            await _all(self._start(self.processes[spec.name], report) for spec in stage.specs)
            for step in stage.steps:
                await self._do(step, report)

    async def down(self, report: Report) -> None:
        """Stops everything, last started first, and whatever those processes left behind."""
        for stage in reversed(self.stages):
            running = [self.processes[spec.name] for spec in stage.specs if self.processes[spec.name].pid is not None]
            if running:
                report(f"stopping {', '.join(process.spec.name for process in running)}")
            await _all(self.processes[spec.name].stop() for spec in stage.specs)
        end_descendants()

    async def _start(self, process: Supervised, report: Report) -> None:
        began = time.monotonic()
        if await process.start():
            report(f"{process.spec.name} is ready ({time.monotonic() - began:.1f} s)")
        for step in process.spec.steps:
            await self._do(step, report)

    async def _do(self, step: Step, report: Report) -> None:
        began = time.monotonic()
        try:
            await asyncio.to_thread(step.run)
        except (OSError, RuntimeError) as error:
            raise StartFailed(f"{step.name} failed: {error}", step.log) from error
        report(f"{step.name}: done ({time.monotonic() - began:.1f} s)")


async def _all(work: Iterable[Awaitable[object]]) -> None:
    """Side by side; all end before the first error is raised, so nothing is left half started."""
    outcomes = await asyncio.gather(*work, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome


def adopt_orphans() -> None:
    """Makes this process the parent of what its children leave behind, so that `end_descendants` finds it."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_descendants() -> None:
    """Kill -9 for every process below this one, and no zombie stays: not every pid 1 collects them."""
    left = psutil.Process().children(recursive=True)
    for process in left:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(left, timeout=5)
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass


def _last_words(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    return lines[-1] if lines else "it said nothing"
