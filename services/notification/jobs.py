"""What the sweeps do: hand mails over, and call endpoints. No transaction is open while the mail server or a CRM is spoken to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from email.headerregistry import Address
from typing import Any
from uuid import UUID

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

from notification import outgoing, webhooks
from notification.composer import compose
from notification.crm import Answer, Crm
from notification.domain import MessageStatus, MessageTrigger, Template
from notification.letters import Story, Writer
from notification.models import WEBHOOKS
from notification.outgoing import Attempt, Outcome
from notification.smtp import Envelope, Mailer, address_of, envelope

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

CALLS_AT_ONCE = 8
"""To one endpoint: enough to keep up with a sale, too few to be an attack on the receiver."""


@dataclass(frozen=True)
class PostOffice:
    """What sending a mail takes."""

    database: Database
    sealer: Sealer
    mailer: Mailer
    writer: Writer
    sender: Address

    async def send(self, message_id: UUID) -> None:
        """One attempt at a mail that is due."""
        async with self.database.transaction() as tx:
            attempt = await outgoing.take_up(tx, message_id, self.sender.domain)
        if attempt is None:
            return
        outcome = await self._try(attempt)
        async with self.database.transaction() as tx:
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
        if not attempt.booking.contact:
            return Outcome(MessageTrigger.ERASED, "the recipient has been erased")
        try:
            # In a thread: drawing the codes of a large order takes longer than others should wait for the loop.
            mail = await asyncio.to_thread(self._written, attempt)
        except Unsealable as error:
            return Outcome(MessageTrigger.DEFERRED, f"{error.field} cannot be unsealed")
        except (ValueError, LookupError, TemplateError) as error:
            log.exception("mail cannot be written", notification=str(attempt.message.id))
            return Outcome(MessageTrigger.UNFIT, f"the mail cannot be written: {type(error).__name__}")
        return await self.mailer.hand_over(mail)

    def _written(self, attempt: Attempt) -> Envelope:
        message, booking = attempt.message, attempt.booking
        contact = self.sealer.unseal_json(booking.contact, "booking.contact")
        story = self._story(message, booking, contact["name"])
        recipient = address_of(contact["name"], contact["email"])
        mail = compose(
            self.writer.write(story),
            story,
            sender=self.sender,
            recipient=recipient,
            message_id=message.message_id,
            created_at=message.created_at,
        )
        return envelope(mail, self.sender, recipient)

    def _story(self, message: Row[Any], booking: Row[Any], name: str) -> Story:
        tickets = self.sealer.unseal_json(booking.tickets, "booking.tickets") if booking.tickets else []
        return Story(
            template=Template(message.template),
            booking_id=booking.id,
            event=EventFacts.model_validate(booking.event),
            total=Money(booking.total_minor, booking.currency),
            policy=PolicySnapshot.model_validate(booking.policy) if booking.policy else None,
            name=name,
            facts=message.facts,
            tickets=tuple(IssuedTicket.model_validate(ticket) for ticket in tickets),
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
                batch = await webhooks.claim(tx, endpoint_id, CALLS_AT_ONCE)
            if batch is None:
                return
            answers = await asyncio.gather(*(self._call(batch, delivery) for delivery in batch.deliveries))
            async with self.database.transaction() as tx:
                await webhooks.settle(tx, endpoint_id, list(zip(batch.deliveries, answers, strict=True)))
            for answer in answers:
                WEBHOOK_CALLS.labels(_outcome(answer)).inc()
            if any(answer.gone for answer in answers):
                log.warning("webhook endpoint disabled, it answered 410", endpoint=str(endpoint_id))

    async def _call(self, batch: webhooks.Batch, delivery: Row[Any]) -> Answer:
        try:
            secret = self.sealer.unseal(batch.secret, webhooks.SEALED_AS)
        except Unsealable:
            return Answer(error="its secret cannot be unsealed")
        return await self.crm.call(batch.url, secret, delivery.webhook_id, delivery.body)


def _outcome(answer: Answer) -> str:
    if answer.acknowledged:
        return "acknowledged"
    return "gone" if answer.gone else "rejected"
