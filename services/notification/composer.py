"""The message as it travels: text and page as alternatives, a QR code for each ticket inside the page, a calendar entry beside them.

The parts are put together by hand. The email package's way of doing so reads each header of each part back, which was half of what a
confirmation cost; only the headers of the whole message, which hold texts of others, go through it.
"""

from __future__ import annotations

import struct
import zlib
from base64 import encodebytes
from binascii import b2a_qp
from datetime import date, datetime
from email.headerregistry import Address
from email.message import EmailMessage, Message
from email.policy import SMTP
from email.utils import format_datetime
from functools import lru_cache

import segno
from contracts.booking import IssuedTicket
from icalendar import Calendar, Event, Timezone

from notification.domain import Template
from notification.letters import Letter
from notification.stories import Notice, Story

QR_SCALE = 6
"""Pixels for each module: 174 pixels for a ticket code, sharp on a phone at half the size."""

QR_BORDER = 4
"""Modules of the quiet zone that scanners need."""

QR_MASK = 1

SHOWS_TICKETS = frozenset({Template.CONFIRMATION, Template.TICKETS_CANCELLED})


def compose(
    letter: Letter,
    story: Story | Notice,
    *,
    sender: Address,
    recipient: Address,
    message_id: str,
    created_at: datetime,
) -> EmailMessage:
    """The whole message. Equal input gives equal bytes, so that a retry is the same mail.

    Raises ValueError where a header would carry a line break.
    """
    message = EmailMessage(policy=SMTP)
    message["From"] = sender
    message["To"] = recipient
    message["Subject"] = letter.subject
    message["Date"] = format_datetime(created_at)
    message["Message-ID"] = message_id
    # One thread in the mailbox for all mails of a booking.
    message["References"] = f"<{story.thread}@{sender.domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message["X-Auto-Response-Suppress"] = "All"
    if story.booking_id:
        message["X-Boxoffice-Booking"] = str(story.booking_id)
    message["X-Boxoffice-Template"] = str(story.template)
    text = _part("text/plain; charset=utf-8", _quoted(letter.text), "quoted-printable")
    page = _part("text/html; charset=utf-8", _quoted(letter.html), "quoted-printable")
    files: list[Message] = []
    if isinstance(story, Story):
        images = [_image(ticket) for ticket in story.tickets] if story.template in SHOWS_TICKETS else []
        if images:
            page = _together("related", page, *images)
        if (calendar := calendar_of(story, sender.domain, created_at)) is not None:
            files.append(_attached(*calendar))
    body = _together("alternative", text, page)
    whole = _together("mixed", body, *files) if files else body
    message["MIME-Version"] = "1.0"
    message["Content-Type"] = whole["Content-Type"]
    message.set_payload(whole.get_payload())
    return message


def _part(content_type: str, payload: str, encoding: str, **headers: str) -> Message:
    part = Message()
    part["Content-Type"] = content_type
    part["Content-Transfer-Encoding"] = encoding
    for name, value in headers.items():
        part[name.replace("_", "-")] = value
    part.set_payload(payload)
    return part


def _together(kind: str, *parts: Message) -> Message:
    """Parts as one. "=_" can stand in no part, neither quoted-printable nor base64: RFC 2045, 6.7 recommends it for boundaries."""
    whole = Message()
    whole["Content-Type"] = f'multipart/{kind}; boundary="=_{kind}"'
    whole.set_payload(list(parts))
    return whole


def _quoted(content: str) -> str:
    return b2a_qp(content.encode(), istext=True).decode("ascii")


def _image(ticket: IssuedTicket) -> Message:
    return _part(
        "image/png",
        encodebytes(qr_png(ticket.code)).decode("ascii"),
        "base64",
        Content_ID=f"<{cid(ticket)}>",
        Content_Disposition=f'inline; filename="ticket-{ticket.line_id}.png"',
    )


def _attached(method: str, content: bytes) -> Message:
    return _part(
        f'text/calendar; charset="utf-8"; method={method}',
        encodebytes(content).decode("ascii"),
        "base64",
        Content_Disposition='attachment; filename="event.ics"',
    )


def cid(ticket: IssuedTicket) -> str:
    """How the page names a ticket's image."""
    return f"{ticket.line_id}@tickets"


def qr_png(code: str) -> bytes:
    """The code as a QR image, readable with 15 % of it damaged.

    Codes are random, so any of the eight masks serves as well as another; trying them all is most of the work of drawing.
    """
    drawn = segno.make(code, error="m", micro=False, boost_error=False, mask=QR_MASK)
    margin = "1" * QR_BORDER
    rows = [margin + "".join("0" if dark else "1" for dark in row) + margin for row in drawn.matrix]
    blank = "1" * len(rows[0])
    border = [blank] * QR_BORDER
    return _png([*border, *rows, *border])


def _png(rows: list[str]) -> bytes:
    """Rows of "0" (black) and "1" (white) as a PNG with one bit a pixel (www.w3.org/TR/png), each module QR_SCALE pixels wide."""
    size = len(rows[0]) * QR_SCALE
    padded = -(-size // 8) * 8
    lines = []
    for row in rows:
        bits = row.replace("0", "0" * QR_SCALE + " ").replace("1", "1" * QR_SCALE).replace(" ", "")
        line = b"\0" + int(bits.ljust(padded, "0"), 2).to_bytes(padded // 8, "big")
        lines.append(line * QR_SCALE)
    header = struct.pack(">2I5B", size, len(rows) * QR_SCALE, 1, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"".join(lines))), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def calendar_of(story: Story, domain: str, created_at: datetime) -> tuple[str, bytes] | None:
    """Method and content of the calendar entry (RFC 5545): published with the tickets and with each move, taken back when a confirmed
    booking is cancelled. Each of them has a higher SEQUENCE than the one before, by which calendars know the newest.
    """
    cancelled = story.template is Template.BOOKING_CANCELLED and story.facts["was"] == "confirmed"
    if not cancelled and story.template not in {Template.CONFIRMATION, Template.EVENT_MOVED}:
        return None
    method = "CANCEL" if cancelled else "PUBLISH"
    facts, zone = story.event, story.zone
    entry = Event()
    entry.add("uid", f"booking.{story.booking_id}@{domain}")
    entry.add("dtstamp", created_at)
    entry.add("dtstart", facts.starts_at.astimezone(zone))
    entry.add("dtend", facts.ends_at.astimezone(zone))
    entry.add("summary", facts.name)
    entry.add("location", facts.venue)
    entry.add("status", "CANCELLED" if cancelled else "CONFIRMED")
    entry.add("sequence", story.move + int(cancelled))
    calendar = Calendar()
    calendar.add("prodid", "-//Boxoffice//Tickets//EN")
    calendar.add("version", "2.0")
    calendar.add("method", method)
    if zone.key != "UTC":
        calendar.add_component(_rules(zone.key, facts.starts_at.year))
    calendar.add_component(entry)
    return method, calendar.to_ical()


@lru_cache(maxsize=256)
def _rules(zone: str, year: int) -> Timezone:
    """Only the rules of the years around an event: clients need no more, and the whole history is four kilobytes."""
    return Timezone.from_tzid(zone, first_date=date(year - 1, 1, 1), last_date=date(year + 2, 1, 1))
