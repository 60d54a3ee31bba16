"""Brings databases and broker to what the code needs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from chassis.migrate import migrate
from chassis.topology import declare, topology

from ops.settings import SERVICES, Settings


def migrate_everything(settings: Settings, retry_delays_ms: tuple[int, ...], say: Callable[[str], None]) -> None:
    """Migrates the four databases and declares the broker's topology. What is there already is left as it is.

    Raises what SQLAlchemy, asyncpg or aio_pika raise, for the first that fails.
    """
    # One thread at a time: Alembic keeps the context of a running migration in a module.
    with ThreadPoolExecutor(1) as thread:
        broker = thread.submit(asyncio.run, declare(settings.broker_url.get_secret_value(), topology(retry_delays_ms)))
        for service in SERVICES:
            started = time.perf_counter()
            migrate(service, settings.database_url(service), say)
            say(f"{service} database is current ({time.perf_counter() - started:.1f} s)")
        broker.result()
    say("broker topology is declared")
