"""What was sold, by day and by event."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from booking.models import Booking
from chassis.db import table
from sqlalchemy import update

from tests.booking.conftest import TICKET, BoxOffice, payment_of

APRIL = {"since": "2031-04-01", "until": "2031-05-01", "timezone": "Europe/Berlin"}


async def sales(office: BoxOffice, **query: Any) -> dict[str, list[dict[str, Any]]]:
    answer = await office.service.client.get("/analytics/events", params=query, headers=office.service.staff("viewer"))
    assert answer.status_code == 200, answer.text
    found: dict[str, list[dict[str, Any]]] = answer.json()
    return found


async def sold(office: BoxOffice, event: dict[str, Any], tickets: int, at: datetime) -> dict[str, Any]:
    """A booking that was confirmed at that instant."""
    booking = await office.book(event, tickets)
    await office.service.deliver_and_wait(payment_of(booking).succeeded())
    rows = table(Booking)
    async with office.service.database.transaction() as tx:
        await tx.execute(update(rows).where(rows.c.id == UUID(booking["id"])).values(confirmed_at=at))
    return booking


async def test_sales_are_counted_by_the_day_of_the_zone_and_add_up(office: BoxOffice) -> None:
    """23:30 in UTC is the next day in Berlin. What was cancelled later was sold all the same; what was never paid was not."""
    opera = await office.create_event(name="Tosca")
    yen = await office.create_event({**TICKET, "price_minor": 900}, name="Noh", currency="JPY", timezone="Asia/Tokyo")
    await sold(office, opera, 2, datetime(2031, 3, 31, 22, 0, tzinfo=UTC))  # 1 April, 00:00
    gone = await sold(office, opera, 1, datetime(2031, 4, 2, 23, 30, tzinfo=UTC))  # 3 April
    await sold(office, yen, 3, datetime(2031, 4, 3, 10, 0, tzinfo=UTC))
    await sold(office, opera, 5, datetime(2031, 3, 31, 21, 59, tzinfo=UTC))  # still March
    await sold(office, opera, 7, datetime(2031, 4, 30, 22, 0, tzinfo=UTC))  # 1 May, not part of it
    await office.book(opera, 4)
    await office.cancel(gone)

    found = await sales(office, **APRIL)
    assert found["by_day"] == [
        {"day": "2031-04-01", "currency": "EUR", "bookings": 1, "tickets": 2, "gross_minor": 8400},
        {"day": "2031-04-03", "currency": "EUR", "bookings": 1, "tickets": 1, "gross_minor": 4200},
        {"day": "2031-04-03", "currency": "JPY", "bookings": 1, "tickets": 3, "gross_minor": 2700},
    ]
    assert found["by_event"] == [
        {
            "event_id": opera["id"], "name": "Tosca", "currency": "EUR", "bookings": 2, "tickets": 3, "gross_minor": 12600,
            "capacity": 100, "sold": 14,
        },
        {
            "event_id": yen["id"], "name": "Noh", "currency": "JPY", "bookings": 1, "tickets": 3, "gross_minor": 2700,
            "capacity": 100, "sold": 3,
        },
    ]  # fmt: skip
    in_utc = await sales(office, since="2031-03-31", until="2031-04-01")
    assert [(row["tickets"], row["gross_minor"]) for row in in_utc["by_day"]] == [(7, 7 * 4200)]
    assert await sales(office, since="2033-01-01", until="2033-12-31") == {"by_day": [], "by_event": []}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"until": "2031-04-01"}, "until"),
        ({"until": "2031-03-01"}, "until"),
        ({"until": "2032-04-03"}, "until"),
        ({"until": "9999-12-31"}, "until"),
        ({"since": "x"}, "since"),
        ({"timezone": "CEST"}, "timezone"),
        ({"timezone": "Europe/Berlin'"}, "timezone"),
    ],
)
async def test_a_period_that_cannot_be_is_refused(office: BoxOffice, query: dict[str, str], field: str) -> None:
    answer = await office.service.client.get(
        "/analytics/events", params=APRIL | query, headers=office.service.staff("viewer")
    )
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["field"] == field


async def test_only_staff_see_sales(office: BoxOffice) -> None:
    booking = await office.book(await office.create_event())
    get = office.service.client.get
    assert (await get("/analytics/events", params=APRIL)).status_code == 401
    holder = office.service.holder(booking["id"])
    assert (await get("/analytics/events", params=APRIL, headers=holder)).status_code == 403
