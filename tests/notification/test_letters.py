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
from notification.letters import Writer
from notification.shown import instant, money, span
from notification.smtp import address_of, envelope
from notification.stories import Notice, Story
from notification.survey_rules import KINDS

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
    access="token-1",
)
ABOUT_MONEY = {
    Template.BOOKING_CANCELLED,
    Template.TICKETS_CANCELLED,
    Template.REFUND_SENT,
    Template.REFUND_FAILED,
    Template.REFUND_SETTLED,
}
"""Mails with a link to the page that says where the buyer's money is."""
MOVED = FACTS.model_copy(
    update={"starts_at": STARTS_AT + timedelta(days=1), "ends_at": STARTS_AT + timedelta(days=1, hours=2)}
)
MOVE = {
    "event": MOVED.model_dump(mode="json"),
    "previous_starts_at": STARTS_AT.isoformat(),
    "full_refund_until": (STARTS_AT - timedelta(days=10)).isoformat(),
    "version": 2,
}
STORIES: dict[Template, dict[str, Any]] = {
    Template.CONFIRMATION: {},
    Template.TICKETS_CANCELLED: {"by": "customer", "received_at": CANCELLED["received_at"], "line_ids": []},
    Template.EVENT_MOVED: MOVE,
    Template.BOOKING_CANCELLED: CANCELLED,
    Template.HOLD_EXPIRED: {},
    Template.PAYMENT_VOIDED: {"amount": AMOUNT},
    Template.PAYMENT_REJECTED: {},
    Template.REFUND_SENT: {"amount": AMOUNT, "reason": "customer_cancelled"},
    Template.REFUND_FAILED: {"amount": AMOUNT},
    Template.REFUND_SETTLED: {"amount": AMOUNT, "reason": "customer_cancelled"},
    Template.NOTHING_TO_REFUND: {"rule": "less than 24 hours before the start"},
    Template.SURVEY_EVENT: {"survey_id": str(UUID(int=6))},
    Template.SURVEY_REFUND: {"survey_id": str(UUID(int=6))},
}
CAMPAIGN = {
    "event_id": str(FACTS.event_id),
    "name": FACTS.name,
    "totals": [AMOUNT, {"amount_minor": 700, "currency": "JPY"}],
}
NOTICES: dict[Template, dict[str, Any]] = {
    Template.STAFF_REFUND_FAILED: {
        "refund_id": str(UUID(int=3)), "amount": AMOUNT, "reason": "expired_or_canceled_card", "had_succeeded": True,
    },
    Template.STAFF_APPROVAL: {"refund_id": str(UUID(int=3)), "amount": AMOUNT, "reason": "goodwill"},
    Template.STAFF_PAYMENT_REVIEW: {"payment_id": str(UUID(int=5)), "amount": AMOUNT, "reasons": ["amount", "declines_of_card"]},
    Template.STAFF_DISPUTE_OPENED: {
        "dispute_id": str(UUID(int=4)), "amount": AMOUNT, "reason": "fraudulent",
        "respond_by": (STARTS_AT + timedelta(hours=12)).isoformat(),
    },
    Template.STAFF_DISPUTE_CLOSED: {"dispute_id": str(UUID(int=4)), "amount": AMOUNT, "outcome": "lost"},
    Template.STAFF_CAMPAIGN_STARTED: CAMPAIGN | {"bookings": 1204},
    Template.STAFF_CAMPAIGN_FINISHED: CAMPAIGN | {"refunded": 1203, "failed": 1},
}  # fmt: skip

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
    story = replace(STORY, template=template, facts={**STORIES[template], **changes})
    if template is Template.TICKETS_CANCELLED:
        return replace(story, tickets=STORY.tickets[:1], given_back=STORY.tickets[1:])
    if template is Template.EVENT_MOVED:
        until = story.facts["full_refund_until"]
        at = datetime.fromisoformat(until) if until else None
        return replace(story, event=MOVED, promised_starts_at=STARTS_AT, move=2, full_refund_until=at)
    return story


def noticed(template: Template, **changes: Any) -> Notice:
    booking_id = None if "event_id" in NOTICES[template] else STORY.booking_id
    return Notice(template, booking_id, BERLIN, {**NOTICES[template], **changes})


def test_every_template_has_its_mail() -> None:
    assert set(STORIES) | set(NOTICES) == set(Template)
    assert {template for template in Template if template.for_staff} == set(NOTICES)


