"""The one statement that moves seats between free, held and sold."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from chassis.db import Transaction, table
from sqlalchemy import ARRAY, Integer, Uuid, bindparam, column, func, select, update
from sqlalchemy.sql.dml import ReturningUpdate

from booking.domain import Seats
from booking.models import TicketType


def _move() -> ReturningUpdate[UUID]:
    types = table(TicketType)
    wanted = (
        func.unnest(bindparam("wanted", type_=ARRAY(Uuid)), bindparam("quantities", type_=ARRAY(Integer)))
        .table_valued(column("id", Uuid), column("quantity", Integer), name="wanted")
        .render_derived()
    )
    locked = (
        select(types.c.id, wanted.c.quantity)
        .join(wanted, wanted.c.id == types.c.id)
        .order_by(types.c.id)
        .with_for_update(of=types, key_share=True)
        .cte("locked")
    )
    held = types.c.held + bindparam("by_held", type_=Integer) * locked.c.quantity
    sold = types.c.sold + bindparam("by_sold", type_=Integer) * locked.c.quantity
    return (
        update(types)
        .where(types.c.id == locked.c.id, held + sold <= types.c.capacity)
        .values(held=held, sold=sold)
        .returning(types.c.id)
    )


MOVE = _move()
"""Locks the rows in the order of their ids, so that two bookings of the same types never wait for each other in a circle. A row that
somebody else changed meanwhile is checked as it is now, not as it was when the statement began.
"""


async def move(tx: Transaction, quantities: Mapping[UUID, int], by: Seats) -> dict[UUID, int]:
    """Adds `by` for each of the tickets to the counters of its type; returns the types and quantities for which there was room.

    Lock the booking before, and call this as late as possible: everybody who buys waits for these rows until the commit.
    """
    asked = {"wanted": list(quantities), "quantities": list(quantities.values())}
    moved = await tx.execute(MOVE, {**asked, "by_held": by.held, "by_sold": by.sold})
    return {type_id: quantities[type_id] for type_id in moved.scalars()}


async def take(tx: Transaction, quantities: Mapping[UUID, int], by: Seats) -> bool:
    """Takes all seats or none; False when one of them is gone."""
    moved = await move(tx, quantities, by)
    if len(moved) == len(quantities):
        return True
    if moved:
        await move(tx, moved, Seats(-by.held, -by.sold))
    return False


async def left(tx: Transaction, type_ids: Mapping[UUID, int]) -> dict[UUID, int]:
    """Free seats of each type at this moment."""
    types = table(TicketType)
    found = await tx.execute(
        select(types.c.id, types.c.capacity - types.c.held - types.c.sold).where(types.c.id.in_(type_ids))
    )
    return {row.id: row[1] for row in found}
