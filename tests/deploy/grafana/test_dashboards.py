"""Dashboards are what their program writes, ask for what is exposed, and ask in PromQL that Prometheus takes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.prometheus import exposed
from tests.deploy.prometheus.promql import selectors
from tests.deploy.prometheus.test_rules import RECORDED, promtool

GRAFANA = Path(__file__).parents[3] / "deploy" / "grafana"
FILES = sorted((GRAFANA / "dashboards").glob("*.json"))


def panels(file: Path) -> list[dict[str, Any]]:
    shown = json.loads(file.read_text())
    return [panel for panel in shown["panels"] if panel["type"] != "row"]


def queries() -> list[tuple[str, str]]:
    """Where it stands, and the query, with what Grafana would put into it."""
    return [
        (f"{file.stem}: {panel['title']}", target["expr"].replace("$__rate_interval", "1m"))
        for file in FILES
        for panel in panels(file)
        for target in panel["targets"]
    ]


def latencies() -> list[tuple[str, str]]:
    """Those whose dots are measurements that lead to a trace."""
    asked = [target for file in FILES for panel in panels(file) for target in panel["targets"]]
    return [each for each, target in zip(queries(), asked, strict=True) if target.get("exemplar")]


def test_the_dashboards_are_those_that_their_program_writes() -> None:
    subprocess.run([sys.executable, GRAFANA / "generate.py", "--check"], check=True)
    assert len(FILES) == 8


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_no_panel_lies_upon_another(file: Path) -> None:
    shown = json.loads(file.read_text())["panels"]
    assert len({panel["id"] for panel in shown}) == len(shown)
    places = [
        (x, y)
        for at in (panel["gridPos"] for panel in shown)
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(set(places)) == len(places)
    assert max(x for x, _ in places) < 24


def test_every_metric_and_label_of_a_dashboard_is_exposed() -> None:
    known = exposed.metrics()
    for place, query in queries():
        for selector in selectors(query):
            if selector.name in RECORDED | {"ALERTS"}:
                continue
            assert selector.name in known, f"{place} asks for {selector.name}, which nothing exposes"
            for label, _, _ in selector.matchers:
                assert label in known[selector.name] | exposed.ADDED, f"{place}: {selector.name} has no label {label}"


@pytest.mark.skipif(shutil.which("promtool") is None, reason="Prometheus is not installed")
def test_every_query_is_promql(tmp_path: Path) -> None:
    rules = [{"record": f"query:{number}", "expr": query} for number, (_, query) in enumerate(queries())]
    file = tmp_path / "queries.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    promtool("check", "rules", file)


def test_the_provisioned_sources_are_those_that_dashboards_ask() -> None:
    """Each file of Grafana's folder has one; no unknown key, which Grafana would pass over in silence."""
    files = sorted((GRAFANA / "provisioning" / "datasources").glob("*.yml"))
    (prometheus,), (tempo,) = (yaml.safe_load(file.read_text())["datasources"] for file in files)
    for source in (prometheus, tempo):
        assert source.keys() <= {"name", "uid", "type", "access", "url", "isDefault", "editable", "jsonData"}
    asked = {panel["datasource"]["uid"] for file in FILES for panel in panels(file)}
    assert asked == {prometheus["uid"]}
    assert (prometheus["type"], tempo["type"]) == ("prometheus", "tempo")
    port = yaml.safe_load((GRAFANA.parent / "compose" / "tempo.yaml").read_text())["server"]["http_listen_port"]
    assert tempo["url"] == f"http://tempo:{port}"
    (link,) = prometheus["jsonData"]["exemplarTraceIdDestinations"]
    assert link == {"name": "trace_id", "datasourceUid": tempo["uid"]}


def test_every_panel_of_a_latency_shows_exemplars() -> None:
    drawn = [panel for file in FILES for panel in panels(file) if "_seconds_bucket" in str(panel["targets"])]
    assert len(drawn) >= 10
    for panel in drawn:
        assert [target.get("exemplar", False) for target in panel["targets"]].count(True) == 1, panel["title"]
    others = [query for place, query in queries() if (place, query) in latencies() and "_seconds_bucket" not in query]
    assert others == []
