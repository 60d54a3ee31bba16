"""Events: what may be put on sale, by whom, and what anyone sees of it."""

from __future__ import annotations

import secrets
from typing import Any
from urllib.parse import quote_plus
from uuid import UUID, uuid4

import pytest
from chassis.audit import AuditRow
from chassis.db import table
from sqlalchemy import select

from tests.booking.conftest import TICKET, BoxOffice, event_body


async def test_an_event_is_shown_as_it_was_created(office: BoxOffice) -> None:
    created = await office.create_event(TICKET, {**TICKET, "name": "Rang", "price_minor": 0, "capacity": 0})
    assert await office.shown(created) == created
    assert created["refund_policy"] == {
        "policy_id": "default",
        "policy_version": 1,
        "tiers": [{"hours_before": 48, "percent": 100}, {"hours_before": 24, "percent": 50}],
        "fee_minor": 0,
    }
    assert created["status"] == "on_sale"
    assert [(kind["name"], kind["capacity"], kind["available"]) for kind in created["ticket_types"]] == [
        ("Parkett", 100, 100),
        ("Rang", 0, 0),
    ]


async def test_instants_come_from_the_zone(office: BoxOffice) -> None:
    """02:30 is shown twice that night: the first, unless the second is meant."""
    night = {"local_start": "2027-10-31T02:30:00", "local_end": "2027-10-31T04:00:00"}
    first = await office.create_event(**night)
    second = await office.create_event(**night, local_start_fold=1)
    assert (first["starts_at"], second["starts_at"]) == ("2027-10-31T00:30:00Z", "2027-10-31T01:30:00Z")
    assert first["local_start"] == "2027-10-31T02:30:00"


async def test_creating_an_event_leaves_an_audit_row(office: BoxOffice) -> None:
    created = await office.create_event()
    rows = table(AuditRow)
    async with office.service.database.transaction() as tx:
        found = (await tx.execute(select(rows).where(rows.c.subject == f"event/{created['id']}"))).one()
    assert (found.actor, found.action) == ("staff-1", "event.create")


async def test_only_managers_create_events(office: BoxOffice) -> None:
    body = event_body()
    assert (await office.post("/events", body)).status_code == 401
    for role in ("viewer", "refunder"):
        assert (await office.post("/events", body, office.service.staff(role))).status_code == 403
    assert (await office.post("/events", body, office.service.holder(uuid4()))).status_code == 403


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"timezone": "CEST"}, "timezone"),
        ({"timezone": "europe/berlin"}, "timezone"),
        ({"timezone": "localtime"}, "timezone"),
        ({"timezone": "../../etc/passwd"}, "timezone"),
        ({"local_start": "2027-03-28T02:30:00", "local_end": "2027-03-28T22:00:00"}, "local_start"),
        ({"local_start": "2027-05-01T20:00:00", "local_end": "2027-05-01T20:00:00"}, "local_end"),
        ({"local_start": "2027-05-01T20:00:00Z"}, "local_start"),
        ({"currency": "KWD"}, "currency"),
        ({"currency": "eur"}, "currency"),
        ({"name": " "}, "name"),
        ({"venue": "Oper\nhaus"}, "venue"),
        ({"name": "n" * 201}, "name"),
        ({"ticket_types": []}, "ticket_types"),
        ({"ticket_types": [{**TICKET, "price_minor": -1}]}, "ticket_types.0.price_minor"),
        ({"ticket_types": [{**TICKET, "price_minor": 42.5}]}, "ticket_types.0.price_minor"),
        ({"ticket_types": [{**TICKET, "price_minor": "42"}]}, "ticket_types.0.price_minor"),
        ({"ticket_types": [{**TICKET, "price_minor": 2**63}]}, "ticket_types.0.price_minor"),
        ({"ticket_types": [{**TICKET, "price_minor": 150}], "currency": "ISK"}, "ticket_types.0.price_minor"),
        ({"ticket_types": [{**TICKET, "tax_rate_bp": 10_001}]}, "ticket_types.0.tax_rate_bp"),
        ({"ticket_types": [{**TICKET, "capacity": -1}]}, "ticket_types.0.capacity"),
        ({"refund_policy": {"tiers": [{"hours_before": 1, "percent": 101}]}}, "refund_policy.tiers.0.percent"),
        (
            {"refund_policy": {"tiers": [{"hours_before": 1, "percent": 50}, {"hours_before": 2, "percent": 100}]}},
            "refund_policy.tiers",
        ),
        ({"surprise": True}, "surprise"),
    ],
)
async def test_what_cannot_be_sold_is_refused(office: BoxOffice, changes: dict[str, Any], field: str) -> None:
    answer = await office.post("/events", event_body(**changes), office.service.staff("manager"))
    assert answer.status_code == 422, answer.text
    assert field in [error["field"] for error in answer.json()["errors"]]


