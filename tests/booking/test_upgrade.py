"""What was there before a migration is as good as what comes after it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import asyncpg
from alembic import command
from booking import search
from booking.search import Filters
from chassis.clock import SystemClock
from chassis.crypto import Sealer
from chassis.db import Database
from chassis.ids import SystemIds
from chassis.migrate import _config, migrate

from tests.support.service import INDEX_KEY, KEYSET, as_role, fresh_database

PLACED = """
    INSERT INTO bookings (id, event_id, status, version, revision, event_facts, refund_policy, currency, total_minor, tax_minor, contact,
                          email_index, issued_tickets, placed_at, hold_expires_at)
    VALUES ($1, $2, 'expired', 2, 2, '{"name": "Tosca"}', '{}', 'EUR', 100, 0, $3, $4, 'sealed', $5, $5)"""


async def test_a_booking_of_former_times_is_found_and_its_past_known(postgres_url: str) -> None:
    """Also one that the service as it was before places after the migration: it names no new column."""
    url = await fresh_database("booking", postgres_url)
    owner = as_role(url, "booking_owner")
    await asyncio.to_thread(command.upgrade, _config("chassis", "booking", owner), "head")
    await asyncio.to_thread(command.upgrade, _config("booking", "booking", owner), "booking_0002")
    sealer = Sealer.from_settings(KEYSET, INDEX_KEY)
    event_id, before, after = uuid4(), uuid4(), uuid4()
    now = datetime.now(UTC)
    contact = sealer.seal_json({"name": "Floria Tosca", "email": "tosca@example.com"}, "booking.contact")
    booking = (event_id, contact, sealer.blind_index("tosca@example.com", "booking.email"), now)
    old = await asyncpg.connect(url)
    await old.execute(
        """INSERT INTO events (id, name, venue, local_start, local_end, timezone, starts_at, ends_at, currency, refund_policy, created_at)
           VALUES ($1, 'Tosca', 'Oper', '2031-01-01', '2031-01-02', 'UTC', '2031-01-01', '2031-01-02', 'EUR', '{}', now())""",
        event_id,
    )
    await old.execute(PLACED, before, *booking)
    expired_at = now + timedelta(minutes=15)
    await old.execute(
        "INSERT INTO outbox (id, type, subject, version, occurred_at, body) VALUES ($1, 'booking.expired.v1', $2, 2, $3, '{}')",
        uuid4(),
        before,
        expired_at,
    )
    await asyncio.to_thread(migrate, "booking", owner)
    await old.execute(PLACED, after, *booking)

    assert await old.fetchval("SELECT draft FROM events") is False
    assert await old.fetchval("SELECT expired_at FROM bookings WHERE id = $1", before) == expired_at
    database = Database(as_role(url, "booking"), SystemClock(), SystemIds(), pool=2)
    wanted = Filters(q="tosca floria")
    async with database.transaction() as tx:
        assert (await search.list_bookings(tx, sealer, wanted, cursor=None, limit=9)).items == []
    for row in await old.fetch("SELECT id FROM bookings WHERE names_due_at <= now()"):
        async with database.transaction() as tx:
            await search.index_name(tx, sealer, row["id"])
    async with database.transaction() as tx:
        found = await search.list_bookings(tx, sealer, wanted, cursor=None, limit=9)
    assert {found.id for found in found.items} == {before, after}
    assert await old.fetchval("SELECT count(*) FROM bookings WHERE names_due_at IS NOT NULL") == 0
    await database.close()
    await old.close()
