"""The one statement that moves seats between free, held and sold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple
from uuid import UUID

from chassis.db import Transaction, table
from sqlalchemy import ARRAY, Integer, Select, Uuid, and_, bindparam, column, func, not_, or_, select, update

from booking.domain import Seats
from booking.models import TicketType


class Move(NamedTuple):
    """What a move found: whether there was room for all of it, and if not, why not."""

    made: bool
    closed: bool
    """The event is cancelled: no seat of it is taken any more."""
    left: dict[UUID, int]
    """Free seats of each type, before the move."""


def _move() -> Select[Any]:
    types = table(TicketType)
    wanted = (
        func.unnest(
            bindparam("wanted", type_=ARRAY(Uuid)),
            bindparam("by_held", type_=ARRAY(Integer)),
            bindparam("by_sold", type_=ARRAY(Integer)),
        )
        .table_valued(column("id", Uuid), column("held", Integer), column("sold", Integer), name="wanted")
        .render_derived()
    )
    taken = wanted.c.held + wanted.c.sold
    free = types.c.capacity - types.c.held - types.c.sold
    locked = (
        select(
            types.c.id,
            wanted.c.held,
            wanted.c.sold,
            types.c.closed,
            free.label("free"),
            or_(taken <= 0, and_(not_(types.c.closed), taken <= free)).label("fits"),
        )
        .join(wanted, wanted.c.id == types.c.id)
        .order_by(types.c.id)
        .with_for_update(of=types, key_share=True)
        .cte("locked")
    )
    judged = select(locked, func.bool_and(locked.c.fits).over().label("room")).cte("judged")
    moved = (
        update(types)
        .where(types.c.id == judged.c.id, judged.c.room)
        .values(held=types.c.held + judged.c.held, sold=types.c.sold + judged.c.sold)
        .cte("moved")
    )
    return select(judged.c.id, judged.c.closed, judged.c.free, judged.c.room).add_cte(moved)


MOVE = _move()
"""All or nothing. Locks the rows in the order of their ids, so that two bookings of the same types never wait for each other in a circle.
A row that somebody else changed meanwhile is judged as it is now, not as it was when the statement began.
"""


async def move(tx: Transaction, by: Mapping[UUID, Seats]) -> Move:
    """Adds to the counters of each type, where there is room for all of it. Giving seats back always has room.

    Lock the booking before, and call this as late as possible: everybody who buys waits for these rows until the commit.
    """
    added = {"by_held": [seats.held for seats in by.values()], "by_sold": [seats.sold for seats in by.values()]}
    rows = (await tx.execute(MOVE, {"wanted": list(by), **added})).all()
    return Move(
        made=all(row.room for row in rows),
        closed=any(row.closed for row in rows),
        left={row.id: row.free for row in rows},
    )
