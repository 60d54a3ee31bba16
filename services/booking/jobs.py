"""What falls due in booking."""

from __future__ import annotations

from uuid import UUID

from chassis.db import Database

from booking import service


async def end_hold(database: Database, booking_id: UUID) -> None:
    """Ends the hold of one booking, unless it was paid meanwhile."""
    async with database.transaction() as tx:
        await service.expire_booking(tx, booking_id)
