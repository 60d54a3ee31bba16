"""Shows an operator which refunds have no outcome, and since when."""

from __future__ import annotations

from chassis.db import Transaction, table
from chassis.watch import by_status

from refund import metrics
from refund.domain import UNFINISHED, Status
from refund.models import Refund

SHOWN = sorted(UNFINISHED | {Status.FAILED})


async def measure(tx: Transaction) -> None:
    """Sets the gauges."""
    refunds = table(Refund)
    async for status, count, oldest_s in by_status(tx, refunds.c.status, refunds.c.created_at, SHOWN):
        metrics.UNFINISHED.labels(status).set(count)
        metrics.OLDEST_SECONDS.labels(status).set(oldest_s)
