"""A mail server and a CRM, both real and small, and notification running between them and its events."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, Literal
from uuid import UUID, uuid4

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session
from chassis.db import table
from contracts.booking import BookingConfirmed, BookingPlaced, EventFacts, Line, PolicySnapshot, PolicyTier
from contracts.event import Event
from contracts.money import Money
from notification.app import create_app
from notification.models import Booking, Message, WebhookDelivery
from sqlalchemy import select, update

from tests.conftest import Vhost
from tests.support.service import Running, eventually, running_service

STARTS_AT = datetime(2031, 3, 29, 19, 0, tzinfo=UTC)
"""20:00 in Berlin, the evening before the clocks go forward."""

FACTS = EventFacts(
    event_id=UUID(int=7),
    name="Goldberg Variations",
    venue="Great Hall, Hamburg",
    starts_at=STARTS_AT,
    ends_at=STARTS_AT + timedelta(hours=2),
    timezone="Europe/Berlin",
)
POLICY = PolicySnapshot(
    policy_id="standard",
    policy_version=1,
    tiers=(PolicyTier(hours_before=48, percent=100), PolicyTier(hours_before=24, percent=50)),
)
STAFF = "box-office@northlight.example"
NAME, EMAIL = "Ada Lovelace", "ada@example.com"
TICKETS = [
    {"line_id": str(UUID(int=1)), "name": "Stalls", "code": "4ZC3YQ8KX1M7T2RWB5DHNE96PJ"},
    {"line_id": str(UUID(int=2)), "name": "Balcony", "code": "7N0GVA2SJ5K8QW4XE1RM3TCZ6D"},
]


class Mailbox:
    """What the mail server has accepted, and how it answers: `say` is asked at RCPT and at DATA for another answer than 250."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.recipients: list[str] = []
        self.attempts = 0
        self.say: Callable[[str, str], str | None] = lambda _stage, _recipient: None
        self.accept_and_drop = False

    async def handle_RCPT(  # noqa: N802  # the name that aiosmtpd calls
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        self.attempts += 1
        if answer := self.say("rcpt", address):
            return answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802  # aiosmtpd's
        if answer := self.say("data", envelope.rcpt_tos[0]):
            return answer
        assert isinstance(envelope.content, bytes)
        message = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(message, EmailMessage)
        self.recipients.append(envelope.rcpt_tos[0])
        self.mails.append(message)
        if self.accept_and_drop:
            assert isinstance(server.transport, asyncio.WriteTransport)
            server.transport.abort()
        return "250 OK"

    def about(self, booking_id: UUID) -> list[EmailMessage]:
        """The mails of one booking to its buyer."""
        return [mail for mail in self._of(booking_id) if not mail["X-Boxoffice-Template"].startswith("staff_")]

    def to_staff(self, about: UUID) -> list[EmailMessage]:
        """The mails to staff that name a booking or an event."""
        mails = [mail for mail in self.mails if mail["X-Boxoffice-Template"].startswith("staff_")]
        return [mail for mail in mails if str(about) in plain(mail)]

    def _of(self, booking_id: UUID) -> list[EmailMessage]:
        return [mail for mail in self.mails if mail["X-Boxoffice-Booking"] == str(booking_id)]


def plain(mail: EmailMessage) -> str:
    """The plain text of a mail, with its lines as they were written."""
    return _body(mail, "plain")


def html_of(mail: EmailMessage) -> str:
    """The page of a mail."""
    return _body(mail, "html")


def _body(mail: EmailMessage, kind: Literal["plain", "html"]) -> str:
    body = mail.get_body((kind,))
    assert isinstance(body, EmailMessage)
    content: str = body.get_content()
    return content.replace("\r\n", "\n")


@dataclass
class Call:
    """A request that the CRM has had."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """A CRM: answers each call with the next of `answers` (raw bytes, the last one for ever), and keeps the calls."""

    answers: list[bytes] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    behave: Callable[[asyncio.StreamWriter], Any] | None = None
    port: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            self.calls.append(Call(head[0].split(" ")[1], headers, body))
            if self.behave:
                await self.behave(writer)
                return
            writer.write(self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the caller may leave at any time
        finally:
            writer.close()

    def fresh(self) -> Receiver:
        """The same CRM, with nothing received and every call acknowledged."""
        self.answers, self.calls, self.behave = [answer(204)], [], None
        return self

    @property
    def url(self) -> str:
        """Where it is called."""
        return f"http://crm.test:{self.port}/hooks"

    def of(self, booking_id: UUID) -> list[Call]:
        """The calls about one booking."""
        return [call for call in self.calls if json.loads(call.body)["data"].get("booking_id") == str(booking_id)]


def answer(status: int, *headers: str, body: bytes = b"") -> bytes:
    """A raw HTTP answer."""
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@asynccontextmanager
async def receiving(*answers: bytes, tls: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    """A CRM on a free port."""
    receiver = Receiver(list(answers) or [answer(204)])
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0, ssl=tls)
    receiver.port = server.sockets[0].getsockname()[1]
    async with server:
        yield receiver


@dataclass
class Names:
    """A resolver that answers what a test, or an attacker, wants: a list for each name, taken in turns. Unknown names do not resolve."""

    answers: dict[str, list[list[str]]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    async def addresses(self, host: str, _port: int, /) -> list[str]:
        self.asked.append(host)
        if host not in self.answers:
            raise OSError("name or service not known")
        turns = self.answers[host]
        return turns.pop(0) if len(turns) > 1 else turns[0]


@dataclass
class Office:
    """Notification, its mailbox, and what tests ask of both."""

    running: Running
    mailbox: Mailbox
    names: Names

    def placed(self, booking_id: UUID, total: int = 8900, version: int = 1, **facts: Any) -> BookingPlaced:
        return BookingPlaced(
            version=version,
            occurred_at=datetime.now(UTC),
            booking_id=booking_id,
            event=FACTS.model_copy(update=facts),
            lines=(
                Line(
                    line_id=UUID(int=1),
                    ticket_type_id=UUID(int=3),
                    name="Stalls",
                    gross_minor=total,
                    tax_minor=0,
                    tax_rate_bp=0,
                ),
            ),
            total=Money(total, "EUR"),
            policy=POLICY,
            contact=self.contact(),
            hold_expires_at=datetime.now(UTC) + timedelta(minutes=15),
        )

    def confirmed(
        self, booking_id: UUID, total: int = 8900, version: int = 3, contact: str | None = None, **facts: Any
    ) -> BookingConfirmed:
        return BookingConfirmed(
            version=version,
            occurred_at=datetime.now(UTC),
            booking_id=booking_id,
            payment_id=uuid4() if total else None,
            event=FACTS.model_copy(update=facts),
            total=Money(total, "EUR"),
            contact=contact or self.contact(),
            tickets=self.running.seal(TICKETS, "booking.tickets"),
            access=self.running.sealer.seal("token-1", "booking.access"),
        )

    def contact(self, name: str = NAME, email: str = EMAIL) -> str:
        return self.running.seal({"name": name, "email": email}, "booking.contact")

    async def book(self, **facts: Any) -> UUID:
        """A booking that is placed, and known here."""
        booking_id = uuid4()
        await self.running.deliver_and_wait(self.placed(booking_id, **facts))
        return booking_id

    async def mails(self, booking_id: UUID, count: int = 1) -> list[EmailMessage]:
        """The mails of a booking, once there are `count`."""

        async def enough() -> list[EmailMessage]:
            mails = self.mailbox.about(booking_id)
            return mails if len(mails) >= count else []

        return await eventually(enough)

    async def told(self, event: Event) -> list[EmailMessage]:
        """Delivers an event and gives the mails to staff that name its booking, once there is one more."""
        subject = getattr(event, "booking_id", None) or event.subject
        before = len(self.mailbox.to_staff(subject))
        await self.running.deliver_and_wait(event)

        async def more() -> list[EmailMessage]:
            mails = self.mailbox.to_staff(subject)
            return mails[before:]

        return await eventually(more)

    async def messages(self, booking_id: UUID | None) -> list[Any]:
        """The rows of a booking's mails, oldest first."""
        messages = table(Message)
        async with self.running.database.transaction() as tx:
            found = await tx.execute(
                select(messages).where(messages.c.booking_id == booking_id).order_by(messages.c.seq)
            )
            return list(found.all())

    async def message_once(self, booking_id: UUID | None, **values: Any) -> Any:
        """The booking's one mail as a row, once its columns have these values."""

        async def there() -> Any:
            rows = await self.messages(booking_id)
            assert len(rows) <= 1
            return next(
                (row for row in rows if all(getattr(row, key) == wanted for key, wanted in values.items())), None
            )

        return await eventually(there)

    async def make_due(self, model: type = Message, **where: Any) -> None:
        """Lets what waits for its next attempt fall due now, as the passing of time would."""
        rows = table(model)
        async with self.running.database.transaction() as tx:
            await tx.execute(
                update(rows)
                .where(rows.c.next_attempt_at.is_not(None), *(rows.c[key] == value for key, value in where.items()))
                .values(next_attempt_at=tx.now)
            )

    async def erase(self, booking_id: UUID) -> None:
        """Blanks the sealed columns of a booking, as an erasure does."""
        bookings = table(Booking)
        async with self.running.database.transaction() as tx:
            await tx.execute(update(bookings).where(bookings.c.id == booking_id).values(contact=None, tickets=None))

    async def register(self, url: str, *types: str, **more: Any) -> dict[str, Any]:
        """Registers an endpoint and gives the answer."""
        body = {"url": url, **({"event_types": list(types)} if types else {}), **more}
        answered = await self.running.client.post(
            "/webhook-endpoints", json=body, headers=self.running.staff("manager") | {"Idempotency-Key": str(uuid4())}
        )
        assert answered.status_code == 201, answered.text
        registered: dict[str, Any] = answered.json()
        return registered

    async def remove(self, endpoint_id: str) -> None:
        """Removes an endpoint, so that the next test's events do not reach it."""
        answered = await self.running.client.delete(
            f"/webhook-endpoints/{endpoint_id}", headers=self.running.staff("manager")
        )
        assert answered.status_code == 204

    async def delivery_once(self, booking_id: UUID, **values: Any) -> Any:
        """The one delivery about a booking, once its columns have these values."""
        deliveries = table(WebhookDelivery)

        async def there() -> Any:
            async with self.running.database.transaction() as tx:
                rows = (await tx.execute(select(deliveries).where(deliveries.c.booking_id == booking_id))).all()
            return next(
                (row for row in rows if all(getattr(row, key) == wanted for key, wanted in values.items())), None
            )

        return await eventually(there)


@pytest.fixture(scope="module")
async def mail_server() -> AsyncIterator[tuple[Mailbox, int]]:
    """A mailbox and the port of its SMTP server, which runs in the loop of the tests."""
    box = Mailbox()
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(box, enable_SMTPUTF8=True, hostname="mx.test"), "127.0.0.1", 0
    )
    async with server:
        yield box, server.sockets[0].getsockname()[1]


