"""Bookings over HTTP: what is frozen, who may see and cancel it, and what is refused."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID, uuid4

import pytest
from booking.models import Booking
from chassis.audit import AuditRow
from chassis.auth import BookingTokens
from chassis.clock import SystemClock
from chassis.db import table
from contracts.booking import BookingCancelled, BookingConfirmed, BookingPlaced
from contracts.money import Money
from sqlalchemy import select

from tests.booking.conftest import TICKET, BoxOffice, booking_body, payment_of
from tests.support.service import PUBLIC_KEYS

HOLD_S = 900


async def test_a_booking_freezes_what_it_costs(office: BoxOffice) -> None:
    """One line for each ticket with its price and the tax within; the total is their sum; the token opens it."""
    event = await office.create_event(TICKET, {"name": "Rang", "price_minor": 1999, "tax_rate_bp": 700, "capacity": 10})
    answer = await office.post("/bookings", booking_body(event, 2, 1))
    assert answer.status_code == 201
    booking, token = answer.json()["booking"], answer.json()["access_token"]
    assert [(t["name"], t["gross_minor"], t["tax_minor"], t["code"]) for t in booking["tickets"]] == [
        ("Parkett", 4200, 671, None),
        ("Parkett", 4200, 671, None),
        ("Rang", 1999, 131, None),
    ]
    assert booking["total"] == {"amount_minor": 10399, "currency": "EUR"}
    assert booking["tax_minor"] == 671 + 671 + 131
    assert booking["contact"] == {"name": "Ada Beispiel", "email": "ada@example.com"}
    assert (booking["status"], booking["refund_state"], booking["refunded_minor"]) == ("pending_payment", "none", 0)
    read = await office.service.client.get(f"/bookings/{booking['id']}", headers={"Authorization": f"Bearer {token}"})
    assert read.json() == booking


async def test_placing_is_told_with_everything_that_others_need(office: BoxOffice) -> None:
    event = await office.create_event(refund_policy={"policy_id": "strict", "policy_version": 3, "tiers": []})
    booking = await office.book(event, 2)
    (placed,) = [e for e in await office.service.outbox_of(BookingPlaced) if str(e.booking_id) == booking["id"]]
    assert (placed.version, placed.total) == (1, Money(8400, "EUR"))
    assert [str(line.line_id) for line in placed.lines] == [ticket["id"] for ticket in booking["tickets"]]
    assert (placed.policy.policy_id, placed.policy.policy_version, placed.policy.tiers) == ("strict", 3, ())
    assert str(placed.event.event_id) == event["id"]
    assert placed.event.starts_at.isoformat().replace("+00:00", "Z") == event["starts_at"]
    assert (placed.hold_expires_at - placed.occurred_at).total_seconds() == HOLD_S
    assert office.service.sealer.unseal_json(placed.contact, "booking.contact") == booking["contact"] | {
        "language": "en"
    }


async def test_personal_data_and_codes_rest_sealed(office: BoxOffice) -> None:
    """No column and no event holds a name, an address or a ticket's code in clear."""
    booking = await office.book(await office.create_event())
    payment = payment_of(booking)
    await office.service.deliver_and_wait(payment.succeeded())
    code = (await office.read(booking))["tickets"][0]["code"]
    async with office.service.database.transaction() as tx:
        row = (await tx.execute(select(table(Booking)).where(table(Booking).c.id == UUID(booking["id"])))).one()
    events = [e.model_dump_json() for e in await office.service.outbox() if str(e.subject) == booking["id"]]
    for secret in ("Beispiel", "ada@example.com", code):
        assert secret not in str(row)
        assert not [event for event in events if secret in event]


async def test_a_free_booking_is_confirmed_at_once(office: BoxOffice) -> None:
    event = await office.create_event({**TICKET, "price_minor": 0})
    booking = await office.book(event, 2)
    assert (booking["status"], booking["payment_id"], booking["hold_expires_at"]) == ("confirmed", None, None)
    assert await office.seats(event) == [(0, 2)]
    told = [e for e in await office.service.outbox() if str(e.subject) == booking["id"]]
    assert [(type(e), e.version) for e in told] == [(BookingPlaced, 1), (BookingConfirmed, 2)]
    issued = office.service.sealer.unseal_json(told[1].model_dump()["tickets"], "booking.tickets")
    assert [(t["line_id"], t["code"]) for t in issued] == [(t["id"], t["code"]) for t in booking["tickets"]]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"event_id": str(uuid4())}, "event_id"),
        ({"event_id": "x"}, "event_id"),
        ({"items": []}, "items"),
        ({"items": [{"ticket_type_id": str(uuid4()), "quantity": 1}]}, "items.0.ticket_type_id"),
        ({"contact": {"name": "A", "email": "not-an-address"}}, "contact.email"),
        ({"contact": {"name": "A", "email": "a@b@example.com"}}, "contact.email"),
        ({"contact": {"name": "A\r\nBcc: all@example.com", "email": "a@example.com"}}, "contact.name"),
        ({"contact": {"name": "A", "email": "a@example.com\r\nBcc: all@example.com"}}, "contact.email"),
        ({"contact": {"name": "A\x00", "email": "a@example.com"}}, "contact.name"),
        ({"contact": {"name": "\ud800", "email": "a@example.com"}}, "contact.name"),
        ({"contact": {"name": "n" * 10_000, "email": "a@example.com"}}, "contact.name"),
        ({"contact": {"name": "A", "email": "a@example.com", "phone": "1"}}, "contact.phone"),
        ({"contact": {"name": "A"}}, "contact.email"),
        ({"price_minor": 1}, "price_minor"),
    ],
)
async def test_a_booking_that_cannot_be_read_is_refused(office: BoxOffice, changes: dict[str, Any], field: str) -> None:
    """The field is named; what was sent is not repeated."""
    body = {**booking_body(await office.create_event()), **changes}
    answer = await office.service.client.post(
        "/bookings",
        content=json.dumps(body),
        headers={"Idempotency-Key": uuid4().hex, "Content-Type": "application/json"},
    )
    assert answer.status_code == 422, answer.text
    assert field in [error["field"] for error in answer.json()["errors"]]
    assert "example.com" not in answer.text
    assert "not-an-address" not in answer.text


