"""The message as it travels: text and page as alternatives, a QR code for each ticket inside the page, a calendar entry beside them."""

from __future__ import annotations

from binascii import b2a_qp
from datetime import date, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from io import BytesIO
from zoneinfo import ZoneInfo

import segno
from contracts.booking import IssuedTicket
from icalendar import Calendar, Event

from notification.domain import Template
from notification.letters import Letter, Story

QR_SCALE = 6
"""Pixels for each module: 174 pixels for a ticket code, sharp on a phone at half the size."""

QR_MASK = 1


def compose(
    letter: Letter, story: Story, *, sender: Address, recipient: Address, message_id: str, created_at: datetime
) -> EmailMessage:
    """The whole message. Equal input gives equal parts, so that a retry is the same mail.

    Raises ValueError where a header would carry a line break.
    """
    message = EmailMessage(policy=SMTP)
    message["From"] = sender
    message["To"] = recipient
    message["Subject"] = letter.subject
    message["Date"] = format_datetime(created_at)
    message["Message-ID"] = message_id
    # One thread in the mailbox for all mails of a booking.
    message["References"] = f"<booking.{story.booking_id}@{sender.domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message["X-Auto-Response-Suppress"] = "All"
    message["X-Boxoffice-Booking"] = str(story.booking_id)
    message["X-Boxoffice-Template"] = str(story.template)
    message.set_content(letter.text, cte="8bit")
    message.add_alternative(letter.html, subtype="html", cte="8bit")
    text, page = message.iter_parts()
    assert isinstance(text, EmailMessage)
    assert isinstance(page, EmailMessage)
    _quote(text, letter.text)
    _quote(page, letter.html)
    for ticket in story.tickets if story.template is Template.CONFIRMATION else ():
        page.add_related(
            qr_png(ticket.code),
            "image",
            "png",
            cid=f"<{cid(ticket)}>",
            disposition="inline",
            filename=f"ticket-{ticket.line_id}.png",
        )
    if (calendar := calendar_of(story, sender.domain, created_at)) is not None:
        method, content = calendar
        message.add_attachment(
            content,
            maintype="text",
            subtype="calendar",
            filename="event.ics",
            params={"method": method, "charset": "utf-8"},
        )
    return message


def _quote(part: EmailMessage, content: str) -> None:
    """Makes a part quoted-printable, which any mail server passes on. The email package does so too, in Python: that took 9 of the 20 ms
    that a confirmation cost.
    """
    part.set_payload(b2a_qp(content.encode(), istext=True).decode("ascii"))
    part.replace_header("Content-Transfer-Encoding", "quoted-printable")


def cid(ticket: IssuedTicket) -> str:
    """How the page names a ticket's image."""
    return f"{ticket.line_id}@tickets"


def qr_png(code: str) -> bytes:
    """The code as a QR image, with the quiet zone that scanners need, readable with 15 % of it damaged.

    Codes are random, so any of the eight masks serves as well as another; trying them all is most of the work of drawing.
    """
    image = BytesIO()
    segno.make(code, error="m", micro=False, boost_error=False, mask=QR_MASK).save(
        image, kind="png", scale=QR_SCALE, border=4
    )
    return image.getvalue()


def calendar_of(story: Story, domain: str, created_at: datetime) -> tuple[str, bytes] | None:
    """Method and content of the calendar entry (RFC 5545): published with the tickets, taken back when a confirmed booking is cancelled."""
    cancelled = story.template is Template.BOOKING_CANCELLED and story.facts["was"] == "confirmed"
    if not cancelled and story.template is not Template.CONFIRMATION:
        return None
    method = "CANCEL" if cancelled else "PUBLISH"
    facts, zone = story.event, ZoneInfo(story.event.timezone)
    entry = Event()
    entry.add("uid", f"booking.{story.booking_id}@{domain}")
    entry.add("dtstamp", created_at)
    entry.add("dtstart", facts.starts_at.astimezone(zone))
    entry.add("dtend", facts.ends_at.astimezone(zone))
    entry.add("summary", facts.name)
    entry.add("location", facts.venue)
    entry.add("status", "CANCELLED" if cancelled else "CONFIRMED")
    entry.add("sequence", 1 if cancelled else 0)
    calendar = Calendar()
    calendar.add("prodid", "-//Boxoffice//Tickets//EN")
    calendar.add("version", "2.0")
    calendar.add("method", method)
    calendar.add_component(entry)
    # Only the rules of the years around the event: clients need no more, and the whole history is four kilobytes.
    calendar.add_missing_timezones(date(facts.starts_at.year - 1, 1, 1), date(facts.ends_at.year + 2, 1, 1))
    return method, calendar.to_ical()
