"""`boxoffice keys`: what the steps of a rotation need, written as files that BOXOFFICE_SECRETS_DIR takes. Nothing is printed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from datetime import UTC
from pathlib import Path
from typing import Annotated

import typer
from chassis.clock import SystemClock
from chassis.settings import load

from ops.settings import Keys, Published

commands = typer.Typer(
    no_args_is_help=True, help="Keys for the steps of a rotation, as files for BOXOFFICE_SECRETS_DIR."
)

Into = Annotated[Path, typer.Option(help="The folder that the files are written to. Files of that name are replaced.")]


@commands.command()
def add(into: Into) -> None:
    """One more data key: it opens, and does not seal yet. Give the keyset to every replica of every service."""
    from chassis.crypto import add_key  # noqa: PLC0415  # tink is slow to import

    _change_keyset(into, lambda keyset: add_key(keyset, seals=False))


@commands.command()
def promote(into: Into) -> None:
    """The newest data key seals from now on. Every replica must have it already."""
    from chassis import crypto  # noqa: PLC0415  # as above

    _change_keyset(into, crypto.promote)


@commands.command()
def retire(into: Into) -> None:
    """Only the data key that seals is left. What older ones sealed opens no more: `boxoffice reseal` first."""
    from chassis import crypto  # noqa: PLC0415  # as above

    _change_keyset(into, crypto.retire)


@commands.command()
def token(into: Into) -> None:
    """A new key for the tokens of bookings, and the public keys with it: those go to every service before it signs."""
    from chassis.auth import new_token_keys  # noqa: PLC0415  # as above

    published = json.loads(load(Published).token_public_keys)["keys"]
    signing, public = new_token_keys(f"booking-{SystemClock().now().astimezone(UTC):%Y%m%d-%H%M%S}")
    both = {"keys": [*published, *json.loads(public)["keys"]]}
    _write(into, {"booking_token_signing_key": signing, "boxoffice_token_public_keys": json.dumps(both)})


def _change_keyset(into: Path, change: Callable[[str], str]) -> None:
    try:
        changed = change(load(Keys).seal_keyset.get_secret_value())
    except ValueError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    _write(into, {"boxoffice_seal_keyset": changed})


def _write(into: Path, files: Mapping[str, str]) -> None:
    """Whole or not at all, and never readable by others."""
    into.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name, text in files.items():
        part = into / f"{name}.part"
        part.unlink(missing_ok=True)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as output:
            output.write(text)
        part.replace(into / name)
        typer.echo(f"written: {into / name}")