@pytest.mark.parametrize("quantity", [0, -1, 21, 1_000_000_000, 2**63, 1.5, "1", True, None])
async def test_a_quantity_is_a_whole_number_of_tickets(office: BoxOffice, quantity: object) -> None:
    event = await office.create_event()
    body = booking_body(event)
    body["items"][0]["quantity"] = quantity
    assert (await office.post("/bookings", body)).status_code == 422
    assert await office.seats(event) == [(0, 0)]


async def test_a_booking_is_of_twenty_tickets_at_most(office: BoxOffice) -> None:
    event = await office.create_event(TICKET, {**TICKET, "name": "Rang"})
    assert (await office.post("/bookings", booking_body(event, 11, 10))).status_code == 422
    twice = booking_body(event, 1)
    twice["items"] *= 2
    assert (await office.post("/bookings", twice)).status_code == 422
    assert await office.seats(event) == [(0, 0), (0, 0)]
    assert (await office.post("/bookings", booking_body(event, 10, 10))).status_code == 201


async def test_a_total_that_cannot_be_charged_is_refused(office: BoxOffice) -> None:
    event = await office.create_event({**TICKET, "price_minor": 50_000_000})
    answer = await office.post("/bookings", booking_body(event, 2))
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "items"


@pytest.mark.parametrize("name", ["Zoë 🎭", "مريم العلي", "e\u0301", "O'Neill <b>", "👩‍👩‍👧"])
async def test_names_of_the_world_come_back_as_they_were(office: BoxOffice, name: str) -> None:
    body = booking_body(await office.create_event())
    body["contact"]["name"] = name
    answer = await office.post("/bookings", body)
    assert answer.json()["booking"]["contact"]["name"] == name


async def test_sold_out_says_what_is_left(office: BoxOffice) -> None:
    """All or nothing: where one type is short, none of the others is taken."""
    event = await office.create_event({**TICKET, "capacity": 5}, {**TICKET, "name": "Rang", "capacity": 1})
    answer = await office.post("/bookings", booking_body(event, 2, 2))
    assert answer.status_code == 409
    assert answer.json()["state"] == "sold_out"
    assert [free["available"] for free in answer.json()["left"]] == [5, 1]
    assert await office.seats(event) == [(0, 0), (0, 0)]


async def test_a_started_event_is_not_sold(office: BoxOffice) -> None:
    event = await office.create_event(local_start="2026-01-01T10:00:00", local_end="2099-01-01T12:00:00")
    answer = await office.post("/bookings", booking_body(event))
    assert (answer.status_code, answer.json()["state"]) == (409, "started")


async def test_the_key_is_needed_and_holds_for_its_body(office: BoxOffice) -> None:
    event = await office.create_event()
    body = booking_body(event)
    assert (await office.service.client.post("/bookings", json=body)).status_code == 400
    key = uuid4().hex
    first = await office.post("/bookings", body, key=key)
    again = await office.post("/bookings", body, key=key)
    assert (again.status_code, again.content) == (201, first.content)
    assert (await office.post("/bookings", booking_body(event, 2), key=key)).status_code == 422
    assert await office.seats(event) == [(1, 0)]


async def test_a_booking_is_for_its_holder_and_staff(office: BoxOffice) -> None:
    """Somebody else's booking is as absent as one that does not exist."""
    booking = await office.book(await office.create_event())
    client, path = office.service.client, f"/bookings/{booking['id']}"
    foreign = await client.get(path, headers=office.service.holder(uuid4()))
    absent = await client.get(f"/bookings/{uuid4()}", headers=office.service.staff("viewer"))
    assert (foreign.status_code, foreign.json()) == (404, absent.json())
    assert (await client.get(path)).status_code == 401
    assert (await client.get(f"{path}/stream", headers=office.service.holder(uuid4()))).status_code == 404
    assert (await client.get(path, headers=office.service.staff("viewer"))).json() == booking
    assert (await office.cancel(booking, office.service.holder(uuid4()))).status_code == 404
    assert (await office.cancel(booking, office.service.staff("viewer"))).status_code == 403


