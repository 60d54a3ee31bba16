"""`boxoffice`: migrate, doctor, verify, parked, republish, audit."""

from __future__ import annotations

import sys
from importlib.metadata import entry_points

import typer
from chassis.settings import load
from pydantic_settings import BaseSettings, SettingsConfigDict

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)


class RetryDelays(BaseSettings):
    """The one shared variable that the broker's topology depends on."""

    model_config = SettingsConfigDict(env_prefix="BOXOFFICE_", extra="ignore")

    retry_delays_ms: str = "1000,5000,30000,120000,600000"


@app.command()
def migrate() -> None:
    """Bring the four databases and the broker to what this version needs."""
    from ops.migrate import migrate_everything  # noqa: PLC0415  # Alembic is slow to import, and only this needs it
    from ops.settings import Settings  # noqa: PLC0415

    delays = tuple(int(part) for part in load(RetryDelays).retry_delays_ms.split(","))
    migrate_everything(load(Settings), delays, typer.echo)


def main() -> None:
    """Runs `boxoffice`, with the subcommands that installed packages add."""
    for provider in entry_points(group="boxoffice.commands"):
        commands: typer.Typer = provider.load()
        app.registered_commands += commands.registered_commands
        app.registered_groups += commands.registered_groups
    sys.exit(app())
