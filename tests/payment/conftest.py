"""Payment against the Stripe stand-in over real HTTP, with its webhooks arriving or held back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from tests.conftest import Vhost
from tests.payment.shop import Inlet, Shop, payment_variables
from tests.sandbox.stripe.conftest import listening, running
from tests.support.service import running_service


@asynccontextmanager
async def opened(postgres_url: str, vhost: Vhost, state: Path, **variables: str) -> AsyncIterator[Shop]:
    """A running payment service, its provider, and the way for webhooks between them."""
    inlet = Inlet()
    app = web.Application(client_max_size=16 * 1024 * 1024)
    app.router.add_post("/webhooks/stripe", inlet.forward)
    async with listening(app) as url, running(state, webhook_retry_seconds=(0.1, 0.2, 0.4)) as standin:
        endpoint = await standin.client.v1.webhook_endpoints.create_async(
            {"url": f"{url}/webhooks/stripe", "enabled_events": ["*"]}
        )
        assert endpoint.secret is not None
        own = payment_variables(standin.url, endpoint.secret)
        async with running_service("payment", postgres_url, vhost, **own, **variables) as service:
            inlet.client = service.client
            yield Shop(service, standin, inlet, endpoint.secret)
            inlet.client = None


@pytest.fixture(scope="module")
async def shop(
    postgres_url: str, new_vhost: Callable[[str], Vhost], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Shop]:
    """As in production: what falls due is worked on by itself."""
    async with opened(postgres_url, new_vhost("payment"), tmp_path_factory.mktemp("stripe")) as found:
        yield found


@pytest.fixture(scope="module")
async def still_shop(
    postgres_url: str, new_vhost: Callable[[str], Vhost], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Shop]:
    """Nothing is worked on, and no webhook is sent, but when the test says so."""
    state = tmp_path_factory.mktemp("stripe")
    async with opened(postgres_url, new_vhost("still"), state, BOXOFFICE_ROLES="http,consumers,relay") as found:
        await found.standin.control("PUT", "/webhooks", {"on": False})
        yield found


@pytest.fixture(autouse=True)
async def normal_provider(request: pytest.FixtureRequest) -> AsyncIterator[None]:
    """What a test did to the provider ends with it."""
    yield
    for name in {"shop", "still_shop"} & set(request.fixturenames):
        shop: Shop = request.getfixturevalue(name)
        await shop.standin.control("DELETE", "/faults")
        await shop.standin.control("PUT", "/webhooks", {"on": name == "shop"})
        await shop.standin.control("PUT", "/limits", {})
        await shop.standin.control("PUT", "/refund-course", {"course": None})
        await shop.standin.control("PUT", "/balance", {"currency": "eur", "available": None})
