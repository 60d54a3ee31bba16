"""A mail's words: the facts of a transition turned into a subject, a plain text and a page.

Names and texts of others go through templates that escape them and cannot run anything; they are never templates themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from contracts.money import Money
from jinja2 import PackageLoader, StrictUndefined, select_autoescape
from jinja2.sandbox import ImmutableSandboxedEnvironment

from notification.domain import CutOff, Template, cut_offs
from notification.notices import notice_words
from notification.rules import rule_in
from notification.shown import day, instant, money, span, wrapped
from notification.stories import Notice, Story
from notification.survey_rules import KINDS, SCORES
from notification.words import ENGLISH, TONGUES, Tongue

_UNMADE = frozenset({"dispute_lost", "not_enough_left"})
"""Reasons of a refund that failed, where what failed is not owed to the buyer, or not as it is."""

_WHY = frozenset({"customer_cancelled", "staff_cancelled", "event_cancelled", "seats_unavailable", "duplicate"})
"""Reasons of a refund that mean something to the buyer. The others say nothing that a buyer could use."""


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
        self._templates = {language: _templates_in(tongue) for language, tongue in TONGUES.items()}

    def write(self, story: Story | Notice) -> Letter:
        """The letter of a transition. Raises ValueError where a name holds a line break, which no header may carry."""
        tongue = TONGUES[story.language if isinstance(story, Story) else ENGLISH]
        page, words = self._told(story, tongue)
        subject = words["subject"]
        if not subject.isprintable():
            raise ValueError("the event's name holds a control character, which no header may carry")
        words = self._common | words | {"story": story}
        words["money_url"] = self._money_url(story)
        words["page_url"] = self._page_url(story)
        words["page_label"] = tongue.say("open_booking") if isinstance(story, Story) else "Open it"
        templates = self._templates[tongue.language]
        return Letter(
            subject,
            templates.get_template(f"{page}.txt").render(words),
            templates.get_template(f"{page}.html").render(words),
        )

    def _told(self, story: Story | Notice, tongue: Tongue) -> tuple[str, dict[str, Any]]:
        """The name of its templates, and its words."""
        if isinstance(story, Notice):
            return "staff", notice_words(story)
        if story.template in KINDS:
            return "survey", _survey_words(story, tongue, self._common["public_url"])
        return story.template, _words(story, tongue)

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


def _templates_in(tongue: Tongue) -> ImmutableSandboxedEnvironment:
    """The templates, which say what they say in a language."""
    templates = ImmutableSandboxedEnvironment(
        loader=PackageLoader("notification"),
        autoescape=select_autoescape(enabled_extensions=("html",), default=False),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
    )
    templates.globals |= {"language": tongue.language, "say": tongue.say, "count": tongue.count}
    templates.filters |= {"money": partial(money, language=tongue.language), "wrapped": wrapped}
    return templates


def _subject(story: Story, tongue: Tongue) -> str:
    variant = ""
    if story.template is Template.BOOKING_CANCELLED and story.facts["by"] == "event":
        variant = ".event"
    elif story.template is Template.EVENT_MOVED and not _has_new_start(story):
        variant = ".changed"
    elif story.template is Template.REFUND_FAILED:
        variant = _unmade(story)
    return tongue.say(f"{story.template}.subject{variant}", event=story.event.name)


def _unmade(story: Story) -> str:
    """What the names of words end with for a refund that failed and is not owed as it is."""
    reason = story.facts.get("reason")
    return f".{reason}" if reason in _UNMADE else ""


def _has_new_start(story: Story) -> bool:
    return datetime.fromisoformat(story.facts["previous_starts_at"]) != story.event.starts_at


def _words(story: Story, tongue: Tongue) -> dict[str, Any]:
    zone, language = story.zone, tongue.language
    facts: dict[str, Any] = {
        name: Money(**value) if name in {"amount", "kept"} else value for name, value in story.facts.items()
    }
    words: dict[str, Any] = {
        "subject": _subject(story, tongue),
        "event": story.event,
        "facts": facts,
        "date": day(story.event.starts_at, zone, language),
        "time": span(story.event.starts_at, story.event.ends_at, zone, language),
        "cut_offs": [{"until": instant(cut.until, zone, language), "percent": cut.percent} for cut in _cut_offs(story)],
        "fee": Money(story.policy.fee_minor, story.total.currency) if story.policy and story.policy.fee_minor else None,
        "full_refund_until": story.full_refund_until and instant(story.full_refund_until, zone, language),
    }
    if "received_at" in facts:
        received_at = datetime.fromisoformat(facts["received_at"])
        words["received"] = instant(received_at, zone, language, seconds=True)
    if story.template is Template.REFUND_SENT:
        words["sent"] = _sent(story, tongue, money(facts["amount"], language))
        words["is_part"] = facts["amount"].amount_minor < story.total.amount_minor
    elif story.template is Template.REFUND_FAILED:
        words["unmade"] = _unmade(story)
    elif story.template is Template.NOTHING_TO_REFUND:
        words["rule"] = rule_in(tongue, facts["rule"])
        words["tickets"] = ".tickets" if facts.get("for_tickets") else ""
    elif story.template is Template.EVENT_MOVED:
        words["before"] = instant(datetime.fromisoformat(facts["previous_starts_at"]), zone, language)
        words["now"] = instant(story.event.starts_at, zone, language)
        words["has_new_start"] = _has_new_start(story)
        words["changed"] = "" if _has_new_start(story) else ".changed"
    elif story.template is Template.BOOKING_CANCELLED:
        words["happened"] = tongue.say(f"booking_cancelled.by.{facts['by']}", received=words["received"])
        words["outcome"] = _outcome(story, tongue, words["fee"])
    return words


def _sent(story: Story, tongue: Tongue, amount: str) -> str:
    """What was sent back, and why."""
    reason = story.facts["reason"]
    why = "for_tickets" if story.facts.get("for_tickets") else reason if reason in _WHY else None
    return tongue.say("refund_sent.sent" if why is None else f"refund_sent.sent.{why}", amount=amount)


def _outcome(story: Story, tongue: Tongue, fee: Money | None) -> str | None:
    """What a cancellation means for the buyer's money; None where all of it goes back, which the page says with emphasis."""
    facts = story.facts
    if not story.total.amount_minor:
        return tongue.say("nothing_to_pay_back")
    if facts["was"] != "confirmed":
        return tongue.say("booking_cancelled.not_charged")
    if facts["by"] == "event":
        return None
    if facts["by"] != "customer" or story.policy is None:
        return tongue.say("booking_cancelled.not_known")
    return _by_policy(tongue, story.percent_back(datetime.fromisoformat(facts["received_at"])), fee)


