"""Rules load, fire when they should and only then, ask for what is really exposed, and lead whoever is called to a page that helps."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from chassis.metrics import REGISTRY
from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from ops.watch import metrics as watch
from sandbox.launcher.monitoring import hurried
from tests.deploy.prometheus import exposed
from tests.deploy.prometheus.promql import Selector, selectors

CLONE = Path(__file__).parents[3]
DEPLOY = CLONE / "deploy" / "prometheus"
RULES = sorted((DEPLOY / "rules").glob("*.yml"))
TESTS = sorted((DEPLOY / "tests").glob("*.yml"))
RUNBOOKS = CLONE / "docs" / "runbooks"
HEADINGS = ["What it means", "How to look", "What to do", "How to know that it is over"]
BEGINS_AT_ONE = frozenset({"http_requests_total", "provider_calls_total", "refunds_requested_total"})
"""Counters whose labels take too many values to be made beforehand; what is missed of them is what happened within one scrape."""

needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="Prometheus is not installed")


def rules() -> Iterator[dict[str, Any]]:
    for file in RULES:
        for group in yaml.safe_load(file.read_text())["groups"]:
            yield from group["rules"]


ALERTS = {rule["alert"]: rule for rule in rules() if "alert" in rule}
RECORDED = {rule["record"] for rule in rules() if "record" in rule}


def promtool(*arguments: str | Path) -> None:
    ended = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


@needs_promtool
def test_the_configuration_and_the_rules_load() -> None:
    promtool("check", "config", DEPLOY / "prometheus.yml")
    promtool("check", "rules", *RULES)


@needs_promtool
def test_the_rules_load_as_the_sandbox_shortens_them(tmp_path: Path) -> None:
    shortened = hurried((DEPLOY / "rules" / "alerts.yml").read_text(), windows=True)
    assert set(re.findall(r"\[(\d+m)\]", shortened)) == {"1m"}
    assert set(re.findall(r"for: (\S+)", shortened)) == {"15s"}
    (tmp_path / "alerts.yml").write_text(shortened)
    promtool("check", "rules", tmp_path / "alerts.yml")


@needs_promtool
@pytest.mark.parametrize("file", TESTS, ids=lambda file: file.stem)
def test_alerts_fire_when_they_should_and_only_then(file: Path) -> None:
    promtool("test", "rules", file)


@pytest.mark.parametrize("alert", ALERTS)
def test_each_alert_is_shown_firing_and_not_firing(alert: str) -> None:
    expected = [
        bool(test["exp_samples"])
        for file in TESTS
        for group in yaml.safe_load(file.read_text())["tests"]
        for test in group["promql_expr_test"]
        if f'alertname="{alert}"' in test["expr"]
    ]
    assert True in expected
    assert False in expected or alert == "Watchdog", "the watchdog always fires"


@pytest.mark.parametrize("alert", ALERTS)
def test_each_alert_says_who_is_called_what_is_wrong_and_where_help_is(alert: str) -> None:
    rule = ALERTS[alert]
    assert rule["labels"]["severity"] in {"critical", "warning", "none"}
    assert rule["labels"]["owner"] in {"payments", "platform", "box-office"}
    summary, runbook = rule["annotations"]["summary"], rule["annotations"]["runbook"]
    assert summary.endswith(".")
    for label in re.findall(r"\$labels\.(\w+)", summary):
        assert label in rule["expr"] or label in {"service", "instance"}, f"{label} is no label of the alert"
    assert runbook == f"docs/runbooks/{alert}.md"
    page = (CLONE / runbook).read_text()
    assert page.splitlines()[0] == f"# {alert}"
    assert re.findall(r"^## (.+)$", page, re.MULTILINE) == HEADINGS


def test_each_runbook_is_of_an_alert() -> None:
    """Pages in small letters are about duties, which nobody is called for."""
    pages = {page.stem for page in RUNBOOKS.glob("*.md")} - {"README"}
    assert {page for page in pages if not page.islower()} == set(ALERTS)


def asked() -> Iterator[tuple[str, Selector]]:
    for rule in rules():
        for selector in selectors(rule["expr"]):
            yield rule.get("alert") or rule["record"], selector


def test_every_metric_and_label_of_a_rule_is_exposed() -> None:
    known = exposed.metrics()
    for rule, selector in asked():
        if selector.name in RECORDED:
            continue
        assert selector.name in known, f"{rule} asks for {selector.name}, which nothing exposes"
        for label, _, _ in selector.matchers:
            assert label in known[selector.name] | exposed.ADDED, f"{rule}: {selector.name} has no label {label}"


def test_every_value_that_a_rule_asks_for_is_there_before_anything_happens() -> None:
    """Prometheus sees no increase in a series that begins at 1, and a value that is never exposed makes a rule that never fires."""
    begun = exposed.samples()
    for rule, selector in asked():
        if (
            selector.name not in begun
            or not selector.name.endswith(("_total", "_bucket"))
            or selector.name in BEGINS_AT_ONE
        ):
            continue
        for label, operator, value in selector.matchers:
            wanted = re.compile(value if "~" in operator else re.escape(value))
            values = [labels.get(label, "") for labels in begun[selector.name]]
            assert any(wanted.fullmatch(found) for found in values), f"{rule}: no {selector.name} with {label} {value}"


@pytest.mark.parametrize("registry", [REGISTRY, watch.REGISTRY], ids=["services", "watch"])
def test_openmetrics_names_everything_as_the_plain_text_does(registry: CollectorRegistry) -> None:
    """Prometheus asks for OpenMetrics, because it has exemplars; people, and older scrapers, get the plain text."""
    exposed.metrics()
    plain, rich = generate_latest(registry).decode(), openmetrics.generate_latest(registry).decode()
    assert _named(read_openmetrics(rich)) == _named(read_text(plain))


def _named(families: Iterable[Metric]) -> set[tuple[str, tuple[tuple[str, str], ...]]]:
    return {(sample.name, tuple(sorted(sample.labels.items()))) for family in families for sample in family.samples}


def test_a_renamed_metric_is_noticed() -> None:
    """The reading of expressions itself: what is a metric in them, and what is not."""
    expression = 'histogram_quantile(0.95, sum by (service, le) (rate(a_bucket{le="1",x!~"y|z"}[5m]))) > 60 and on (what) b:c > 1e3'
    assert [(s.name, [m[0] for m in s.matchers]) for s in selectors(expression)] == [
        ("a_bucket", ["le", "x"]),
        ("b:c", []),
    ]
