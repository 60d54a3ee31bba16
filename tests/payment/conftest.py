"""Payment against the Stripe stand-in over real HTTP, with its webhooks arriving or held back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from tests.conftest import Vhost
from tests.payment.shop import Inlet, Shop, payment_variables
from tests.sandbox.stripe.conftest import running
from tests.support.service import running_service


@pytest.fixture(scope="module")
async def shop(
    postgres_url: str, broker_vhost: Vhost, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Shop]:
    """A running payment service and its provider. Webhooks are on; a test that turns them off turns them on again."""
    inlet = Inlet()
    app = web.Application(client_max_size=16 * 1024 * 1024)
    app.router.add_post("/webhooks/stripe", inlet.forward)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    state: Path = tmp_path_factory.mktemp("stripe")
    async with running(state, webhook_retry_seconds=(0.1, 0.2, 0.4)) as standin:
        host, port = runner.addresses[0][:2]
        endpoint = await standin.client.v1.webhook_endpoints.create_async(
            {"url": f"http://{host}:{port}/webhooks/stripe", "enabled_events": ["*"]}
        )
        assert endpoint.secret is not None
        async with running_service(
            "payment", postgres_url, broker_vhost, **payment_variables(standin.url, endpoint.secret)
        ) as service:
            inlet.client = service.client
            yield Shop(service, standin, inlet, endpoint.secret)
            inlet.client = None
    await runner.cleanup()


@pytest.fixture(autouse=True)
async def normal_provider(request: pytest.FixtureRequest) -> AsyncIterator[None]:
    """What a test did to the provider ends with it."""
    yield
    if "shop" in request.fixturenames:
        shop: Shop = request.getfixturevalue("shop")
        await shop.standin.control("DELETE", "/faults")
        await shop.standin.control("PUT", "/webhooks", {})
        await shop.standin.control("PUT", "/limits", {})


