from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from sandbox.story.shop import Shop
from tests.support.stack import RunningStack, running_stack

VARIABLES = {
    # What payment and verify ask the provider for by the clock belongs to no booking.
    "PAYMENT_BALANCE_EVERY_S": "86400",
    "PAYMENT_PROVIDER_LISTING_EVERY_S": "86400",
    "REFUND_APPROVAL_ABOVE_MINOR": '{"EUR": 0}',
    "WATCH_VERIFY_EVERY_S": "0",
}


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    with running_stack(Path(tmp_path_factory.mktemp("stack")), **VARIABLES) as running:
        yield running


@pytest.fixture(scope="session")
async def shop(stack: RunningStack) -> AsyncIterator[Shop]:
    async with Shop(stack.status) as shop:
        yield shop
