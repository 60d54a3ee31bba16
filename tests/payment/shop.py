"""A payment service with its provider, and the ways in which the tests act on both."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import UUID, uuid4

import httpx2
from aiohttp import web
from chassis.db import table
from contracts.booking import (
    BookingCancelled,
    BookingExpired,
    BookingPlaced,
    EventFacts,
    Line,
    PolicySnapshot,
    PolicyTier,
    SeatsSecured,
    SeatsUnavailable,
)
from contracts.event import Event
from contracts.money import Money
from contracts.refund import RefundApproved, RefundSettledManually
from payment.account import list_account, read_balance
from payment.advance import advance_payment
from payment.advance_refund import advance_refund
from payment.disputes import look_at_dispute
from payment.gateways import Gateway
from payment.gateways.stripe import StripeGateway
from payment.models import Attempt, LedgerEntry, Payment, ProviderAccount, Receipt, Refund
from sqlalchemy import func, select, update

from tests.sandbox.stripe.conftest import PUBLISHABLE_KEY, SECRET_KEY, Standin
from tests.support.service import Running, eventually

NOW = datetime.now(UTC)  # events of the tests are placed in the present


def payment_variables(api_base: str, webhook_secret: str) -> dict[str, str]:
    """The service's own variables."""
    return {
        "PAYMENT_STRIPE_API_KEY": SECRET_KEY,
        "PAYMENT_STRIPE_PUBLISHABLE_KEY": PUBLISHABLE_KEY,
        "PAYMENT_STRIPE_WEBHOOK_SECRETS": webhook_secret,
        "PAYMENT_STRIPE_API_BASE": api_base,
    }


def booking_placed(
    total: Money, booking_id: UUID | None = None, hold: timedelta = timedelta(minutes=15)
) -> BookingPlaced:
    """One ticket for `total`."""
    start = NOW + timedelta(days=30)
    return BookingPlaced(
        version=1,
        occurred_at=NOW,
        booking_id=booking_id or uuid4(),
        event=EventFacts(
            event_id=uuid4(), name="A night", venue="A hall", starts_at=start, ends_at=start, timezone="Europe/Berlin"
        ),
        lines=(
            Line(
                line_id=uuid4(),
                ticket_type_id=uuid4(),
                name="Seat",
                gross_minor=total.amount_minor,
                tax_minor=0,
                tax_rate_bp=0,
            ),
        ),
        total=total,
        policy=PolicySnapshot(
            policy_id="standard", policy_version=1, tiers=(PolicyTier(hours_before=48, percent=100),)
        ),
        contact="sealed",
        hold_expires_at=datetime.now(UTC) + hold,  # a hold runs in real time
    )


@dataclass
class Inlet:
    """Where the provider's webhooks come in; what arrived is kept."""

    client: httpx2.AsyncClient | None = None
    deliveries: list[tuple[bytes, str]] = field(default_factory=list)

    async def forward(self, request: web.Request) -> web.Response:
        """Hands a webhook to the service as nginx would."""
        body, signature = await request.read(), request.headers["Stripe-Signature"]
        if self.client is None:
            return web.Response(status=503)
        self.deliveries.append((body, signature))
        answer = await self.client.post("/webhooks/stripe", content=body, headers={"Stripe-Signature": signature})
        return web.Response(status=answer.status_code, body=answer.content)


