"""A moved event: one mail for each booking that is confirmed for another time, and nobody else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import icalendar
import pytest
from chassis.db import table
from contracts.booking import BookingCancelled, EventRescheduled
from notification.domain import SECOND_LOOK
from notification.models import Booking, Message, MovedEvent
from sqlalchemy import func, select, update

from tests.notification.conftest import FACTS, STARTS_AT, Office, html_of, plain
from tests.support.service import eventually

NEW = {"starts_at": STARTS_AT + timedelta(days=1), "ends_at": STARTS_AT + timedelta(days=1, hours=2)}
UNTIL = STARTS_AT - timedelta(days=20)


def moved(event_id: UUID, version: int = 1, **changes: Any) -> EventRescheduled:
    return EventRescheduled(
        version=version,
        occurred_at=datetime.now(UTC),
        event_id=event_id,
        event=FACTS.model_copy(update=NEW | {"event_id": event_id} | changes),
        previous_starts_at=STARTS_AT,
        full_refund_until=UNTIL,
    )


def cancelled(booking_id: UUID) -> BookingCancelled:
    now = datetime.now(UTC)
    return BookingCancelled(
        version=5, occurred_at=now, booking_id=booking_id, by="customer", was="confirmed", received_at=now, line_ids=()
    )


async def confirmed(office: Office, event_id: UUID, **facts: Any) -> UUID:
    booking_id = await office.book(event_id=event_id, **facts)
    await office.running.deliver_and_wait(office.confirmed(booking_id, event_id=event_id, **facts))
    return booking_id


def entry(mail: EmailMessage) -> icalendar.Event:
    (part,) = [part for part in mail.iter_attachments() if part.get_content_type() == "text/calendar"]
    (found,) = icalendar.Calendar.from_ical(part.get_content()).walk("VEVENT")
    assert isinstance(found, icalendar.Event)
    return found


async def test_a_move_is_written_once_to_each_confirmed_booking(office: Office) -> None:
    event_id = uuid4()
    coming, pending, gone, other = (
        await confirmed(office, event_id),
        await office.book(event_id=event_id),
        await confirmed(office, event_id),
        await confirmed(office, uuid4()),
    )
    await office.running.deliver_and_wait(cancelled(gone))
    await office.running.deliver_and_wait(moved(event_id, 2))
    confirmation, mail = await office.mails(coming, 2)
    await office.running.deliver_and_wait(moved(event_id, 2))  # published anew under another id
    await office.running.deliver_and_wait(moved(event_id, 1, starts_at=STARTS_AT))  # overtaken by the newer one
    await office.make_due(MovedEvent, id=event_id)
    await eventually(partial(_looked, office, event_id))

    assert mail["Subject"] == "Goldberg Variations has a new date"
    for shown in (plain(mail), html_of(mail)):
        assert "Sat, 29 March 2031, 20:00 (UTC+01:00)" in shown
        assert "Sun, 30 March 2031, 21:00 (UTC+02:00)" in shown
        assert "Sun, 9 March 2031, 20:00 (UTC+01:00)" in shown  # until when everything goes back
        assert "Your tickets stay valid" in shown
    before, now = entry(confirmation), entry(mail)
    assert before["uid"] == now["uid"]
    assert (before["sequence"], now["sequence"]) == (0, 2)
    assert now.start == NEW["starts_at"]
    assert [row.template for row in await office.messages(coming)] == ["confirmation", "event_moved"]
    for booking_id in (pending, gone, other):
        assert "event_moved" not in [row.template for row in await office.messages(booking_id)]
    await office.running.deliver_and_wait(cancelled(coming))
    last = (await office.mails(coming, 3))[-1]
    assert entry(last)["sequence"] == 3
    assert entry(last).start == NEW["starts_at"]


async def test_who_is_confirmed_after_the_move_is_told_if_they_bought_for_another_time(office: Office) -> None:
    event_id = uuid4()
    early = await office.book(event_id=event_id)
    await office.running.deliver_and_wait(moved(event_id))
    late = await confirmed(office, event_id, **NEW)
    await office.running.deliver_and_wait(office.confirmed(early, event_id=event_id))
    tickets, mail = await office.mails(early, 2)
    assert [tickets["X-Boxoffice-Template"], mail["X-Boxoffice-Template"]] == ["confirmation", "event_moved"]
    assert "21:00 to 23:00" in plain(tickets)  # nobody is sent to the old time
    # The better of the promised and the new start: 48 hours before the new one.
    assert "until Fri, 28 March 2031, 20:00 (UTC+01:00): 100% back" in plain(tickets)
    await office.mails(late)
    await office.make_due(MovedEvent, id=event_id)
    await eventually(partial(_looked, office, event_id))
    assert [row.template for row in await office.messages(late)] == ["confirmation"]


async def test_a_confirmation_that_was_being_written_is_found_at_the_second_look(office: Office) -> None:
    event_id = uuid4()
    await office.running.deliver_and_wait(moved(event_id))
    await eventually(partial(_looked, office, event_id))
    booking_id = await office.book(event_id=event_id)
    bookings = table(Booking)
    # As a transaction would leave it that had not seen the move.
    async with office.running.database.transaction() as tx:
        await tx.execute(update(bookings).where(bookings.c.id == booking_id).values(confirmed=True))
    await office.make_due(MovedEvent, id=event_id)
    (mail,) = await office.mails(booking_id)
    assert mail["X-Boxoffice-Template"] == "event_moved"


async def test_many_bookings_are_written_to_in_rounds(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("notification.moves.MAILS_AT_ONCE", 2)
    event_id = uuid4()
    bookings = [await confirmed(office, event_id) for _ in range(5)]
    await office.running.deliver_and_wait(moved(event_id))
    for booking_id in bookings:
        await office.mails(booking_id, 2)
    messages = table(Message)
    async with office.running.database.transaction() as tx:
        counted = await tx.execute(select(func.count()).where(messages.c.cause == f"booking/{event_id}/1"))
        assert counted.scalar_one() == len(bookings)


async def test_a_move_back_is_told_to_those_who_knew_of_the_move(office: Office) -> None:
    event_id = uuid4()
    booking_id = await confirmed(office, event_id)
    await office.running.deliver_and_wait(moved(event_id, 1))
    await office.mails(booking_id, 2)
    await office.running.deliver_and_wait(moved(event_id, 2, starts_at=FACTS.starts_at, ends_at=FACTS.ends_at))
    last = (await office.mails(booking_id, 3))[-1]
    assert last["X-Boxoffice-Template"] == "event_moved"
    assert entry(last)["sequence"] == 2


async def test_a_move_that_still_waits_is_not_told_after_a_cancellation(office: Office) -> None:
    event_id = uuid4()
    booking_id = await confirmed(office, event_id)
    await office.mails(booking_id)
    office.mailbox.say = lambda stage, _: "451 later" if stage == "rcpt" else None
    await office.running.deliver_and_wait(moved(event_id))
    await eventually(partial(_tried, office, booking_id))
    await office.running.deliver_and_wait(cancelled(booking_id))
    office.mailbox.say = lambda _stage, _recipient: None
    await office.make_due(booking_id=booking_id, template="event_moved")
    mails = await office.mails(booking_id, 2)
    assert [mail["X-Boxoffice-Template"] for mail in mails] == ["confirmation", "booking_cancelled"]
    row = next(row for row in await office.messages(booking_id) if row.template == "event_moved")
    assert row.status == "suppressed"


async def _row(office: Office, event_id: UUID) -> Any:
    rows = table(MovedEvent)
    async with office.running.database.transaction() as tx:
        return (await tx.execute(select(rows).where(rows.c.id == event_id))).one()


async def _looked(office: Office, event_id: UUID) -> bool:
    """The first look is over: what is left is the second."""
    row = await _row(office, event_id)
    return bool(row.next_attempt_at == row.moved_at + SECOND_LOOK)


async def _tried(office: Office, booking_id: UUID) -> bool:
    rows = await office.messages(booking_id)
    return any(row.template == "event_moved" and row.last_error for row in rows)
