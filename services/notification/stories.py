"""What a mail may tell, to a buyer and to staff."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from contracts.booking import EventFacts, IssuedTicket, PolicySnapshot
from contracts.money import Money

from notification.domain import Template, Tier, percent_back
from notification.words import ENGLISH


@dataclass(frozen=True)
class Story:
    """Everything that a mail to a buyer may tell.

    `event` is where and when the event takes place now, `promised_starts_at` when it was to start at the time of buying. `move` is the
    number of its newest move, 0 before the first, and `full_refund_until` the end of the time in which it gives everything back.
    `tickets` are those that are valid, `given_back` those that no longer are. `access` is the token for links: the holder's, or that of the
    survey. `language` is the buyer's, one of `words`.
    """

    template: Template
    booking_id: UUID
    event: EventFacts
    total: Money
    policy: PolicySnapshot | None
    name: str
    facts: Mapping[str, Any]
    tickets: tuple[IssuedTicket, ...] = field(default=())
    given_back: tuple[IssuedTicket, ...] = field(default=())
    promised_starts_at: datetime | None = None
    move: int = 0
    full_refund_until: datetime | None = None
    access: str | None = field(default=None, repr=False)
    language: str = ENGLISH

    @property
    def thread(self) -> str:
        """What mails that belong together have in common."""
        return f"booking.{self.booking_id}"

    @property
    def zone(self) -> ZoneInfo:
        """The event's."""
        return ZoneInfo(self.event.timezone)

    @property
    def tiers(self) -> list[Tier]:
        """The policy's tiers; none where it is not known."""
        return [Tier(tier.hours_before, tier.percent) for tier in self.policy.tiers] if self.policy else []

    @property
    def counted_from(self) -> datetime:
        """The start that the policy counts from: the promised or the new one, whichever is better for the buyer."""
        return max(self.event.starts_at, self.promised_starts_at or self.event.starts_at)

    def percent_back(self, received_at: datetime) -> int:
        """What a cancellation received at an instant gets of the price."""
        if self.full_refund_until and received_at <= self.full_refund_until:
            return 100
        return percent_back(self.tiers, self.counted_from, received_at)


@dataclass(frozen=True)
class Notice:
    """Everything that a mail to staff may tell. `zone` is that of the event, UTC where it is not known."""

    template: Template
    booking_id: UUID | None
    zone: ZoneInfo
    facts: Mapping[str, Any]

    @property
    def thread(self) -> str:
        """What mails that belong together have in common."""
        return f"booking.{self.booking_id}" if self.booking_id else f"event.{self.facts['event_id']}"

    @property
    def path(self) -> str:
        """The page for staff that shows what it is about."""
        if "refund_id" in self.facts:
            return f"/staff/refunds/{self.facts['refund_id']}"
        return f"/staff/bookings/{self.booking_id}" if self.booking_id else f"/staff/events/{self.facts['event_id']}"