async def test_an_absent_event_is_404(office: BoxOffice) -> None:
    assert (await office.service.client.get(f"/events/{uuid4()}")).status_code == 404
    assert (await office.service.client.get("/events/none")).status_code == 422


async def test_events_are_paged_by_their_start(office: BoxOffice) -> None:
    """Pages neither repeat nor skip, also among events that start together; those that ended are left out unless asked for."""
    created = [await office.create_event(timezone=zone) for zone in ("UTC", "UTC", "Asia/Tokyo", "America/Lima")]
    ended = await office.create_event(local_start="2020-01-01T10:00:00", local_end="2020-01-01T12:00:00")
    seen = await pages(office, "")
    assert sorted(seen, key=lambda event: (event["starts_at"], UUID(event["id"]).int)) == seen
    assert len({event["id"] for event in seen}) == len(seen)
    assert {event["id"] for event in created} <= {event["id"] for event in seen}
    assert ended["id"] not in {event["id"] for event in seen}
    assert ended["id"] in {event["id"] for event in await pages(office, "&ended=true")}


async def test_a_cursor_that_was_never_given_is_refused(office: BoxOffice) -> None:
    answer = await office.service.client.get(f"/events?cursor={uuid4()}")
    assert answer.status_code == 422
    assert (await office.service.client.get("/events?limit=101")).status_code == 422
    assert (await office.service.client.get("/events?limit=0")).status_code == 422


async def test_events_are_found_by_parts_of_name_venue_and_day(office: BoxOffice) -> None:
    """All parts must be there, whatever their case; what means something to the database is a character like others."""
    mark = secrets.token_hex(4)
    may = {"local_start": "2031-05-04T20:00:00", "local_end": "2031-05-04T22:00:00", "timezone": "Asia/Tokyo"}
    june = {"local_start": "2031-06-01T20:00:00", "local_end": "2031-06-01T22:00:00"}
    first = await office.create_event(name=f"Tosca {mark}", venue="Oper", **may)
    second = await office.create_event(name=f"100% Tosca {mark}", venue="Zelt", **june)
    over = await office.create_event(
        name=f"Aida {mark}", venue="Oper", local_start="2020-01-01T10:00:00", local_end="2020-01-01T12:00:00"
    )

    async def found(words: str, query: str = "") -> list[str]:
        return [event["id"] for event in await pages(office, f"&q={quote_plus(f'{mark} {words}')}{query}")]

    assert await found("tosca") == [first["id"], second["id"]]
    assert await found("OPER tos") == [first["id"]]
    assert await found("oper", "&ended=true") == [over["id"], first["id"]]
    assert await found("", "&ended=true&latest_first=true") == [second["id"], first["id"], over["id"]]
    assert await found("2031-06") == await found("%") == [second["id"]]
    assert await found("2031-05-04") == [first["id"]], "the day is that of the event's own clocks"
    assert await found("T_sca") == await found("aida") == []
    assert len(await found("  ")) == 2
    for wrong in ("%00", "x" * 101):
        answer = await office.service.client.get(f"/events?q={wrong}")
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "q")


async def pages(office: BoxOffice, query: str) -> list[dict[str, Any]]:
    seen: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = (await office.service.client.get(f"/events?limit=2{query}{cursor}")).json()
        seen += page["items"]
        if page["next_cursor"] is None:
            return seen
        cursor = f"&cursor={page['next_cursor']}"
