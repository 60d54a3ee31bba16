"""Drafts, and what of an event may still be written: its description and new ticket types."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from booking.models import Event, TicketType
from chassis.audit import AuditRow
from chassis.db import table
from contracts.booking import EventCancelled, EventRescheduled
from httpx2 import Response
from sqlalchemy import select, update

from tests.booking.conftest import TICKET, BoxOffice, booking_body, event_body

BALCONY = {"name": "Balkon", "price_minor": 2500, "tax_rate_bp": 700, "capacity": 5}


async def publish(office: BoxOffice, event: dict[str, Any], role: str = "manager", key: str = "") -> Response:
    return await office.post(f"/events/{event['id']}/publish", None, office.service.staff(role), key)


async def change(office: BoxOffice, event: dict[str, Any], **body: Any) -> Response:
    return await office.service.client.patch(
        f"/events/{event['id']}", json=body, headers=office.service.staff("manager")
    )


async def listed(office: BoxOffice, role: str = "", **query: Any) -> dict[str, dict[str, Any]]:
    headers = office.service.staff(role) if role else {}
    found: dict[str, dict[str, Any]] = {}
    cursor: dict[str, str] = {}
    while True:
        answer = await office.service.client.get("/events", params=query | cursor | {"limit": 100}, headers=headers)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found |= {event["id"]: event for event in page["items"]}
        if page["next_cursor"] is None:
            return found
        cursor = {"cursor": page["next_cursor"]}


async def test_a_draft_is_there_for_staff_alone(office: BoxOffice) -> None:
    draft = await office.create_event(published=False)
    assert draft["status"] == "draft"
    assert await office.shown(draft, "viewer") == draft
    booking = await office.book(await office.create_event())
    for headers in ({}, office.service.holder(booking["id"])):
        answer = await office.service.client.get(f"/events/{draft['id']}", headers=headers)
        assert (answer.status_code, answer.json()["detail"]) == (404, "There is no such event.")
    assert draft["id"] not in await listed(office)
    assert draft["id"] not in await listed(office, "manager")
    assert (await listed(office, "viewer", drafts=True))[draft["id"]] == draft


async def test_only_staff_ask_for_drafts(office: BoxOffice) -> None:
    booking = await office.book(await office.create_event())
    get = office.service.client.get
    assert (await get("/events", params={"drafts": True})).status_code == 401
    assert (
        await get("/events", params={"drafts": True}, headers=office.service.holder(booking["id"]))
    ).status_code == 403
    assert (await get("/events", headers={"Authorization": "Bearer wrong"})).status_code == 401


async def test_seats_of_a_draft_are_not_booked(office: BoxOffice) -> None:
    """Neither by who asks, nor, should the event be read as it was, by the statement that takes seats."""
    draft = await office.create_event(published=False)
    answer = await office.post("/bookings", booking_body(draft))
    assert answer.status_code == 422
    assert answer.json()["errors"] == [{"field": "event_id", "message": "there is no such event"}]
    assert (await change(office, draft, ticket_types=[BALCONY])).status_code == 200
    types = table(TicketType)
    async with office.service.database.transaction() as tx:
        rows = await tx.execute(select(types.c.closed).where(types.c.event_id == UUID(draft["id"])))
        assert list(rows.scalars()) == [True, True]


async def test_a_draft_is_published_once(office: BoxOffice) -> None:
    draft = await office.create_event(published=False)
    for role in ("viewer", "refunder"):
        assert (await publish(office, draft, role)).status_code == 403
    answer = await publish(office, draft, key="publish-1")
    assert answer.status_code == 200, answer.text
    assert answer.json() == draft | {"status": "on_sale"}
    assert (await publish(office, draft, key="publish-1")).json() == answer.json()
    assert (await publish(office, draft)).json() == answer.json()
    assert (await office.post("/bookings", booking_body(draft))).status_code == 201
    rows = table(AuditRow)
    async with office.service.database.transaction() as tx:
        found = await tx.execute(select(rows.c.action, rows.c.actor).where(rows.c.subject == f"event/{draft['id']}"))
        assert [tuple(row) for row in found] == [("event.create", "staff-1"), ("event.publish", "staff-1")]


async def test_a_draft_whose_start_is_over_is_moved_and_then_published(office: BoxOffice) -> None:
    """A draft moves untold: nobody bought for another time."""
    draft = await office.create_event(published=False)
    await office.start_event(draft)
    answer = await publish(office, draft)
    assert (answer.status_code, answer.json()["state"]) == (409, "draft")
    start = (datetime.now(UTC) + timedelta(days=9)).replace(microsecond=0, tzinfo=None)
    moved = {"local_start": start.isoformat(), "local_end": (start + timedelta(hours=2)).isoformat(), "venue": "Oper"}
    answer = await change(office, draft, **moved)
    assert answer.status_code == 200, answer.text
    assert (answer.json()["venue"], answer.json()["full_refund_until"]) == ("Oper", None)
    assert (await change(office, draft, full_refund_days=3)).status_code == 422
    assert (await publish(office, draft)).json()["status"] == "on_sale"
    assert [e for e in await office.service.outbox_of(EventRescheduled) if str(e.event_id) == draft["id"]] == []


async def test_a_draft_is_not_cancelled(office: BoxOffice) -> None:
    draft = await office.create_event(published=False)
    manager = office.service.staff("manager")
    for query in ("", "?dry_run=true"):
        answer = await office.post(f"/events/{draft['id']}/cancel{query}", None, manager)
        assert (answer.status_code, answer.json()["state"]) == (409, "draft")
    assert [e for e in await office.service.outbox_of(EventCancelled) if str(e.event_id) == draft["id"]] == []
    await publish(office, draft)
    assert (await office.post(f"/events/{draft['id']}/cancel", None, manager)).status_code == 200
    assert (await publish(office, draft)).json()["status"] == "cancelled"


async def test_what_is_described_is_shown(office: BoxOffice) -> None:
    text = "An evening.\n\nDoors at 18:00.\tAsk info@opera.example"
    event = await office.create_event(description=f"  {text}\r\n")
    assert event["description"] == text
    assert (await office.shown(event, ""))["description"] == text
    assert (await change(office, event, description="Another")).json()["description"] == "Another"
    assert (await change(office, event, name="Tosca")).json()["description"] == "Another"
    assert (await change(office, event, description="")).json()["description"] is None
    for wrong in ("x" * 5001, "a\x00b", "a\x1bb"):
        answer = await change(office, event, description=wrong)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "description")
    answer = await office.post("/events", event_body(description="x" * 5001), office.service.staff("manager"))
    assert answer.status_code == 422


async def test_an_event_that_is_over_has_ended(office: BoxOffice) -> None:
    event = await office.create_event()
    await office.start_event(event)
    assert (await office.shown(event, ""))["status"] == "started"
    events, past = table(Event), datetime.now(UTC) - timedelta(seconds=1)
    async with office.service.database.transaction() as tx:
        await tx.execute(update(events).where(events.c.id == UUID(event["id"])).values(ends_at=past))
    assert (await office.shown(event, ""))["status"] == "ended"
    assert event["id"] not in await listed(office)
    assert (await listed(office, ended=True))[event["id"]]["status"] == "ended"


async def test_staff_see_what_is_held_and_sold(office: BoxOffice) -> None:
    event = await office.create_event(TICKET, {**TICKET, "name": "Rang"})
    await office.book(event, 2, 1)
    (first, second) = (await office.shown(event, "viewer"))["ticket_types"]
    assert (first["held"], first["sold"], first["available"]) == (2, 0, 98)
    assert (second["held"], second["sold"], second["available"]) == (1, 0, 99)
    for kind in (await office.shown(event, ""))["ticket_types"]:
        assert (kind["held"], kind["sold"]) == (None, None)
    (kind, _) = (await listed(office, "viewer"))[event["id"]]["ticket_types"]
    assert kind["held"] == 2


async def test_a_new_ticket_type_is_sold(office: BoxOffice) -> None:
    event = await office.create_event()
    answer = await change(office, event, ticket_types=[{"id": event["ticket_types"][0]["id"], "capacity": 1}, BALCONY])
    assert answer.status_code == 200, answer.text
    first, added = answer.json()["ticket_types"]
    assert (first["capacity"], added["name"], added["price"]["amount_minor"], added["tax_rate_bp"]) == (
        1,
        "Balkon",
        2500,
        700,
    )
    booking = await office.book(answer.json(), 1, 2)
    assert booking["total"]["amount_minor"] == 4200 + 2 * 2500
    again = await change(office, event, ticket_types=[BALCONY])
    assert (again.status_code, again.json()["errors"][0]["field"]) == (422, "ticket_types.0.name")
    assert len((await office.shown(event))["ticket_types"]) == 2
    rows = table(AuditRow)
    async with office.service.database.transaction() as tx:
        found = await tx.execute(
            select(rows.c.after).where(rows.c.subject == f"event/{event['id']}", rows.c.action == "event.change")
        )
        assert found.one().after["added"] == [{"id": added["id"], "price_minor": 2500, "capacity": 5}]


@pytest.mark.parametrize(
    ("kinds", "field"),
    [
        ([{"price_minor": 1000, "capacity": 1}], "ticket_types.0.name"),
        ([{"name": "A", "capacity": 1}], "ticket_types.0.price_minor"),
        ([{"name": "A", "price_minor": 1000}], "ticket_types.0.capacity"),
        ([{**BALCONY, "price_minor": 10**9}], "ticket_types.0.price_minor"),
        ([{**BALCONY, "capacity": -1}], "ticket_types.0.capacity"),
        ([BALCONY, {**BALCONY, "name": "BALKON"}], "ticket_types.1.name"),
        ([{**BALCONY, "name": "parkett"}], "ticket_types.0.name"),
        ([{**BALCONY, "name": f"Type {number}"} for number in range(50)], "ticket_types"),
    ],
)
async def test_a_type_that_cannot_be_is_refused(office: BoxOffice, kinds: list[dict[str, Any]], field: str) -> None:
    event = await office.create_event()
    answer = await change(office, event, ticket_types=kinds)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["field"] == field
    assert await office.shown(event) == event


async def test_a_type_is_renamed_and_its_tax_set_right_while_it_is_a_draft(office: BoxOffice) -> None:
    draft = await office.create_event(published=False)
    kind = {"id": draft["ticket_types"][0]["id"], "name": "Loge", "tax_rate_bp": 700}
    (changed,) = (await change(office, draft, ticket_types=[kind])).json()["ticket_types"]
    assert (changed["name"], changed["tax_rate_bp"]) == ("Loge", 700)
    await publish(office, draft)
    refused = await change(office, draft, ticket_types=[kind])
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "ticket_types.0.tax_rate_bp")


async def test_a_cancelled_event_gets_no_new_types(office: BoxOffice) -> None:
    event = await office.create_event()
    await office.cancel_event_unswept(event)
    answer = await change(office, event, ticket_types=[BALCONY])
    assert (answer.status_code, answer.json()["state"]) == (409, "cancelled")
