"""A running booking service for each test module, and what tests ask of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from booking import cancellation
from booking.domain import Status
from booking.models import Booking, Event, Ticket, TicketType
from chassis.auth import Principal, Role
from chassis.db import table
from contracts.event import Event as Told
from contracts.money import Money
from contracts.payment import PaymentAuthorized, PaymentFailed, PaymentSucceeded
from contracts.refund import RefundFailed
from httpx2 import Response
from sqlalchemy import Text, cast, func, not_, select, text, update

from tests.conftest import Vhost
from tests.support.service import Running, eventually, running_service

TICKET = {"name": "Parkett", "price_minor": 4200, "tax_rate_bp": 1900, "capacity": 100}
MANAGER = Principal("staff", "staff-1", frozenset({Role.MANAGER}))


@dataclass
class BoxOffice:
    """The service as its users see it, with shortcuts for what most tests need."""

    service: Running

    async def told(self, subject: dict[str, Any], *kinds: type[Told]) -> list[Any]:
        """What was published of these kinds about the event or booking, oldest first."""
        return [
            found
            for found in await self.service.outbox()
            if isinstance(found, kinds) and str(found.subject) == subject["id"]
        ]

    async def create_event(self, *ticket_types: dict[str, Any], **changes: Any) -> dict[str, Any]:
        """An event in two months, as it was answered."""
        body = event_body(*ticket_types, **changes)
        answer = await self.post("/events", body, self.service.staff("manager"))
        assert answer.status_code == 201, answer.text
        created: dict[str, Any] = answer.json()
        return created

    async def shown(self, event: dict[str, Any], role: str = "manager") -> dict[str, Any]:
        """The event as staff see it now; as anyone does where no role is given."""
        headers = self.service.staff(role) if role else {}
        answer = await self.service.client.get(f"/events/{event['id']}", headers=headers)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def post(self, path: str, body: Any, headers: dict[str, str] | None = None, key: str = "") -> Response:
        """POST with an Idempotency-Key of its own unless one is given. Asked to come back later, it does, with the same key."""
        headers = {"Idempotency-Key": key or uuid4().hex, **(headers or {})}
        while (answer := await self.service.client.post(path, json=body, headers=headers)).status_code == 503:
            assert answer.headers["Retry-After"]
        return answer

    async def book(self, event: dict[str, Any], *quantities: int) -> dict[str, Any]:
        """A booking of one ticket, or of `quantities` of the event's types in their order."""
        answer = await self.post("/bookings", booking_body(event, *quantities))
        assert answer.status_code == 201, answer.text
        booking: dict[str, Any] = answer.json()["booking"]
        return booking

    async def read(self, booking: dict[str, Any]) -> dict[str, Any]:
        """The booking as it is now."""
        answer = await self.service.client.get(f"/bookings/{booking['id']}", headers=self.service.holder(booking["id"]))
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def cancel(self, booking: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
        """Cancels as the holder, or as whoever `headers` are."""
        return await self.post(f"/bookings/{booking['id']}/cancel", {}, headers or self.service.holder(booking["id"]))

    async def seats(self, event: dict[str, Any]) -> list[tuple[int, int]]:
        """Held and sold of each type, after checking them against a recount of the bookings in the same snapshot."""
        types, bookings, tickets = table(TicketType), table(Booking), table(Ticket)
        is_left = not_(bookings.c.given_back.has_key(cast(tickets.c.id, Text)))
        occupying = select(tickets.c.ticket_type_id, bookings.c.status, func.count().label("seats")).join(
            bookings, bookings.c.id == tickets.c.booking_id
        )
        async with self.service.database.transaction() as tx:
            await tx.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
            rows = await tx.execute(
                select(types.c.id, types.c.held, types.c.sold)
                .where(types.c.event_id == UUID(event["id"]))
                .order_by(types.c.position)
            )
            counted = await tx.execute(
                occupying.where(bookings.c.event_id == UUID(event["id"]), is_left).group_by(
                    tickets.c.ticket_type_id, bookings.c.status
                )
            )
            recount = {(row.ticket_type_id, row.status.value): row.seats for row in counted}
        found = [(row.id, row.held, row.sold) for row in rows]
        for type_id, held, sold in found:
            assert sold == recount.get((type_id, "confirmed"), 0)
            assert held == sum(
                recount.get((type_id, status), 0) for status in ("pending_payment", "payment_authorized")
            )
        return [(held, sold) for _, held, sold in found]

    async def end_hold(self, booking: dict[str, Any]) -> None:
        """Lets the hold's time be over, if it is still one; the sweep does the rest."""
        bookings = table(Booking)
        past = datetime.now(UTC) - timedelta(seconds=1)
        async with self.service.database.transaction() as tx:
            await tx.execute(
                update(bookings)
                .where(bookings.c.id == UUID(booking["id"]), bookings.c.status == Status.PENDING_PAYMENT)
                .values(hold_expires_at=past, expiry_due_at=past)
            )

    async def expire(self, booking: dict[str, Any]) -> None:
        """Ends the hold and waits for the sweep."""
        await self.end_hold(booking)

        async def expired() -> bool:
            return (await self.read(booking))["status"] == "expired"

        await eventually(expired)

    async def cancel_event_unswept(self, event: dict[str, Any]) -> None:
        """Cancels the event as a process does that dies right after the commit: its bookings are claimed for a while."""
        events, event_id = table(Event), UUID(event["id"])
        async with self.service.database.transaction() as tx:
            await cancellation.cancel_event(tx, MANAGER, event_id)
            later = tx.now + timedelta(hours=1)
            await tx.execute(update(events).where(events.c.id == event_id).values(cancellation_due_at=later))

    async def start_event(self, event: dict[str, Any]) -> None:
        """Lets the event have started: for new bookings, and for those that were placed."""
        events, bookings = table(Event), table(Booking)
        past = datetime.now(UTC) - timedelta(minutes=1)
        fact = bookings.c.event_facts.concat({"starts_at": past.isoformat()})
        async with self.service.database.transaction() as tx:
            await tx.execute(update(events).where(events.c.id == UUID(event["id"])).values(starts_at=past))
            await tx.execute(update(bookings).where(bookings.c.event_id == UUID(event["id"])).values(event_facts=fact))


def event_body(*ticket_types: dict[str, Any], **changes: Any) -> dict[str, Any]:
    start = (datetime.now(UTC) + timedelta(days=60)).replace(hour=19, minute=0, second=0, microsecond=0, tzinfo=None)
    return {
        "name": "Die Zauberflöte",
        "venue": "Opernhaus",
        "local_start": start.isoformat(),
        "local_end": (start + timedelta(hours=3)).isoformat(),
        "timezone": "Europe/Berlin",
        "currency": "EUR",
        "ticket_types": list(ticket_types) or [TICKET],
        **changes,
    }


def booking_body(event: dict[str, Any], *quantities: int) -> dict[str, Any]:
    types = event["ticket_types"]
    return {
        "event_id": event["id"],
        "items": [
            {"ticket_type_id": offered["id"], "quantity": quantity}
            for offered, quantity in zip(types, quantities or (1,), strict=False)
        ],
        "contact": {"name": "Ada Beispiel", "email": "ada@example.com"},
    }


@dataclass
class Payment:
    """The events of one payment of a booking, in the order in which payment makes them."""

    booking: dict[str, Any]
    id: UUID
    version: int = 0

    def authorized(self, **changes: Any) -> PaymentAuthorized:
        return PaymentAuthorized(**self._next(), amount=self._total(), **changes)

    def succeeded(self, amount: Money | None = None) -> PaymentSucceeded:
        return PaymentSucceeded(**self._next(), amount=amount or self._total())

    def failed(self) -> PaymentFailed:
        return PaymentFailed(**self._next(), reason="too_many_declines")

    def _next(self) -> dict[str, Any]:
        self.version += 1
        return {
            "payment_id": self.id,
            "booking_id": UUID(self.booking["id"]),
            "version": self.version,
            "occurred_at": datetime.now(UTC),
        }

    def _total(self) -> Money:
        return Money(**self.booking["total"])


def payment_of(booking: dict[str, Any]) -> Payment:
    return Payment(booking, uuid4())


def refund_of(booking: dict[str, Any], cls: type[Told], refund_id: UUID, version: int, amount: Money) -> Told:
    """What refund tells of one refund of the booking."""
    facts = {"refund_id": refund_id, "booking_id": UUID(booking["id"]), "payment_id": uuid4(), "version": version}
    reason = "expired_or_canceled_card" if cls is RefundFailed else "customer_cancelled"
    return cls(**facts, occurred_at=datetime.now(UTC), amount=amount, reason=reason)


@pytest.fixture(scope="module")
async def office(postgres_url: str, broker_vhost: Vhost) -> AsyncIterator[BoxOffice]:
    async with running_service("booking", postgres_url, broker_vhost) as service:
        yield BoxOffice(service)
