"""What the services say has happened: their event logs, read with the operator's eyes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import asyncpg


class Happened(NamedTuple):
    """An event of one service: its name, when it happened, and its body as JSON."""

    service: str
    type: str
    at: datetime
    body: str


async def find(databases: Mapping[str, str], service: str, event_type: str, booking_id: str) -> Happened | None:
    """The first event of that type about a booking; None while there is none, or while the database is away."""
    try:
        connection = await asyncpg.connect(databases[service], timeout=5)
    except (OSError, asyncpg.PostgresError):
        return None
    try:
        row = await connection.fetchrow(
            "SELECT occurred_at, body FROM outbox WHERE type = $1 AND body::jsonb ->> 'booking_id' = $2 ORDER BY seq LIMIT 1",
            event_type,
            str(UUID(booking_id)),
        )
    except (OSError, asyncpg.PostgresError):
        return None
    finally:
        await connection.close()
    return Happened(service, event_type, row["occurred_at"], row["body"]) if row else None
