"""The message as it travels: text and page as alternatives, a QR code for each ticket inside the page, a calendar entry beside them.

The email package writes the headers of the whole message, which hold texts of others. The parts are ours, in ASCII, and are put together
by hand: the package reads each header of each part back again and again, which was half of what a confirmation cost.
"""

from __future__ import annotations

import struct
import zlib
from base64 import encodebytes
from binascii import b2a_qp
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, EmailPolicy
from email.utils import format_datetime
from typing import Any

import segno
from chassis.calendar_entry import calendar_entry, method_of
from contracts.booking import IssuedTicket

from notification.domain import Template
from notification.letters import Letter
from notification.stories import Notice, Story

QR_SCALE = 6
"""Pixels for each module: 174 pixels for a ticket code, sharp on a phone at half the size."""

QR_BORDER = 4
"""Modules of the quiet zone that scanners need."""

QR_MASK = 1

SHOWS_TICKETS = frozenset({Template.CONFIRMATION, Template.TICKETS_CANCELLED})


@dataclass(frozen=True)
class Composed:
    """A message: the headers that hold texts of others, and the rest of it as bytes."""

    head: EmailMessage
    rest: bytes

    def content(self, policy: EmailPolicy[Any]) -> bytes:
        """All of it, with lines that end as SMTP wants them."""
        return self.head.as_bytes(policy=policy).removesuffix(b"\r\n") + self.rest


def compose(
    letter: Letter,
    story: Story | Notice,
    *,
    sender: Address,
    recipient: Address,
    message_id: str,
    created_at: datetime,
) -> Composed:
    """The whole message. Equal input gives equal bytes, so that a retry is the same mail.

    Raises ValueError where a header would carry a line break.
    """
    head = EmailMessage(policy=SMTP)
    head["From"] = sender
    head["To"] = recipient
    head["Subject"] = letter.subject
    head["Date"] = format_datetime(created_at)
    head["Message-ID"] = message_id
    # One thread in the mailbox for all mails of a booking.
    head["References"] = f"<{story.thread}@{sender.domain}>"
    head["Auto-Submitted"] = "auto-generated"
    head["X-Auto-Response-Suppress"] = "All"
    if story.booking_id:
        head["X-Boxoffice-Booking"] = str(story.booking_id)
    head["X-Boxoffice-Template"] = str(story.template)
    page, files = _text("html", letter.html), []
    if isinstance(story, Story):
        images = [_image(ticket) for ticket in story.tickets] if story.template in SHOWS_TICKETS else []
        page = _together("related", page, *images) if images else page
        calendar = calendar_of(story, created_at)
        files = [_attached(*calendar)] if calendar is not None else []
    body = _together("alternative", _text("plain", letter.text), page)
    return Composed(head, b"MIME-Version: 1.0\r\n" + (_together("mixed", body, *files) if files else body))


def _together(kind: str, *parts: bytes) -> bytes:
    """Parts as one. "=_" can stand in no part, neither quoted-printable nor base64: RFC 2045, 6.7 recommends it for boundaries."""
    line = f"--=_{kind}".encode()
    head = f'Content-Type: multipart/{kind}; boundary="=_{kind}"\r\n\r\n'.encode()
    return head + b"".join(line + b"\r\n" + part + b"\r\n" for part in parts) + line + b"--\r\n"


def _text(kind: str, content: str) -> bytes:
    head = f"Content-Type: text/{kind}; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    quoted = b2a_qp("\n".join(content.splitlines()).encode() + b"\n", istext=True)
    return head.encode() + quoted.replace(b"\n", b"\r\n")


def _file(head: str, content: bytes) -> bytes:
    lines = f"{head}\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    return lines.encode() + encodebytes(content).replace(b"\n", b"\r\n")


def _image(ticket: IssuedTicket) -> bytes:
    name = f'Content-Disposition: inline; filename="ticket-{ticket.line_id}.png"'
    return _file(f"Content-Type: image/png\r\nContent-ID: <{cid(ticket)}>\r\n{name}", qr_png(ticket.code))


def _attached(method: str, content: bytes) -> bytes:
    name = 'Content-Disposition: attachment; filename="event.ics"'
    return _file(f'Content-Type: text/calendar; charset="utf-8"; method={method}\r\n{name}', content)


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


def calendar_of(story: Story, created_at: datetime) -> tuple[str, bytes] | None:
    """Method and content of the calendar entry: published with the tickets and with each move, taken back when a confirmed booking is
    cancelled.
    """
    cancelled = story.template is Template.BOOKING_CANCELLED and story.facts["was"] == "confirmed"
    if not cancelled and story.template not in {Template.CONFIRMATION, Template.EVENT_MOVED}:
        return None
    content = calendar_entry(story.booking_id, story.event, move=story.move, cancelled=cancelled, stamped_at=created_at)
    return method_of(cancelled=cancelled), content
