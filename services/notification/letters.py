"""A mail's words: the facts of a transition turned into a subject, a plain text and a page.

Names and texts of others go through templates that escape them and cannot run anything; they are never templates themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from contracts.money import Money
from jinja2 import PackageLoader, StrictUndefined, select_autoescape
from jinja2.sandbox import ImmutableSandboxedEnvironment

from notification.domain import CutOff, Template, cut_offs
from notification.notices import notice_words
from notification.shown import day, instant, money, span
from notification.stories import Notice, Story
from notification.survey_rules import KINDS
from notification.survey_words import survey_words

_SUBJECTS: Mapping[Template, str] = {
    Template.CONFIRMATION: "Your tickets for {event}",
    Template.TICKETS_CANCELLED: "Some of your tickets for {event} are cancelled",
    Template.EVENT_MOVED: "{event} has a new date",
    Template.BOOKING_CANCELLED: "Your booking for {event} is cancelled",
    Template.HOLD_EXPIRED: "Your booking for {event} was not completed",
    Template.PAYMENT_VOIDED: "You have not been charged for {event}",
    Template.PAYMENT_REJECTED: "Your payment for {event} was not accepted",
    Template.REFUND_SENT: "Your refund for {event} is on its way",
    Template.REFUND_FAILED: "Your refund for {event} did not arrive",
    Template.REFUND_SETTLED: "Your refund for {event} has been paid another way",
    Template.NOTHING_TO_REFUND: "No refund is due for {event}",
}

_UNMADE = {
    "dispute_lost": "Your bank has returned your money for {event}",
    "not_enough_left": "Your refund for {event} is being looked into",
}
"""Subjects by the reason of a refund that failed, where what failed is not owed to the buyer, or not as it is."""

_WHY = {
    "customer_cancelled": "since you cancelled your booking",
    "staff_cancelled": "since the organiser cancelled your booking",
    "event_cancelled": "since the event was cancelled",
    "seats_unavailable": "since the seats were no longer available when your payment arrived",
    "duplicate": "since it had been paid twice",
}
"""What a refund's reason means to the buyer. The others say nothing that a buyer could use."""


@dataclass(frozen=True)
class Letter:
    """A mail's words."""

    subject: str
    text: str
    html: str


class Writer:
    """Writes letters. `brand` is the name that mails are from, `public_url` where customers find the site."""

    def __init__(self, brand: str, public_url: str) -> None:
        self._common = {"brand": brand, "public_url": public_url, "language": "en"}
        self._templates = ImmutableSandboxedEnvironment(
            loader=PackageLoader("notification"),
            autoescape=select_autoescape(enabled_extensions=("html",), default=False),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            auto_reload=False,
        )
        self._templates.filters["money"] = money

    def write(self, story: Story | Notice) -> Letter:
        """The letter of a transition. Raises ValueError where a name holds a line break, which no header may carry."""
        page, words = self._told(story)
        subject = words["subject"]
        if not subject.isprintable():
            raise ValueError("the event's name holds a control character, which no header may carry")
        words = self._common | words | {"story": story}
        words["money_url"] = self._money_url(story)
        words["page_url"] = self._page_url(story)
        words["page_label"] = "Open your booking" if isinstance(story, Story) else "Open it"
        return Letter(
            subject,
            self._templates.get_template(f"{page}.txt").render(words),
            self._templates.get_template(f"{page}.html").render(words),
        )

    def _told(self, story: Story | Notice) -> tuple[str, dict[str, Any]]:
        """The name of its templates, and its words."""
        if isinstance(story, Notice):
            return "staff", notice_words(story)
        if story.template in KINDS:
            return "survey", survey_words(story, self._common["public_url"])
        return story.template, _words(story)

    def _money_url(self, story: Story | Notice) -> str:
        """The page that says where the buyer's money is, and takes another way to pay it. Before the confirmation there is no key to it."""
        public_url = self._common["public_url"]
        if isinstance(story, Notice) or story.access is None:
            return public_url
        return f"{public_url}/api/refunds/status.html?token={story.access}"

    def _page_url(self, story: Story | Notice) -> str | None:
        """The page of what the mail is about: with the holder's key in the part that browsers send nowhere, or where staff sign in.

        None for a buyer without a key: before the confirmation there is none. A survey has links of its own.
        """
        public_url = self._common["public_url"]
        if isinstance(story, Notice):
            return public_url + story.path
        if story.template in KINDS:
            return None
        return f"{public_url}/bookings/{story.booking_id}#token={story.access}" if story.access else None


def _subject(story: Story) -> str:
    pattern = _SUBJECTS[story.template]
    if story.template is Template.BOOKING_CANCELLED and story.facts["by"] == "event":
        pattern = "{event} has been cancelled"
    elif story.template is Template.EVENT_MOVED and not _has_new_start(story):
        pattern = "{event} has changed"
    elif story.template is Template.REFUND_FAILED:
        pattern = _UNMADE.get(story.facts.get("reason", ""), pattern)
    return pattern.replace("{event}", story.event.name)


def _has_new_start(story: Story) -> bool:
    return datetime.fromisoformat(story.facts["previous_starts_at"]) != story.event.starts_at


def _words(story: Story) -> dict[str, Any]:
    zone = story.zone
    facts: dict[str, Any] = {
        name: Money(**value) if name in {"amount", "kept"} else value for name, value in story.facts.items()
    }
    words: dict[str, Any] = {
        "subject": _subject(story),
        "event": story.event,
        "facts": facts,
        "date": day(story.event.starts_at, zone),
        "time": span(story.event.starts_at, story.event.ends_at, zone),
        "cut_offs": [_shown(cut, zone) for cut in _cut_offs(story)],
        "fee": Money(story.policy.fee_minor, story.total.currency) if story.policy else None,
        "full_refund_until": story.full_refund_until and instant(story.full_refund_until, zone),
    }
    if story.template is Template.REFUND_SENT:
        words["why"] = _WHY.get(facts["reason"])
        words["is_part"] = facts["amount"].amount_minor < story.total.amount_minor
    if story.template is Template.REFUND_FAILED:
        words["unmade"] = facts["reason"] if facts.get("reason") in _UNMADE else None
    if story.template is Template.EVENT_MOVED:
        words["before"] = instant(datetime.fromisoformat(facts["previous_starts_at"]), zone)
        words["now"] = instant(story.event.starts_at, zone)
        words["has_new_start"] = _has_new_start(story)
    if "received_at" in facts:
        received_at = datetime.fromisoformat(facts["received_at"])
        words["received"] = instant(received_at, zone, seconds=True)
        words["percent"] = story.percent_back(received_at) if story.policy else None
    return words


def _cut_offs(story: Story) -> list[CutOff]:
    """Those that still mean something: while a move gives everything back, the policy does not matter."""
    by_policy, until = cut_offs(story.tiers, story.counted_from), story.full_refund_until
    if until is None:
        return by_policy
    window = [] if story.template is Template.EVENT_MOVED else [CutOff(until, 100)]
    return window + [cut for cut in by_policy if cut.until > until]


def _shown(cut: CutOff, zone: ZoneInfo) -> dict[str, Any]:
    return {"until": instant(cut.until, zone), "percent": cut.percent}
