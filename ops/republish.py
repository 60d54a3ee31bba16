"""Publishes kept events again, after a broker has lost them. Whoever had one ignores it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime

import asyncpg

from ops.settings import Settings

AGAIN = """
    WITH again AS (
        UPDATE outbox SET published_at = NULL, attempts = 0
        WHERE published_at IS NOT NULL AND ($1::timestamptz IS NULL OR occurred_at >= $1) RETURNING type
    ) SELECT type, count(*) AS total FROM again GROUP BY type ORDER BY type"""


async def republish(settings: Settings, service: str, since: datetime | None) -> dict[str, int]:
    """Hands the events of `service` since an instant, or all that are kept, to its relay once more. Returns how many of each type.

    The relay publishes them as it does any other, oldest first, within a second while the service runs.
    """
    connection = await asyncpg.connect(settings.plain_database_url(service), timeout=5)
    try:
        return {row["type"]: row["total"] for row in await connection.fetch(AGAIN, since)}
    finally:
        await connection.close()


def republish_services(
    settings: Settings, services: Sequence[str], since: datetime | None, say: Callable[[str], None]
) -> None:
    """The same for several services, told per type."""

    async def all_of_them() -> None:
        for service in services:
            counts = await republish(settings, service, since)
            for event_type, count in counts.items():
                say(f"{count:>8} {event_type}")
            say(f"{sum(counts.values()):>8} events of {service} handed to its relay")

    asyncio.run(all_of_them())


def instant(text: str) -> datetime:
    """Raises ValueError unless `text` is an instant in ISO 8601 with its offset."""
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError("needs an offset, such as Z or +02:00")
    return found
