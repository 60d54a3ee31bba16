"""Holds that end, and what stands behind the code: the database's own checks and rights."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from booking.models import Booking
from chassis.db import table
from contracts.booking import BookingExpired
from sqlalchemy import select, update

from tests.booking.conftest import TICKET, BoxOffice
from tests.conftest import Vhost
from tests.support.service import as_role, eventually, running_service


async def expirations(office: BoxOffice, booking: dict[str, Any]) -> int:
    return len([e for e in await office.service.outbox_of(BookingExpired) if str(e.booking_id) == booking["id"]])


async def test_a_hold_ends_by_itself(office: BoxOffice) -> None:
    event = await office.create_event({**TICKET, "capacity": 1})
    booking = await office.book(event)
    await office.expire(booking)
    assert await expirations(office, booking) == 1
    assert await office.seats(event) == [(0, 0)]
    assert (await office.book(event))["status"] == "pending_payment"
    refused = await office.cancel(booking)
    assert (refused.status_code, refused.json()["state"]) == (409, "expired")


async def test_a_hold_ends_not_before_its_time(office: BoxOffice) -> None:
    """A clock that leapt back between claim and work, or a claim of a row whose worker died: the fact decides, not the job."""
    booking = await office.book(await office.create_event())
    bookings = table(Booking)
    this = bookings.c.id == UUID(booking["id"])
    async with office.service.database.transaction() as tx:
        await tx.execute(update(bookings).where(this).values(expiry_due_at=datetime.now(UTC) - timedelta(seconds=1)))

    async def worked_on() -> bool:
        async with office.service.database.transaction() as tx:
            due = (await tx.execute(select(bookings.c.expiry_due_at).where(this))).scalar_one()
        return bool(due > datetime.now(UTC))

    await eventually(worked_on)
    assert (await office.read(booking))["status"] == "pending_payment"


async def test_holds_are_as_long_as_configured(postgres_url: str, broker_vhost: Vhost) -> None:
    """And they end without anybody's help."""
    async with running_service("booking", postgres_url, broker_vhost, BOOKING_HOLD_SECONDS="1") as service:
        office = BoxOffice(service)
        booking = await office.book(await office.create_event())

        async def expired() -> bool:
            return (await office.read(booking))["status"] == "expired"

        await eventually(expired, at_most_s=5)


@pytest.mark.parametrize(
    ("statement", "refused"),
    [
        ("UPDATE ticket_types SET held = capacity + 1", "check"),
        ("UPDATE ticket_types SET sold = -1", "check"),
        ("UPDATE bookings SET status = 'confirmed', expiry_due_at = NULL", "check"),
        ("UPDATE bookings SET status = 'paid'", "check"),
        ("UPDATE bookings SET status = 'cancelled', expiry_due_at = NULL", "check"),
        ("UPDATE bookings SET expiry_due_at = NULL", "check"),
        ("UPDATE bookings SET refunded_minor = total_minor + 1", "check"),
        ("UPDATE tickets SET gross_minor = 0", "permission"),
        ("DELETE FROM tickets", "permission"),
        ("DROP TABLE tickets", "owner"),
    ],
)
async def test_the_database_refuses_what_must_not_be(office: BoxOffice, statement: str, refused: str) -> None:
    """Whatever path a statement comes by, as the service's own role."""
    await office.book(await office.create_event())
    url = as_role(office.service.url, "booking").replace("postgresql+asyncpg", "postgresql")
    connection = await asyncpg.connect(url)
    try:
        with pytest.raises(asyncpg.PostgresError, match=refused):
            await connection.execute(f"BEGIN; {statement}; ROLLBACK")
    finally:
        await connection.close()
