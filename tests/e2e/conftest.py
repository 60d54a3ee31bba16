"""One stack for all tests from outside.

TEST_STACK_HOME names the state folder of a running stack to use instead; refunds above 500 EUR must need a second person in it.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx2
import psutil
import pytest

from sandbox.story.shop import Shop
from tests.e2e.collector import Collector
from tests.e2e.stack import Stack
from tests.support.stack import BOXOFFICE, RunningStack, running_stack

APPROVAL_ABOVE_MINOR = 50_000
"""EUR that one person may give back of a booking."""


@pytest.fixture(scope="session")
def collector() -> Iterator[Collector]:
    """Takes the spans of the stack that the tests start."""
    with Collector() as collector:
        yield collector


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> Iterator[RunningStack]:
    """A running stack. At the end no process of it is left."""
    if given := os.environ.get("TEST_STACK_HOME"):
        environment = {**os.environ, "BOXOFFICE_HOME": given}
        told = subprocess.run([BOXOFFICE, "status", "--json"], env=environment, capture_output=True, check=True)
        yield RunningStack(Path(given), environment, json.loads(told.stdout))
        return
    home = tmp_path_factory.mktemp("stack") / "home"
    variables = {
        "BOXOFFICE_OTLP_ENDPOINT": collector.address,
        "WATCH_VERIFY_EVERY_S": "0",  # tests verify when they are ready for it
        "REFUND_APPROVAL_ABOVE_MINOR": json.dumps({"EUR": APPROVAL_ABOVE_MINOR}),
    }
    with running_stack(home, **variables) as stack:
        yield stack
        supervisor = psutil.Process(stack.status["supervisor"])
        processes = [supervisor, *supervisor.children(recursive=True)]
    assert [each for each in processes if each.is_running() and each.status() != psutil.STATUS_ZOMBIE] == []


@pytest.fixture(scope="session")
async def shared_stack(running: RunningStack) -> AsyncIterator[Stack]:
    """The stack that the tests share."""
    limits = httpx2.Limits(max_connections=400, max_keepalive_connections=0)
    async with Shop(running.status) as shop, httpx2.AsyncClient(timeout=60, trust_env=False, limits=limits) as http:
        yield Stack(running, shop, http)


@pytest.fixture
async def stack(shared_stack: Stack) -> AsyncIterator[Stack]:
    """The shared stack. What buyers reserved and left ends with the test, so that others may verify that nothing is on its way."""
    yield shared_stack
    async with shared_stack.database("booking") as connection:
        await connection.execute(
            "UPDATE bookings SET hold_expires_at = now(), expiry_due_at = now() WHERE status = 'pending_payment'"
        )


@pytest.fixture
async def whole(stack: Stack) -> AsyncIterator[Stack]:
    """The stack for a test that breaks it: afterwards everything runs again."""
    yield stack
    for process in stack.status["processes"]:
        await stack.start(process)