def _by_policy(tongue: Tongue, percent: int, fee: Money | None) -> str:
    """What the buyer's own cancellation gives back of the price."""
    if not percent:
        return tongue.say("booking_cancelled.nothing")
    if fee is None:
        return tongue.say("booking_cancelled.percent", percent=percent)
    return tongue.say("booking_cancelled.percent.fee", percent=percent, fee=money(fee, tongue.language))


def _survey_words(story: Story, tongue: Tongue, public_url: str) -> dict[str, Any]:
    """What the page and the text of a survey's mail are filled with.

    Its links open a page with an answer chosen, and give none: mail scanners open links as well.
    """
    url = f"{public_url}/survey/{story.facts['survey_id']}#token={story.access}"
    return {
        "subject": _subject(story, tongue),
        "question": tongue.say(f"{story.template}.question"),
        "survey_url": url,
        "scores": [(score, tongue.say(f"survey.score.{score}"), f"{url}&score={score}") for score in SCORES],
    }


def _cut_offs(story: Story) -> list[CutOff]:
    """Those that still mean something: while a move gives everything back, the policy does not matter."""
    by_policy, until = cut_offs(story.tiers, story.counted_from), story.full_refund_until
    if until is None:
        return by_policy
    window = [] if story.template is Template.EVENT_MOVED else [CutOff(until, 100)]
    return window + [cut for cut in by_policy if cut.until > until]
