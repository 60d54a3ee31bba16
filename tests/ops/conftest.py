"""Four migrated databases and a virtual host with the declared topology, as the operator's settings name them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest
from chassis.migrate import migrate
from chassis.topology import declare, topology

from ops.settings import SERVICES, Settings
from tests.conftest import Vhost
from tests.support.service import RETRY_DELAYS_MS, as_role, fresh_database

Execute = Callable[..., Awaitable[Any]]


async def operator_settings(postgres_url: str, vhost: Vhost, **known: str) -> Settings:
    """Settings for databases of their own; `known` are addresses, by service, of databases that are there already."""
    urls = {}
    for service in SERVICES:
        if service not in known:
            url = await fresh_database(service, postgres_url)
            await asyncio.to_thread(migrate, service, as_role(url, f"{service}_owner"))
            urls[service] = as_role(url, f"{service}_owner")
    urls |= known
    await declare(vhost.url(), topology(RETRY_DELAYS_MS))
    return Settings(
        broker_url=vhost.url(),
        broker_management_url=vhost.broker.management_url,
        **{f"{service}_database_url": url for service, url in urls.items()},
    )


@pytest.fixture(scope="module")
async def settings(postgres_url: str, broker_vhost: Vhost) -> Settings:
    return await operator_settings(postgres_url, broker_vhost)


@pytest.fixture
def execute(settings: Settings) -> Execute:
    """Runs SQL in a service's database, as the owner."""

    async def run(service: str, sql: str, *arguments: object) -> Any:
        connection = await asyncpg.connect(settings.plain_database_url(service))
        try:
            return await connection.fetch(sql, *arguments)
        finally:
            await connection.close()

    return run


@pytest.fixture(autouse=True)
def _no_stack_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "PAYMENT_STRIPE_API_KEY",
        "PAYMENT_STRIPE_API_BASE",
        "PAYMENT_STRIPE_ACCOUNT",
        "NOTIFICATION_SMTP_HOST",
    ):
        monkeypatch.delenv(name, raising=False)
