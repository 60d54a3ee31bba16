"""Holds that end, and what stands behind the code: the database's own checks and rights."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import asyncpg
import pytest
from booking.jobs import end_hold
from contracts.booking import BookingExpired

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
    """The job may come early, by a clock that leapt or a claim that was made twice: the fact decides, not the job."""
    booking = await office.book(await office.create_event())
    await end_hold(office.service.database, UUID(booking["id"]))
    assert await office.read(booking) == booking
    await office.expire(booking)
    await end_hold(office.service.database, UUID(booking["id"]))
    assert await expirations(office, booking) == 1


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
        ("UPDATE bookings SET given_back = '[]'", "check"),
        ('UPDATE bookings SET given_back = \'{"a": "b"}\'', "check"),
        ("UPDATE events SET cancellation_due_at = now()", "check"),
        ("UPDATE events SET cancellation = '{}'", "check"),
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