@pytest.fixture(scope="module")
async def receivers() -> AsyncIterator[list[Receiver]]:
    """Three CRM systems, of which tests ask by the name crm.test and their ports."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(receiving()) for _ in range(3)]


@pytest.fixture(scope="module")
async def shared_office(
    postgres_url: str, broker_vhost: Vhost, mail_server: tuple[Mailbox, int], receivers: list[Receiver]
) -> AsyncIterator[Office]:
    mailbox, port = mail_server
    names = Names()
    async with running_service(
        "notification",
        postgres_url,
        broker_vhost,
        lambda: create_app(names),
        NOTIFICATION_SMTP_HOST="127.0.0.1",
        NOTIFICATION_SMTP_PORT=str(port),
        NOTIFICATION_SMTP_STARTTLS="false",
        NOTIFICATION_MAIL_FROM="Northlight Concerts <tickets@northlight.example>",
        NOTIFICATION_STAFF_ADDRESS=f"Box office <{STAFF}>",
        NOTIFICATION_WEBHOOK_ALLOWED_HOSTS=",".join(f"crm.test:{receiver.port}" for receiver in receivers),
    ) as running:
        yield Office(running, mailbox, names)


@pytest.fixture
async def office(shared_office: Office) -> AsyncIterator[Office]:
    """The module's office; afterwards its mail server answers as usual and no endpoint is left."""
    shared_office.names.answers = {"crm.test": [["127.0.0.1"]]}
    yield shared_office
    shared_office.mailbox.say = lambda _stage, _recipient: None
    shared_office.mailbox.accept_and_drop = False
    listed = await shared_office.running.client.get(
        "/webhook-endpoints", headers=shared_office.running.staff("manager")
    )
    for endpoint in listed.json()["items"]:
        await shared_office.remove(endpoint["id"])


@pytest.fixture
def crm(receivers: list[Receiver]) -> Receiver:
    return receivers[0].fresh()


@pytest.fixture
def other_crm(receivers: list[Receiver]) -> Receiver:
    return receivers[1].fresh()
