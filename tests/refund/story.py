"""One booking as the other services tell it: events that belong together, and what refund makes of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from contracts.booking import (
    BookingCancelled,
    BookingConfirmed,
    BookingPlaced,
    EventDates,
    EventFacts,
    EventRescheduled,
    Line,
    PolicySnapshot,
    PolicyTier,
    SeatsUnavailable,
    TicketsCancelled,
)
from contracts.event import Event
from contracts.money import Money
from contracts.payment import (
    DisputeClosed,
    DisputeOpened,
    PaymentRefundBlocked,
    PaymentRefunded,
    PaymentRefundedOutside,
    PaymentRefundFailed,
    PaymentRefundPending,
    PaymentRefundRejected,
    PaymentSucceeded,
)
from contracts.refund import RefundApproved
from refund.models import Booking

from tests.support.service import Running, eventually

STANDARD = (PolicyTier(hours_before=48, percent=100), PolicyTier(hours_before=24, percent=50))


@dataclass
class Story:
    """A booking of `prices` whose event starts `starts_in` from now."""

    refund: Running
    prices: tuple[int, ...] = (999, 999)
    currency: str = "EUR"
    starts_in: timedelta = timedelta(days=30)
    tiers: tuple[PolicyTier, ...] = STANDARD
    fee_minor: int = 0
    booking_id: UUID = field(default_factory=uuid4)
    payment_id: UUID = field(default_factory=uuid4)
    dispute_id: UUID = field(default_factory=uuid4)
    event_id: UUID = field(default_factory=uuid4)
    line_ids: list[UUID] = field(default_factory=list)
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __post_init__(self) -> None:
        self.line_ids = self.line_ids or [uuid4() for _ in self.prices]

    @property
    def total(self) -> Money:
        return Money(sum(self.prices), self.currency)

    @property
    def facts(self) -> EventFacts:
        starts_at = self.now + self.starts_in
        return EventFacts(
            event_id=self.event_id,
            name="Nabucco",
            venue="Arena",
            starts_at=starts_at,
            ends_at=starts_at + timedelta(hours=3),
            timezone="Europe/Berlin",
        )

    def placed(self) -> BookingPlaced:
        return BookingPlaced(
            version=1,
            occurred_at=self.now,
            booking_id=self.booking_id,
            event=self.facts,
            lines=tuple(
                Line(
                    line_id=line_id,
                    ticket_type_id=uuid4(),
                    name="Stalls",
                    gross_minor=price,
                    tax_minor=price * 19 // 119,
                    tax_rate_bp=1900,
                )
                for line_id, price in zip(self.line_ids, self.prices, strict=True)
            ),
            total=self.total,
            policy=PolicySnapshot(policy_id="default", policy_version=1, tiers=self.tiers, fee_minor=self.fee_minor),
            contact=self.refund.seal({"name": "Ada", "email": "ada@example.org"}, "booking.contact"),
            hold_expires_at=self.now + timedelta(minutes=15),
        )

    def captured(self, payment_id: UUID | None = None, amount: Money | None = None) -> PaymentSucceeded:
        return PaymentSucceeded(
            version=2,
            occurred_at=self.now,
            payment_id=payment_id or self.payment_id,
            booking_id=self.booking_id,
            amount=amount or self.total,
        )

    def confirmed(self, *, free: bool = False) -> BookingConfirmed:
        return BookingConfirmed(
            version=3,
            occurred_at=self.now,
            booking_id=self.booking_id,
            payment_id=None if free else self.payment_id,
            event=self.facts,
            total=self.total,
            contact="sealed",
            tickets="sealed",
        )

    def dates(self, starts_in: timedelta, full_refund_for: timedelta | None = None) -> EventDates:
        """Of the event, as a cancellation states them."""
        until = None if full_refund_for is None else self.now + full_refund_for
        return EventDates(starts_at=self.now + starts_in, full_refund_until=until)

    def cancelled(
        self,
        by: str = "customer",
        was: str = "confirmed",
        lines: tuple[int, ...] = (),
        dates: EventDates | None = None,
        **received: datetime,
    ) -> BookingCancelled:
        return BookingCancelled(
            version=4,
            occurred_at=self.now,
            booking_id=self.booking_id,
            by=by,
            was=was,
            received_at=received.get("received_at", self.now),
            line_ids=tuple(self.line_ids[index] for index in lines),
            event_dates=dates,
        )

    def tickets_cancelled(
        self, *lines: int, by: str = "customer", version: int = 4, dates: EventDates | None = None
    ) -> TicketsCancelled:
        """Tickets of the booking, by their place in `prices`, were given back."""
        given_back = tuple(self.line_ids[index] for index in lines)
        return TicketsCancelled(
            version=version,
            occurred_at=self.now,
            booking_id=self.booking_id,
            by=by,
            received_at=self.now,
            line_ids=given_back,
            remaining_line_ids=tuple(line_id for line_id in self.line_ids if line_id not in given_back),
            event_dates=dates,
        )

    def rescheduled(
        self, starts_in: timedelta, full_refund_for: timedelta | None = None, version: int = 2
    ) -> EventRescheduled:
        """The event now starts `starts_in` from the story's now."""
        facts = self.facts
        moved = facts.model_copy(update={"starts_at": self.now + starts_in})
        until = None if full_refund_for is None else self.now + full_refund_for
        return EventRescheduled(
            version=version,
            occurred_at=self.now,
            event_id=self.event_id,
            event=moved,
            previous_starts_at=facts.starts_at,
            full_refund_until=until,
        )

    def seats_unavailable(self, reason: str = "sold_out") -> SeatsUnavailable:
        return SeatsUnavailable(
            version=4, occurred_at=self.now, booking_id=self.booking_id, payment_id=self.payment_id, reason=reason
        )

    def refunded(self, approved: RefundApproved, version: int = 3, **other: Any) -> PaymentRefunded:
        return PaymentRefunded(**self._about(approved, version) | other)

    def refund_failed(
        self, approved: RefundApproved, version: int = 4, *, had_succeeded: bool = False
    ) -> PaymentRefundFailed:
        about = self._about(approved, version)
        return PaymentRefundFailed(**about, reason="expired_or_canceled_card", had_succeeded=had_succeeded)

    def refund_rejected(
        self, approved: RefundApproved, remaining_minor: int, version: int = 3
    ) -> PaymentRefundRejected:
        remaining = Money(remaining_minor, self.currency)
        return PaymentRefundRejected(**self._about(approved, version), remaining=remaining)

    def refund_pending(self, approved: RefundApproved, why: str, version: int = 3) -> PaymentRefundPending:
        return PaymentRefundPending(**self._about(approved, version), why=why)

    def refund_blocked(self, approved: RefundApproved, version: int = 4) -> PaymentRefundBlocked:
        return PaymentRefundBlocked(**self._about(approved, version), dispute_id=self.dispute_id)

    def refunded_outside(self, minor: int, version: int = 3, refund_id: UUID | None = None) -> PaymentRefundedOutside:
        return PaymentRefundedOutside(
            version=version,
            occurred_at=self.now,
            payment_id=self.payment_id,
            booking_id=self.booking_id,
            refund_id=refund_id or uuid4(),
            amount=Money(minor, self.currency),
        )

    def dispute_opened(self, version: int = 3, **other: Any) -> DisputeOpened:
        return DisputeOpened(**self._dispute(version) | other, reason="fraudulent")

    def dispute_closed(self, outcome: str, version: int = 5, **other: Any) -> DisputeClosed:
        return DisputeClosed(**self._dispute(version) | other, outcome=outcome)

    async def tell(self, *events: Event) -> None:
        """Delivers events one after the other, each consumed before the next."""
        for event in events:
            await self.refund.deliver_and_wait(event)

    async def paid(self) -> None:
        await self.tell(self.placed(), self.captured(), self.confirmed())

    async def said(self) -> list[Event]:
        """What refund published about this booking."""
        return [event for event in await self.refund.outbox() if getattr(event, "booking_id", None) == self.booking_id]

    async def says(self, event: type[Any]) -> Any:
        """The one event of a type about this booking, as soon as it is there."""

        async def found() -> list[Event]:
            return [said for said in await self.said() if isinstance(said, event)]

        [said] = await eventually(found)
        return said

    async def refunds(self) -> list[dict[str, Any]]:
        """Refunds of the booking with their traces, newest first, as staff see them."""
        viewer = self.refund.staff("viewer")
        listed = await self.refund.client.get("/refunds", params={"booking_id": str(self.booking_id)}, headers=viewer)
        assert listed.status_code == 200, listed.text
        details = [
            await self.refund.client.get(f"/refunds/{item['id']}", headers=viewer) for item in listed.json()["items"]
        ]
        return [detail.json() for detail in details]

    async def quote(self) -> dict[str, Any]:
        """The quote, as the booking's holder sees it."""
        answer = await self.refund.client.get(
            "/refunds/quote",
            params={"booking_id": str(self.booking_id)},
            headers=self.refund.holder(self.booking_id),
        )
        assert answer.status_code == 200, answer.text
        quote: dict[str, Any] = answer.json()
        return quote

    async def row(self) -> Booking:
        """What refund knows of the booking."""
        async with self.refund.database.transaction() as tx:
            found = await tx.get(Booking, self.booking_id)
        assert found is not None
        return found

    def _dispute(self, version: int) -> dict[str, Any]:
        return {
            "version": version,
            "occurred_at": self.now,
            "payment_id": self.payment_id,
            "booking_id": self.booking_id,
            "dispute_id": self.dispute_id,
            "amount": self.total,
        }

    def _about(self, approved: RefundApproved, version: int) -> dict[str, Any]:
        return {
            "version": version,
            "occurred_at": self.now,
            "payment_id": self.payment_id,
            "booking_id": self.booking_id,
            "refund_id": approved.refund_id,
            "amount": approved.amount,
        }
