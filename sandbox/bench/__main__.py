"""`python -m sandbox.bench`: load the running stack, print what was measured, keep it in out/bench/."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import aiohttp
import typer
import uvloop
from chassis.clock import SystemClock
from rich.console import Console

from sandbox.bench import report, trial
from sandbox.launcher import control
from sandbox.launcher.home import CLONE, Home

REQUEST_S_MAX = 90.0


def bench(
    *,
    smoke: Annotated[bool, typer.Option("--smoke", help="A few seconds: does it run, not how fast it is.")] = False,
    seconds: Annotated[float | None, typer.Option(help="Length of the closed and of the open loop.")] = None,
    buyers: Annotated[int | None, typer.Option(help="Buyers at once in the closed loops.")] = None,
    out: Annotated[Path, typer.Option(help="Where the JSON goes.")] = CLONE / "out" / "bench",
) -> None:
    """Load the running stack through the gateway. Status 1: the figures do not count, and why."""
    console = Console(stderr=False)
    try:
        stack = control.ask(Home.chosen().folder, {"do": "status"}, _say)
    except (control.NotRunning, control.Refused, FileNotFoundError):
        _say("Nothing is running; start it with `boxoffice up`.")
        raise typer.Exit(1) from None
    sizes = trial.SMOKE if smoke else trial.FULL
    sizes = trial.resized(sizes, seconds=seconds, buyers=buyers)
    machine = {"cores": os.cpu_count(), "load_before": [round(load, 2) for load in os.getloadavg()]}
    found = uvloop.run(_run(stack, sizes))
    file = report.write(found, machine, SystemClock().now(), out)
    report.show(found, machine, console)
    _say(f"written to {file}")
    raise typer.Exit(1 if found.faults else 0)


async def _run(stack: dict[str, Any], sizes: trial.Sizes) -> trial.Report:
    timeout = aiohttp.ClientTimeout(total=REQUEST_S_MAX)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
        async with session.post(f"{stack['issuer']}/token", data={"role": "manager", "sub": "bench"}) as answer:
            answer.raise_for_status()
            token = (await answer.json())["access_token"]
        return await trial.Trial(stack, session, sizes, _say).run(token)


def _say(sentence: str) -> None:
    print(f"  {sentence}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    typer.run(bench)
