"""`boxoffice verify --repair`: after payment's database was restored, takes over what the provider knows and our books lost.

Payment must stand still meanwhile: a refund that it hears of again it would ask the provider for again. So what the provider has is entered
first, under its own ids, by payment's own handlers and postings; `boxoffice republish` tells it of the rest afterwards.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from chassis import audit, inbox
from chassis.clock import SystemClock
from chassis.db import Database
from chassis.ids import SystemIds
from contracts.booking import BookingPlaced
from contracts.catalogue import queue_name
from contracts.event import Event
from contracts.refund import RefundApproved
from payment.changes import Change
from payment.consumers import PROVIDER
from payment.fraud import DEFAULT
from payment.gateways.stripe import StripeGateway
from payment.holds import apply_look
from payment.models import locked_payment
from payment.receipts import apply_found_refund
from payment.refunds import execute_refund
from payment.service import open_payment
from sqlalchemy import text

from ops.settings import SERVICES, Settings
from ops.verify.outside import ProviderSettings, read_provider
from ops.verify.records import Intent, ProviderRefund

GIVE_BACK = "refund it at the provider by hand, or book the customer anew"


class GivenIds(SystemIds):
    """Ids that are known already come first, in the order in which they are asked for."""

    def __init__(self) -> None:
        self.known: list[UUID] = []

    def uuid7(self, now: datetime) -> UUID:
        return self.known.pop(0) if self.known else super().uuid7(now)


@dataclass
class Repair:
    """The databases as their owners, and the provider."""

    databases: dict[str, Database]
    ids: GivenIds
    gateway: StripeGateway
    say: Callable[[str], None]
    left: int = 0
    """What could not be taken over."""

    async def payment(self, intent: Intent) -> None:
        """Enters a payment that is not there, or brings one up to what the provider shows."""
        payment_id = UUID(intent.payment_id)
        before = await self._row("payment", "SELECT captured_minor FROM payments WHERE id = :id", payment_id)
        if before is not None and before.captured_minor == intent.received_minor:
            return
        if before is None and not await self._entered(intent, payment_id):
            self.left += 1
            self.say(f"payment {payment_id}, {intent.ref}: booking {intent.booking_id} is in no outbox; {GIVE_BACK}")
            return
        view = await self.gateway.fetch(intent.ref)
        async with self.databases["payment"].transaction() as tx:
            payment = await locked_payment(tx, payment_id)
            assert payment is not None, "it was entered"
            change = Change(tx, payment)
            await apply_look(change, view, self.gateway, DEFAULT)
            await change.save()
            await audit.record(tx, actor="operator", action="payment.import", subject=f"payment/{payment_id}")
        self.say(f"payment {payment_id}: {intent.received_minor} {intent.currency} captured, taken over")

    async def _entered(self, intent: Intent, payment_id: UUID) -> bool:
        """The handler of BookingPlaced, with the id that the provider knows the payment by. What was sent is looked for, not sent again."""
        found = await self._kept("booking", BookingPlaced, UUID(intent.booking_id))
        if found is None:
            return False
        event_id, placed = found
        async with self.databases["payment"].transaction() as tx:
            await inbox.first_time(tx, queue_name("payment", BookingPlaced), event_id)
            self.ids.known = [payment_id]
            await open_payment(tx, placed, PROVIDER)
            sent = text("UPDATE attempts SET sent_at = :now WHERE payment_id = :id")
            await tx.execute(sent, {"now": tx.now, "id": payment_id})
        return True

    async def refund(self, shown: ProviderRefund) -> None:
        """Enters a refund that is not there, or brings one up to what the provider shows. One made by hand is found by payment itself."""
        if shown.refund_id is None or shown.attempt_id is None:
            return
        refund_id = UUID(shown.refund_id)
        before = await self._row("payment", "SELECT provider_ref FROM refunds WHERE id = :id", refund_id)
        if before is None:
            found = await self._kept("refund", RefundApproved, refund_id)
            paid = "SELECT id FROM payments WHERE id = :id"
            if found is None or await self._row("payment", paid, found[1].payment_id) is None:
                self.left += 1
                self.say(
                    f"refund {refund_id}, {shown.ref}: it is in no outbox, or its payment is not here; enter it by hand"
                )
                return
            async with self.databases["payment"].transaction() as tx:
                await inbox.first_time(tx, queue_name("payment", RefundApproved), found[0])
                self.ids.known = [UUID(shown.attempt_id)]
                await execute_refund(tx, found[1])
        elif before.provider_ref is not None:
            return
        view = await self.gateway.fetch_refund(shown.ref)
        async with self.databases["payment"].transaction() as tx:
            await apply_found_refund(tx, self.gateway, view)
            await audit.record(tx, actor="operator", action="refund.import", subject=f"refund/{refund_id}")
        self.say(f"refund {refund_id}: {shown.amount_minor} {shown.currency}, taken over")

    async def go_on_counting(self) -> None:
        """What others have heard of a payment is older than what it tells from now on: they would take it for known."""
        seen = {
            "booking": "SELECT payment_id, payment_version FROM bookings WHERE payment_id IS NOT NULL",
            "refund": "SELECT payment_id, max(payment_version) AS payment_version FROM refunds GROUP BY payment_id",
        }
        bump = text("UPDATE payments SET version = :seen WHERE id = :id AND version < :seen")
        for service, sql in seen.items():
            async with self.databases[service].transaction() as tx:
                rows = (await tx.execute(text(sql))).all()
            async with self.databases["payment"].transaction() as tx:
                for row in rows:
                    await tx.execute(bump, {"id": row.payment_id, "seen": row.payment_version})

    async def _kept(self, service: str, event: type[Any], subject: UUID) -> tuple[UUID, Any] | None:
        """The last event of its type about a subject, in the outbox of who published it."""
        sql = text("SELECT id, body FROM outbox WHERE subject = :id AND type = :type ORDER BY version DESC LIMIT 1")
        async with self.databases[service].transaction() as tx:
            row = (await tx.execute(sql, {"id": subject, "type": event.type})).one_or_none()
        return None if row is None else (row.id, read(event, row.body))

    async def _row(self, service: str, sql: str, row_id: UUID) -> Any:
        async with self.databases[service].transaction() as tx:
            return (await tx.execute(text(sql), {"id": row_id})).one_or_none()


def read(event: type[Event], body: str) -> Event:
    """An event as its consumers read it."""
    return event.model_validate_json(body)


@asynccontextmanager
async def opened(settings: Settings, account: ProviderSettings, say: Callable[[str], None]) -> AsyncIterator[Repair]:
    """Closes what it opens."""
    assert account.api_key is not None, "the caller has looked"
    ids = GivenIds()
    databases = {service: Database(settings.database_url(service), SystemClock(), ids, pool=1) for service in SERVICES}
    gateway = StripeGateway(account.api_key.get_secret_value(), "", (), account.api_base, account.account)
    try:
        yield Repair(databases, ids, gateway, say)
    finally:
        await gateway.close()
        for database in databases.values():
            await database.close()


async def repair(settings: Settings, say: Callable[[str], None]) -> int:
    """0: all that the provider knows is in payment's books, 1: something cannot be taken over, and is named; 2: there is no provider."""
    account = ProviderSettings()
    if account.api_key is None:
        say("PAYMENT_STRIPE_API_KEY is not set: there is nobody to ask.")
        return 2
    shown = await read_provider(account)
    async with opened(settings, account, say) as work:
        for intent in shown.intents:
            if intent.received_minor:
                await work.payment(intent)
        for refund in shown.refunds:
            await work.refund(refund)
        await work.go_on_counting()
    say(
        "Now start payment, and: boxoffice republish --service booking --all; boxoffice republish --service refund --all"
    )
    return 1 if work.left else 0
