"""Runs `boxoffice verify` and shows what it found. In a process of its own: what it reads is given back when it ends."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

from chassis.clock import SystemClock

from ops.watch import metrics

PATIENCE_S = 1800.0


async def verify_once() -> int:
    """One comparison; its exit code."""
    began = perf_counter()
    with tempfile.TemporaryDirectory(prefix="boxoffice-verify-") as folder:
        report = Path(folder) / "report.json"
        code = await _run(report)
        if report.exists():
            show(json.loads(report.read_text()))
    metrics.VERIFY_EXIT.set(code)
    metrics.VERIFY_SECONDS.set(perf_counter() - began)
    return code


def show(report: dict[str, Any]) -> None:
    """Sets the gauges of a report. A check that could not be made keeps what it had found."""
    for check in report["checks"]:
        metrics.DIFFERENCES.labels(check["check"]).set(check["differences"])
    if not report["unread"]:
        metrics.VERIFIED_AT.set(SystemClock().now().timestamp())


async def _run(report: Path) -> int:
    command = (str(Path(sys.executable).with_name("boxoffice")), "verify", "--json", str(report))
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await process.wait()
    except TimeoutError:
        return 2
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
