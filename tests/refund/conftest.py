from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.conftest import Vhost
from tests.support.service import Running, running_service


@pytest.fixture(scope="module")
async def refund(postgres_url: str, broker_vhost: Vhost) -> AsyncIterator[Running]:
    async with running_service("refund", postgres_url, broker_vhost) as running:
        yield running
