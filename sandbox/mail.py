"""The mail catcher: an SMTP server that keeps every mail, with a page and an API to read them.

A mail is answered 250 only after SQLite has forced it to the disk: what a sender believes delivered is there after any crash.

The switch: `down` closes the port and cuts open connections; `tempfail` answers 451 to a mail's content and `permfail` 550 to its
recipient, and neither keeps it; `slow` keeps the mail and waits before it says so, in which time the sender may give up: a mail
that was delivered though its sender does not know.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.headerregistry import HeaderRegistry
from email.message import EmailMessage, MIMEPart
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote
from uuid import UUID

import structlog
from aiosmtpd.smtp import SMTP, Envelope, Session
from chassis import problems
from chassis.clock import Clock
from chassis.errors import NotFound
from chassis.ids import Ids
from fastapi import FastAPI, Query
from fastapi.responses import JSONResponse, Response

from sandbox.pages import add_static, page
from sandbox.pages.switch import Switch, add_switch

log = structlog.get_logger(__name__)

SHOWN_MAX = 200
SCHEMA = """
CREATE TABLE IF NOT EXISTS mails (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE, message_id TEXT, recipients TEXT, subject TEXT, mentions TEXT,
    shown TEXT, raw BLOB);
CREATE INDEX IF NOT EXISTS mails_by_message_id ON mails (message_id);
"""
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
POLICY = policy.default.clone(header_factory=lru_cache(1_000)(HeaderRegistry()))
"""Most headers of a mail and of its parts are as in the mail before, and each is read several times: what it means is found out once."""
_LOCKED_AWAY = "default-src 'none'; img-src data:; font-src data:; style-src 'unsafe-inline'; sandbox"


@dataclass(frozen=True)
class Wanted:
    """Which mails: each given condition must hold."""

    to: str | None = None
    subject: str | None = None
    booking: str | None = None
    message_id: str | None = None
    text: str | None = None
    limit: int = -1


class Mails:
    """What was delivered, in one SQLite file."""

    def __init__(self, path: Path, clock: Clock, ids: Ids) -> None:
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = FULL")
        self._database.executescript(SCHEMA)
        self._clock = clock
        self._ids = ids

    def keep(self, sender: str, recipients: list[str], raw: bytes) -> None:
        """On the disk when this returns."""
        now = self._clock.now()
        mail = {"id": str(self._ids.uuid7(now)), "received_at": now.isoformat(timespec="milliseconds")}
        shown = {**mail, **_read(sender, recipients, raw)}
        said = json.dumps([shown["headers"], shown["text"], shown["html"]]).lower()
        self._database.execute(
            "INSERT INTO mails (id, message_id, recipients, subject, mentions, shown, raw) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                shown["id"],
                shown["message_id"],
                f" {' '.join(recipients).casefold()} ",
                shown["subject"].casefold(),
                " ".join(sorted(set(_UUID.findall(said)))),
                json.dumps(shown),
                raw,
            ),
        )

    def find(self, wanted: Wanted) -> list[dict[str, Any]]:
        """Newest first."""
        rows = self._database.execute(
            """SELECT shown FROM mails
               WHERE (:to IS NULL OR instr(recipients, ' ' || :to || ' '))
                 AND (:subject IS NULL OR instr(subject, :subject))
                 AND (:booking IS NULL OR instr(mentions, :booking))
                 AND (:message_id IS NULL OR message_id = :message_id)
                 AND (:text IS NULL OR instr(recipients || subject, :text))
               ORDER BY seq DESC LIMIT :limit""",
            {
                "to": wanted.to and wanted.to.casefold(),
                "subject": wanted.subject and wanted.subject.casefold(),
                "booking": wanted.booking,
                "message_id": wanted.message_id,
                "text": wanted.text and wanted.text.casefold(),
                "limit": wanted.limit,
            },
        )
        return [json.loads(shown) for (shown,) in rows]

    def one(self, identifier: str) -> tuple[dict[str, Any], bytes]:
        """As it is shown, and as it came. Raises NotFound."""
        row = self._database.execute("SELECT shown, raw FROM mails WHERE id = ?", (identifier,)).fetchone()
        if row is None:
            raise NotFound("mail")
        return json.loads(row[0]), row[1]

    def clear(self) -> None:
        self._database.execute("DELETE FROM mails")

    def revision(self) -> str:
        """Changes with every mail."""
        return "{}-{}".format(*self._database.execute("SELECT count(*), max(seq) FROM mails").fetchone())


def _read(sender: str, recipients: list[str], raw: bytes) -> dict[str, Any]:
    message = message_from_bytes(raw, policy=POLICY)
    headers: dict[str, str] = {}
    for name, value in message.items():
        line = _valid(str(value))
        headers[name] = f"{headers[name]}\n{line}" if name in headers else line
    named = {name.lower(): line for name, line in headers.items()}
    bodies = [message.get_body((kind,)) for kind in ("plain", "html")]
    attachments = [
        {
            "part": number,
            "filename": _valid(leaf.get_filename() or f"part-{number}"),
            "content_type": leaf.get_content_type(),
            "size": len(_content(leaf)),
            "content_id": (leaf.get("Content-ID") or "").strip("<> ") or None,
        }
        for number, leaf in enumerate(_leaves(message))
        if not any(leaf is body for body in bodies)
    ]
    text, html = (None if body is None else _decoded(body) for body in bodies)
    return {
        "message_id": named.get("message-id"),
        "from": named.get("from", sender),
        "to": recipients,
        "subject": named.get("subject", ""),
        "text": text,
        "html": html,
        "headers": headers,
        "attachments": attachments,
    }


def _valid(text: str) -> str:
    """Without the half characters that stand for bytes in no known encoding; neither SQLite nor UTF-8 takes them."""
    return text.encode("utf-8", "replace").decode()


def _leaves(message: EmailMessage) -> Iterator[EmailMessage]:
    for part in message.walk():
        assert isinstance(part, EmailMessage)
        if not part.is_multipart():
            yield part


def _content(leaf: MIMEPart) -> bytes:
    content = leaf.get_payload(decode=True)
    assert isinstance(content, bytes)
    return content


def _decoded(leaf: MIMEPart) -> str:
    try:
        text = _content(leaf).decode(leaf.get_content_charset("utf-8"), "replace")
    except LookupError:  # a character set that nobody knows
        text = _content(leaf).decode("utf-8", "replace")
    return text.replace("\r\n", "\n")


def _with_images(shown: dict[str, Any], raw: bytes) -> str:
    """The HTML with the images that travel in the mail in their places; others are not loaded, as in a careful mail program."""
    html: str = shown["html"] or ""
    leaves = list(_leaves(message_from_bytes(raw, policy=POLICY)))
    for attachment in shown["attachments"]:
        if attachment["content_id"] is not None and attachment["content_type"].startswith("image/"):
            content = base64.b64encode(_content(leaves[attachment["part"]])).decode()
            html = html.replace(
                f"cid:{attachment['content_id']}", f"data:{attachment['content_type']};base64,{content}"
            )
    return html


class SmtpServer:
    """Listens on its port while the switch does not say `down`."""

    def __init__(self, mails: Mails, switch: Switch, port: int, host: str = "127.0.0.1") -> None:
        self._mails = mails
        self._switch = switch
        self._port = port
        self._host = host
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.BaseTransport] = set()

    async def obey(self) -> None:
        """Opens or closes the port as the switch says. Raises OSError where the port is taken."""
        if self._switch.mode != "down" and self._server is None:
            loop = asyncio.get_running_loop()
            self._server = await loop.create_server(lambda: _Connection(self, self._open), self._host, self._port)
        elif self._switch.mode == "down" and self._server is not None:
            self._server.close()
            self._server = None
            for transport in list(self._open):
                assert isinstance(transport, asyncio.WriteTransport)
                transport.abort()

    async def handle_RCPT(  # noqa: N802  # the name that aiosmtpd calls
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if self._switch.mode == "permfail":
            self._switch.take()
            return "550 5.1.1 No such mailbox, as the switch says"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802  # the name that aiosmtpd calls
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        order = self._switch.take()
        if order.mode == "tempfail":
            return "451 4.3.0 Try again later, as the switch says"
        assert isinstance(envelope.content, bytes)
        self._mails.keep(envelope.mail_from or "", list(envelope.rcpt_tos), envelope.content)
        if order.mode == "slow":
            await asyncio.sleep(order.seconds)  # noqa: TID251  # real time is what the sender is to feel
        return "250 OK: kept"

    async def handle_exception(self, error: Exception) -> str:
        """A mail that could not be kept must not be answered as delivered, nor as refused for ever."""
        log.error("mail could not be kept", exc_info=error)
        return "451 4.3.0 The mail could not be kept"


class _Connection(SMTP):
    def __init__(self, server: SmtpServer, opened: set[asyncio.BaseTransport]) -> None:
        # A name is given because the library would ask the resolver for one, once a connection.
        super().__init__(server, hostname="localhost", ident="Boxoffice sandbox", enable_SMTPUTF8=True)
        self._opened = opened

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._opened.add(transport)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        assert self.transport is not None
        self._opened.discard(self.transport)
        super().connection_lost(error)


def new_switch() -> Switch:
    return Switch(("down", "tempfail", "permfail", "slow"), lasting=("down",))


def create_app(mails: Mails, smtp: SmtpServer, switch: Switch, smtp_port: int) -> FastAPI:
    """The API and the pages."""
    app = FastAPI(title="Mail catcher", docs_url=None, redoc_url=None)
    problems.install(app)
    add_static(app)
    add_switch(app, switch, smtp.obey)
    _add_api(app, mails)
    _add_pages(app, mails, switch, smtp_port)
    return app


def _add_api(app: FastAPI, mails: Mails) -> None:
    @app.get("/api/messages")
    async def messages(
        to: str | None = None,
        subject: str | None = None,
        booking: UUID | None = None,
        message_id: str | None = None,
        limit: Annotated[int | None, Query(ge=1)] = None,
    ) -> JSONResponse:
        """Newest first: `to` is a whole address, `subject` a part of it, `booking` an id that the mail speaks of."""
        found = Wanted(to, subject, None if booking is None else str(booking), message_id, limit=limit or -1)
        return JSONResponse(mails.find(found))

    @app.delete("/api/messages", status_code=204)
    async def clear() -> None:
        mails.clear()

    @app.get("/api/messages/{identifier}")
    async def message(identifier: str) -> JSONResponse:
        return JSONResponse(mails.one(identifier)[0])

    @app.get("/api/messages/{identifier}/raw")
    async def raw(identifier: str) -> Response:
        return Response(mails.one(identifier)[1], media_type="text/plain; charset=utf-8", headers=_harmless())


def _add_pages(app: FastAPI, mails: Mails, switch: Switch, smtp_port: int) -> None:
    def listed(q: str) -> dict[str, Any]:
        found = mails.find(Wanted(text=q or None, limit=SHOWN_MAX))
        return {"mails": found, "q": q, "switch": switch, "revision": mails.revision(), "smtp_port": smtp_port}

    @app.get("/_revision")
    async def revision() -> str:
        return mails.revision()

    @app.get("/")
    async def index(q: str = "") -> Response:
        return page("mail.html", mail=None, view="html", narrow=False, **listed(q))

    @app.get("/messages/{identifier}")
    async def one(identifier: str, q: str = "", view: str = "", *, narrow: bool = False) -> Response:
        shown, _ = mails.one(identifier)
        view = view if view in {"html", "text", "headers"} else "html" if shown["html"] else "text"
        return page("mail.html", mail=shown, view=view, narrow=narrow, **listed(q))

    @app.get("/messages/{identifier}/html")
    async def html(identifier: str) -> Response:
        """What stands in the frame: no script, no form, nothing from elsewhere; links open a new tab."""
        body = f'<base target="_blank">{_with_images(*mails.one(identifier))}'
        allowed = f"{_LOCKED_AWAY} allow-popups allow-popups-to-escape-sandbox"
        return Response(
            body, media_type="text/html; charset=utf-8", headers={**_harmless(), "Content-Security-Policy": allowed}
        )

    @app.get("/messages/{identifier}/parts/{part}")
    async def attachment(identifier: str, part: int) -> Response:
        shown, raw = mails.one(identifier)
        for listed in shown["attachments"]:
            if listed["part"] == part:
                leaf = list(_leaves(message_from_bytes(raw, policy=POLICY)))[part]
                named = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(listed['filename'], safe='')}"}
                return Response(_content(leaf), media_type=listed["content_type"], headers={**_harmless(), **named})
        raise NotFound("attachment")


def _harmless() -> dict[str, str]:
    return {
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": _LOCKED_AWAY,
        "Referrer-Policy": "no-referrer",
    }
