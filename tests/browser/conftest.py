"""A real browser for every test below this folder: the system's Chromium, driven by Playwright's asynchronous interface.

TEST_CHROMIUM names another Chromium. Where there is none it is installed when we are root on Debian, else the tests are skipped.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

from sandbox.launcher import install
from tests.conftest import RUN_FOLDER

INSTALL_SECONDS_MAX = 600
EXPECT_MILLISECONDS_MAX = 20_000
"""How long `expect` waits; the page may share two cores with a whole stack."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first test may have to wait until Chromium is installed."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here) and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(INSTALL_SECONDS_MAX))


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    """One Chromium without a window for the whole session. A test that needs a phone or a second visitor makes its own context of it."""
    path = await asyncio.to_thread(_chromium)
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium's own sandbox does not start as root
    expect.set_options(timeout=EXPECT_MILLISECONDS_MAX)
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(executable_path=path, args=arguments)
        yield started
        await started.close()


@pytest.fixture
async def page(browser: Browser) -> AsyncIterator[Page]:
    """A page of a visitor who was never here before."""
    context = await browser.new_context()
    yield await context.new_page()
    await context.close()


def _chromium() -> str:
    """Its path. Skips the test where there is none and none can be installed."""
    if given := os.environ.get("TEST_CHROMIUM"):
        return given
    with (Path(os.environ[RUN_FOLDER]) / "chromium.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            install.ensure_browser(print)
        except install.NotInstalled as error:
            pytest.skip(f"no browser: {error}")
    found = shutil.which("chromium")
    assert found
    return found
