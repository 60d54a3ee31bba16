"""Changing an event: what buyers are told, what bookings keep, and what is refused."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from booking.models import Event
from chassis.audit import AuditRow
from chassis.db import table
from contracts.booking import BookingCancelled, EventRescheduled
from httpx2 import Response
from sqlalchemy import select, update

from tests.booking.conftest import TICKET, BoxOffice, booking_body, payment_of

LOCAL = "%Y-%m-%dT%H:%M:%S"


async def change(office: BoxOffice, event: dict[str, Any], *, role: str = "manager", **body: Any) -> Response:
    return await office.service.client.patch(f"/events/{event['id']}", json=body, headers=office.service.staff(role))


async def changed(office: BoxOffice, event: dict[str, Any], **body: Any) -> dict[str, Any]:
    answer = await change(office, event, **body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    assert await office.shown(event) == found
    return found


def moved(event: dict[str, Any], **by: float) -> dict[str, str]:
    delta = timedelta(**by)
    return {
        name: (datetime.fromisoformat(event[name]) + delta).strftime(LOCAL) for name in ("local_start", "local_end")
    }


def zulu(instant: datetime | None) -> str | None:
    return instant and instant.isoformat().replace("+00:00", "Z")


async def test_a_moved_event_is_told_and_bookings_keep_their_facts(office: BoxOffice) -> None:
    """Who booked sees both times; who books now gets the new one; another day gives everything back for a while."""
    event = await office.create_event(refund_policy={"tiers": []})
    booking = await office.book(event)
    assert (booking["current_event"], booking["full_refund_until"]) == (None, None)
    now = await changed(office, event, **moved(event, days=1))
    assert (now["local_start"], now["timezone"]) == (moved(event, days=1)["local_start"], "Europe/Berlin")
    (rescheduled,) = await office.told(event, EventRescheduled)
    assert (rescheduled.version, zulu(rescheduled.previous_starts_at)) == (1, event["starts_at"])
    assert zulu(rescheduled.event.starts_at) == now["starts_at"] != event["starts_at"]
    assert zulu(rescheduled.event.ends_at) == now["ends_at"]
    assert rescheduled.full_refund_until == rescheduled.occurred_at + timedelta(days=14)
    assert zulu(rescheduled.full_refund_until) == now["full_refund_until"]

    read = await office.read(booking)
    assert read["event"] == booking["event"]
    assert read["current_event"]["starts_at"] == now["starts_at"]
    assert read["full_refund_until"] == now["full_refund_until"]
    later = await office.book(event)
    assert (later["event"], later["current_event"]) == (read["current_event"], None)
    await office.cancel(booking)
    (ended,) = [e for e in await office.service.outbox_of(BookingCancelled) if str(e.booking_id) == booking["id"]]
    stated = ended.event_dates
    assert stated is not None, "what goes back is decided by the dates of that moment"
    assert (zulu(stated.starts_at), zulu(stated.full_refund_until)) == (now["starts_at"], now["full_refund_until"])


async def test_an_hour_later_is_told_without_a_window_and_keeps_a_standing_one(office: BoxOffice) -> None:
    event = await office.create_event()
    assert (await changed(office, event, **moved(event, hours=1)))["full_refund_until"] is None
    given = await changed(office, event, **moved(event, hours=2), full_refund_days=7)
    again = await changed(office, event, **moved(event, hours=1))
    assert again["full_refund_until"] == given["full_refund_until"] is not None
    first, second, third = await office.told(event, EventRescheduled)
    assert [rescheduled.version for rescheduled in (first, second, third)] == [1, 2, 3]
    assert first.full_refund_until is None
    assert second.full_refund_until == third.full_refund_until
    assert third.previous_starts_at == second.event.starts_at


async def test_another_venue_is_a_move(office: BoxOffice) -> None:
    event = await office.create_event(refund_policy={"tiers": []})
    now = await changed(office, event, venue="Philharmonie", full_refund_days=3)
    (rescheduled,) = await office.told(event, EventRescheduled)
    assert (rescheduled.event.venue, zulu(rescheduled.previous_starts_at)) == ("Philharmonie", event["starts_at"])
    assert rescheduled.full_refund_until == rescheduled.occurred_at + timedelta(days=3)
    assert now["starts_at"] == event["starts_at"]
    assert await changed(office, event, venue="Philharmonie", full_refund_days=3) == now
    assert len(await office.told(event, EventRescheduled)) == 1


async def test_a_new_name_is_shown_and_not_told(office: BoxOffice) -> None:
    event = await office.create_event()
    booking = await office.book(event)
    assert (await changed(office, event, name="Don Giovanni"))["name"] == "Don Giovanni"
    assert await office.told(event, EventRescheduled) == []
    read = await office.read(booking)
    assert (read["event"]["name"], read["current_event"]["name"]) == (event["name"], "Don Giovanni")
    assert (await changed(office, event))["name"] == "Don Giovanni"


async def test_new_prices_are_for_new_bookings(office: BoxOffice) -> None:
    event = await office.create_event(TICKET, {**TICKET, "name": "Rang"})
    booking = await office.book(event, 1, 1)
    now = await changed(office, event, ticket_types=[{"id": event["ticket_types"][0]["id"], "price_minor": 5000}])
    assert [offered["price"]["amount_minor"] for offered in now["ticket_types"]] == [5000, 4200]
    assert (await office.read(booking))["total"] == booking["total"]
    assert (await office.book(event, 1, 1))["total"]["amount_minor"] == 9200
    await office.service.deliver_and_wait(payment_of(booking).succeeded())
    assert (await office.read(booking))["status"] == "confirmed"


async def test_capacity_is_never_below_what_is_taken(office: BoxOffice) -> None:
    """The numbers are told, and nothing of the change is done."""
    event = await office.create_event(TICKET, {**TICKET, "name": "Rang"})
    first, second = (offered["id"] for offered in event["ticket_types"])
    booking = await office.book(event, 3)
    await office.service.deliver_and_wait(payment_of(booking).succeeded())
    await office.book(event, 2)
    both = [{"id": second, "capacity": 7}, {"id": first, "capacity": 4}]
    answer = await change(office, event, name="Other", ticket_types=both)
    assert (answer.status_code, answer.json()["state"]) == (409, "seats_taken")
    assert answer.json()["taken"] == [{"ticket_type_id": first, "capacity": 4, "held": 2, "sold": 3}]
    assert (await office.service.client.get(f"/events/{event['id']}")).json()["name"] == event["name"]
    now = await changed(office, event, ticket_types=[{"id": second, "capacity": 7}, {"id": first, "capacity": 5}])
    assert [offered["available"] for offered in now["ticket_types"]] == [0, 7]
    assert (await office.post("/bookings", booking_body(event, 1))).json()["state"] == "sold_out"


async def test_capacity_is_cut_while_seats_are_sold(office: BoxOffice) -> None:
    """Whatever comes first: buyers get what is there, and the cut is refused where they were faster."""
    event = await office.create_event({**TICKET, "capacity": 30})
    cut = [{"id": event["ticket_types"][0]["id"], "capacity": 15}]
    answers = await asyncio.gather(
        *(office.post("/bookings", booking_body(event)) for _ in range(20)),
        change(office, event, ticket_types=cut),
        *(office.post("/bookings", booking_body(event)) for _ in range(20)),
    )
    sold = Counter(answer.status_code for answer in answers)[201]
    assert sold == (15 if answers[20].status_code == 200 else 30)
    assert await office.seats(event) == [(sold, 0)]


async def test_a_customer_cancels_until_the_start_as_it_is_now(office: BoxOffice) -> None:
    """The promised start is over, the event was moved: it has not begun."""
    event = await office.create_event()
    booking = await office.book(event)
    await office.start_event(event)
    assert (await office.cancel(booking)).status_code == 409
    events, later = table(Event), datetime.now(UTC) + timedelta(hours=1)
    async with office.service.database.transaction() as tx:
        await tx.execute(update(events).where(events.c.id == UUID(event["id"])).values(starts_at=later))
    assert (await office.cancel(booking)).status_code == 200


async def test_a_change_leaves_an_audit_row(office: BoxOffice) -> None:
    event = await office.create_event()
    cut = [{"id": event["ticket_types"][0]["id"], "capacity": 50}]
    await changed(office, event, venue="Philharmonie", ticket_types=cut)
    rows = table(AuditRow)
    wanted = select(rows).where(rows.c.subject == f"event/{event['id']}", rows.c.action == "event.change")
    async with office.service.database.transaction() as tx:
        found = (await tx.execute(wanted)).one()
    assert (found.actor, found.after["fields"], found.after["ticket_types"]) == ("staff-1", ["venue"], cut)


async def test_a_started_event_is_not_changed(office: BoxOffice) -> None:
    event = await office.create_event()
    await office.start_event(event)
    answer = await change(office, event, name="Other")
    assert (answer.status_code, answer.json()["state"]) == (409, "started")


async def test_only_managers_change_events(office: BoxOffice) -> None:
    event = await office.create_event()
    assert (await office.service.client.patch(f"/events/{event['id']}", json={})).status_code == 401
    for role in ("viewer", "refunder"):
        assert (await change(office, event, role=role, name="Other")).status_code == 403
    assert (await change(office, {"id": uuid4()}, name="Other")).status_code == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": " "}, "name"),
        ({"venue": "Oper\nhaus"}, "venue"),
        ({"timezone": "CEST"}, "timezone"),
        ({"local_start": "2020-01-01T20:00:00"}, "local_start"),
        ({"local_start": "2031-03-30T02:30:00", "local_end": "2031-03-30T22:00:00"}, "local_start"),
        ({"local_start": "2031-04-01T20:00:00"}, "local_end"),
        ({"local_end": "2020-04-01T20:00:00"}, "local_end"),
        ({"full_refund_days": 7}, "full_refund_days"),
        ({"full_refund_days": 0, "venue": "Oper"}, "full_refund_days"),
        ({"full_refund_days": 366, "venue": "Oper"}, "full_refund_days"),
        ({"ticket_types": [{"id": str(uuid4()), "capacity": 1}]}, "ticket_types.0.id"),
        ({"ticket_types": [{"id": "FIRST", "capacity": -1}]}, "ticket_types.0.capacity"),
        ({"ticket_types": [{"id": "FIRST", "price_minor": 10**9}]}, "ticket_types.0.price_minor"),
        ({"ticket_types": [{"id": "FIRST"}, {"id": "FIRST"}]}, "ticket_types.1.id"),
        ({"ticket_types": [{"id": "FIRST", "tax_rate_bp": 1}]}, "ticket_types.0.tax_rate_bp"),
        ({"currency": "USD"}, "currency"),
    ],
)
async def test_what_cannot_be_is_refused(office: BoxOffice, body: dict[str, Any], field: str) -> None:
    event = await office.create_event()
    for kind in body.get("ticket_types", ()):
        kind["id"] = event["ticket_types"][0]["id"] if kind["id"] == "FIRST" else kind["id"]
    answer = await change(office, event, **body)
    assert answer.status_code == 422, answer.text
    assert field in [error["field"] for error in answer.json()["errors"]]
    assert await office.shown(event) == event
    assert await office.told(event, EventRescheduled) == []
