"""Cancelling an event: what is promised before, what is told, and that no booking of it survives, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy
from booking import cancellation, jobs, service
from booking.domain import Status
from booking.models import CANCELLATIONS, Booking, Event
from booking.schemas import BookingCreate
from chassis.audit import AuditRow
from chassis.db import table
from contracts.booking import BookingCancelled, BookingExpired, EventCancelled, SeatsUnavailable, TicketsCancelled
from httpx2 import Response
from sqlalchemy import column, func, select, update

from tests.booking.conftest import MANAGER, TICKET, BoxOffice, booking_body, payment_of
from tests.support.service import eventually

MANY = int(os.environ.get("BOXOFFICE_CANCELLED_BOOKINGS", "120"))
"""Bookings of one cancelled event in the run against the clock; 1000 in the long one."""


async def cancel(
    office: BoxOffice, event: dict[str, Any], *, query: str = "", role: str = "manager", key: str = ""
) -> Response:
    return await office.post(f"/events/{event['id']}/cancel{query}", {}, office.service.staff(role), key)


async def told_of(office: BoxOffice, *bookings: dict[str, Any]) -> dict[str, list[Any]]:
    """What was published of each booking after it was placed; its events are numbered without gaps."""
    found: dict[str, list[Any]] = {booking["id"]: [] for booking in bookings}
    for event in await office.service.outbox():
        if str(event.subject) in found:
            found[str(event.subject)].append(event)
            assert event.version == len(found[str(event.subject)])
    return {booking_id: events[1:] for booking_id, events in found.items()}


async def statuses(office: BoxOffice, event: dict[str, Any]) -> Counter[str]:
    bookings = table(Booking)
    counted = select(bookings.c.status, func.count().label("n")).where(bookings.c.event_id == UUID(event["id"]))
    async with office.service.database.transaction() as tx:
        return Counter({row.status.value: row.n for row in await tx.execute(counted.group_by(bookings.c.status))})


async def over(office: BoxOffice, event: dict[str, Any]) -> None:
    """Waits until the job is done, and sees that no booking is left."""
    events = table(Event)

    async def done() -> bool:
        async with office.service.database.transaction() as tx:
            due = await tx.execute(select(events.c.cancellation_due_at).where(events.c.id == UUID(event["id"])))
            return due.scalar_one() is None

    await eventually(done, at_most_s=30)
    assert set(await statuses(office, event)) <= {"cancelled", "expired"}
    assert {seats for kind in await office.seats(event) for seats in kind} == {0}


async def due(office: BoxOffice, event: dict[str, Any], instant: datetime) -> None:
    events = table(Event)
    async with office.service.database.transaction() as tx:
        job = update(events).where(events.c.id == UUID(event["id"])).values(cancellation_due_at=instant)
        await tx.execute(job)


async def one_in_each_state(office: BoxOffice, event: dict[str, Any]) -> dict[str, Any]:
    """Bookings of two tickets by their state, each with its payment; one ticket of the confirmed one is given back."""
    payments = {status: payment_of(await office.book(event, 2)) for status in Status}
    await office.service.deliver_and_wait(payments[Status.PAYMENT_AUTHORIZED].authorized())
    await office.service.deliver_and_wait(payments[Status.CONFIRMED].succeeded())
    confirmed = payments[Status.CONFIRMED].booking
    back = {"ticket_ids": [confirmed["tickets"][0]["id"]]}
    headers = office.service.holder(confirmed["id"])
    assert (await office.post(f"/bookings/{confirmed['id']}/cancel", back, headers)).status_code == 200
    await office.cancel(payments[Status.CANCELLED].booking)
    await office.expire(payments[Status.EXPIRED].booking)
    return {status.value: payment for status, payment in payments.items()}


async def test_a_dry_run_tells_what_would_end_and_changes_nothing(office: BoxOffice) -> None:
    event = await office.create_event()
    payments = await one_in_each_state(office, event)
    key = uuid4().hex
    answer = await cancel(office, event, query="?dry_run=true", key=key)
    assert (answer.status_code, answer.json()) == (
        200,
        {
            "event_id": event["id"],
            "cancelled_at": None,
            "bookings": dict.fromkeys(Status, 1),
            "tickets": 1,
            "holds": 4,
            "authorizations": 1,
            "buyers": 1,
            "captured": [{"amount_minor": 8400, "currency": "EUR"}],
            "refunded": [],
        },
    )
    assert "ada" not in answer.text.lower()
    assert await office.told(event, EventCancelled) == []
    assert (await office.service.client.get(f"/events/{event['id']}")).json()["status"] == "on_sale"
    assert (await office.read(payments["confirmed"].booking))["status"] == "confirmed"
    assert (await cancel(office, event, key=key)).json()["cancelled_at"]


async def test_every_booking_that_is_not_over_is_cancelled(office: BoxOffice) -> None:
    """Each is told with what it was and the tickets that it had left; those that were over stay as they were."""
    event = await office.create_event()
    payments = await one_in_each_state(office, event)
    bookings = {status: payment.booking for status, payment in payments.items()}
    before = await told_of(office, *bookings.values())
    answer = (await cancel(office, event)).json()
    assert answer["bookings"] == dict.fromkeys(Status, 1)
    await over(office, event)
    (cancelled,) = await office.told(event, EventCancelled)
    assert (cancelled.version, cancelled.name) == (1, event["name"])
    assert cancelled.cancelled_at.isoformat().replace("+00:00", "Z") == answer["cancelled_at"]
    after = await told_of(office, *bookings.values())
    for status, booking in bookings.items():
        new = after[booking["id"]][len(before[booking["id"]]) :]
        if status in {"expired", "cancelled"}:
            assert new == []
            continue
        (ended,) = new
        left = booking["tickets"][1:] if status == "confirmed" else booking["tickets"]
        assert (ended.by, ended.was, ended.received_at) == ("event", status, cancelled.cancelled_at)
        assert [str(line) for line in ended.line_ids] == [ticket["id"] for ticket in left]
        read = await office.read(booking)
        assert (read["status"], read["cancelled_by"], read["cancelled_at"]) == (
            "cancelled",
            "event",
            answer["cancelled_at"],
        )
        assert read["refund_state"] == ("pending" if status == "confirmed" else "none")
        assert not any(ticket["code"] for ticket in read["tickets"])
    assert (await office.read(bookings["expired"]))["status"] == "expired"


async def test_cancelled_twice_is_cancelled_once(office: BoxOffice) -> None:
    """At once and later, with other keys: one event, one answer, also when its bookings are over."""
    event = await office.create_event()
    await office.book(event, 2)
    answers = await asyncio.gather(*(cancel(office, event) for _ in range(5)))
    await over(office, event)
    answers += [await cancel(office, event), await cancel(office, event, query="?dry_run=true")]
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1
    assert len(await office.told(event, EventCancelled)) == 1
    rows = table(AuditRow)
    wanted = select(rows).where(rows.c.subject == f"event/{event['id']}", rows.c.action == "event.cancel")
    async with office.service.database.transaction() as tx:
        found = (await tx.execute(wanted)).one()
    assert (found.actor, found.after["holds"]) == ("staff-1", 2)


async def test_a_cancelled_event_is_neither_sold_nor_changed(office: BoxOffice) -> None:
    event = await office.create_event()
    await cancel(office, event)
    answer = await office.post("/bookings", booking_body(event))
    assert (answer.status_code, answer.json()["state"]) == (409, "cancelled")
    path, manager = f"/events/{event['id']}", office.service.staff("manager")
    changed = await office.service.client.patch(path, json={"name": "Other"}, headers=manager)
    assert (changed.status_code, changed.json()["state"]) == (409, "cancelled")
    assert (await office.service.client.get(path)).json()["status"] == "cancelled"


async def test_versions_go_on_from_the_moves(office: BoxOffice) -> None:
    event = await office.create_event()
    path, manager = f"/events/{event['id']}", office.service.staff("manager")
    assert (await office.service.client.patch(path, json={"venue": "Arena"}, headers=manager)).status_code == 200
    await cancel(office, event)
    assert [e.version for e in await office.told(event, EventCancelled)] == [2]


async def test_only_managers_cancel_events(office: BoxOffice) -> None:
    event = await office.create_event()
    assert (await office.post(f"/events/{event['id']}/cancel", {})).status_code == 401
    for query in ("", "?dry_run=true"):
        assert (await cancel(office, event, query=query, role="refunder")).status_code == 403
        assert (await cancel(office, {"id": uuid4()}, query=query)).status_code == 404
    bare = await office.service.client.post(f"/events/{event['id']}/cancel", headers=office.service.staff("manager"))
    assert bare.status_code == 400
    assert await office.told(event, EventCancelled) == []


async def test_late_money_confirms_nothing(office: BoxOffice) -> None:
    """Before the sweep comes: an authorization is refused and the booking ended later, a capture ends it at once; each once."""
    event = await office.create_event()
    payments = await one_in_each_state(office, event)
    captured = [payment_of(await office.book(event)), payment_of(await office.book(event))]
    await office.service.deliver_and_wait(captured[1].authorized())
    lapsed = payment_of(await office.book(event))
    await office.expire(lapsed.booking)
    await office.cancel_event_unswept(event)
    late = [payments["pending_payment"], payments["payment_authorized"], payments["expired"]]
    for payment in late:
        await office.service.deliver_and_wait(payment.authorized())
    for payment in (*captured, lapsed):
        await office.service.deliver_and_wait(payment.succeeded())
    ended = await told_of(office, *(payment.booking for payment in (*captured, lapsed)))
    assert [type(e) for e in ended[captured[0].booking["id"]]] == [BookingCancelled]
    assert ended[captured[1].booking["id"]][-1].was == "payment_authorized"
    assert [type(e) for e in ended[lapsed.booking["id"]]] == [BookingExpired, SeatsUnavailable]
    for payment in (*captured, lapsed):
        assert (await office.read(payment.booking))["refund_state"] == "pending"

    await due(office, event, datetime.now(UTC))
    await over(office, event)
    events = await told_of(office, *(payment.booking for payment in (*late, *captured, lapsed)))
    for payment in late[:2]:
        unavailable, cancelled = events[payment.booking["id"]][-2:]
        assert (unavailable.reason, cancelled.by) == ("event_cancelled", "event")
    assert events[late[2].booking["id"]][-1].reason == "event_cancelled"
    for payment in captured:
        assert events[payment.booking["id"]] == ended[payment.booking["id"]]

    # After the sweep a capture is noted; refund was told.
    await office.service.deliver_and_wait(late[0].succeeded())
    assert (await office.read(late[0].booking))["refund_state"] == "pending"
    assert (await told_of(office, late[0].booking))[late[0].booking["id"]] == events[late[0].booking["id"]]


async def test_who_cancels_a_booking_of_a_cancelled_event_is_the_event(office: BoxOffice) -> None:
    """So that everything goes back, whatever the policy says, and whatever was asked for."""
    event = await office.create_event()
    booking = await office.book(event, 2)
    await office.service.deliver_and_wait(payment_of(booking).succeeded())
    await office.cancel_event_unswept(event)
    back = {"ticket_ids": [booking["tickets"][0]["id"]]}
    answer = await office.post(f"/bookings/{booking['id']}/cancel", back, office.service.holder(booking["id"]))
    assert (answer.status_code, answer.json()["cancelled_by"]) == (200, "event")
    events = (await told_of(office, booking))[booking["id"]]
    assert (events[-1].by, len(events[-1].line_ids)) == ("event", 2)
    assert not any(isinstance(e, TicketsCancelled) for e in events)
    await due(office, event, datetime.now(UTC))
    await over(office, event)
    assert len((await told_of(office, booking))[booking["id"]]) == len(events)


async def test_no_booking_survives_that_is_made_at_the_same_instant(office: BoxOffice) -> None:
    """Buyers, payments and customers who cancel, all while the event is cancelled; each booking ends once, and no seat stays taken."""
    event = await office.create_event({**TICKET, "capacity": 200}, {**TICKET, "name": "Rang", "capacity": 200})
    other = await office.create_event()
    payments = [payment_of(await office.book(event, 1, 1)) for _ in range(24)]
    for payment in payments[:8]:
        await office.service.deliver_and_wait(payment.authorized())

    async def buy() -> list[Response]:
        return [await office.post("/bookings", booking_body(event, 1, 2)) for _ in range(4)]

    bought, answer, *_ = await asyncio.gather(
        asyncio.gather(*(buy() for _ in range(15))),
        cancel(office, event),
        asyncio.gather(*(office.service.deliver_and_wait(payment.succeeded()) for payment in payments[:12])),
        asyncio.gather(*(office.service.deliver_and_wait(payment.authorized()) for payment in payments[12:20])),
        asyncio.gather(*(office.cancel(payment.booking) for payment in payments[16:])),
        asyncio.gather(*(office.book(other) for _ in range(10))),
    )
    assert answer.status_code == 200
    await over(office, event)
    answers = [answer for buyer in bought for answer in buyer]
    assert {(a.status_code, a.json().get("state")) for a in answers} <= {(201, None), (409, "cancelled")}
    made = [a.json()["booking"] for a in answers if a.status_code == 201]
    events = await told_of(office, *made, *(payment.booking for payment in payments))
    for happened in events.values():
        assert Counter(type(e) for e in happened)[BookingCancelled] == 1
    assert await office.seats(other) == [(10, 0)]
    late = await office.post("/bookings", booking_body(event))
    assert (late.status_code, late.json()["state"]) == (409, "cancelled")


async def waiting(office: BoxOffice, how_many: int) -> None:
    """Returns once so many wait for a lock in this service's database."""
    activity = sqlalchemy.table("pg_stat_activity", column("datname"), column("wait_event_type"))
    blocked = select(func.count()).where(
        activity.c.datname == func.current_database(), activity.c.wait_event_type == "Lock"
    )

    async def found() -> bool:
        async with office.service.database.transaction() as tx:
            return (await tx.execute(blocked)).scalar_one() == how_many

    await eventually(found, at_most_s=4)


