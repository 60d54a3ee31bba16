"""Staff find bookings, although names, addresses and codes rest sealed."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from booking.models import Booking, BookingName
from chassis import csv_export
from chassis.audit import AuditRow
from chassis.db import table
from sqlalchemy import delete, select, text, update

from tests.booking.conftest import TICKET, BoxOffice, booking_body, payment_of
from tests.support.service import eventually


async def book(office: BoxOffice, event: dict[str, Any], name: str, email: str) -> str:
    body = {**booking_body(event), "contact": {"name": name, "email": email}}
    answer = await office.post("/bookings", body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["booking"]["id"])


async def found(office: BoxOffice, **query: Any) -> list[str]:
    answer = await office.service.client.get("/bookings", params=query, headers=office.service.staff("viewer"))
    assert answer.status_code == 200, answer.text
    return [booking["id"] for booking in answer.json()["items"]]


async def test_a_booking_is_found_by_name_address_code_and_id(office: BoxOffice) -> None:
    event = await office.create_event({**TICKET, "price_minor": 0})
    jose = await book(office, event, "José Anne-Marie Müller", "Jose@Example.COM")
    other = await book(office, event, "Josephine Muller", "other@example.com")
    code = (await office.read({"id": jose}))["tickets"][0]["code"]
    only = {"event_id": event["id"]}
    for q in (
        "jose",
        "MULLER jose",
        "müller, Marie",
        "jose@example.com",
        code,
        code.lower(),
        jose,
        f" {jose.upper()} ",
    ):
        assert await found(office, q=q, **only) == [jose], q
    assert await found(office, q="muller", **only) == [other, jose]
    assert await found(office, q="  ", **only) == [other, jose]
    for q in ("jos", "jose josephine", "nobody@example.com", "!!!", "%", "@", code[:-1], event["id"]):
        assert await found(office, q=q, **only) == [], q


async def test_a_search_keeps_to_the_other_filters_and_to_pages(office: BoxOffice) -> None:
    event, elsewhere = await office.create_event(), await office.create_event()
    ids = [await book(office, event, f"Grace Hopper {number}", "grace@example.com") for number in range(3)]
    await book(office, elsewhere, "Grace Hopper", "grace@example.com")
    assert await found(office, q="hopper grace", event_id=event["id"]) == ids[::-1]
    assert await found(office, q="grace@example.com", event_id=event["id"], status="confirmed") == []
    assert await found(office, q="hopper", event_id=event["id"], limit=2) == ids[:0:-1]
    assert await found(office, q="hopper", event_id=event["id"], limit=2, cursor=ids[1]) == [ids[0]]
    assert await found(office, email="grace@example.com", q="1", event_id=event["id"]) == [ids[1]]


async def test_only_staff_search(office: BoxOffice) -> None:
    booking = await office.book(await office.create_event())
    for path in ("/bookings", "/bookings.csv"):
        assert (await office.service.client.get(path, params={"q": "ada"})).status_code == 401
        headers = office.service.holder(booking["id"])
        assert (await office.service.client.get(path, params={"q": "ada"}, headers=headers)).status_code == 403
    answer = await office.service.client.get(
        "/bookings", params={"q": "x" * 300}, headers=office.service.staff("viewer")
    )
    assert answer.status_code == 422


async def test_words_of_names_rest_as_keyed_indexes(office: BoxOffice) -> None:
    booking = UUID(await book(office, await office.create_event(), "Zerlina Zerlina Masetto", "z@example.com"))
    names = table(BookingName)
    async with office.service.database.transaction() as tx:
        rows = list((await tx.execute(select(names.c.word_index).where(names.c.booking_id == booking))).scalars())
    assert sorted(rows) == sorted(
        office.service.sealer.blind_index(word, "booking.name") for word in ("zerlina", "masetto")
    )


async def test_a_booking_of_former_times_becomes_findable(office: BoxOffice) -> None:
    """As the migration leaves it: no words, and the job due."""
    event = await office.create_event()
    booking = await book(office, event, "Donna Elvira", "elvira@example.com")
    names, bookings = table(BookingName), table(Booking)
    async with office.service.database.transaction() as tx:
        await tx.execute(delete(names).where(names.c.booking_id == UUID(booking)))
    assert await found(office, q="elvira", event_id=event["id"]) == []
    async with office.service.database.transaction() as tx:
        await tx.execute(update(bookings).where(bookings.c.id == UUID(booking)).values(names_due_at=tx.now))

    async def is_found() -> bool:
        return await found(office, q="elvira donna", event_id=event["id"]) == [booking]

    await eventually(is_found)
    async with office.service.database.transaction() as tx:
        due = await tx.execute(select(bookings.c.names_due_at).where(bookings.c.id == UUID(booking)))
        assert due.scalar_one() is None


async def test_a_booking_that_says_nothing_of_names_leaves_the_job_due(office: BoxOffice) -> None:
    """Such as the service as it was before places while both run."""
    columns = "SELECT column_default FROM information_schema.columns WHERE column_name = 'names_due_at'"
    async with office.service.database.transaction() as tx:
        assert (await tx.execute(text(columns))).scalar_one() == "now()"


async def export(office: BoxOffice, **query: Any) -> list[dict[str, str]]:
    answer = await office.service.client.get("/bookings.csv", params=query, headers=office.service.staff("viewer"))
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="bookings.csv"'
    return list(csv.DictReader(io.StringIO(answer.text, newline="")))


async def test_the_export_holds_what_the_list_finds_and_runs_nothing(
    office: BoxOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_export, "PAGE", 2)
    event = await office.create_event({**TICKET, "price_minor": 1050}, name="=1+1")
    names = ['=HYPERLINK("http://x")', "+1", "-1", "@SUM(A1)", "Ada; =1"]
    ids = [await book(office, event, name, "a@example.com") for name in names]
    await office.service.deliver_and_wait(payment_of(await office.read({"id": ids[0]})).succeeded())
    rows = await export(office, event_id=event["id"])
    assert [row["booking_id"] for row in rows] == ids[::-1]
    assert [row["name"] for row in rows[::-1]] == [
        '\'=HYPERLINK("http://x")',
        "'+1",
        "'-1",
        "'@SUM(A1)",
        "Ada;' =1",
    ]
    first = rows[-1]
    assert {row["event_name"] for row in rows} == {"'=1+1"}
    assert (first["total"], first["total_minor"], first["currency"], first["tickets"]) == ("10.50", "1050", "EUR", "1")
    assert first["status"] == "confirmed"
    assert datetime.fromisoformat(first["confirmed_at"]).tzinfo == UTC
    assert [row["booking_id"] for row in await export(office, event_id=event["id"], status="confirmed")] == ids[:1]
    assert await export(office, event_id=event["id"], q="nobody") == []


async def test_who_takes_an_export_is_audited(office: BoxOffice) -> None:
    event = await office.create_event()
    await book(office, event, "Ada", "ada@example.com")
    await export(office, event_id=event["id"], q="ada@example.com")
    rows = table(AuditRow)
    async with office.service.database.transaction() as tx:
        found = (await tx.execute(select(rows).where(rows.c.action == "bookings.export").order_by(rows.c.seq))).all()
    assert (found[-1].actor, found[-1].subject) == ("staff-1", f"event/{event['id']}")
    assert found[-1].after == {"status": None, "searched": True}
