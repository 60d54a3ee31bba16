"""What buyers read: amounts, times, rules, and that nobody else's text can do anything in it."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.headerregistry import Address
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import icalendar
import pytest
from contracts.booking import IssuedTicket
from contracts.money import EXPONENTS, Money
from markupsafe import escape
from notification.composer import calendar_of, compose
from notification.domain import Template
from notification.letters import Story, Writer, instant, money, span
from notification.smtp import address_of, envelope

from tests.notification.conftest import FACTS, POLICY, STARTS_AT, TICKETS

WRITER = Writer("Northlight Concerts", "https://tickets.example")
SENDER = Address("Northlight Concerts", "tickets", "northlight.example")
ADA = Address("Ada", "ada", "example.com")
AMOUNT = {"amount_minor": 4450, "currency": "EUR"}
CANCELLED = {"by": "customer", "was": "confirmed", "received_at": (STARTS_AT - timedelta(hours=30)).isoformat()}
BERLIN = ZoneInfo("Europe/Berlin")

STORY = Story(
    template=Template.CONFIRMATION,
    booking_id=UUID(int=9),
    event=FACTS,
    total=Money(8900, "EUR"),
    policy=POLICY,
    name="Ada Lovelace",
    facts={},
    tickets=tuple(IssuedTicket.model_validate(ticket) for ticket in TICKETS),
)
STORIES: dict[Template, dict[str, Any]] = {
    Template.CONFIRMATION: {},
    Template.BOOKING_CANCELLED: CANCELLED,
    Template.HOLD_EXPIRED: {},
    Template.PAYMENT_VOIDED: {"amount": AMOUNT},
    Template.REFUND_SENT: {"amount": AMOUNT, "reason": "customer_cancelled"},
    Template.REFUND_FAILED: {"amount": AMOUNT},
    Template.NOTHING_TO_REFUND: {"rule": "less than 24 hours before the start"},
}

HOSTILE = [
    "{{ 7*7 }}",
    "{% for x in ().__class__.__base__.__subclasses__() %}{{ x }}{% endfor %}",
    "<script>alert(1)</script>",
    '" onmouseover="alert(1)',
    "</style><img src=x onerror=alert(1)>",
    "<a href='javascript:alert(1)'>win</a>",
    "&lt;b&gt; & 'quotes'",
]


def told(template: Template, **changes: Any) -> Story:
    return replace(STORY, template=template, facts={**STORIES[template], **changes})


def test_every_template_has_its_mail() -> None:
    assert set(STORIES) == set(Template)


@pytest.mark.parametrize("template", Template)
def test_each_mail_is_a_complete_page_and_a_text_without_markup(template: Template) -> None:
    letter = WRITER.write(told(template))
    assert letter.html.startswith('<!doctype html>\n<html lang="en"')
    assert f"<title>{letter.subject}</title>" in letter.html
    assert letter.html.count("<h1") == 1
    assert 'name="color-scheme" content="light dark"' in letter.html
    assert "@media (prefers-color-scheme: dark)" in letter.html
    assert letter.html.count("<table") == letter.html.count("</table>") == letter.html.count('role="presentation"')
    for shown in (letter.html, letter.text):
        assert "Ada Lovelace" in shown
        assert "Goldberg Variations" in shown
        assert str(STORY.booking_id) in shown
        assert "{{" not in shown
        assert "{%" not in shown
    assert not re.search(r"<\w", letter.text)
    assert "\n\n\n\n" not in letter.text
    assert max(len(line) for line in letter.text.splitlines()) <= 90


@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize("template", Template)
def test_texts_of_others_are_shown_and_do_nothing(template: Template, hostile: str) -> None:
    story = told(template, **({"rule": hostile} if template is Template.NOTHING_TO_REFUND else {}))
    tickets = tuple(ticket.model_copy(update={"name": hostile}) for ticket in STORY.tickets)
    story = replace(
        story, name=hostile, tickets=tickets, event=FACTS.model_copy(update={"name": hostile, "venue": hostile})
    )
    letter = WRITER.write(story)
    assert hostile in letter.text
    assert escape(hostile) in letter.html
    tame = WRITER.write(told(template)).html
    for mark in ("<script", "<img", "<a ", "<style", "</style", 'onmouseover="', "onerror=alert(1)>"):
        assert letter.html.count(mark) == tame.count(mark)
    assert "49" not in letter.subject


@pytest.mark.parametrize(
    "broken", ["Bach\r\nBcc: eve@example.com", "Bach\nBcc: eve@example.com", "Bach\0", "Bach\u2028x"]
)
def test_a_line_break_never_reaches_a_header(broken: str) -> None:
    with pytest.raises(ValueError, match="control character"):
        WRITER.write(replace(STORY, event=FACTS.model_copy(update={"name": broken})))


@pytest.mark.parametrize(
    ("name", "email"),
    [
        ("Ada\r\nBcc: eve@example.com", "ada@example.com"),
        ("Ada", "ada@example.com\r\nBcc: eve@example.com"),
        ("Ada", "ada\n@example.com"),
        ("Ada", "no address"),
        ("Ada", "@example.com"),
        ("Ada", "ada@"),
    ],
)
def test_a_recipient_that_is_none_is_refused(name: str, email: str) -> None:
    with pytest.raises(ValueError, match="recipient's address is not usable"):
        address_of(name, email)


def test_quotes_and_umlauts_in_a_name_survive() -> None:
    recipient = address_of('Jörg "Joe" Müller, Dr.', "joerg@bücher.example")
    assert recipient.addr_spec == "joerg@xn--bcher-kva.example"
    message = compose(
        WRITER.write(STORY), STORY, sender=SENDER, recipient=recipient, message_id="<1@x.example>", created_at=STARTS_AT
    )
    sent = envelope(message, SENDER, recipient)
    assert not sent.needs_utf8
    assert sent.content.isascii()
    assert b"Bcc" not in sent.content


def test_an_address_beyond_ascii_asks_the_server_for_it() -> None:
    recipient = address_of("Jörg", "jörg@example.com")
    message = compose(
        WRITER.write(STORY), STORY, sender=SENDER, recipient=recipient, message_id="<1@x.example>", created_at=STARTS_AT
    )
    assert envelope(message, SENDER, recipient).needs_utf8


def test_a_retry_is_the_same_mail() -> None:
    def parts() -> list[tuple[str, object]]:
        message = compose(
            WRITER.write(STORY), STORY, sender=SENDER, recipient=ADA, message_id="<1@x.example>", created_at=STARTS_AT
        )
        headers = [(name, value) for name, value in message.items() if not name.startswith("Content")]
        return headers + [
            (part.get_content_type(), part.get_content()) for part in message.walk() if not part.is_multipart()
        ]

    assert parts() == parts()


@pytest.mark.parametrize(
    ("by", "was", "total", "said"),
    [
        ("customer", "confirmed", 8900, "gets 50% of the price back"),
        ("event", "confirmed", 8900, "You get the full price back"),
        ("staff", "confirmed", 8900, "We write to you as soon as we know what is paid back"),
        ("customer", "confirmed", 0, "This booking was free"),
        ("event", "confirmed", 0, "This booking was free"),
        ("customer", "pending_payment", 8900, "You have not been charged"),
        ("event", "payment_authorized", 8900, "You have not been charged"),
    ],
)
def test_a_cancellation_says_in_plain_words_what_happens_with_the_money(
    by: str, was: str, total: int, said: str
) -> None:
    story = replace(told(Template.BOOKING_CANCELLED, by=by, was=was), total=Money(total, "EUR"))
    letter = WRITER.write(story)
    for shown in (letter.text, letter.html):
        assert said in " ".join(shown.split())
    assert ("no longer valid" in letter.text) is (was == "confirmed")


def test_a_cancellation_after_the_last_cut_off_promises_nothing() -> None:
    late = WRITER.write(told(Template.BOOKING_CANCELLED, received_at=STARTS_AT.isoformat()))
    assert "nothing is paid back" in late.text
    unknown = WRITER.write(replace(told(Template.BOOKING_CANCELLED), policy=None))
    assert "We write to you as soon as we know" in unknown.text


def test_the_fee_of_a_policy_is_told() -> None:
    letter = WRITER.write(replace(STORY, policy=POLICY.model_copy(update={"fee_minor": 150})))
    assert "A fee of €1.50 per booking is kept." in letter.text
    assert "A fee of €1.50 per booking is kept." in letter.html


def test_a_booking_without_refunds_says_so() -> None:
    letter = WRITER.write(replace(STORY, policy=POLICY.model_copy(update={"tiers": ()})))
    assert "This booking cannot be refunded." in letter.text
    assert "This booking cannot be refunded." in letter.html


@pytest.mark.parametrize(
    ("amount", "currency", "shown"),
    [
        (123450, "EUR", "€1,234.50"), (5, "USD", "$0.05"), (1234, "JPY", "¥1,234"), (123400, "ISK", "ISK\xa01,234.00"),
        (50050, "UGX", "UGX\xa0500.50"), (100, "CHF", "CHF\xa01.00"), (8900, "CAD", "CA$89.00"),
    ],
)  # fmt: skip
def test_amounts_show_every_minor_unit(amount: int, currency: str, shown: str) -> None:
    assert money(Money(amount, currency)) == shown


@pytest.mark.parametrize("currency", EXPONENTS)
def test_no_amount_is_rounded(currency: str) -> None:
    digits = re.sub(r"\D", "", money(Money(123456, currency)))
    assert digits == "123456"


def test_times_are_those_of_the_event_with_their_offset() -> None:
    assert instant(STARTS_AT, BERLIN) == "Sat, 29 March 2031, 20:00 (UTC+01:00)"
    assert span(STARTS_AT, STARTS_AT + timedelta(hours=2), BERLIN) == "20:00 to 22:00 (UTC+01:00, Europe/Berlin)"
    over_the_change = span(STARTS_AT, STARTS_AT + timedelta(hours=8), BERLIN)
    assert over_the_change == "20:00 to 05:00 (UTC+02:00) on Sunday, 30 March 2031 (UTC+01:00, Europe/Berlin)"
    kathmandu = span(STARTS_AT, STARTS_AT + timedelta(hours=1), ZoneInfo("Asia/Kathmandu"))
    assert kathmandu == "00:45 to 01:45 (UTC+05:45, Asia/Kathmandu)"


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kolkata", "UTC"])
def test_the_calendar_entry_means_the_same_instant_everywhere(zone: str) -> None:
    story = replace(STORY, event=FACTS.model_copy(update={"timezone": zone, "name": "A; B, C\\D"}))
    found = calendar_of(story, "x.example", datetime(2031, 1, 1, tzinfo=UTC))
    assert found is not None
    method, content = found
    assert method == "PUBLISH"
    (entry,) = icalendar.Calendar.from_ical(content).walk("VEVENT")
    assert isinstance(entry, icalendar.Event)
    assert isinstance(entry.start, datetime)
    assert entry.start.astimezone(UTC) == STARTS_AT
    assert entry["summary"] == "A; B, C\\D"
    assert f"DTSTART;TZID={zone}:".encode() in content or (zone == "UTC" and b"DTSTART:20310329T190000Z" in content)
    assert (b"BEGIN:VTIMEZONE" in content) is (zone != "UTC")


def test_only_what_was_confirmed_is_taken_back_from_the_calendar() -> None:
    cancelled = told(Template.BOOKING_CANCELLED)
    found = calendar_of(cancelled, "x.example", STARTS_AT)
    assert found is not None
    assert found[0] == "CANCEL"
    assert b"STATUS:CANCELLED" in found[1]
    assert calendar_of(told(Template.BOOKING_CANCELLED, was="pending_payment"), "x.example", STARTS_AT) is None
    assert calendar_of(told(Template.REFUND_SENT), "x.example", STARTS_AT) is None
