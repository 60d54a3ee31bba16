"""Mails to buyers in each language: the same facts, and no word of another language."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import notification
import pytest
from contracts.money import EXPONENTS, Money
from notification.domain import Template
from notification.letters import Letter
from notification.rules import rule_in
from notification.shown import FORMS, day, instant, money, span
from notification.stories import Story
from notification.words import TONGUES, language_of, unequal
from refund.domain import GIVEN_BEFORE, NOTHING_LEFT
from refund.policy import Policy, Tier, percent_of

from tests.notification.conftest import POLICY, STARTS_AT
from tests.notification.test_letters import MOVED, NOTICES, STORIES, STORY, WRITER, noticed, told

BERLIN = ZoneInfo("Europe/Berlin")
AMOUNT = {"amount_minor": 123450, "currency": "EUR"}
KEPT = {"amount_minor": 276550, "currency": "EUR"}
MONTHS = {
    "en": (
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ),
    "de": (
        "Januar",
        "Februar",
        "März",
        "April",
        "Mai",
        "Juni",
        "Juli",
        "August",
        "September",
        "Oktober",
        "November",
        "Dezember",
    ),
}
NAMES = re.compile(
    r"Goldberg Variations|Ada Lovelace|Northlight Concerts|Great Hall, Hamburg|Europe/Berlin|Stalls|Balcony|https?://\S+|[0-9A-Z-]{26,36}"
)
"""What is the same in every language."""

ENGLISH_WORDS = set(
    re.findall(
        r"\w+",
        "the your you we our have has been of is are it to on for with not by if and this that which be until later back fee open paid "
        "free refund refunded booking ticket tickets event money seats cancel cancelled january march sunday saturday fri thu sat sun",
    )
)
"""Words that no German sentence has, whatever `words` says."""


def stories() -> Iterator[Story]:
    """Every mail to a buyer, in all the ways that it can go."""
    ways: dict[Template, list[dict[str, Any]]] = {
        Template.TICKETS_CANCELLED: [{}, {"by": "staff"}],
        Template.EVENT_MOVED: [{}, {"previous_starts_at": MOVED.starts_at.isoformat()}, {"full_refund_until": None}],
        Template.BOOKING_CANCELLED: [
            {"by": by, "was": was, "received_at": at.isoformat()}
            for by in ("customer", "event", "staff")
            for was in ("confirmed", "pending_payment")
            for at in (STARTS_AT - timedelta(hours=30), STARTS_AT)
        ],
        Template.PAYMENT_VOIDED: [{"amount": AMOUNT}],
        Template.REFUND_SENT: [
            {"amount": AMOUNT, "reason": reason}
            for reason in ("staff_cancelled", "event_cancelled", "seats_unavailable", "duplicate", "goodwill")
        ]
        + [{"amount": AMOUNT, "kept": KEPT}, {"amount": AMOUNT, "for_tickets": True}],
        Template.REFUND_FAILED: [
            {"amount": AMOUNT, "reason": reason, "had_succeeded": had_succeeded}
            for reason in ("dispute_lost", "not_enough_left", "expired_or_canceled_card")
            for had_succeeded in (True, False)
        ],
        Template.REFUND_SETTLED: [{"amount": AMOUNT}],
        Template.NOTHING_TO_REFUND: [{"for_tickets": True}, {"rule": NOTHING_LEFT}],
    }
    with_fee = POLICY.model_copy(update={"fee_minor": 150})
    for template in STORIES:
        for changes in ways.get(template, [{}]):
            story = replace(told(template, **changes), total=Money(400000, "EUR"))
            yield story
            yield replace(story, total=Money(0, "EUR"))
            yield replace(story, policy=with_fee, tickets=STORY.tickets[:1], given_back=STORY.tickets, access=None)
            yield replace(story, policy=None)
            yield replace(story, policy=POLICY.model_copy(update={"tiers": ()}))


def both(letter: Letter) -> str:
    """What stands in the text and on the page, its styles and markup left out; texts for those who see no image are kept."""
    page = letter.html[letter.html.index("<body") :]
    page = re.sub(r'<[^>]*?(?:alt|aria-label)="([^"]*)"[^>]*>', r" \1 ", page)
    return "\n".join((letter.subject, letter.text, unescape(re.sub(r"<[^>]+>", " ", page))))


def tokens(text: str) -> set[str]:
    return set(re.findall(r"[a-zäöüß]{2,}", NAMES.sub(" ", text).lower()))


def lines(text: str) -> set[str]:
    """Those that hold a word."""
    return {line.strip() for line in text.splitlines() if tokens(line)}


def amounts(text: str, language: str) -> list[int]:
    """Minor units, in the order of their size."""
    found = re.findall(r"€([\d,]+\.\d\d)" if language == "en" else r"([\d.]+,\d\d)\N{NO-BREAK SPACE}€", text)
    return sorted(int(re.sub(r"\D", "", each)) for each in found)


def dates(text: str, language: str) -> list[tuple[int, int, int]]:
    """Year, month and day of each date."""
    dot = r"\." if language == "de" else ""
    found = re.findall(rf"(\d+){dot} ({'|'.join(MONTHS[language])}) (\d{{4}})", text)
    return sorted((int(year), MONTHS[language].index(month) + 1, int(of_month)) for of_month, month, year in found)


def test_a_german_mail_tells_the_same_and_has_no_english_word() -> None:
    english, german = (" ".join(TONGUES[language].words.values()) for language in ("en", "de"))
    foreign = (
        tokens(re.sub(r"\{\w+\}", " ", english)) - tokens(re.sub(r"\{\w+\}", " ", german)) - {"do", "so"}
    ) | ENGLISH_WORDS
    assert len(foreign) > 150
    told_of = set()
    for story in stories():
        there, here = (WRITER.write(replace(story, language=language)) for language in ("en", "de"))
        assert there.html.startswith('<!doctype html>\n<html lang="en"')
        assert here.html.startswith('<!doctype html>\n<html lang="de"')
        assert f"<title>{here.subject}</title>" in here.html
        assert tokens(both(here)) & foreign == set(), (story.template, story.facts)
        assert lines(both(here)) & lines(both(there)) == set()
        assert amounts(both(here), "de") == amounts(both(there), "en"), (story.template, story.facts)
        assert dates(both(here), "de") == dates(both(there), "en")
        assert re.findall(r"\d\d:\d\d(?::\d\d)?", both(here)) == re.findall(r"\d\d:\d\d(?::\d\d)?", both(there))
        assert set(re.findall(r'href="([^"]+)"', here.html)) == set(re.findall(r'href="([^"]+)"', there.html))
        assert max(len(line) for line in here.text.splitlines()) <= 90
        assert "\n\n\n\n" not in here.text
        told_of |= {story.template} if amounts(both(here), "de") else set()
    assert len(told_of) > 7


def test_staff_are_written_to_in_english() -> None:
    for template in NOTICES:
        letter = WRITER.write(noticed(template))
        assert '<html lang="en"' in letter.html
        assert "Open it" in letter.text


def test_money_and_links_are_put_as_germans_put_them() -> None:
    story = replace(told(Template.REFUND_SENT, amount=AMOUNT, kept=KEPT), total=Money(400000, "EUR"), language="de")
    letter = WRITER.write(story)
    assert letter.subject == "Ihre Erstattung für Goldberg Variations ist unterwegs"
    for shown in (letter.text, letter.html):
        words = " ".join(re.sub(r"[ \n]+", " ", shown).replace("\N{NO-BREAK SPACE}", " ").split())
        assert "Wir haben 1.234,50 € an Sie zurückgeschickt, weil Sie Ihre Buchung abgesagt haben." in words
        assert "werden 2.765,50 € von den 4.000,00 €, die Sie bezahlt haben, einbehalten." in words
        assert "Ihre Buchung öffnen" in words
        assert "Wo ist mein Geld?" in words
        assert "https://tickets.example/api/refunds/status.html?token=token-1" in words


def test_german_times_name_the_zone_and_the_other_day() -> None:
    assert day(STARTS_AT, BERLIN, "de") == "Samstag, 29. März 2031"
    assert instant(STARTS_AT, BERLIN, "de") == "Sa., 29. März 2031, 20:00 Uhr (UTC+01:00)"
    assert instant(STARTS_AT, BERLIN, "de", seconds=True) == "Sa., 29. März 2031, 20:00:00 Uhr (UTC+01:00)"
    two, eight = (STARTS_AT + timedelta(hours=hours) for hours in (2, 8))
    assert span(STARTS_AT, two, BERLIN, "de") == "20:00 Uhr bis 22:00 Uhr (UTC+01:00, Europe/Berlin)"
    assert span(STARTS_AT, eight, BERLIN, "de") == (
        "20:00 Uhr bis Sonntag, 30. März 2031, 05:00 Uhr (UTC+02:00) (UTC+01:00, Europe/Berlin)"
    )


@pytest.mark.parametrize("currency", EXPONENTS)
def test_no_german_amount_is_rounded(currency: str) -> None:
    assert re.sub(r"\D", "", money(Money(123456, currency), "de")) == "123456"


def test_a_language_that_lacks_a_sentence_or_a_value_is_noticed() -> None:
    """By its name. The module looks when it is imported."""
    english = dict(TONGUES["en"].words)
    assert not unequal(TONGUES["de"].words, english)
    assert {name for name, said in TONGUES["de"].words.items() if said == english[name]} == {
        "event_moved.preview.changed"
    }
    assert set(FORMS) == set(TONGUES)
    assert unequal({name: said for name, said in english.items() if name != "hello"}, english) == {"hello"}
    assert unequal(english | {"hello": "Guten Tag,"}, english) == {"hello"}
    assert unequal(english | {"new": "Neu"}, english) == {"new"}


def test_no_sentence_is_left_over() -> None:
    folder = Path(notification.__file__).parent
    sources = [*folder.glob("*.py"), *folder.glob("templates/*")]
    code = "\n".join(source.read_text() for source in sources)
    asked = set(re.findall(r"""["']([a-z_]+(?:\.[a-z_]+)*)\.?(?:["'{])""", code)) | set(Template)
    for name in TONGUES["en"].words:
        parts = name.split(".")
        assert any(".".join(parts[:count]) in asked for count in range(1, len(parts) + 1)), name


@pytest.mark.parametrize(
    ("named", "language"), [("de", "de"), ("en", "en"), ("fr", "en"), (None, "en"), (7, "en"), (["de"], "en")]
)
def test_who_names_no_language_of_ours_is_written_to_in_english(named: object, language: str) -> None:
    assert language_of(named) == language


def test_each_rule_that_refund_can_give_for_nothing_is_known_in_german() -> None:
    german, at = TONGUES["de"], datetime.fromisoformat("2031-03-29T19:00:00+00:00")
    tiers = (Tier(72, 50), Tier(24, 0))
    hours = {100: "50\N{NO-BREAK SPACE}% erstattet", 30: "mindestens 24 Stunden", 3: "weniger als 24 Stunden"}
    for before, said in hours.items():
        _, rule = percent_of(Policy("p", 1, tiers, 0), at, at - timedelta(hours=before))
        assert said in rule_in(german, rule)
        assert rule_in(TONGUES["en"], rule) == rule
        moved = rule_in(german, f"{rule} The hours count to the new start, which is better for the buyer.")
        assert moved.endswith("Die Stunden zählen bis zum neuen Beginn; das ist für Sie günstiger.")
    _, never = percent_of(Policy("p", 1, (), 0), at, at)
    for rule in (never, NOTHING_LEFT, GIVEN_BEFORE):
        assert rule_in(german, rule) not in {rule, german.say("rule.other")}
    assert rule_in(german, "A rule of next year.") == german.say("rule.other")
