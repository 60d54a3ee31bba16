"""`boxoffice refund`."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer
from chassis.settings import load

from ops.settings import Settings

commands = typer.Typer(no_args_is_help=True, help="What refunds would be.")

# Importing what this needs takes a second, which no other command should pay.


@commands.callback()
def refund() -> None:
    """A group of its own, although it has one command only."""


@commands.command()
def simulate(
    *,
    policy: Annotated[Path, typer.Option(help='The draft: {"tiers": [{"hours_before": 48, "percent": 100}], …}.')],
    event: Annotated[UUID | None, typer.Option(help="Bookings of this event only.")] = None,
    since: Annotated[str | None, typer.Option("--from", help="Events that start at this instant or later.")] = None,
    until: Annotated[str | None, typer.Option("--to", help="Events that start before this instant.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """What a draft policy would owe over the paid bookings at each hour before the start, next to the policies they were sold with."""
    from ops import refund_simulate  # noqa: PLC0415  # see above
    from ops.republish import instant  # noqa: PLC0415  # see above

    try:
        draft = refund_simulate.read_draft(policy)
        start, end = (None if text is None else instant(text) for text in (since, until))
    except ValueError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    owed = asyncio.run(refund_simulate.simulate(load(Settings), draft, event, start, end))
    if as_json:
        typer.echo(json.dumps([row.as_dict() for row in owed]))
        return
    for line in refund_simulate.lines(owed):
        typer.echo(line)
