"""The CRM receiver: takes signed webhooks as a customer's CRM would, keeps what came, and shows it.

Signatures are checked by the Standard Webhooks specification (version 1), by code of its own: it shares nothing with the sender.
What arrives is kept byte for byte, forced to the disk before it is answered, also when it is refused.

The switch (for deliveries whose signature holds): `500`, `gone` (410), `429` with Retry-After, `redirect` (302 to /moved, which
keeps what is sent there and so tells on a sender that follows), and `slow`, which waits before its 200.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import math
import re
import secrets
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

from chassis import problems
from chassis.clock import Clock
from fastapi import FastAPI, Query, Request
from fastapi.responses import JSONResponse, Response

from sandbox.pages import add_static, page
from sandbox.pages.switch import UP, Order, Switch, add_switch

BODY_BYTES_MAX = 1024 * 1024
TOLERANCE_SECONDS = 300
_SECONDS = re.compile(r"[0-9]{1,12}")
SHOWN_MAX = 200
ANSWERS: Mapping[str, int] = {UP: 200, "slow": 200, "500": 500, "gone": 410, "429": 429, "redirect": 302}
SCHEMA = """
CREATE TABLE IF NOT EXISTS deliveries (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, received_at TEXT, path TEXT, webhook_id TEXT, refusal TEXT, answered INTEGER,
    type TEXT, headers TEXT, body BLOB);
CREATE INDEX IF NOT EXISTS deliveries_by_webhook_id ON deliveries (webhook_id, seq);
CREATE TABLE IF NOT EXISTS secret (value TEXT);
"""


class Deliveries:
    """What came, and the secret that it must be signed with, in one SQLite file."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.row_factory = sqlite3.Row
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = FULL")
        self._database.executescript(SCHEMA)
        self._clock = clock
        if self._database.execute("SELECT value FROM secret").fetchone() is None:
            fresh = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
            self._database.execute("INSERT INTO secret VALUES (?)", (fresh,))
        self.secret: str = self._database.execute("SELECT value FROM secret").fetchone()[0]

    def refusal(self, headers: Mapping[str, str], body: bytes) -> str | None:
        """Why a delivery does not count, or None where its signature holds."""
        return _refusal(self.secret, headers, body, self._clock.now().timestamp())

    def keep(self, path: str, headers: Mapping[str, str], body: bytes, refusal: str | None, answered: int) -> None:
        """On the disk when this returns."""
        payload = _payload(body)
        kind = payload.get("type") if isinstance(payload, dict) else None
        self._database.execute(
            "INSERT INTO deliveries (received_at, path, webhook_id, refusal, answered, type, headers, body)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                self._clock.now().isoformat(timespec="milliseconds"),
                path,
                headers.get("webhook-id"),
                refusal,
                answered,
                kind if isinstance(kind, str) else None,
                json.dumps(dict(headers)),
                body,
            ),
        )

    def find(
        self, kind: str | None = None, booking: str | None = None, webhook_id: str | None = None, limit: int = -1
    ) -> list[dict[str, Any]]:
        """Newest first. `attempt` counts the deliveries under one webhook-id up to this one, `attempts` all of them."""
        rows = self._database.execute(
            """SELECT seq AS id, received_at, path, webhook_id, refusal, answered, type, headers, body,
                      (SELECT count(*) FROM deliveries b WHERE b.webhook_id = a.webhook_id AND b.seq <= a.seq) AS attempt,
                      (SELECT count(*) FROM deliveries b WHERE b.webhook_id = a.webhook_id) AS attempts
               FROM deliveries a
               WHERE (:kind IS NULL OR type = :kind)
                 AND (:booking IS NULL OR instr(lower(CAST(body AS TEXT)), :booking))
                 AND (:webhook_id IS NULL OR webhook_id = :webhook_id)
               ORDER BY seq DESC LIMIT :limit""",
            {"kind": kind, "booking": booking, "webhook_id": webhook_id, "limit": limit},
        )
        return [_shown(row) for row in rows]

    def clear(self) -> None:
        self._database.execute("DELETE FROM deliveries")

    def revision(self) -> str:
        """Changes with every delivery."""
        return "{}-{}".format(*self._database.execute("SELECT count(*), max(seq) FROM deliveries").fetchone())


def _shown(row: sqlite3.Row) -> dict[str, Any]:
    body: bytes = row["body"]
    return {
        **{name: row[name] for name in ("id", "received_at", "path", "webhook_id", "attempt", "attempts")},
        "verified": row["refusal"] is None,
        **{name: row[name] for name in ("refusal", "answered", "type")},
        "payload": _payload(body),
        "body": body.decode("utf-8", "replace"),
        "headers": json.loads(row["headers"]),
    }


