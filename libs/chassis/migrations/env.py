"""Runs the migrations of the chassis or of a service; chassis.migrate says which."""

import asyncio
from typing import Any

from alembic import context
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

attributes: dict[Any, Any] = context.config.attributes


def run(connection: Connection) -> None:
    """Migrates on `connection`. A lock held by a running request is not waited for long: a migration must not queue everybody up."""
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
        attributes["url"], poolclass=NullPool, connect_args={"server_settings": {"lock_timeout": "10s"}}
    )
    async with engine.connect() as connection:
        await connection.run_sync(run)
    await engine.dispose()


asyncio.run(main())
