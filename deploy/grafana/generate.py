# A program of its own, which nobody imports.
"""Makes the dashboards of panels.yml: `python deploy/grafana/generate.py`; with --check it only says whether they are current."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
SERVICES = ("booking", "payment", "refund", "notification")
SOURCE = {"type": "prometheus", "uid": "prometheus"}
WIDTH, HEIGHT = 24, 8
LATENCY = "_seconds_bucket"
"""How the series of a histogram that carries exemplars end: each leads to the trace of what took so long."""

Json = dict[str, Any]


def dashboards() -> Iterator[tuple[str, str]]:
    """The name of each file, and what Grafana reads in it."""
    written = (HERE / "panels.yml").read_text()
    for name, board in yaml.safe_load(written).items():
        if name != "SERVICE":
            yield f"{name}.json", rendered(name, board)
    for service in SERVICES:
        yield f"{service}.json", rendered(service, yaml.safe_load(written.replace("SERVICE", service))[service])


def rendered(name: str, board: Mapping[str, Any]) -> str:
    """One dashboard."""
    shown = {
        "uid": f"boxoffice-{name}",
        "title": board["title"],
        "tags": ["boxoffice"],
        "timezone": "utc",
        "schemaVersion": 39,
        "editable": False,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "links": [{"type": "dashboards", "title": "Boxoffice", "tags": ["boxoffice"], "asDropdown": True}],
        "annotations": {"list": [ALERTS]},
        "panels": list(placed(board["rows"])),
    }
    return json.dumps(shown, indent=1, ensure_ascii=False) + "\n"


def placed(rows: Mapping[str, list[Json]]) -> Iterator[Json]:
    """Rows below one another, the panels of each side by side."""
    number, y = 0, 0
    for title, panels in rows.items():
        number += 1
        at = {"x": 0, "y": y, "w": WIDTH, "h": 1}
        yield {"id": number, "type": "row", "title": title, "collapsed": False, "panels": [], "gridPos": at}
        width = WIDTH // len(panels)
        for column, panel in enumerate(panels):
            number += 1
            at = {"x": column * width, "y": y + 1, "w": width, "h": HEIGHT}
            yield {"id": number, "gridPos": at, **drawn(panel)}
        y += 1 + HEIGHT


def drawn(panel: Json) -> Json:
    """A panel with what Grafana wants beside its queries."""
    is_stat = panel.get("stat", False)
    asked = queries(panel)
    targets = [
        {
            "refId": chr(ord("A") + number),
            "datasource": SOURCE,
            "expr": query,
            "legendFormat": legend,
            "instant": is_stat,
            # The percentiles of a panel are of the same measurements: their traces are shown once.
            **({"exemplar": True} if LATENCY in query and number == len(asked) - 1 else {}),
        }
        for number, (legend, query) in enumerate(asked.items())
    ]
    defaults = {"unit": panel.get("unit", "short"), "min": 0, "custom": {} if is_stat else LINES}
    return {
        "type": "stat" if is_stat else "timeseries",
        "title": panel["title"],
        "datasource": SOURCE,
        "targets": targets,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": LAST_VALUE if is_stat else LEGEND,
    }


def queries(panel: Json) -> dict[str, str]:
    """By legend."""
    if "show" in panel:
        shown: dict[str, str] = {str(legend): query for legend, query in panel["show"].items()}
        return shown
    rates = f"sum by (le) (rate({panel['percentiles']}[$__rate_interval]))"
    return {f"p{number}": f"histogram_quantile(0.{number}, {rates})" for number in (50, 95, 99)}


LINES = {"drawStyle": "line", "fillOpacity": 10, "showPoints": "never", "spanNulls": False}
LEGEND = {
    "legend": {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"]},
    "tooltip": {"mode": "multi", "sort": "desc"},
}
LAST_VALUE = {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}, "textMode": "auto"}
ALERTS = {
    "name": "Alerts",
    "datasource": SOURCE,
    "enable": True,
    "iconColor": "red",
    "expr": 'ALERTS{alertstate="firing",alertname!="Watchdog"}',
    "titleFormat": "{{alertname}}",
    "textFormat": "{{service}}",
}


def main() -> None:
    """Writes, or with --check compares; exit 1 where one is not current."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    is_check = parser.parse_args().check
    outdated = []
    for name, text in dashboards():
        file = HERE / "dashboards" / name
        if not is_check:
            file.write_text(text)
        elif not file.exists() or file.read_text() != text:
            outdated.append(name)
    if outdated:
        sys.exit(f"{', '.join(outdated)}: not current; run python deploy/grafana/generate.py")


if __name__ == "__main__":
    main()