def _payload(body: bytes) -> Any:
    """The JSON, or None where it is none, or names half characters that neither SQLite nor UTF-8 takes."""
    try:
        payload = json.loads(body)
        json.dumps(payload, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    return payload


def _refusal(secret: str, headers: Mapping[str, str], body: bytes, now: float) -> str | None:
    """By the Standard Webhooks specification, "Verifying webhook authenticity"."""
    missing = [name for name in ("webhook-id", "webhook-timestamp", "webhook-signature") if not headers.get(name)]
    if missing:
        return f"{missing[0]} is missing."
    identifier, timestamp = headers["webhook-id"], headers["webhook-timestamp"]
    if not _SECONDS.fullmatch(timestamp):
        return "webhook-timestamp is not a count of seconds."
    if not math.isclose(int(timestamp), now, rel_tol=0, abs_tol=TOLERANCE_SECONDS):
        return f"webhook-timestamp is more than {TOLERANCE_SECONDS} s away from now."
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.digest(key, f"{identifier}.{timestamp}.".encode() + body, hashlib.sha256)
    expected = b"v1," + base64.b64encode(digest)
    given = headers["webhook-signature"].encode().split(b" ")
    if not any(hmac.compare_digest(expected, one) for one in given):
        return "webhook-signature does not match the body."
    return None


def new_switch() -> Switch:
    return Switch([mode for mode in ANSWERS if mode != UP])


def create_app(deliveries: Deliveries, switch: Switch, port: int) -> FastAPI:
    """The receiver, the API and the page. It is found at 127.0.0.1:`port`."""
    app = FastAPI(title="CRM receiver", docs_url=None, redoc_url=None)
    problems.install(app)
    add_static(app)
    add_switch(app, switch)
    _add_receiver(app, deliveries, switch)

    @app.get("/api/secret")
    async def secret() -> JSONResponse:
        return JSONResponse({"secret": deliveries.secret})

    @app.get("/api/deliveries")
    async def listing(
        kind: Annotated[str | None, Query(alias="type")] = None,
        booking: UUID | None = None,
        webhook_id: str | None = None,
        limit: Annotated[int | None, Query(ge=1)] = None,
    ) -> JSONResponse:
        return JSONResponse(deliveries.find(kind, None if booking is None else str(booking), webhook_id, limit or -1))

    @app.delete("/api/deliveries", status_code=204)
    async def clear() -> None:
        deliveries.clear()

    @app.get("/_revision")
    async def revision() -> str:
        return deliveries.revision()

    @app.get("/")
    async def index() -> Response:
        found = deliveries.find(limit=SHOWN_MAX)
        for delivery in found:
            delivery["pretty"] = json.dumps(delivery["payload"], indent=2, ensure_ascii=False)
        return page(
            "crm.html",
            deliveries=found,
            revision=deliveries.revision(),
            switch=switch,
            secret=deliveries.secret,
            address=f"http://127.0.0.1:{port}/hooks",
        )

    return app


def _add_receiver(app: FastAPI, deliveries: Deliveries, switch: Switch) -> None:
    @app.post("/hooks")
    async def receive(request: Request) -> Response:
        body = await _body(request)
        if body is None:
            return problems.problem(413, "Content too large", f"The body is larger than {BODY_BYTES_MAX} bytes.")
        refusal = deliveries.refusal(request.headers, body)
        if refusal is not None:
            deliveries.keep("/hooks", request.headers, body, refusal, 401)
            return problems.problem(401, "Not signed by our secret", refusal)
        order = switch.take()
        deliveries.keep("/hooks", request.headers, body, None, ANSWERS[order.mode])
        return await _answer(order)

    @app.api_route("/moved", methods=["GET", "POST"])
    async def moved(request: Request) -> Response:
        body = await _body(request)
        deliveries.keep("/moved", request.headers, body or b"", "A redirect was followed.", 404)
        return problems.problem(404, "Not found", "Webhooks must not follow a redirect.")


async def _body(request: Request) -> bytes | None:
    """None where it is larger than BODY_BYTES_MAX."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > BODY_BYTES_MAX:
            return None
    return body


async def _answer(order: Order) -> Response:
    if order.mode == "slow":
        await asyncio.sleep(order.seconds)  # noqa: TID251  # real time is what the sender is to feel
    headers = {"Retry-After": str(math.ceil(order.seconds))} if order.mode == "429" else {}
    if order.mode == "redirect":
        headers["Location"] = "/moved"
    return Response(status_code=ANSWERS[order.mode], headers=headers)