@pytest.mark.parametrize("template", Template)
def test_each_mail_is_a_complete_page_and_a_text_without_markup(template: Template) -> None:
    letter = WRITER.write(noticed(template) if template.for_staff else told(template))
    assert letter.html.startswith('<!doctype html>\n<html lang="en"')
    assert f"<title>{letter.subject}</title>" in letter.html
    assert letter.html.count("<h1") == 1
    assert 'name="color-scheme" content="light dark"' in letter.html
    assert "@media (prefers-color-scheme: dark)" in letter.html
    assert letter.html.count("<table") == letter.html.count("</table>") == letter.html.count('role="presentation"')
    for shown in (letter.html, letter.text):
        assert ("Ada Lovelace" in shown) is not template.for_staff
        assert "Goldberg Variations" in shown or template.for_staff
        assert str(FACTS.event_id if "campaign" in template else STORY.booking_id) in shown
        assert ("https://tickets.example/api/refunds/status.html?token=token-1" in shown) is (template in ABOUT_MONEY)
        assert "{{" not in shown
        assert "{%" not in shown
    assert not re.search(r"<\w", letter.text)
    assert "\n\n\n\n" not in letter.text
    assert max(len(line) for line in letter.text.splitlines()) <= (200 if template.for_staff else 90)


@pytest.mark.parametrize("template", [each for each in STORIES if each not in KINDS])
def test_a_buyer_opens_the_booking_from_every_mail_that_has_the_key_to_it(template: Template) -> None:
    """The key stands behind the `#`, which no server's log sees. Without a key there is no link."""
    letter = WRITER.write(told(template))
    url = f"https://tickets.example/bookings/{STORY.booking_id}#token=token-1"
    assert f"Open your booking:\n{url}\n" in letter.text
    assert f'<a href="{url}" class="button-text"' in letter.html
    before = WRITER.write(replace(told(template), access=None))
    for shown in (before.text, before.html):
        assert "/bookings/" not in shown
        assert "Open your booking" not in shown


@pytest.mark.parametrize("template", NOTICES)
def test_staff_open_what_a_mail_is_about(template: Template) -> None:
    """A refund where it is about one, else its booking, else its event; no mail to staff holds a buyer's key."""
    notice = noticed(template)
    about = {
        Template.STAFF_REFUND_FAILED: f"refunds/{UUID(int=3)}",
        Template.STAFF_APPROVAL: f"refunds/{UUID(int=3)}",
        Template.STAFF_CAMPAIGN_STARTED: f"events/{FACTS.event_id}",
        Template.STAFF_CAMPAIGN_FINISHED: f"events/{FACTS.event_id}",
    }
    url = f"https://tickets.example/staff/{about.get(template, f'bookings/{STORY.booking_id}')}"
    letter = WRITER.write(notice)
    assert f"Open it:\n{url}\n" in letter.text
    assert f'href="{url}"' in letter.html
    assert "token" not in letter.text + letter.html


@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize("template", STORIES)
def test_texts_of_others_are_shown_and_do_nothing(template: Template, hostile: str) -> None:
    story = told(template, **({"rule": hostile} if template is Template.NOTHING_TO_REFUND else {}))
    renamed = {"name": hostile, "venue": hostile}
    story = replace(
        story,
        name=hostile,
        tickets=tuple(ticket.model_copy(update={"name": hostile}) for ticket in story.tickets),
        given_back=tuple(ticket.model_copy(update={"name": hostile}) for ticket in story.given_back),
        event=story.event.model_copy(update=renamed),
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
    def sent() -> bytes:
        message = compose(
            WRITER.write(STORY), STORY, sender=SENDER, recipient=ADA, message_id="<1@x.example>", created_at=STARTS_AT
        )
        return envelope(message, SENDER, ADA).content

    assert sent() == sent()


@pytest.mark.parametrize(
    ("by", "was", "total", "said"),
    [
        ("customer", "confirmed", 8900, "gets 50% of the price back"),
        ("event", "confirmed", 8900, "There is nothing for you to do. The full amount comes back to you"),
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
        assert said in re.sub(r"</?strong>", "", " ".join(shown.split()))
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
    found = calendar_of(story, datetime(2031, 1, 1, tzinfo=UTC))
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
    found = calendar_of(cancelled, STARTS_AT)
    assert found is not None
    assert found[0] == "CANCEL"
    assert b"STATUS:CANCELLED" in found[1]
    assert calendar_of(told(Template.BOOKING_CANCELLED, was="pending_payment"), STARTS_AT) is None
    assert calendar_of(told(Template.REFUND_SENT), STARTS_AT) is None
