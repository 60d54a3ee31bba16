"""Waits until nothing is pending: no unpaid hold, no open payment or refund, no mail or webhook to send, no event on its way."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from uuid import UUID

import aio_pika
import asyncpg
from chassis.topology import parked_queue
from contracts.catalogue import PUBLISHERS

from ops.settings import Settings
from ops.verify.messages import QUEUES
from ops.verify.outside import Management

POLL_S = 0.5

PENDING: Mapping[str, Mapping[str, str]] = {
    "booking": {
        "unpaid bookings": """SELECT count(*) FROM bookings
            WHERE status IN ('pending_payment', 'payment_authorized') AND id <> ALL($1::uuid[])""",
    },
    "payment": {
        "open payments": """SELECT count(*) FROM payments
            WHERE status NOT IN ('succeeded', 'voided', 'failed', 'in_review')
               OR (status = 'succeeded' AND NOT fee_known AND next_check_at IS NOT NULL)""",
        "refunds at the provider": "SELECT count(*) FROM refunds WHERE status IN ('submitted', 'pending', 'unknown')",
        "webhooks to apply": "SELECT count(*) FROM receipts WHERE outcome IS NULL",
    },
    "refund": {
        "refunds under way": """SELECT count(*) FROM refunds
            WHERE status IN ('requested', 'approved', 'submitted', 'pending', 'unknown')""",
    },
    "notification": {
        "mails to send": "SELECT count(*) FROM messages WHERE status = 'queued'",
        "surveys to ask soon": "SELECT count(*) FROM surveys WHERE next_attempt_at <= now() + interval '30 seconds'",
        "moves to tell": "SELECT count(*) FROM moved_events WHERE next_attempt_at <= now()",
        "webhooks to send": "SELECT count(*) FROM webhook_deliveries WHERE status = 'pending'",
    },
}
IN_REVIEW = "SELECT coalesce(array_agg(booking_id), '{}') FROM payments WHERE status = 'in_review'"
"""Their bookings wait for a person, not for time."""
WRITTEN = "SELECT type, count(*) AS total, count(published_at) AS published FROM outbox WHERE id >= $1 GROUP BY type"
CONSUMED = "SELECT consumer, count(*) AS total FROM inbox WHERE event_id >= $1 GROUP BY consumer"


async def until_settled(settings: Settings, wait_s: float, kept_since: UUID, say: Callable[[str], None]) -> bool:
    """Whether nothing was pending twice in a row, with no event written in between, before the time was over.

    One look is not enough: an effect may be committed between the look at its queue and the look at its outbox.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + wait_s
    async with AsyncExitStack() as stack:
        databases: dict[str, asyncpg.Connection[asyncpg.Record]] = {}
        for service in PUBLISHERS:
            url = settings.plain_database_url(service, reading=True)
            databases[service] = await asyncpg.connect(url, timeout=5)
            stack.push_async_callback(databases[service].close)
        management = Management(
            settings.broker_management_url.get_secret_value(), settings.broker_url.get_secret_value()
        )
        stack.push_async_callback(management.close)
        before: Counter[str] | None = None
        while True:
            pending, written = await _pending(settings, databases, kept_since)
            pending = pending or await _unacknowledged(management)
            if not pending and written == before:
                return True
            before = None if pending else written
            if loop.time() >= deadline:
                rest = ", ".join(f"{count} {what}" for what, count in pending.items())
                say(f"not settled after {wait_s:g} s: {rest or 'events are still being written'}")
                return False
            await asyncio.sleep(POLL_S)  # noqa: TID251  # polls a condition with a deadline


async def _pending(
    settings: Settings, databases: Mapping[str, asyncpg.Connection[asyncpg.Record]], kept_since: UUID
) -> tuple[dict[str, int], Counter[str]]:
    """What is pending, by what it is, and how many events of each type are written."""
    pending: dict[str, int] = {}
    written: Counter[str] = Counter()
    consumed: Counter[str] = Counter()
    in_review = await databases["payment"].fetchval(IN_REVIEW)
    for service, database in databases.items():
        for what, sql in PENDING[service].items():
            pending[what] = await database.fetchval(sql, *([in_review] if "$1" in sql else []))
        consumed.update({row["consumer"]: row["total"] for row in await database.fetch(CONSUMED, kept_since)})
        rows = await database.fetch(WRITTEN, kept_since)
        written.update({row["type"]: row["total"] for row in rows})
        pending[f"events to publish by {service}"] = sum(row["total"] - row["published"] for row in rows)
    missing = {
        queue: written[event_type] - consumed[queue]
        for event_type, queues in QUEUES.items()
        for queue in queues
        if consumed[queue] < written[event_type]
    }
    parked = await _parked(settings.broker_url.get_secret_value(), missing) if missing else Counter()
    pending |= {f"events for {queue}": count - parked[queue] for queue, count in missing.items()}
    return {what: count for what, count in pending.items() if count > 0}, written


async def _unacknowledged(management: Management) -> dict[str, int]:
    """By the broker's statistics, which are some seconds old: a queue may seem busy after its last message was acknowledged."""
    counts = {queue["name"]: queue.get("messages_unacknowledged", 0) for queue in await management.of_vhost("queues")}
    return {f"unacknowledged in {queue}": count for queue, count in counts.items() if count}


async def _parked(broker_url: str, queues: Mapping[str, int]) -> Counter[str]:
    """How many messages of each queue are parked: they wait for a person, not for time."""
    async with await aio_pika.connect(broker_url, timeout=10) as connection, connection.channel() as channel:
        found = {queue: await channel.get_queue(parked_queue(queue)) for queue in queues}
        return Counter({queue: parked.declaration_result.message_count or 0 for queue, parked in found.items()})
