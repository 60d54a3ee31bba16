"""How the mail server may behave, and what becomes of the mail."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest
from chassis.db import table
from notification.domain import MAIL_DELAYS, MessageTrigger
from notification.models import Message
from notification.settings import Settings
from notification.smtp import Envelope, Mailer
from sqlalchemy import update

from tests.notification.conftest import Office, plain
from tests.support.service import eventually

MAIL = Envelope("tickets@northlight.example", "ada@example.com", b"Subject: x\r\n\r\ny\r\n", needs_utf8=False)


def mailer(port: int) -> Mailer:
    return Mailer(
        Settings.model_validate(
            {
                "database_url": "postgresql://x",
                "broker_url": "amqp://x",
                "smtp_host": "127.0.0.1",
                "smtp_port": port,
                "smtp_starttls": False,
                "mail_from": "tickets@northlight.example",
            }
        )
    )


class Script:
    """A mail server that reads its lines from a script: what to answer to the greeting and to each command; None hangs up."""

    def __init__(self, *answers: str | None) -> None:
        self.answers = list(answers)
        self.said: list[str] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for line in self.answers:
            if line is None:
                break
            writer.write(f"{line}\r\n".encode())
            await writer.drain()
            if line.startswith("354"):
                await reader.readuntil(b"\r\n.\r\n")
            else:
                self.said.append((await reader.readline()).decode().strip())
        writer.close()


async def attempt(*answers: str | None) -> tuple[MessageTrigger, bool]:
    server = await asyncio.start_server(Script(*answers), "127.0.0.1", 0)
    async with server:
        sending = mailer(server.sockets[0].getsockname()[1])
        outcome = await sending.hand_over(MAIL)
        await sending.close()
    return outcome.trigger, outcome.unsure


OK = "250 ok"


@pytest.mark.parametrize(
    ("answers", "trigger", "unsure"),
    [
        (("220 hi", OK, OK, OK, "354 go", OK), MessageTrigger.ACCEPTED, False),
        (("220 hi", OK, OK, OK, "354 go", OK, None), MessageTrigger.ACCEPTED, False),
        (("421 busy", None), MessageTrigger.DEFERRED, False),
        (("554 not you", None), MessageTrigger.DEFERRED, False),  # says nothing about this recipient
        (("220 hi", None), MessageTrigger.DEFERRED, False),
        (("220 hi", OK, "451 later"), MessageTrigger.DEFERRED, False),
        (("220 hi", OK, "550 no such sender"), MessageTrigger.REFUSED, False),
        (("220 hi", OK, OK, "450 greylisted"), MessageTrigger.DEFERRED, False),
        (("220 hi", OK, OK, "550 no such user"), MessageTrigger.REFUSED, False),
        (("220 hi", OK, OK, OK, "452 full"), MessageTrigger.DEFERRED, False),
        (("220 hi", OK, OK, OK, "354 go", "554 spam"), MessageTrigger.REFUSED, False),
        (("220 hi", OK, OK, OK, "354 go", "451 later"), MessageTrigger.DEFERRED, False),
        (("220 hi", OK, OK, OK, "354 go", None), MessageTrigger.DEFERRED, True),  # accepted or not: nobody knows
    ],
)
async def test_each_answer_has_its_consequence(
    answers: tuple[str | None, ...], trigger: MessageTrigger, *, unsure: bool
) -> None:
    assert await attempt(*answers) == (trigger, unsure)


async def test_a_line_brings_the_next_mail_and_its_end_is_no_failure() -> None:
    """A server may end a line that waits at any time: no mail was given to it, so the mail goes over a new one."""
    two_mails = Script("220 hi", OK, OK, OK, "354 go", OK, OK, OK, "354 go", OK, None)
    busy = Script("220 hi", OK, OK, OK, "354 go", OK, "421 closing", None)
    last = Script("220 hi", OK, OK, OK, "354 go", OK, None)
    scripts = [two_mails, busy, last]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await scripts.pop(0)(reader, writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        sending = mailer(server.sockets[0].getsockname()[1])
        outcomes = [await sending.hand_over(MAIL) for _ in range(4)]
        await sending.close()
    assert [outcome.trigger for outcome in outcomes] == [MessageTrigger.ACCEPTED] * 4
    assert scripts == []
    assert [line.split(" ")[0] for line in two_mails.said] == [
        "EHLO",
        "MAIL",
        "RCPT",
        "DATA",
        "MAIL",
        "RCPT",
        "DATA",
        "MAIL",
    ]


async def test_a_server_that_is_not_there_is_tried_again(unused_port: int) -> None:
    outcome = await mailer(unused_port).hand_over(MAIL)
    assert outcome.trigger is MessageTrigger.DEFERRED
    assert outcome.error == "the line to the mail server broke before the mail was sent"


async def test_a_silent_server_is_given_ten_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("notification.smtp.TIMEOUT_S", 0.2)

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    async with server:
        async with asyncio.timeout(5):
            outcome = await mailer(server.sockets[0].getsockname()[1]).hand_over(MAIL)
    assert outcome.trigger is MessageTrigger.DEFERRED
    assert outcome.error == "the line to the mail server timed out before the mail was sent"


async def test_a_mail_that_is_put_off_goes_out_later_as_the_same_mail(office: Office) -> None:
    office.mailbox.say = lambda stage, _: "451 4.3.0 ada@example.com is busy" if stage == "data" else None
    booking_id = await _confirmed(office)
    for attempts in (1, 2, 3):
        row = await eventually(partial(_tried, office, booking_id, attempts))
        assert row.status == "queued"
        assert row.last_error == "the mail server answered 451"
        assert row.unsure == 0
        if attempts == 3:
            office.mailbox.say = lambda _stage, _recipient: None
        await office.make_due(id=row.id)
    (mail,) = await office.mails(booking_id)
    sent = await office.message_once(booking_id, status="sent")
    assert sent.attempts == 4
    assert mail["Message-ID"] == row.message_id == sent.message_id
    assert sent.last_error is None


async def test_the_pauses_grow(office: Office) -> None:
    office.mailbox.say = lambda _stage, _recipient: "451 later"
    booking_id = await _confirmed(office)
    for attempts, delay in enumerate(MAIL_DELAYS[:3], 1):
        before = office.running.database.clock.now()
        row = await eventually(partial(_tried, office, booking_id, attempts))
        assert abs(row.next_attempt_at - before - delay) < timedelta(seconds=4)
        await office.make_due(id=row.id)


async def test_after_the_last_pause_it_is_given_up_and_staff_may_send_it_again(office: Office) -> None:
    office.mailbox.say = lambda _stage, _recipient: "451 later"
    booking_id = await _confirmed(office)
    row = await eventually(lambda: _tried(office, booking_id, 1))
    await _exhaust(office, row.id)
    await office.make_due(id=row.id)
    failed = await office.message_once(booking_id, status="failed")
    assert failed.next_attempt_at is None
    office.mailbox.say = lambda _stage, _recipient: None
    answered = await office.running.client.post(
        f"/notifications/{row.id}/resend", headers=office.running.staff("manager") | {"Idempotency-Key": "again"}
    )
    assert answered.status_code == 201
    (mail,) = await office.mails(booking_id)
    assert mail["Message-ID"] != failed.message_id


async def test_a_refused_mail_is_a_bounce_and_is_not_tried_again(office: Office) -> None:
    office.mailbox.say = lambda stage, recipient: f"550 {recipient} unknown" if stage == "rcpt" else None
    booking_id = await _confirmed(office)
    row = await office.message_once(booking_id, status="bounced")
    assert row.last_error == "the mail server answered 550"
    assert row.next_attempt_at is None
    assert office.mailbox.about(booking_id) == []


async def test_one_refused_recipient_holds_up_nobody(office: Office) -> None:
    office.mailbox.say = lambda _stage, recipient: "451 later" if recipient.startswith("slow") else None
    slow, quick = uuid4(), uuid4()
    for booking_id, email in ((slow, "slow@example.com"), (quick, "quick@example.com")):
        contact = office.contact(email=email)
        await office.running.deliver_and_wait(office.confirmed(booking_id, total=0, contact=contact))
    await office.mails(quick)
    assert office.mailbox.about(slow) == []


async def test_a_line_that_breaks_after_the_mail_gives_copies_of_one_mail(office: Office) -> None:
    office.mailbox.accept_and_drop = True
    booking_id = await _confirmed(office)
    row = await eventually(lambda: _tried(office, booking_id, 1))
    assert (row.status, row.unsure) == ("queued", 1)
    assert row.last_error == "the line to the mail server broke after the mail was sent"
    office.mailbox.accept_and_drop = False
    await office.make_due(id=row.id)
    copies = await office.mails(booking_id, 2)
    assert len({copy["Message-ID"] for copy in copies}) == 1
    assert plain(copies[0]) == plain(copies[1])
    sent = await office.message_once(booking_id, status="sent")
    assert sent.unsure == 1  # an upper limit of the copies beyond the first


async def test_an_erased_recipient_gets_nothing(office: Office) -> None:
    office.mailbox.say = lambda _stage, _recipient: "451 later"
    booking_id = await _confirmed(office)
    row = await eventually(lambda: _tried(office, booking_id, 1))
    await office.erase(booking_id)
    office.mailbox.say = lambda _stage, _recipient: None
    await office.make_due(id=row.id)
    await office.message_once(booking_id, status="suppressed", last_error="the recipient has been erased")
    assert office.mailbox.about(booking_id) == []


@pytest.mark.parametrize(
    "hostile", [{"name": "Bach\r\nBcc: eve@example.com"}, {"email": "ada@example.com\r\nBcc: x@y.example"}]
)
async def test_what_would_break_a_header_is_not_sent(office: Office, hostile: dict[str, str]) -> None:
    booking_id = uuid4()
    contact = office.contact(**hostile)
    await office.running.deliver_and_wait(office.confirmed(booking_id, total=0, contact=contact))
    row = await office.message_once(booking_id, status="failed")
    assert row.last_error == "the mail cannot be written: ValueError"
    assert office.mailbox.about(booking_id) == []


async def test_a_contact_sealed_with_a_key_that_is_missing_waits_for_it(office: Office) -> None:
    booking_id = uuid4()
    await office.running.deliver_and_wait(office.confirmed(booking_id, total=0, contact="bm90IHNlYWxlZA=="))
    row = await eventually(lambda: _tried(office, booking_id, 1))
    assert (row.status, row.last_error) == ("queued", "booking.contact cannot be unsealed")


async def _confirmed(office: Office) -> UUID:
    booking_id = uuid4()
    await office.running.deliver_and_wait(office.confirmed(booking_id, total=0))
    return booking_id


async def _tried(office: Office, booking_id: UUID, times: int) -> Any:
    """The row of the booking's mail, once that many attempts have been closed."""
    row = (await office.messages(booking_id))[0]
    return row if row.attempts == times and row.last_error is not None else None


async def _exhaust(office: Office, message_id: UUID) -> None:
    """Leaves a mail one attempt."""
    messages = table(Message)
    async with office.running.database.transaction() as tx:
        await tx.execute(update(messages).where(messages.c.id == message_id).values(attempts=len(MAIL_DELAYS)))


@pytest.fixture
async def unused_port() -> int:
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    port: int = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    return port
