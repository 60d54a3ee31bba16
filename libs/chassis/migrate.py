"""Brings a service's database to the schema that its code needs: the chassis' own tables first, then the service's."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy.exc import DBAPIError

LOCK_TIMEOUT = "1500ms"
"""Whoever comes after a migration that waits for a lock waits with it, so it gives up before anybody else does (chassis.db: 5 s). Not
earlier: a vacuum that is in its way gives way after PostgreSQL's deadlock_timeout, which is 1 s."""

PAUSES_S = (1, 2, 4, 8, 15, 30, 60, 60, 60, 60)
"""How long the traffic goes on before a migration asks for the lock again; five minutes in all."""

_IN_THE_WAY = {"55P03": "a lock is held", "40P01": "a deadlock was resolved"}


def migrate(service: str, owner_url: str, say: Callable[[str], None] = lambda _: None) -> None:
    """Runs what is missing, each migration in a transaction of its own. `owner_url` is the role that owns the schema.

    Several may be called at once: one migrates, the others wait for it. What cannot have its lock at once is tried again, and `say` is
    told. The app's role is called like the service, and it gets its rights from the owner's default privileges
    (deploy/postgres/provision.sql); a migration takes away what an append-only table must not allow.
    Must not be called from a running event loop. Raises what SQLAlchemy raises; what was done until then stays done.
    """
    for package in ("chassis", service):
        _upgrade(_config(package, service, owner_url), lambda what: say(f"{service} database: {what}"))


def _upgrade(config: Config, say: Callable[[str], None]) -> None:
    pauses = iter(PAUSES_S)
    while True:
        try:
            command.upgrade(config, "head")
        except DBAPIError as error:
            why = _IN_THE_WAY.get(getattr(error.orig, "sqlstate", ""))
            pause_s = next(pauses, None)
            if why is None or pause_s is None:
                raise
            say(f"{why}, tried again in {pause_s} s")
            time.sleep(pause_s)
        else:
            return


def revision(package: str, message: str) -> None:
    """Writes an empty migration for `package` (a service, or chassis)."""
    command.revision(_config(package, package, ""), message)


def _config(package: str, service: str, owner_url: str) -> Config:
    versions = Path(str(files(package))) / "migrations" / "versions"
    config = Config()
    config.set_main_option("script_location", str(Path(str(files("chassis"))) / "migrations"))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", str(versions))
    config.attributes.update(
        service=service, url=owner_url, version_table=f"{package}_schema", lock_timeout=LOCK_TIMEOUT
    )
    return config
