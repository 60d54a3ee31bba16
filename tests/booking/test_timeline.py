"""What staff are told of a booking's past, what a buyer agreed to, and the calendar entry."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import icalendar
from booking.models import Booking
from booking.prices import policy_hash
from chassis.db import table
from contracts.money import Money
from contracts.refund import RefundCompleted, RefundDeclined, RefundFailed
from sqlalchemy import select, text

from tests.booking.conftest import TICKET, BoxOffice, booking_body, payment_of, refund_of
from tests.support.service import eventually


async def timeline(office: BoxOffice, booking: dict[str, Any]) -> list[dict[str, Any]]:
    """After the event log has grown old: nothing of it is needed."""
    async with office.service.database.transaction() as tx:
        await tx.execute(
            text("UPDATE outbox SET published_at = now() - interval '2 days' WHERE published_at IS NOT NULL")
        )
        await tx.execute(text("SELECT prune_outbox(now())"))
    answer = await office.service.client.get(
        f"/bookings/{booking['id']}/timeline", headers=office.service.staff("viewer")
    )
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    assert [item["at"] for item in items] == sorted(item["at"] for item in items)
    return items


def whats(items: list[dict[str, Any]]) -> list[str]:
    return [item["what"] for item in items]


async def test_a_sale_and_what_was_given_back(office: BoxOffice) -> None:
    event = await office.create_event()
    booking = await office.book(event, 3)
    payment = payment_of(booking)
    await office.service.deliver_and_wait(payment.authorized())
    await office.service.deliver_and_wait(payment.succeeded())
    first, *others = [ticket["id"] for ticket in booking["tickets"]]
    path = f"/bookings/{booking['id']}/cancel"
    holder = office.service.holder(booking["id"])
    assert (await office.post(path, {"ticket_ids": [first]}, holder)).status_code == 200
    refund = uuid4()
    await office.service.deliver_and_wait(refund_of(booking, RefundCompleted, refund, 1, Money(4200, "EUR")))
    await office.service.deliver_and_wait(refund_of(booking, RefundFailed, refund, 2, Money(4200, "EUR")))
    assert (await office.post(path, {}, office.service.staff("refunder", "carol"))).status_code == 200
    declined = RefundDeclined(
        refund_id=uuid4(),
        booking_id=UUID(booking["id"]),
        version=1,
        occurred_at=datetime.now(UTC),
        rule="less than 24 h",
    )
    await office.service.deliver_and_wait(declined)

    items = await timeline(office, booking)
    assert whats(items) == [
        "placed",
        "authorized",
        "secured",
        "paid",
        "confirmed",
        "tickets_given_back",
        "refund_completed",
        "refund_failed",
        "cancelled",
        "refund_declined",
    ]
    about = {item["what"]: item for item in items}
    assert about["placed"]["by"] == "customer"
    assert about["placed"]["detail"]["total"] == {"amount_minor": 12600, "currency": "EUR"}
    assert about["authorized"]["detail"] == {"payment_id": str(payment.id)}
    assert about["tickets_given_back"]["by"] == "customer"
    assert about["tickets_given_back"]["detail"]["ticket_ids"] == [first]
    assert about["cancelled"]["by"] == "carol"
    assert about["cancelled"]["detail"] == {"cancelled_by": "staff", "ticket_ids": others}
    assert about["refund_failed"]["detail"] == {
        "refund_id": str(refund),
        "amount": {"amount_minor": 4200, "currency": "EUR"},
    }
    assert "Beispiel" not in str(items)


async def test_a_hold_that_ended_and_seats_that_were_gone(office: BoxOffice) -> None:
    event = await office.create_event({**TICKET, "capacity": 1})
    late = await office.book(event)
    await office.expire(late)
    assert whats(await timeline(office, late)) == ["placed", "expired"]
    await office.book(event)
    await office.service.deliver_and_wait(payment_of(late).authorized())
    items = await timeline(office, late)
    assert whats(items) == ["placed", "expired", "authorized", "seats_unavailable"]
    assert items[-1]["detail"] == {"reason": "sold_out"}


async def test_an_event_that_moved_and_was_cancelled(office: BoxOffice) -> None:
    event = await office.create_event()
    booking = await office.book(event)
    await office.service.deliver_and_wait(payment_of(booking).succeeded())
    manager = office.service.staff("manager", "dora")
    path = f"/events/{event['id']}"
    for body in ({"venue": "Oper"}, {"name": "Tosca"}):
        assert (await office.service.client.patch(path, json=body, headers=manager)).status_code == 200
    assert (await office.post(f"{path}/cancel", None, manager)).status_code == 200

    async def over() -> bool:
        return (await office.read(booking))["status"] == "cancelled"

    await eventually(over)
    items = await timeline(office, booking)
    assert whats(items) == ["placed", "paid", "confirmed", "event_moved", "cancelled"]
    assert [item["by"] for item in items[-2:]] == ["dora", "dora"]
    assert items[-1]["detail"]["cancelled_by"] == "event"


async def test_only_staff_see_a_timeline(office: BoxOffice) -> None:
    booking = await office.book(await office.create_event())
    get, path = office.service.client.get, f"/bookings/{booking['id']}/timeline"
    assert (await get(path)).status_code == 401
    assert (await get(path, headers=office.service.holder(booking["id"]))).status_code == 403
    missing = f"/bookings/{uuid4()}/timeline"
    assert (await get(missing, headers=office.service.staff("viewer"))).status_code == 404


async def test_that_the_policy_was_accepted_is_kept_with_what_it_said(office: BoxOffice) -> None:
    event = await office.create_event()
    assert (await office.book(event))["policy_accepted_at"] is None
    answer = await office.post("/bookings", booking_body(event) | {"policy_accepted": True})
    booking = answer.json()["booking"]
    assert booking["policy_accepted_at"] == booking["placed_at"]
    assert await office.read(booking) == booking
    rows = table(Booking)
    async with office.service.database.transaction() as tx:
        row = (await tx.execute(select(rows).where(rows.c.id == UUID(booking["id"])))).one()
    assert row.policy_hash == policy_hash(booking["refund_policy"]) == policy_hash(row.refund_policy)
    assert policy_hash({**booking["refund_policy"], "fee_minor": 1}) != row.policy_hash
    (placed,) = await timeline(office, booking)
    assert placed["detail"]["policy_hash"] == row.policy_hash
    for wrong in (1, "true", None):
        assert (await office.post("/bookings", booking_body(event) | {"policy_accepted": wrong})).status_code == 422


async def calendar(office: BoxOffice, booking: dict[str, Any]) -> tuple[bytes, icalendar.Event]:
    answer = await office.service.client.get(
        f"/bookings/{booking['id']}/calendar.ics", headers=office.service.holder(booking["id"])
    )
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/calendar; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="event.ics"'
    (entry,) = icalendar.Calendar.from_ical(answer.content).walk("VEVENT")
    assert isinstance(entry, icalendar.Event)
    return answer.content, entry


async def test_the_calendar_entry_follows_the_event(office: BoxOffice) -> None:
    """In the event's zone, with its rules; a move and a cancellation come after what came before."""
    event = await office.create_event(name="A; B, C")
    booking = await office.book(event)
    get = office.service.client.get
    path, holder = f"/bookings/{booking['id']}/calendar.ics", office.service.holder(booking["id"])
    answer = await get(path, headers=holder)
    assert (answer.status_code, answer.json()["state"]) == (409, "pending_payment")
    await office.service.deliver_and_wait(payment_of(booking).succeeded())

    content, entry = await calendar(office, booking)
    assert f"DTSTART;TZID=Europe/Berlin:{event['local_start'].replace('-', '').replace(':', '')}".encode() in content
    assert b"BEGIN:VTIMEZONE" in content
    assert b"METHOD:PUBLISH" in content
    assert (entry["summary"], entry["location"], entry["sequence"]) == ("A; B, C", "Opernhaus", 0)
    body = {"venue": "Oper"}
    await office.service.client.patch(f"/events/{event['id']}", json=body, headers=office.service.staff("manager"))
    _, moved = await calendar(office, booking)
    assert (moved["location"], moved["sequence"], moved["uid"]) == ("Oper", 1, entry["uid"])
    await office.cancel(booking)
    content, gone = await calendar(office, booking)
    assert b"METHOD:CANCEL" in content
    assert (gone["status"], gone["sequence"]) == ("CANCELLED", 2)

    assert (await get(path, headers=office.service.staff("viewer"))).status_code == 200
    assert (await get(path)).status_code == 401
    assert (await get(path, headers=office.service.holder(uuid4()))).status_code == 404
