"""The alert receiver keeps what Alertmanager sends and shows it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.world.conftest import World


def group(*statuses: str, summary: str = "It does not answer.") -> dict[str, Any]:
    alert = {
        "labels": {"alertname": "ServiceDown", "severity": "critical", "service": "booking"},
        "annotations": {"summary": summary, "runbook": "docs/runbooks/ServiceDown.md"},
        "startsAt": "2027-01-31T12:00:00.123456789Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "",
    }
    return {"version": "4", "status": statuses[0], "alerts": [{**alert, "status": status} for status in statuses]}


@pytest.fixture
def receiver(world: World) -> World:
    world.alerts.delete("/api/alerts").raise_for_status()
    return world


def test_what_arrives_is_found_by_name_and_status(receiver: World) -> None:
    assert receiver.alerts.post("/hooks/calls", json=group("firing", "resolved")).status_code == 200
    found = receiver.alerts.get("/api/alerts", params={"name": "ServiceDown", "status": "firing"}).json()
    assert [(one["receiver"], one["summary"], one["labels"]["service"]) for one in found] == [
        ("calls", "It does not answer.", "booking")
    ]
    assert len(receiver.alerts.get("/api/alerts").json()) == 2
    assert receiver.alerts.get("/api/alerts", params={"name": "Other"}).json() == []


def test_the_page_shows_an_alert_as_text(receiver: World) -> None:
    receiver.alerts.post("/hooks/tickets", json=group("firing", summary="<b>loud</b>"))
    shown = receiver.alerts.get("/").text
    assert "&lt;b&gt;loud" in shown
    assert "docs/runbooks/ServiceDown.md" in shown


def test_a_runbook_opens_and_nothing_else_does(receiver: World) -> None:
    assert receiver.alerts.get("/runbooks/ServiceDown.md").text.startswith("# ServiceDown\n")
    assert receiver.alerts.get("/runbooks/..%2F..%2FREADME.md").status_code == 404
    assert receiver.alerts.get("/runbooks/Unheard.md").status_code == 404


@pytest.mark.parametrize(("path", "body"), [("/hooks/unknown", group("firing")), ("/hooks/calls", {"alerts": "none"})])
def test_what_is_no_group_of_alerts_is_refused(receiver: World, path: str, body: dict[str, Any]) -> None:
    assert receiver.alerts.post(path, json=body).status_code == 422
    assert receiver.alerts.get("/api/alerts").json() == []
