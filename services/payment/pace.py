"""How fast refunds may ask the provider, all replicas together: a mass refund stays below the provider's rate limit."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from chassis.db import Database, table
from chassis.relay import wait
from sqlalchemy import func, update

from payment.models import ProviderAccount


class Pace:
    """At most `per_s` turns a second, evenly spaced, by one row that all replicas move forward; 0 stands for no limit."""

    def __init__(self, database: Database, per_s: int, provider: str = "stripe") -> None:
        self._database = database
        self._gap = timedelta(seconds=1 / per_s) if per_s else timedelta(0)
        self._provider = provider

    async def turn(self) -> None:
        """Waits for the next turn."""
        if not self._gap:
            return
        accounts = table(ProviderAccount)
        async with self._database.transaction() as tx:
            taken = await tx.execute(
                update(accounts)
                .where(accounts.c.provider == self._provider)
                .values(next_refund_at=func.greatest(accounts.c.next_refund_at, tx.now) + self._gap)
                .returning(accounts.c.next_refund_at)
            )
            remaining = taken.scalar_one() - self._gap - tx.now
        if remaining > timedelta(0):
            await wait(asyncio.Event(), remaining.total_seconds())
