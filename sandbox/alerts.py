"""The alert receiver: takes what Alertmanager sends, as a pager or a ticket system would, keeps it, and shows it.

POST /hooks/{receiver}          Alertmanager's webhook, version 4: a group of alerts, firing or resolved
GET  /api/alerts?name=&status=  what came, newest first
GET  /runbooks/{page}           where the alerts of the sandbox lead: a page of docs/runbooks
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from chassis import problems
from chassis.clock import Clock
from fastapi import FastAPI
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from pydantic import AwareDatetime, BaseModel

from sandbox.pages import add_static, page

SHOWN_MAX = 200
RUNBOOKS = Path(__file__).parents[1] / "docs" / "runbooks"
SCHEMA = """
CREATE TABLE IF NOT EXISTS alerts (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, received_at TEXT, receiver TEXT, status TEXT, name TEXT, severity TEXT,
    summary TEXT, runbook TEXT, starts_at TEXT, labels TEXT);
"""

Status = Literal["firing", "resolved"]


class Alert(BaseModel):
    """One of a group (prometheus.io/docs/alerting/latest/configuration, "webhook_config")."""

    status: Status
    labels: dict[str, str]
    annotations: dict[str, str]
    startsAt: AwareDatetime  # noqa: N815  # Alertmanager's spelling


class Group(BaseModel):
    """What one call carries."""

    alerts: list[Alert]


class Alerts:
    """What came, in one SQLite file."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.row_factory = sqlite3.Row
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.executescript(SCHEMA)
        self._clock = clock

    def keep(self, receiver: str, group: Group) -> None:
        """Each alert of the group."""
        received_at = _text(self._clock.now())
        self._database.executemany(
            "INSERT INTO alerts (received_at, receiver, status, name, severity, summary, runbook, starts_at, labels)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    received_at,
                    receiver,
                    alert.status,
                    alert.labels.get("alertname", ""),
                    alert.labels.get("severity", ""),
                    alert.annotations.get("summary", ""),
                    alert.annotations.get("runbook", ""),
                    _text(alert.startsAt),
                    json.dumps(alert.labels),
                )
                for alert in group.alerts
            ],
        )

    def find(self, name: str | None = None, status: str | None = None, limit: int = -1) -> list[dict[str, Any]]:
        """Newest first."""
        rows = self._database.execute(
            """SELECT * FROM alerts WHERE (:name IS NULL OR name = :name) AND (:status IS NULL OR status = :status)
               ORDER BY seq DESC LIMIT :limit""",
            {"name": name, "status": status, "limit": limit},
        )
        return [_shown(row) for row in rows]

    def clear(self) -> None:
        self._database.execute("DELETE FROM alerts")

    def revision(self) -> str:
        """Changes with every alert."""
        return "{}-{}".format(*self._database.execute("SELECT count(*), max(seq) FROM alerts").fetchone())


def _shown(row: sqlite3.Row) -> dict[str, Any]:
    labels: Mapping[str, str] = json.loads(row["labels"])
    return {**{name: row[name] for name in row.keys() if name not in {"seq", "labels"}}, "labels": labels}  # noqa: SIM118  # a Row's keys are not its iterator


def _text(instant: datetime) -> str:
    return instant.isoformat(timespec="milliseconds")


def create_app(alerts: Alerts, port: int) -> FastAPI:
    """The receiver, the API and the page. It is found at 127.0.0.1:`port`."""
    app = FastAPI(title="Alert receiver", docs_url=None, redoc_url=None)
    problems.install(app)
    add_static(app)

    @app.post("/hooks/{receiver}")
    async def receive(receiver: Literal["calls", "tickets", "heartbeat"], group: Group) -> None:
        alerts.keep(receiver, group)

    @app.get("/api/alerts")
    async def listing(name: str | None = None, status: Status | None = None) -> JSONResponse:
        return JSONResponse(alerts.find(name, status))

    @app.delete("/api/alerts", status_code=204)
    async def clear() -> None:
        alerts.clear()

    @app.get("/runbooks/{name}")
    async def runbook(name: str) -> Response:
        found = {file.name: file for file in RUNBOOKS.glob("*.md")}.get(name)
        return (
            PlainTextResponse("There is no such page.", 404) if found is None else PlainTextResponse(found.read_text())
        )

    @app.get("/_revision")
    async def revision() -> str:
        return alerts.revision()

    @app.get("/")
    async def index() -> Response:
        return page(
            "alerts.html",
            alerts=alerts.find(limit=SHOWN_MAX),
            revision=alerts.revision(),
            address=f"http://127.0.0.1:{port}/hooks/",
        )

    return app
