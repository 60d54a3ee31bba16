"""What a runbook tells somebody to type is there: commands, routes, metrics, other pages."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from ops import cli
from sandbox.cli import commands
from tests.deploy.prometheus import exposed
from tests.deploy.prometheus.promql import selectors
from tests.deploy.prometheus.test_rules import RECORDED

RUNBOOKS = sorted((Path(__file__).parents[3] / "docs" / "runbooks").glob("*.md"))
ROUTERS = (
    "booking.api",
    "payment.api",
    "refund.api",
    "refund.campaign_api",
    "notification.api",
    "notification.survey_api",
)

pages = pytest.mark.parametrize("page", RUNBOOKS, ids=lambda page: page.stem)


def routes() -> set[tuple[str, str]]:
    """Method and path, with each parameter as {}."""
    found = (route for name in ROUTERS for route in importlib.import_module(name).router.routes)
    return {(method, re.sub(r"\{\w+\}", "{}", route.path)) for route in found for method in route.methods}


def known_commands() -> set[str]:
    single = [*cli.app.registered_commands, *commands.registered_commands]
    groups = [(group.name, group.typer_instance) for group in cli.app.registered_groups]
    names = {command.name or command.callback.__name__ for command in single}
    return names | {
        f"{name} {c.name or c.callback.__name__}" for name, group in groups for c in group.registered_commands
    }


@pages
def test_its_commands_exist(page: Path) -> None:
    known = known_commands()
    groups = {name.partition(" ")[0] for name in known if " " in name}
    for line in re.findall(r"(?:^|`|\()boxoffice ([a-z]+(?: [a-z]+)?)", page.read_text(), re.MULTILINE):
        command, _, more = line.partition(" ")
        assert (line if command in groups and more else command) in known | groups, f"boxoffice {line}"


@pages
def test_its_routes_exist(page: Path) -> None:
    text = page.read_text()
    told = re.findall(r"(GET|POST|PATCH|DELETE) /api(/[^\s`?]+)", text)
    told += [("GET", path) for path in re.findall(r"\$GATEWAY/api(/[^\"?]+)", text)]
    for method, path in told:
        assert (method, re.sub(r"\{\w+\}|<[^>]+>", "{}", path)) in routes(), f"{method} {path}"


@pages
def test_its_queries_ask_for_what_is_exposed(page: Path) -> None:
    known = exposed.metrics()
    for query in re.findall(r"promtool query instant \$PROMETHEUS '(.+)'", page.read_text()):
        found = list(selectors(query))
        assert found, query
        for selector in found:
            assert selector.name in known.keys() | RECORDED | {"ALERTS"}, f"{selector.name} in {query}"


@pages
def test_its_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([\w./-]+\.md)\)", page.read_text()):
        assert (page.parent / link).is_file(), link
