"""Shows an operator which refunds have no outcome, and since when."""

from __future__ import annotations

import asyncio

import structlog
from chassis.db import DATABASE_ERRORS, Database, Transaction, reason, table
from chassis.relay import wait
from sqlalchemy import func, select

from refund import metrics
from refund.domain import UNFINISHED, Status
from refund.models import Refund

log = structlog.get_logger(__name__)

WATCH_S = 10.0
SHOWN = sorted(UNFINISHED | {Status.FAILED})


async def watch(database: Database) -> None:
    """Measures for ever."""
    while True:
        try:
            async with database.transaction() as tx:
                await measure(tx)
        except DATABASE_ERRORS as error:
            log.warning("unfinished refunds cannot be counted", error=reason(error))
        await wait(asyncio.Event(), WATCH_S)


async def measure(tx: Transaction) -> None:
    """Sets the gauges."""
    refunds = table(Refund)
    counted = await tx.execute(
        select(refunds.c.status, func.count(), func.min(refunds.c.created_at))
        .where(refunds.c.status.in_(SHOWN))
        .group_by(refunds.c.status)
    )
    found = {status: (count, since) for status, count, since in counted}
    for status in SHOWN:
        count, since = found.get(status, (0, tx.now))
        metrics.UNFINISHED.labels(status).set(count)
        metrics.OLDEST_SECONDS.labels(status).set((tx.now - since).total_seconds())
