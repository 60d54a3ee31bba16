"""`boxoffice`: migrate, doctor, verify, watch, canary, parked, republish, audit, refund, erase, keys, reseal."""

from __future__ import annotations

import asyncio
import logging
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer
from chassis.settings import load

from ops import keys, parked_cli, refund_cli
from ops.settings import SERVICES, Keys, Mode, Settings, Shared

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
audit = typer.Typer(no_args_is_help=True, help="What privileged people did, in chains that show every change.")
app.add_typer(parked_cli.commands, name="parked")
app.add_typer(audit, name="audit")
app.add_typer(refund_cli.commands, name="refund")
app.add_typer(keys.commands, name="keys")

# Each command imports what it needs itself: Alembic, the provider's SDK and the services are slow to import, and no command needs all.


@app.command()
def migrate() -> None:
    """Bring the four databases and the broker to what this version needs."""
    from ops.migrate import migrate_everything  # noqa: PLC0415  # see above

    migrate_everything(load(Settings), load(Shared).retry_delays_ms, typer.echo)


@app.command()
def verify(
    *,
    mode: Annotated[
        Mode | None, typer.Option(help="settled: nothing may be on its way. Without --wait the default is live.")
    ] = None,
    wait: Annotated[float, typer.Option(help="Seconds to wait at most until everything is settled.")] = 0,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Also write the report as JSON to this file.")
    ] = None,
    selftest: Annotated[bool, typer.Option("--selftest", help="Plant corruptions in made-up data; find each.")] = False,
    repair: Annotated[
        bool,
        typer.Option("--repair", help="After payment's database was restored, and before it starts: see restore.md."),
    ] = False,
) -> None:
    """Compare databases, broker, provider, mails and CRM. Exit 0: no difference, 1: some, 2: unreadable, 3: not all compared."""
    from ops.verify.command import run_selftest, run_verify  # noqa: PLC0415  # see above

    if selftest:
        raise typer.Exit(run_selftest(load(Settings)))
    if repair:
        from ops.verify.repair import repair as take_over  # noqa: PLC0415  # see above

        raise typer.Exit(asyncio.run(take_over(load(Settings), typer.echo)))
    chosen = mode or (Mode.SETTLED if wait else Mode.LIVE)
    raise typer.Exit(run_verify(load(Settings), load(Shared).retention, chosen, wait, json_file))


@app.command()
def doctor() -> None:
    """Look whether databases, broker, provider, mail server and services are there and set up. Exit 1 where something is wrong."""
    from ops.doctor import run  # noqa: PLC0415  # see above

    raise typer.Exit(run(load(Settings), load(Shared), typer.echo))


@app.command()
def watch() -> None:
    """Run verify, the canary and looks at certificates on a schedule, with metrics for Prometheus, until it is stopped."""
    from ops.watch import run  # noqa: PLC0415  # see above
    from ops.watch.settings import WatchSettings  # noqa: PLC0415  # see above

    run.watch(load(WatchSettings), typer.echo)


@app.command()
def canary(
    *,
    once: Annotated[
        bool, typer.Option("--once", help="One run; `boxoffice watch` makes them again and again.")
    ] = False,
) -> None:
    """Book, pay, cancel and be refunded through the gateway, with a test card. Exit 1 where that does not go through."""
    from ops.watch import run  # noqa: PLC0415  # see above
    from ops.watch.settings import WatchSettings  # noqa: PLC0415  # see above

    if not once:
        raise typer.BadParameter("say --once; again and again is what `boxoffice watch` does with WATCH_CANARY_EVERY_S")
    raise typer.Exit(run.canary_once(load(WatchSettings), typer.echo))


@audit.command("verify")
def verify_audit(
    anchor: Annotated[
        Path | None,
        typer.Option(help="File with the heads of the last time, kept outside; written anew where all is whole."),
    ] = None,
) -> None:
    """Recompute the audit chains. Exit 0: whole, 1: changed, 2: unreadable."""
    from ops.audit import verify as verify_chains  # noqa: PLC0415  # see above

    raise typer.Exit(verify_chains(load(Settings), anchor, typer.echo))


@app.command()
def republish(
    *,
    since: Annotated[
        str | None, typer.Option("--from", help="Events that happened at this instant or later: 2027-01-31T12:00:00Z.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every event that is kept.")] = False,
    service: Annotated[str | None, typer.Option(help="Events of this service only.")] = None,
) -> None:
    """Publish kept events again, after a broker has lost them. Whoever had one ignores it."""
    from ops.republish import instant, republish_services  # noqa: PLC0415  # see above

    if (since is None) is not everything:
        raise typer.BadParameter("say either --from or --all")
    if service not in {None, *SERVICES}:
        raise typer.BadParameter(f"must be one of {', '.join(SERVICES)}", param_hint="--service")
    try:
        start = None if since is None else instant(since)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--from") from None
    republish_services(load(Settings), SERVICES if service is None else (service,), start, typer.echo)


@app.command()
def erase(
    *,
    email: Annotated[str | None, typer.Option(help="The customer's address: all bookings made with it.")] = None,
    booking: Annotated[UUID | None, typer.Option(help="The customer of this booking, and only it.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be blanked, and do nothing.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Also where tickets, mails or money still need it.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    by: Annotated[str, typer.Option(help="Who does it, as the audit rows name them: an id, no name.")] = "operator",
) -> None:
    """Blank what is sealed about a customer in every service. Money, ids and audit stay. Exit 0: done or shown, 1: not done."""
    from ops.erase import command  # noqa: PLC0415  # see above

    wanted = booking or email
    if wanted is None or (booking and email):
        raise typer.BadParameter("say either --email or --booking")
    done = command.erase(
        load(Settings),
        load(Keys),
        wanted,
        by=by,
        dry_run=dry_run,
        force=force,
        confirm=lambda question: yes or typer.confirm(question),
        say=typer.echo,
    )
    raise typer.Exit(asyncio.run(done))


@app.command()
def reseal() -> None:
    """Seal everything anew with the data key that seals now. Exit 1 where something opens with no key that is known."""
    from ops.reseal import run  # noqa: PLC0415  # see above

    raise typer.Exit(asyncio.run(run(load(Settings), load(Keys), typer.echo)))


UNREACHABLE = ("sqlalchemy", "asyncpg", "aio_pika", "aiormq", "pamqp", "httpx2", "stripe", "aiohttp")
"""Libraries whose errors say that a server is away or refuses; importing them here would slow every command down."""


def main() -> None:
    """Runs `boxoffice`, with the subcommands that installed packages add. A server that is away is one sentence and status 1."""
    for provider in entry_points(group="boxoffice.commands"):
        commands: typer.Typer = provider.load()
        app.registered_commands += commands.registered_commands
        app.registered_groups += commands.registered_groups
    logging.basicConfig(
        level=logging.CRITICAL
    )  # what a library logs of an error is told once, as the command's own sentence
    try:
        app()
    except Exception as error:
        library = type(error).__module__.partition(".")[0]
        if library not in UNREACHABLE and not isinstance(error, OSError):
            raise
        sentence = f"{type(error).__name__}: {error}".splitlines()[0]
        typer.echo(sentence, err=True)
        sys.exit(1)
