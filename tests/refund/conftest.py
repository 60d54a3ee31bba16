from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from hypothesis import HealthCheck, settings

from tests.conftest import Vhost
from tests.support.service import Running, running_service

# How fast a shared machine is at the moment is no property of the code.
settings.register_profile("refund", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("refund")


@pytest.fixture(scope="module")
async def refund(postgres_url: str, broker_vhost: Vhost) -> AsyncIterator[Running]:
    limits = {"REFUND_APPROVAL_ABOVE_MINOR": '{"EUR": 50000}'}
    async with running_service("refund", postgres_url, broker_vhost, **limits) as running:
        yield running
