"""A cancelled event and its bookings, as the other services tell of them, and what staff see of the campaign."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx2
from chassis.db import table
from chassis.outbox import OutboxRow
from contracts.booking import EventCancelled, EventFacts
from contracts.catalogue import EVENTS
from contracts.event import Event
from contracts.refund import RefundApproved
from refund import campaign
from refund.models import Booking
from sqlalchemy import insert, select
from sqlalchemy.sql.elements import ColumnElement

from tests.support.service import Running, eventually

from .story import Story


@dataclass
class Ticket(Story):
    """A booking of one particular event."""

    event_id: UUID = field(default_factory=uuid4)

    @property
    def facts(self) -> EventFacts:
        return super().facts.model_copy(update={"event_id": self.event_id})

    async def said(self) -> list[Event]:
        return await _told(self.refund, table(OutboxRow).c.body.contains(str(self.booking_id)))

    async def approved(self) -> RefundApproved:
        approved: RefundApproved = await self.says(RefundApproved)
        return approved


@dataclass
class Tour:
    """An event whose bookings are refunded by a campaign."""

    refund: Running
    event_id: UUID = field(default_factory=uuid4)
    name: str = "Nabucco"

    def ticket(self, **facts: Any) -> Ticket:
        return Ticket(self.refund, event_id=self.event_id, **facts)

    def cancelled(self) -> EventCancelled:
        now = datetime.now(UTC)
        return EventCancelled(version=1, occurred_at=now, event_id=self.event_id, name=self.name, cancelled_at=now)

    async def tell(self, *events: Event) -> None:
        for event in events:
            await self.refund.deliver_and_wait(event)

    async def said(self, event: type[Any]) -> list[Any]:
        """What refund published of a type about this campaign."""
        told = await _told(self.refund, table(OutboxRow).c.subject == self.event_id)
        return [said for said in told if isinstance(said, event)]

    async def says(self, event: type[Any], times: int = 1) -> Any:
        """The last of `times` such events, as soon as it is there."""

        async def enough() -> list[Any] | None:
            said = await self.said(event)
            return said if len(said) >= times else None

        said = await eventually(enough)
        assert len(said or ()) == times
        return (said or ())[-1]

    async def get(self, path: str = "", role: str = "viewer", **params: Any) -> httpx2.Response:
        return await self.refund.client.get(
            f"/refund-campaigns/{self.event_id}{path}", params=params, headers=self.refund.staff(role)
        )

    async def post(self, verb: str, role: str = "manager") -> httpx2.Response:
        return await self.refund.client.post(
            f"/refund-campaigns/{self.event_id}/{verb}", headers=self.refund.staff(role)
        )

    async def progress(self) -> dict[str, Any]:
        answer = await self.get()
        assert answer.status_code == 200, answer.text
        progress: dict[str, Any] = answer.json()
        return progress

    async def items(self, **params: Any) -> list[dict[str, Any]]:
        answer = await self.get("/items", **params)
        assert answer.status_code == 200, answer.text
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    async def sold(self, count: int, currency: str = "EUR") -> None:
        """Writes `count` paid bookings that booking has told to be cancelled by their event, the oldest first, and begins the campaign."""
        tickets = [self.ticket(currency=currency) for _ in range(count)]
        async with self.refund.database.transaction() as tx:
            rows = [
                _row(ticket, tx.now - timedelta(hours=1) + timedelta(seconds=n)) for n, ticket in enumerate(tickets)
            ]
            await tx.execute(insert(table(Booking)).values(rows))
            await campaign.start(tx, self.cancelled())


async def _told(refund: Running, which: ColumnElement[bool]) -> list[Event]:
    """Some of what the service has published, oldest first. To read all of it at each look would keep the machine busy."""
    rows = table(OutboxRow)
    async with refund.database.transaction() as tx:
        found = (await tx.execute(select(rows.c.type, rows.c.body).where(which).order_by(rows.c.seq))).all()
    return [EVENTS[row.type].model_validate_json(row.body) for row in found]


def _row(ticket: Ticket, placed_at: datetime) -> dict[str, Any]:
    placed = ticket.placed()
    return {
        "booking_id": ticket.booking_id,
        "placed_at": placed_at,
        "event_id": ticket.event_id,
        "starts_at": placed.event.starts_at,
        "timezone": placed.event.timezone,
        "total_minor": placed.total.amount_minor,
        "currency": placed.total.currency,
        "policy": placed.policy.model_dump(mode="json"),
        "lines": [line.model_dump(mode="json") for line in placed.lines],
        "payment_id": ticket.payment_id,
        "captured_minor": placed.total.amount_minor,
        "captured_currency": placed.total.currency,
        "cancelled_by": "event",
        "cancelled_was": "confirmed",
        "cancel_received_at": placed_at,
    }