async def test_seats_are_not_taken_by_who_saw_the_event_on_sale(office: BoxOffice) -> None:
    """A buyer and a late payment that have read the event before its cancellation was committed, and reach the seats after it."""
    event = await office.create_event()
    late = payment_of(await office.book(event))
    await office.expire(late.booking)
    async with office.service.database.transaction() as tx:
        await cancellation.cancel_event(tx, MANAGER, UUID(event["id"]))
        buying = asyncio.create_task(office.post("/bookings", booking_body(event)))
        paying = asyncio.create_task(office.service.deliver_and_wait(late.authorized()))
        await waiting(office, 2)
    answer = await buying
    assert (answer.status_code, answer.json()["state"]) == (409, "cancelled")
    await paying
    assert (await told_of(office, late.booking))[late.booking["id"]][-1].reason == "event_cancelled"
    await over(office, event)


async def test_a_sale_that_was_first_is_waited_for_and_ended(office: BoxOffice) -> None:
    event = await office.create_event()
    state = office.service.app.state
    body = BookingCreate.model_validate(booking_body(event))
    async with office.service.database.transaction() as tx:
        placed = await service.create_booking(tx, state.sealer, state.auth.bookings, state.hold, body)
        cancelling = asyncio.create_task(cancel(office, event))
        await waiting(office, 1)
    assert (await cancelling).json()["holds"] == 1
    await over(office, event)
    assert (await office.read({"id": placed.booking.id}))["cancelled_by"] == "event"


