"""What is kept for a time is removed after it, and what is not done with stays whatever its age."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from chassis import metrics
from chassis.clock import SystemClock
from chassis.db import Database, Transaction, table
from chassis.ids import SystemIds
from chassis.migrate import migrate
from chassis.outbox import OutboxRow
from chassis.upkeep import Outdated, Upkeep
from notification import webhooks
from notification.models import WebhookDelivery, WebhookEndpoint
from payment import receipts
from payment.models import Receipt
from sqlalchemy import Table, insert, select

from tests.support.service import as_role, fresh_database

DAYS = 30


@asynccontextmanager
async def database_of(service: str, postgres_url: str) -> AsyncIterator[Database]:
    """A fresh one, with the service's tables and the rights that it has itself."""
    url = await fresh_database(service, postgres_url)
    await asyncio.to_thread(migrate, service, as_role(url, f"{service}_owner"))
    database = Database(as_role(url, service), SystemClock(), SystemIds(), pool=1)
    try:
        yield database
    finally:
        await database.close()


async def kept(database: Database, rows: Table, written: dict[str, dict[str, Any]], outdated: Outdated) -> set[str]:
    """The names of the rows that are still there after a pruning, which is then done a second time for nothing."""
    async with database.transaction() as tx:
        ids = {tx.new_id(): name for name in written}
        for row_id, name in ids.items():
            await tx.execute(insert(rows).values({"id": row_id, **written[name]}))
    for _ in range(2):
        await Upkeep(database, DAYS, outdated).prune()
    async with database.transaction() as tx:
        return {ids[row_id] for row_id in (await tx.execute(select(rows.c.id))).scalars() if row_id in ids}


def ages(tx: Transaction, column: str) -> dict[str, dict[str, Any]]:
    return {
        "old": {column: tx.now - timedelta(days=DAYS, minutes=1)},
        "young": {column: tx.now - timedelta(days=DAYS, minutes=-1)},
    }


async def test_a_database_that_answers_is_seen(postgres_url: str) -> None:
    """By the instant when it last did, which stands still when it is away."""
    async with database_of("booking", postgres_url) as database:
        metrics.DATABASE_ANSWERED_AT.set(0)
        before = database.clock.now().timestamp()
        await Upkeep(database, DAYS).measure()
        assert metrics.DATABASE_ANSWERED_AT._value.get() >= before


async def test_published_events_and_old_deliveries_go(postgres_url: str) -> None:
    async with database_of("notification", postgres_url) as database:
        async with database.transaction() as tx:
            endpoint, ever = tx.new_id(), tx.now - timedelta(days=400)
            made = {
                "url": "https://crm.example",
                "secret": "sealed",
                "event_types": ["booking.confirmed"],
                "created_at": ever,
            }
            await tx.execute(insert(table(WebhookEndpoint)).values({"id": endpoint, "status": "active", **made}))
            event = {"type": "x", "version": 1, "occurred_at": ever, "body": "{}", "attempts": 0}
            events = {name: {**event, **age} for name, age in ages(tx, "published_at").items()}
            delivery = {"endpoint_id": endpoint, "type": "x", "booking_id": endpoint, "body": "{}", "attempts": 1}
            over = {"status": "delivered", "delivered_at": tx.now}
            told = {name: {**delivery, **over, **age} for name, age in ages(tx, "created_at").items()}
            owed = {"status": "pending", "next_attempt_at": tx.now + timedelta(days=1)}
            events["waiting"] = {**event, "published_at": None}
            events = {name: {"subject": tx.new_id(), **row} for name, row in events.items()}
        told["failed"] = {**delivery, "created_at": ever, "status": "failed"}
        told["owed"] = {**delivery, "created_at": ever, **owed}
        told = {name: {"webhook_id": name, **row} for name, row in told.items()}
        assert await kept(database, table(OutboxRow), events, webhooks.outdated) == {"young", "waiting"}
        assert await kept(database, table(WebhookDelivery), told, webhooks.outdated) == {"young", "owed"}


async def test_receipts_that_were_done_with_go(postgres_url: str) -> None:
    async with database_of("payment", postgres_url) as database:
        async with database.transaction() as tx:
            receipt = {"provider": "stripe", "type": "customer.created", "body": "sealed", "tries": 0}
            told = {
                name: {**receipt, "outcome": "ignored", "processed_at": tx.now, **age}
                for name, age in ages(tx, "received_at").items()
            }
            told["open"] = {**receipt, "received_at": tx.now - timedelta(days=400), "next_attempt_at": tx.now}
        told = {name: {"event_id": name, **row} for name, row in told.items()}
        assert await kept(database, table(Receipt), told, receipts.outdated) == {"young", "open"}
