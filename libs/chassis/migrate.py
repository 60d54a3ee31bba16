"""Brings a service's database to the schema that its code needs: the chassis' own tables first, then the service's."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from alembic import command
from alembic.config import Config


def migrate(service: str, owner_url: str) -> None:
    """Runs what is missing, each migration in a transaction of its own. `owner_url` is the role that owns the schema.

    The app's role is called like the service, and it gets its rights from the owner's default privileges
    (deploy/postgres/provision.sql); a migration takes away what an append-only table must not allow.
    Must not be called from a running event loop.
    """
    for package in ("chassis", service):
        command.upgrade(_config(package, service, owner_url), "head")


def revision(package: str, message: str) -> None:
    """Writes an empty migration for `package` (a service, or chassis)."""
    command.revision(_config(package, package, ""), message)


def _config(package: str, service: str, owner_url: str) -> Config:
    versions = Path(str(files(package))) / "migrations" / "versions"
    config = Config()
    config.set_main_option("script_location", str(Path(str(files("chassis"))) / "migrations"))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", str(versions))
    config.attributes.update(service=service, url=owner_url, version_table=f"{package}_schema")
    return config
