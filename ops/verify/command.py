"""`boxoffice verify` at the command line."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import typer

from ops.settings import Mode, Settings
from ops.verify.run import verify


def run_verify(settings: Settings, retention: timedelta, mode: Mode, wait_s: float, json_file: Path | None) -> int:
    """Compares, prints, and returns the exit code."""
    report = asyncio.run(
        verify(
            settings,
            settled=mode is Mode.SETTLED,
            retention=retention,
            wait_s=wait_s,
            say=lambda sentence: typer.echo(sentence, err=True),
        )
    )
    for line in report.lines():
        typer.echo(line)
    if json_file is not None:
        json_file.write_text(report.as_json())
    return report.exit_code


def run_selftest(settings: Settings) -> int:
    """Plants corruptions, prints which were found, and returns 0 when each was."""
    from ops.verify.selftest import selftest  # noqa: PLC0415  # only this makes data up

    results = asyncio.run(selftest(settings))
    for result in results:
        typer.echo(f"{'found ' if result.found else 'MISSED'} {result.check:3} {result.corruption}{result.comment}")
    missed = sum(not result.found for result in results)
    typer.echo(f"{len(results) - missed} of {len(results)} as they should be.")
    return 1 if missed else 0
