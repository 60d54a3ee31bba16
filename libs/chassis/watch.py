"""Gauges of what rests in a service's tables, for an operator: set anew for as long as the service runs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, func, select

from chassis.db import Database, Transaction
from chassis.loops import repeat

WATCH_S = 10.0

S = TypeVar("S", bound=str)


async def watch(database: Database, measure: Callable[[Transaction], Awaitable[None]], what: str) -> None:
    """Measures for ever. During an outage of the database the gauges stay as they are, and the log says that `what` cannot be counted."""

    async def look() -> None:
        async with database.transaction() as tx:
            await measure(tx)

    await repeat(look, WATCH_S, f"{what} cannot be counted")


async def by_status(
    tx: Transaction, status: ColumnElement[Any], since: ColumnElement[Any], shown: Iterable[S]
) -> AsyncIterator[tuple[S, int, float]]:
    """Each of `shown`, with how many rows have it and the age of the oldest in seconds, both 0 where there is none."""
    wanted = list(shown)
    counted = await tx.execute(select(status, func.count(), func.min(since)).where(status.in_(wanted)).group_by(status))
    found = {name: (count, oldest) for name, count, oldest in counted}
    for name in wanted:
        count, oldest = found.get(name, (0, tx.now))
        yield name, count, (tx.now - oldest).total_seconds()
