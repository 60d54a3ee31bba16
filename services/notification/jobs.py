"""What the sweeps do: hand mails over, and call endpoints. No transaction is open while the mail server or a CRM is spoken to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from email.headerregistry import Address
from itertools import product
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import structlog
from chassis.crypto import Sealer, Unsealable
from chassis.db import Database
from chassis.due import Sweep
from chassis.metrics import REGISTRY
from contracts.booking import EventFacts, IssuedTicket, PolicySnapshot
from contracts.money import Money
from jinja2 import TemplateError
from prometheus_client import Counter
from sqlalchemy import Row

from notification import moves, outgoing, surveys, webhooks
from notification.composer import compose
from notification.crm import Answer, Crm
from notification.domain import MessageStatus, MessageTrigger, Template
from notification.letters import Writer
from notification.models import WEBHOOKS
from notification.outgoing import Attempt, Outcome
from notification.smtp import Envelope, Mailer, address_of, envelope
from notification.stories import Notice, Story
from notification.words import language_of

log = structlog.get_logger(__name__)

MAIL_ATTEMPTS = Counter(
    "mail_attempts_total",
    "Attempts to hand a mail over, by the status that the mail has after it.",
    ["template", "status"],
    registry=REGISTRY,
)
WEBHOOK_CALLS = Counter(
    "webhook_calls_total", "Calls to CRM endpoints: acknowledged, rejected or gone.", ["outcome"], registry=REGISTRY
)

for _template, _status in product(Template, MessageStatus):
    MAIL_ATTEMPTS.labels(_template, _status)
for _answer in ("acknowledged", "rejected", "gone"):
    WEBHOOK_CALLS.labels(_answer)

CALLS_AT_ONCE = 8
"""To one endpoint: enough to keep up with a sale, too few to be an attack on the receiver."""

CALLS_CLAIMED = 3 * CALLS_AT_ONCE
"""By one transaction. All of them are over well within a lease, also where each takes as long as a call may."""


@dataclass(frozen=True)
class PostOffice:
    """What sending a mail takes."""

    database: Database
    sealer: Sealer
    mailer: Mailer
    writer: Writer
    sender: Address
    staff: Address | None

    async def send(self, message_id: UUID) -> None:
        """One attempt at a mail that is due."""
        async with self.database.transaction() as tx:
            attempt = await outgoing.take_up(tx, message_id, self.sender.domain)
        if attempt is None:
            return
        outcome = await self._try(attempt)
        async with self.database.single() as tx:
            status = await outgoing.close(tx, attempt.message, outcome)
        MAIL_ATTEMPTS.labels(attempt.message.template, status).inc()
        say = log.info if status in {MessageStatus.SENT, MessageStatus.SUPPRESSED} else log.warning
        say(
            "mail attempted",
            notification=str(message_id),
            template=attempt.message.template,
            status=status,
            attempts=attempt.message.attempts,
            error=outcome.error,
        )

    async def _try(self, attempt: Attempt) -> Outcome:
        message, booking = attempt.message, attempt.booking
        if message.for_staff and self.staff is None:
            return Outcome(MessageTrigger.NOBODY, "NOTIFICATION_STAFF_ADDRESS is not set")
        if booking is not None and not booking.contact and not message.for_staff:
            return Outcome(MessageTrigger.ERASED, "the recipient has been erased")
        if booking is not None and booking.cancelled and message.template == Template.EVENT_MOVED:
            return Outcome(MessageTrigger.OVERTAKEN, "the booking has been cancelled since")
        try:
            # In a thread: drawing the codes of a large order takes longer than others should wait for the loop.
            mail = await asyncio.to_thread(self._written, attempt)
        except Unsealable as error:
            return Outcome(MessageTrigger.DEFERRED, f"{error.field} cannot be unsealed")
        except (ValueError, LookupError, TemplateError) as error:
            log.exception("mail cannot be written", notification=str(message.id))
            return Outcome(MessageTrigger.UNFIT, f"the mail cannot be written: {type(error).__name__}")
        return await self.mailer.hand_over(mail)

    def _written(self, attempt: Attempt) -> Envelope:
        message, booking = attempt.message, attempt.booking
        story: Story | Notice
        if message.for_staff:
            assert self.staff is not None, "it was looked at"
            recipient, story = self.staff, _notice(attempt)
        else:
            assert booking is not None, "only mails to staff are about no booking"
            contact = self.sealer.unseal_json(booking.contact, "booking.contact")
            recipient = address_of(contact["name"], contact["email"])
            tickets = self.sealer.unseal_json(booking.tickets, "booking.tickets") if booking.tickets else []
            access = self.sealer.unseal(booking.access, "booking.access") if booking.access else None
            issued = [IssuedTicket.model_validate(each) for each in tickets]
            if "survey_id" in message.facts:
                access = surveys.token_of(self.sealer, UUID(message.facts["survey_id"]))
            story = replace(
                _story(attempt, booking, contact["name"], issued),
                access=access,
                language=language_of(contact.get("language")),
            )
        mail = compose(
            self.writer.write(story),
            story,
            sender=self.sender,
            recipient=recipient,
            message_id=message.message_id,
            created_at=message.created_at,
        )
        return envelope(mail, self.sender, recipient)


def _notice(attempt: Attempt) -> Notice:
    booking = attempt.booking
    zone = ZoneInfo(booking.event["timezone"]) if booking is not None else ZoneInfo("UTC")
    return Notice(Template(attempt.message.template), attempt.message.booking_id, zone, attempt.message.facts)


def _story(attempt: Attempt, booking: Row[Any], name: str, tickets: Sequence[IssuedTicket]) -> Story:
    """A mail about a move tells of that move, all others of the newest."""
    message, is_about_move = attempt.message, attempt.message.template == Template.EVENT_MOVED
    promised = EventFacts.model_validate(booking.event)
    move = message.facts if is_about_move else attempt.move
    event = EventFacts.model_validate(move["event"]) if move else promised
    until = move["full_refund_until"] if move and (is_about_move or moves.is_news(move, promised)) else None
    given_back = set(message.facts.get("line_ids", ())) if message.template == Template.TICKETS_CANCELLED else set()
    return Story(
        template=Template(message.template),
        booking_id=booking.id,
        event=event,
        total=Money(booking.total_minor, booking.currency),
        policy=PolicySnapshot.model_validate(booking.policy) if booking.policy else None,
        name=name,
        facts=message.facts,
        tickets=tuple(t for t in tickets if booking.valid_tickets is None or t.line_id in booking.valid_tickets),
        given_back=tuple(t for t in tickets if str(t.line_id) in given_back),
        promised_starts_at=promised.starts_at,
        move=move["version"] if move else 0,
        full_refund_until=datetime.fromisoformat(until) if until else None,
    )


class Lanes(Sweep):
    """Sweeps deliveries endpoint by endpoint: each endpoint with something due is one piece of work.

    An endpoint that takes ten seconds to say nothing holds up its own deliveries and no others'.
    """

    def __init__(self, database: Database, work: Callable[[UUID], Awaitable[None]]) -> None:
        super().__init__(WEBHOOKS, database, self._in_lane, concurrency=64)
        self._drain = work
        self._busy: set[UUID] = set()

    async def claim(self, at_most: int) -> list[UUID]:
        """Endpoints with something due. What is claimed are their deliveries, by `CallCentre.drain`."""
        async with self.database.transaction() as tx:
            return await webhooks.endpoints_in_debt(tx, self._busy, at_most)

    async def _in_lane(self, endpoint_id: UUID) -> None:
        if endpoint_id in self._busy:
            return
        self._busy.add(endpoint_id)
        try:
            await self._drain(endpoint_id)
        finally:
            self._busy.discard(endpoint_id)


@dataclass(frozen=True)
class CallCentre:
    """What calling endpoints takes."""

    database: Database
    sealer: Sealer
    crm: Crm

    async def drain(self, endpoint_id: UUID) -> None:
        """Calls an endpoint until nothing of it is due."""
        while True:
            async with self.database.transaction() as tx:
                batch = await webhooks.claim(tx, endpoint_id, CALLS_CLAIMED)
            if batch is None:
                return
            lines = asyncio.Semaphore(CALLS_AT_ONCE)
            answers = await asyncio.gather(*(self._call(batch, delivery, lines) for delivery in batch.deliveries))
            async with self.database.transaction() as tx:
                await webhooks.settle(tx, endpoint_id, list(zip(batch.deliveries, answers, strict=True)))
            for answer in answers:
                WEBHOOK_CALLS.labels(_outcome(answer)).inc()
            if any(answer.gone for answer in answers):
                log.warning("webhook endpoint disabled, it answered 410", endpoint=str(endpoint_id))
            if len(batch.deliveries) < CALLS_CLAIMED:
                return

    async def _call(self, batch: webhooks.Batch, delivery: Row[Any], lines: asyncio.Semaphore) -> Answer:
        try:
            secret = self.sealer.unseal(batch.secret, webhooks.SEALED_AS)
        except Unsealable:
            return Answer(error="its secret cannot be unsealed")
        async with lines:
            return await self.crm.call(batch.url, secret, delivery.webhook_id, delivery.body)


def _outcome(answer: Answer) -> str:
    if answer.acknowledged:
        return "acknowledged"
    return "gone" if answer.gone else "rejected"
