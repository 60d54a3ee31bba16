"""Runs the migrations of the chassis or of a service; chassis.migrate says which."""

import asyncio
import time
from typing import Any

from alembic import context
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

attributes: dict[Any, Any] = context.config.attributes

ONE_AT_A_TIME = text("SELECT pg_try_advisory_lock(7093020357986511203)")
"""Any number that nobody else takes ("boxoffic" in bytes). It is the session's lock: the server may still be at work for a migration
that was killed."""


def run(connection: Connection) -> None:
    """Migrates on `connection`, once nobody else migrates this database.

    The lock is asked for again and again: who waits for it inside a statement has a snapshot, for whose end an index that is built
    concurrently would wait in turn.
    """
    while not connection.scalar(ONE_AT_A_TIME):
        connection.commit()
        time.sleep(0.2)
    connection.commit()
    context.configure(connection=connection, version_table=attributes["version_table"], transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
    # The owner's default privileges let the service write whatever table is new. Which schema it has is not its to say.
    connection.execute(
        text(f"REVOKE INSERT, UPDATE, DELETE ON {attributes['version_table']} FROM {attributes['service']}")
    )
    connection.commit()


async def main() -> None:
    """Opens one connection as the schema's owner."""
    engine = create_async_engine(
        attributes["url"],
        poolclass=NullPool,
        connect_args={"server_settings": {"lock_timeout": attributes["lock_timeout"]}},
    )
    async with engine.connect() as connection:
        await connection.run_sync(run)
    await engine.dispose()


asyncio.run(main())
