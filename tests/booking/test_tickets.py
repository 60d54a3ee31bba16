"""Giving some of a booking's tickets back: what is freed, told and shown, and what is refused."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from chassis.audit import AuditRow
from chassis.db import table
from contracts.booking import BookingCancelled, TicketsCancelled
from contracts.money import Money
from contracts.refund import RefundCompleted, RefundDeclined
from httpx2 import Response
from sqlalchemy import select

from tests.booking.conftest import TICKET, BoxOffice, payment_of, refund_of

RANG = {**TICKET, "name": "Rang", "price_minor": 1999}


async def confirmed(office: BoxOffice, event: dict[str, Any], *quantities: int) -> dict[str, Any]:
    booking = await office.book(event, *quantities)
    await office.service.deliver_and_wait(payment_of(booking).succeeded())
    return await office.read(booking)


async def give_back(
    office: BoxOffice, booking: dict[str, Any], *positions: int, headers: dict[str, str] | None = None, key: str = ""
) -> Response:
    body = {"ticket_ids": [booking["tickets"][position]["id"] for position in positions]}
    headers = headers or office.service.holder(booking["id"])
    return await office.post(f"/bookings/{booking['id']}/cancel", body, headers, key)


async def test_the_booking_goes_on_with_the_others(office: BoxOffice) -> None:
    """Seats of the right types are free, the codes are dead at once, and the full cancellation gives back what was left."""
    event = await office.create_event(TICKET, RANG)
    booking = await confirmed(office, event, 2, 2)
    ids = [ticket["id"] for ticket in booking["tickets"]]
    answer = await give_back(office, booking, 0, 3)
    assert answer.status_code == 200, answer.text
    cut = answer.json()
    assert (cut["status"], cut["cancelled_at"], cut["total"]) == ("confirmed", None, booking["total"])
    assert [ticket["status"] for ticket in cut["tickets"]] == ["cancelled", "valid", "valid", "cancelled"]
    assert [ticket["code"] for ticket in cut["tickets"]] == [
        None,
        booking["tickets"][1]["code"],
        booking["tickets"][2]["code"],
        None,
    ]
    assert await office.seats(event) == [(0, 1), (0, 1)]
    assert await office.read(booking) == cut
    (cancelled,) = await office.told(booking, TicketsCancelled, BookingCancelled)
    assert isinstance(cancelled, TicketsCancelled)
    assert [str(line) for line in cancelled.line_ids] == [ids[0], ids[3]]
    assert [str(line) for line in cancelled.remaining_line_ids] == [ids[1], ids[2]]
    assert (cancelled.by, cancelled.version) == ("customer", 3)
    assert cancelled.event_dates is not None
    assert cancelled.event_dates.starts_at.isoformat().replace("+00:00", "Z") == event["starts_at"]
    received_at = cancelled.received_at.isoformat().replace("+00:00", "Z")
    assert [ticket["cancelled_at"] for ticket in cut["tickets"]] == [received_at, None, None, received_at]

    ended = (await office.cancel(booking)).json()
    assert (ended["status"], {ticket["status"] for ticket in ended["tickets"]}) == ("cancelled", {"cancelled"})
    assert ended["tickets"][0]["cancelled_at"] == received_at
    assert ended["tickets"][1]["cancelled_at"] == ended["cancelled_at"] != received_at
    last = (await office.told(booking, TicketsCancelled, BookingCancelled))[-1]
    assert isinstance(last, BookingCancelled)
    assert [str(line) for line in last.line_ids] == [ids[1], ids[2]]
    assert last.version == 4
    assert await office.seats(event) == [(0, 0), (0, 0)]


@pytest.mark.parametrize("cut_before", [False, True])
async def test_naming_all_that_are_left_cancels_the_booking(office: BoxOffice, cut_before: bool) -> None:  # noqa: FBT001  # both ways
    event = await office.create_event()
    booking = await confirmed(office, event, 2)
    if cut_before:
        assert (await give_back(office, booking, 0)).status_code == 200
    answer = await give_back(office, booking, *([1] if cut_before else [0, 1]))
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    assert isinstance((await office.told(booking, TicketsCancelled, BookingCancelled))[-1], BookingCancelled)
    assert await office.seats(event) == [(0, 0)]


@pytest.mark.parametrize("status", ["pending_payment", "payment_authorized", "expired", "cancelled"])
async def test_only_a_confirmed_booking_is_cut_down(office: BoxOffice, status: str) -> None:
    event = await office.create_event()
    booking = await office.book(event, 2)
    if status == "payment_authorized":
        await office.service.deliver_and_wait(payment_of(booking).authorized())
    elif status == "expired":
        await office.expire(booking)
    elif status == "cancelled":
        await office.cancel(booking)
    before = await office.seats(event)
    answer = await give_back(office, booking, 0)
    assert (answer.status_code, answer.json()["state"]) == (409, status)
    assert await office.seats(event) == before


async def test_what_is_not_a_ticket_of_the_booking_is_refused(office: BoxOffice) -> None:
    event = await office.create_event()
    booking, other = [await confirmed(office, event, 2) for _ in range(2)]
    path, headers = f"/bookings/{booking['id']}/cancel", office.service.holder(booking["id"])
    mine = booking["tickets"][0]["id"]
    for ids, field in (
        ([other["tickets"][0]["id"]], "ticket_ids.0"),
        ([mine, str(uuid4())], "ticket_ids.1"),
        ([mine, mine], "ticket_ids.1"),
        ([], "ticket_ids"),
        (["x"], "ticket_ids.0"),
        ([mine] * 21, "ticket_ids"),
        ("all", "ticket_ids"),
    ):
        answer = await office.post(path, {"ticket_ids": ids}, headers)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)
    assert await office.seats(event) == [(0, 4)]
    foreign = await give_back(office, booking, 0, headers=office.service.holder(other["id"]))
    assert foreign.status_code == 404


async def test_the_same_key_gives_tickets_back_once(office: BoxOffice) -> None:
    event = await office.create_event()
    booking, key = await confirmed(office, event, 3), uuid4().hex
    answers = [await give_back(office, booking, 0, key=key) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()
    assert (await give_back(office, booking, 1, key=key)).status_code == 422
    assert await office.seats(event) == [(0, 2)]


async def test_two_want_the_same_ticket(office: BoxOffice) -> None:
    """One wins; the other is told what is left, and nothing of its request is done. Rounds on one event, all at once."""
    rounds = 15
    event = await office.create_event()
    bookings = [await confirmed(office, event, 4) for _ in range(rounds)]

    async def race(booking: dict[str, Any]) -> None:
        staff = office.service.staff("refunder")
        answers = await asyncio.gather(
            give_back(office, booking, 0, 1), give_back(office, booking, 1, 2, headers=staff)
        )
        assert Counter(answer.status_code for answer in answers) == {200: 1, 409: 1}
        (refused,) = [answer.json() for answer in answers if answer.status_code == 409]
        shown = await office.read(booking)
        valid = [ticket["id"] for ticket in shown["tickets"] if ticket["status"] == "valid"]
        assert (refused["state"], refused["left"]) == ("given_back", valid)
        assert len(valid) == len([ticket for ticket in shown["tickets"] if ticket["code"]]) == 2

    await asyncio.gather(*(race(booking) for booking in bookings))
    assert await office.seats(event) == [(0, 2 * rounds)]


async def test_two_halves_at_once_are_the_whole(office: BoxOffice) -> None:
    """Neither knows of the other: whichever comes second names all that are left."""
    event = await office.create_event()
    bookings = [await confirmed(office, event, 2) for _ in range(10)]
    answers = await asyncio.gather(*(give_back(office, booking, half) for booking in bookings for half in (0, 1)))
    assert {answer.status_code for answer in answers} == {200}
    assert await office.seats(event) == [(0, 0)]
    for booking in bookings:
        first, second = await office.told(booking, TicketsCancelled, BookingCancelled)
        assert (type(first), type(second)) == (TicketsCancelled, BookingCancelled)
        assert first.remaining_line_ids == second.line_ids
        assert first.line_ids != second.line_ids


async def test_staff_give_back_after_the_start_and_leave_an_audit_row(office: BoxOffice) -> None:
    event = await office.create_event()
    booking = await confirmed(office, event, 2)
    await office.start_event(event)
    assert (await give_back(office, booking, 0)).status_code == 409
    assert (await give_back(office, booking, 0, headers=office.service.staff("viewer"))).status_code == 403
    answer = await give_back(office, booking, 0, headers=office.service.staff("refunder", "staff-9"))
    assert answer.status_code == 200
    rows = table(AuditRow)
    async with office.service.database.transaction() as tx:
        found = (await tx.execute(select(rows).where(rows.c.subject == f"booking/{booking['id']}"))).one()
    assert (found.actor, found.action) == ("staff-9", "booking.cancel")
    assert found.after == {"status": "confirmed", "line_ids": [booking["tickets"][0]["id"]]}


async def test_money_is_awaited_for_each_time_that_tickets_go(office: BoxOffice) -> None:
    """Until refund has said for each of them that there is none, or some went back."""
    booking = await confirmed(office, await office.create_event(), 3)

    async def state() -> tuple[str, int]:
        read = await office.read(booking)
        return read["refund_state"], read["refunded_minor"]

    async def declined() -> None:
        about = {"refund_id": uuid4(), "booking_id": UUID(booking["id"]), "version": 1}
        await office.service.deliver_and_wait(RefundDeclined(**about, occurred_at=datetime.now(UTC), rule="too late"))

    assert await state() == ("none", 0)
    await give_back(office, booking, 0)
    assert await state() == ("pending", 0)
    await declined()
    assert await state() == ("none", 0)
    await give_back(office, booking, 1)
    assert await state() == ("pending", 0)
    await office.cancel(booking)
    await declined()
    assert await state() == ("pending", 0)
    completed = refund_of(booking, RefundCompleted, uuid4(), 2, Money(4200, "EUR"))
    await office.service.deliver_and_wait(completed)
    assert await state() == ("partially_refunded", 4200)
