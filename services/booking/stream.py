"""Tells a waiting page that its booking changed: server-sent events, fed by the commits of this process.

One poller for all pages finds what other processes changed. It costs nothing while nobody waits, and leaves the commits alone: a
NOTIFY in each would cost a third of their peak rate.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

import structlog
from chassis.crypto import Sealer
from chassis.db import DATABASE_ERRORS, Database, table
from chassis.relay import wait
from sqlalchemy import select

from booking import service
from booking.domain import RefundState, Status
from booking.models import Booking
from booking.schemas import BookingRead

log = structlog.get_logger(__name__)

POLL_S = 1.0
HEARTBEAT_S = 15.0
LONGEST = timedelta(minutes=15)
"""A page that waits longer connects anew, which also checks its token anew."""


@dataclass(eq=False)
class Watcher:
    """One waiting page: the revision that it was shown, and whether there is a newer one."""

    booking_id: UUID
    shown: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class Changes:
    """The bookings that pages of this process wait for."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._watchers: set[Watcher] = set()
        self._poller: asyncio.Task[None] | None = None
        self._left = asyncio.Event()
        database.tell_watchers = self.wake

    def wake(self, booking_id: UUID) -> None:
        """Somebody in this process has changed the booking."""
        for watcher in self._watchers:
            if watcher.booking_id == booking_id:
                watcher.changed.set()

    @contextmanager
    def watching(self, booking_id: UUID) -> Iterator[Watcher]:
        """A watcher whose `changed` is set when the booking's revision is above `shown`."""
        watcher = Watcher(booking_id)
        self._watchers.add(watcher)
        self._left.clear()
        if self._poller is None or self._poller.done():
            self._poller = asyncio.create_task(self._poll())
        try:
            yield watcher
        finally:
            self._watchers.discard(watcher)
            if not self._watchers:
                self._left.set()

    async def _poll(self) -> None:
        """Runs while anybody waits. An outage of the database is waited out."""
        while self._watchers:
            try:
                await self.look()
            except DATABASE_ERRORS as error:
                log.warning("bookings cannot be watched", error=type(error).__name__)
            await wait(self._left, POLL_S)

    async def look(self) -> None:
        """Reads the revisions of all that are watched, once."""
        bookings = table(Booking)
        watched = {watcher.booking_id for watcher in self._watchers}
        async with self._database.single() as tx:
            found = await tx.execute(select(bookings.c.id, bookings.c.revision).where(bookings.c.id.in_(watched)))
            revisions = {row.id: row.revision for row in found}
        for watcher in self._watchers:
            if revisions.get(watcher.booking_id, 0) > watcher.shown:
                watcher.changed.set()


async def updates(database: Database, sealer: Sealer, changes: Changes, booking_id: UUID) -> AsyncGenerator[str, None]:
    """The booking now and after every change, until nothing more is awaited. Its revision only grows from one to the next."""
    ends_at = database.clock.now() + LONGEST
    with changes.watching(booking_id) as watcher:
        while database.clock.now() < ends_at:
            # Before the read: a change that is told while it is read or sent leads to another read.
            watcher.changed.clear()
            async with database.single() as tx:
                booking = await service.read_booking(tx, sealer, booking_id)
            if booking.revision > watcher.shown:
                watcher.shown = booking.revision
                yield f"event: booking\nid: {booking.revision}\ndata: {booking.model_dump_json()}\n\n"
            if settled(booking):
                return
            await wait(watcher.changed, HEARTBEAT_S)
            if not watcher.changed.is_set():
                yield ": nothing new\n\n"


async def begun(updates: AsyncGenerator[str, None]) -> AsyncIterator[str]:
    """The same once its first update is there, so that a booking that is not there can be answered as a 404. Raises NotFound."""
    first = await anext(updates)

    async def whole() -> AsyncIterator[str]:
        async with aclosing(updates):
            yield first
            async for update in updates:
                yield update

    return whole()


def settled(booking: BookingRead) -> bool:
    """Whether nothing more is awaited. An expired booking may still be paid late."""
    return booking.status in {Status.CONFIRMED, Status.CANCELLED} and booking.refund_state is not RefundState.PENDING
