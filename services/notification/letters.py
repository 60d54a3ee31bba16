"""A mail's words: the facts of a transition turned into a subject, a plain text and a page.

Names and texts of others go through templates that escape them and cannot run anything; they are never templates themselves.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from babel.dates import format_datetime
from babel.numbers import format_currency
from contracts.booking import EventFacts, IssuedTicket, PolicySnapshot
from contracts.money import EXPONENTS, Money
from jinja2 import PackageLoader, StrictUndefined, select_autoescape
from jinja2.sandbox import ImmutableSandboxedEnvironment

from notification.domain import CutOff, Template, Tier, cut_offs, percent_back

LOCALE = "en"

_SUBJECTS: Mapping[Template, str] = {
    Template.CONFIRMATION: "Your tickets for {event}",
    Template.BOOKING_CANCELLED: "Your booking for {event} is cancelled",
    Template.HOLD_EXPIRED: "Your booking for {event} was not completed",
    Template.PAYMENT_VOIDED: "You have not been charged for {event}",
    Template.REFUND_SENT: "Your refund for {event} is on its way",
    Template.REFUND_FAILED: "Your refund for {event} is delayed",
    Template.NOTHING_TO_REFUND: "No refund is due for {event}",
}

_WHY = {
    "customer_cancelled": "since you cancelled your booking",
    "staff_cancelled": "since the organiser cancelled your booking",
    "event_cancelled": "since the event was cancelled",
    "seats_unavailable": "since the seats were no longer available when your payment arrived",
    "duplicate": "since it had been paid twice",
}
"""What a refund's reason means to the buyer. The others say nothing that a buyer could use."""


@dataclass(frozen=True)
class Story:
    """Everything that a mail may tell."""

    template: Template
    booking_id: UUID
    event: EventFacts
    total: Money
    policy: PolicySnapshot | None
    name: str
    facts: Mapping[str, Any]
    tickets: tuple[IssuedTicket, ...] = field(default=())

    @property
    def tiers(self) -> list[Tier]:
        """The policy's tiers; none where it is not known."""
        return [Tier(tier.hours_before, tier.percent) for tier in self.policy.tiers] if self.policy else []


@dataclass(frozen=True)
class Letter:
    """A mail's words."""

    subject: str
    text: str
    html: str


class Writer:
    """Writes letters. `brand` is the name that mails are from, `public_url` where customers find the site."""

    def __init__(self, brand: str, public_url: str) -> None:
        self._common = {"brand": brand, "public_url": public_url}
        self._templates = ImmutableSandboxedEnvironment(
            loader=PackageLoader("notification"),
            autoescape=select_autoescape(enabled_extensions=("html",), default=False),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        self._templates.filters["money"] = money

    def write(self, story: Story) -> Letter:
        """The letter of a transition. Raises ValueError where a name holds a line break, which no header may carry."""
        words = _words(story)
        subject = _subject(story)
        common = {**self._common, "subject": subject}
        return Letter(
            subject,
            self._templates.get_template(f"{story.template}.txt").render(words | common),
            self._templates.get_template(f"{story.template}.html").render(words | common),
        )


def _subject(story: Story) -> str:
    cancelled_event = story.template is Template.BOOKING_CANCELLED and story.facts["by"] == "event"
    pattern = "{event} has been cancelled" if cancelled_event else _SUBJECTS[story.template]
    subject = pattern.replace("{event}", story.event.name)
    if not subject.isprintable():
        raise ValueError("the event's name holds a control character, which no header may carry")
    return subject


def _words(story: Story) -> dict[str, Any]:
    zone = ZoneInfo(story.event.timezone)
    facts = dict(story.facts)
    if "amount" in facts:
        facts["amount"] = Money(**facts["amount"])
    words = {
        "story": story,
        "event": story.event,
        "facts": facts,
        "date": day(story.event.starts_at, zone),
        "time": span(story.event.starts_at, story.event.ends_at, zone),
        "cut_offs": [_shown(cut, zone) for cut in cut_offs(story.tiers, story.event.starts_at)],
        "fee": Money(story.policy.fee_minor, story.total.currency) if story.policy else None,
    }
    if story.template is Template.REFUND_SENT:
        words["why"] = _WHY.get(facts["reason"])
    if story.template is Template.BOOKING_CANCELLED:
        received_at = datetime.fromisoformat(facts["received_at"])
        words["received"] = instant(received_at, zone, seconds=True)
        words["percent"] = percent_back(story.tiers, story.event.starts_at, received_at) if story.policy else None
    return words


def _shown(cut: CutOff, zone: ZoneInfo) -> dict[str, Any]:
    return {"until": instant(cut.until, zone), "percent": cut.percent}


def money(amount: Money) -> str:
    """`€39.98`. Every minor unit is shown that there is, also where the currency usually goes without."""
    exponent = EXPONENTS[amount.currency]
    value = Decimal(amount.amount_minor).scaleb(-exponent)
    shown: str = format_currency(value, amount.currency, locale=LOCALE, currency_digits=exponent == 0)
    # CLDR's currencySpacing, which babel leaves out: a code of letters stands apart from the digits.
    return re.sub(r"(?<=[A-Z])(?=\d)", "\N{NO-BREAK SPACE}", shown)


def day(at: datetime, zone: ZoneInfo) -> str:
    """`Saturday, 14 November 2026` in the event's zone."""
    return format_datetime(at.astimezone(zone), "EEEE, d MMMM y", locale=LOCALE)


def span(start: datetime, end: datetime, zone: ZoneInfo) -> str:
    """`20:00 to 22:30 (UTC+01:00, Europe/Berlin)`; the end with its day and offset where they differ."""
    first, last = start.astimezone(zone), end.astimezone(zone)
    until = f"{last:%H:%M}"
    if last.utcoffset() != first.utcoffset():
        until += f" ({_offset(last)})"
    if last.date() != first.date():
        until += f" on {day(end, zone)}"
    return f"{first:%H:%M} to {until} ({_offset(first)}, {zone.key})"


def instant(at: datetime, zone: ZoneInfo, *, seconds: bool = False) -> str:
    """`Thu, 12 November 2026, 20:00 (UTC+01:00)`."""
    local = at.astimezone(zone)
    return f"{format_datetime(local, 'EEE, d MMMM y, HH:mm:ss' if seconds else 'EEE, d MMMM y, HH:mm', locale=LOCALE)} ({_offset(local)})"


def _offset(local: datetime) -> str:
    digits = f"{local:%z}"
    return f"UTC{digits[:3]}:{digits[3:5]}"
