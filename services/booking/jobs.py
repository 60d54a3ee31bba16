"""What falls due in booking."""

from __future__ import annotations

from uuid import UUID

from chassis.db import Database

from booking import cancellation, service


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
