"""Visitors of the pages of the running stack, in a real browser. Pictures of what they saw last are kept below out/pages."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from playwright.async_api import Browser

from tests.browser.conftest import browser  # noqa: F401  # a fixture
from tests.e2e.pages.visitor import Visitor
from tests.e2e.stack import Stack

PICTURES = Path("out/pages")
PHONE = {"width": 360, "height": 740}

NewVisitor = Callable[..., Awaitable[Visitor]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first test may have to wait until Chromium is installed."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here) and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(600))


@pytest.fixture
async def new_visitor(stack: Stack, browser: Browser, request: pytest.FixtureRequest) -> AsyncIterator[NewVisitor]:  # noqa: F811
    """Opens browsers that were never here before. At the end of the test none of them has seen an error that the pages did not expect."""
    visitors: list[Visitor] = []

    async def make(*, phone: bool = False, language: str = "en-GB") -> Visitor:
        context = await browser.new_context(
            locale=language,
            timezone_id="Europe/Berlin",
            base_url=stack.status["gateway"],
            reduced_motion="reduce",
            **({"viewport": PHONE, "has_touch": True} if phone else {}),  # type: ignore[arg-type]  # two of its options
        )
        context.set_default_timeout(20_000)
        visitor = Visitor(stack, await context.new_page())
        visitors.append(visitor)
        return visitor

    yield make
    name = re.sub(r"\W+", "-", request.node.name).strip("-")
    for number, visitor in enumerate(visitors):
        for position, page in enumerate(visitor.context.pages):
            await page.screenshot(path=PICTURES / f"{name}-{number}-{position}.png", full_page=True)
    errors = [error for visitor in visitors for error in visitor.errors]
    for visitor in visitors:
        await visitor.context.close()
    assert errors == []


@pytest.fixture
async def visitor(new_visitor: NewVisitor) -> Visitor:
    return await new_visitor()