async def test_the_token_names_its_booking(office: BoxOffice) -> None:
    answer = (await office.post("/bookings", booking_body(await office.create_event()))).json()
    tokens = BookingTokens(PUBLIC_KEYS, SystemClock())
    holder = tokens.verify(answer["access_token"], {"kid": "test"})
    assert str(holder.booking_id) == answer["booking"]["id"]


@pytest.mark.parametrize("was", ["pending_payment", "payment_authorized", "confirmed"])
async def test_a_customer_cancels_and_the_seats_are_free(office: BoxOffice, was: str) -> None:
    """In each state once; the second time is refused with the state, and nothing is told twice."""
    event = await office.create_event()
    booking = await office.book(event, 2)
    payment = payment_of(booking)
    if was != "pending_payment":
        await office.service.deliver_and_wait(payment.authorized())
    if was == "confirmed":
        await office.service.deliver_and_wait(payment.succeeded())
    answer = await office.cancel(booking)
    cancelled = answer.json()
    assert (answer.status_code, cancelled["status"], cancelled["cancelled_by"]) == (200, "cancelled", "customer")
    assert cancelled["refund_state"] == ("pending" if was == "confirmed" else "none")
    assert [ticket["code"] for ticket in cancelled["tickets"]] == [None, None]
    assert await office.seats(event) == [(0, 0)]
    again = await office.cancel(booking)
    assert (again.status_code, again.json()["state"]) == (409, "cancelled")
    (told,) = [e for e in await office.service.outbox_of(BookingCancelled) if str(e.booking_id) == booking["id"]]
    assert (told.by, told.was, len(told.line_ids)) == ("customer", was, 2)
    assert told.received_at.isoformat().replace("+00:00", "Z") == cancelled["cancelled_at"]


async def test_a_repeated_cancel_request_gets_the_same_answer(office: BoxOffice) -> None:
    booking = await office.book(await office.create_event())
    headers, key = office.service.holder(booking["id"]), uuid4().hex
    answers = [await office.post(f"/bookings/{booking['id']}/cancel", {}, headers, key) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()


async def test_after_the_start_only_staff_cancel(office: BoxOffice) -> None:
    event = await office.create_event()
    booking = await office.book(event)
    await office.service.deliver_and_wait(payment_of(booking).succeeded())
    await office.start_event(event)
    assert (await office.cancel(booking)).status_code == 409
    answer = await office.cancel(booking, office.service.staff("refunder", "staff-7"))
    assert (answer.status_code, answer.json()["cancelled_by"]) == (200, "staff")
    rows = table(AuditRow)
    async with office.service.database.transaction() as tx:
        found = (await tx.execute(select(rows).where(rows.c.subject == f"booking/{booking['id']}"))).one()
    assert (found.actor, found.action, found.before) == ("staff-7", "booking.cancel", {"status": "confirmed"})


async def test_a_cancel_body_is_optional_and_empty(office: BoxOffice) -> None:
    booking = await office.book(await office.create_event())
    path, headers = f"/bookings/{booking['id']}/cancel", office.service.holder(booking["id"])
    assert (await office.post(path, {"received_at": "2020-01-01T00:00:00Z"}, headers)).status_code == 422
    bare = await office.service.client.post(path, headers={"Idempotency-Key": uuid4().hex, **headers})
    assert bare.status_code == 200


async def test_staff_find_bookings(office: BoxOffice) -> None:
    """By event, state and address, however the address is written; newest first, in pages that neither repeat nor skip."""
    event = await office.create_event()
    booked = [await office.book(event) for _ in range(5)]
    await office.cancel(booked[0])
    body = booking_body(event)
    body["contact"]["email"] = "Grace.Hopper@EXAMPLE.com"
    grace = (await office.post("/bookings", body)).json()["booking"]

    assert await found(office, event_id=event["id"], limit=2) == [grace["id"], *(b["id"] for b in reversed(booked))]
    assert await found(office, event_id=event["id"], status="cancelled") == [booked[0]["id"]]
    assert await found(office, event_id=event["id"], email="grace.hopper@example.COM") == [grace["id"]]
    assert await found(office, event_id=str(uuid4())) == []


async def test_only_staff_list_bookings(office: BoxOffice) -> None:
    client = office.service.client
    assert (await client.get("/bookings")).status_code == 401
    assert (await client.get("/bookings", headers=office.service.holder(uuid4()))).status_code == 403
    viewer = office.service.staff("viewer")
    assert (await client.get("/bookings?status=paid", headers=viewer)).status_code == 422
    wrong = await client.get("/bookings?email=someone", headers=viewer)
    assert wrong.status_code == 422
    assert "someone" not in wrong.text


async def found(office: BoxOffice, **query: str | int) -> list[str]:
    seen: list[str] = []
    while True:
        answer = await office.service.client.get("/bookings", params=query, headers=office.service.staff("viewer"))
        assert answer.status_code == 200, answer.text
        page = answer.json()
        seen += [booking["id"] for booking in page["items"]]
        if page["next_cursor"] is None:
            return seen
        query["cursor"] = page["next_cursor"]