@dataclass
class Shop:
    """A running payment service, its provider, and one booking after the other."""

    service: Running
    standin: Standin
    inlet: Inlet
    webhook_secret: str

    async def book(self, amount: int = 5000, currency: str = "EUR", **facts: Any) -> UUID:
        """A booking that payment knows of; its id."""
        placed = booking_placed(Money(amount, currency), **facts)
        await self.service.deliver_and_wait(placed)
        return placed.booking_id

    async def start(self, booking_id: UUID) -> httpx2.Response:
        """POST /payments as the booking's holder."""
        return await self.service.client.post(
            "/payments", json={"booking_id": str(booking_id)}, headers=self.service.holder(booking_id)
        )

    async def started(self, amount: int = 5000, currency: str = "EUR") -> Payment:
        """A booking whose buyer has opened the payment form."""
        booking_id = await self.book(amount, currency)
        answer = await self.start(booking_id)
        assert answer.status_code == 201, answer.text
        return await self.payment(booking_id)

    async def authorized(self, amount: int = 5000, currency: str = "EUR") -> Payment:
        """One whose buyer has confirmed; the provider was asked, and it is recorded."""
        payment = await self.started(amount, currency)
        await self.confirm(payment)
        await self.sync(payment)
        return await self.payment(payment.booking_id)

    async def captured(self, amount: int = 5000, currency: str = "EUR") -> Payment:
        """One that is paid."""
        payment = await self.authorized(amount, currency)
        await self.secure_seats(payment)
        return await self.in_status(payment, "succeeded")

    async def confirm(self, payment: Payment, card: str = "pm_card_visa") -> tuple[int, dict[str, Any]]:
        """What the buyer's browser does."""
        answer = await self.start(payment.booking_id)
        return await self.standin.browser(
            "POST",
            f"/v1/payment_intents/{payment.provider_ref}/confirm",
            {
                "payment_method": card,
                "client_secret": answer.json()["client_secret"],
                "return_url": "http://localhost/back",
            },
        )

    async def sync(self, payment: Payment) -> dict[str, Any]:
        """POST /payments/{id}/sync as the booking's holder."""
        answer = await self.service.client.post(
            f"/payments/{payment.id}/sync", headers=self.service.holder(payment.booking_id)
        )
        assert answer.status_code == 200, answer.text
        shown: dict[str, Any] = answer.json()
        return shown

    async def tell(self, event: Event) -> None:
        """An event of another service, consumed."""
        await self.service.deliver_and_wait(event)

    async def secure_seats(self, payment: Payment, version: int = 2) -> None:
        await self.tell(
            SeatsSecured(version=version, occurred_at=NOW, booking_id=payment.booking_id, payment_id=payment.id)
        )

    async def refuse_seats(self, payment: Payment, version: int = 2) -> None:
        await self.tell(
            SeatsUnavailable(
                version=version,
                occurred_at=NOW,
                booking_id=payment.booking_id,
                payment_id=payment.id,
                reason="sold_out",
            )
        )

    async def expire(self, booking_id: UUID, version: int = 2) -> None:
        await self.tell(BookingExpired(version=version, occurred_at=NOW, booking_id=booking_id))

    async def cancel(
        self,
        booking_id: UUID,
        version: int = 2,
        was: Literal["pending_payment", "payment_authorized", "confirmed"] = "pending_payment",
    ) -> None:
        await self.tell(
            BookingCancelled(
                version=version,
                occurred_at=NOW,
                booking_id=booking_id,
                by="customer",
                was=was,
                received_at=NOW,
                line_ids=(),
            )
        )

    async def approve_refund(
        self, payment: Payment, amount: int, refund_id: UUID | None = None, version: int = 1
    ) -> UUID:
        """The refund's id."""
        approved = RefundApproved(
            version=version,
            occurred_at=NOW,
            refund_id=refund_id or uuid4(),
            booking_id=payment.booking_id,
            payment_id=payment.id,
            amount=Money(amount, payment.currency),
            reason="goodwill",
        )
        await self.tell(approved)
        return approved.refund_id

    async def settle(self, payment: Payment, amount: int, refund_id: UUID, version: int) -> None:
        """Staff paid it another way."""
        await self.tell(
            RefundSettledManually(
                version=version,
                occurred_at=NOW,
                refund_id=refund_id,
                booking_id=payment.booking_id,
                payment_id=payment.id,
                amount=Money(amount, payment.currency),
                reason="goodwill",
            )
        )

    async def dispute(self, payment: Payment, **facts: Any) -> str:
        """The bank disputes it; the provider's id of the dispute."""
        opened = await self.standin.control("POST", "/disputes", {"payment_intent": payment.provider_ref} | facts)
        return str(opened["id"])

    async def decide_dispute(self, ref: str, status: str) -> None:
        """The bank's next word."""
        await self.standin.control("POST", f"/disputes/{ref}", {"status": status})

    async def look_at_dispute(self, ref: str) -> None:
        """What a webhook or the schedule would cause."""
        await look_at_dispute(self.service.database, self.gateway, ref)

    async def list_account(self) -> None:
        """What the schedule would cause: what was done at the provider of which nobody told."""
        await list_account(self.service.database, self.gateway, timedelta(minutes=1), await self.account_id())

    async def read_balance(self) -> None:
        """The same for the balance."""
        await read_balance(self.service.database, self.gateway, timedelta(minutes=5), await self.account_id())

    async def account_id(self) -> UUID:
        return (await self.account()).id

    async def account(self) -> ProviderAccount:
        """The row as it is now."""
        async with self.service.database.transaction() as tx:
            return (await tx.scalars(select(ProviderAccount))).one()

    async def payment(self, booking_id: UUID) -> Payment:
        """The row as it is now."""
        async with self.service.database.transaction() as tx:
            return (await tx.scalars(select(Payment).where(Payment.booking_id == booking_id))).one()

    async def refund(self, refund_id: UUID) -> Refund:
        """The row as it is now."""
        async with self.service.database.transaction() as tx:
            return (await tx.scalars(select(Refund).where(Refund.id == refund_id))).one()

    async def in_status(self, payment: Payment, status: str, at_most_s: float = 15) -> Payment:
        """The payment once it has come to `status`."""

        async def there() -> Payment | None:
            found = await self.payment(payment.booking_id)
            return found if found.status == status else None

        return await eventually(there, at_most_s)

    async def refund_in_status(self, refund_id: UUID, status: str, at_most_s: float = 15) -> Refund:
        """The refund once it has come to `status`."""

        async def there() -> Refund | None:
            found = await self.refund(refund_id)
            return found if found.status == status else None

        return await eventually(there, at_most_s)

    async def make_due(self, row: Payment | Refund | Receipt, column: str = "next_check_at") -> None:
        """Lets time pass until the row is looked at again."""
        rows = table(type(row))
        async with self.service.database.transaction() as tx:
            await tx.execute(update(rows).where(rows.c.id == row.id).values({column: tx.now}))

    async def age_attempts(self, payment: Payment, by: timedelta) -> None:
        """Lets so much time pass since the payment's attempts were sent."""
        attempts = table(Attempt)
        async with self.service.database.transaction() as tx:
            await tx.execute(
                update(attempts).where(attempts.c.payment_id == payment.id).values(sent_at=attempts.c.sent_at - by)
            )

    @property
    def gateway(self) -> StripeGateway:
        """The service's own way to its provider."""
        gateway: StripeGateway = self.service.app.state.gateway
        return gateway

    async def advance(self, payment: Payment, gateway: Gateway | None = None) -> Payment:
        """One step of the payment, as a sweep does it; the row afterwards."""
        await advance_payment(self.service.database, gateway or self.gateway, payment.id)
        return await self.payment(payment.booking_id)

    async def advance_refund(self, refund_id: UUID, gateway: Gateway | None = None) -> Refund:
        """The same for a refund."""
        await advance_refund(self.service.database, gateway or self.gateway, refund_id)
        return await self.refund(refund_id)

    async def attempts(self, payment: Payment) -> list[Attempt]:
        """Oldest first."""
        async with self.service.database.transaction() as tx:
            query = select(Attempt).where(Attempt.payment_id == payment.id).order_by(table(Attempt).c.id)
            return list(await tx.scalars(query))

    async def balances(self, payment: Payment) -> dict[str, int]:
        """Balance of each account in the ledger by the payment's entries; those at zero are left out."""
        entries = table(LedgerEntry)
        async with self.service.database.transaction() as tx:
            found = await tx.execute(
                select(entries.c.account, func.sum(entries.c.amount_minor))
                .where(entries.c.payment_id == payment.id)
                .group_by(entries.c.account)
            )
            return {account: int(balance) for account, balance in found if balance}

    async def told(self, payment: Payment, *kinds: type[Event]) -> list[Any]:
        """What was published about the payment of these kinds, oldest first."""
        return [event for event in await self.events_of(payment) if isinstance(event, kinds)]

    async def events_of(self, payment: Payment) -> list[Event]:
        """What was published about the payment, oldest first."""
        return [event for event in await self.service.outbox() if event.subject == payment.id]

    async def made(self, key: str, value: UUID) -> dict[str, list[dict[str, Any]]]:
        """What exists at the provider with our id in its metadata, by kind."""
        found = await self.standin.control("GET", f"/effects?metadata={key}&value={value}")
        kinds: dict[str, list[dict[str, Any]]] = found.get(str(value), {})
        return kinds

    async def requests(self) -> dict[str, int]:
        """How often each operation was asked of the provider."""
        counted: dict[str, int] = (await self.standin.control("GET", "/stats"))["requests"]
        return counted