async def test_what_one_process_leaves_another_ends(office: BoxOffice, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed after a batch, and two at work at once: every booking is ended once."""
    monkeypatch.setattr(cancellation, "BATCH", 4)
    event = await office.create_event()
    bookings = [await office.book(event) for _ in range(22)]
    await office.cancel_event_unswept(event)
    event_id = UUID(event["id"])
    async with office.service.database.transaction() as tx:
        assert await cancellation.end_batch(tx, event_id, cancellation.FIRST) == UUID(bookings[3]["id"])
    assert await statuses(office, event) == {"cancelled": 4, "pending_payment": 18}
    with pytest.raises(RuntimeError, match="killed"):
        async with office.service.database.transaction() as tx:
            await cancellation.end_batch(tx, event_id, cancellation.FIRST)
            raise RuntimeError("killed before its commit")
    assert await statuses(office, event) == {"cancelled": 4, "pending_payment": 18}

    async def left_for(lease: timedelta) -> bool:
        events = table(Event)
        async with office.service.database.transaction() as tx:
            due_at = await tx.execute(select(events.c.cancellation_due_at).where(events.c.id == event_id))
            return timedelta() < due_at.scalar_one() - tx.now <= lease

    assert await left_for(CANCELLATIONS.lease)
    await asyncio.gather(*(jobs.end_bookings(office.service.database, event_id) for _ in range(3)))
    await over(office, event)
    for happened in (await told_of(office, *bookings)).values():
        assert [(type(e), e.was) for e in happened] == [(BookingCancelled, "pending_payment")]


async def test_a_booking_that_somebody_works_on_is_not_waited_for(office: BoxOffice) -> None:
    event = await office.create_event()
    held = await office.book(event)
    others = [await office.book(event) for _ in range(3)]
    rows = table(Booking)
    async with office.service.database.transaction() as tx:
        await tx.execute(select(rows.c.id).where(rows.c.id == UUID(held["id"])).with_for_update())
        await cancel(office, event)

        async def ended() -> bool:
            return await statuses(office, event) == {"cancelled": 3, "pending_payment": 1}

        await eventually(ended, at_most_s=4)
    await over(office, event)
    assert len((await told_of(office, held, *others))[held["id"]]) == 1


async def test_many_bookings_end_within_seconds(office: BoxOffice) -> None:
    """Four types, so that batches and buyers meet on several rows."""
    kinds = [{**TICKET, "name": f"Rang {n}", "capacity": 4 * MANY} for n in range(4)]
    event = await office.create_event(*kinds)
    for start in range(0, MANY, 20):
        await asyncio.gather(*(office.book(event, 1, 1, 1, 1) for _ in range(start, min(start + 20, MANY))))
    began = time.monotonic()
    assert (await cancel(office, event)).json()["holds"] == 4 * MANY
    await over(office, event)
    took_s = time.monotonic() - began
    print(f"{MANY} bookings ended in {took_s:.1f} s")  # noqa: T201  # shown by pytest -s
    assert took_s < 5 + MANY / 100
    assert await statuses(office, event) == {"cancelled": MANY}
