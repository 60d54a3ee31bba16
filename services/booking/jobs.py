"""What falls due in booking."""

from __future__ import annotations

from uuid import UUID

from chassis.crypto import Sealer
from chassis.db import Database

from booking import cancellation, search, service


async def end_hold(database: Database, booking_id: UUID) -> None:
    """Ends the hold of one booking, unless it was paid meanwhile."""
    async with database.transaction() as tx:
        await service.expire_booking(tx, booking_id)


async def end_bookings(database: Database, event_id: UUID) -> None:
    """Ends the bookings of a cancelled event. Several may run at once, and whatever one of them leaves is found by the next."""
    last: UUID | None = cancellation.FIRST
    while last is not None:
        async with database.transaction() as tx:
            last = await cancellation.end_batch(tx, event_id, last)
    async with database.transaction() as tx:
        await cancellation.finish(tx, event_id)


async def index_name(database: Database, sealer: Sealer, booking_id: UUID) -> None:
    """Makes one booking of former times findable by name."""
    async with database.transaction() as tx:
        await search.index_name(tx, sealer, booking_id)
