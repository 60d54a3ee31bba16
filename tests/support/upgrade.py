"""A database as the version before left it, for a test that migrates it."""

from __future__ import annotations

import asyncio

from alembic import command
from chassis.migrate import _config

from tests.support.service import as_role, fresh_database


async def database_at(service: str, revision: str, postgres_url: str) -> str:
    """A database of `service` whose last migration is `revision`, with the chassis' own of now. Returns its address."""
    url = await fresh_database(service, postgres_url)
    owner = as_role(url, f"{service}_owner")
    await asyncio.to_thread(command.upgrade, _config("chassis", service, owner), "head")
    await asyncio.to_thread(command.upgrade, _config(service, service, owner), revision)
    return url
