"""Payment as an application: `uvicorn payment.app:create_app --factory`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from chassis.app import Service, create_service
from chassis.due import Sweep
from chassis.loops import running
from chassis.settings import Shared, load
from chassis.watch import watch
from fastapi import FastAPI

from payment import api, jobs, receipts, webhooks
from payment.consumers import consumers
from payment.echoes import settle_for_ever
from payment.gateways.stripe import StripeGateway
from payment.settings import Settings
from payment.watch import measure

ROUTERS = (api.router, webhooks.router)


def create_app() -> FastAPI:
    """Payment, configured by the environment."""
    settings = load(Settings)

    @asynccontextmanager
    async def parts(service: Service) -> AsyncIterator[Sequence[Sweep]]:
        gateway = StripeGateway(
            settings.stripe_api_key.get_secret_value(),
            settings.stripe_publishable_key,
            tuple(secret.get_secret_value() for secret in settings.stripe_webhook_secrets),
            settings.stripe_api_base,
            settings.stripe_account,
        )
        service.app.state.gateway = gateway
        loops = [watch(service.database, measure, "open payments"), settle_for_ever(service.database)]
        try:
            async with running(loops):
                yield jobs.sweeps(service.database, gateway, service.sealer, settings)
        finally:
            await gateway.close()

    app = create_service(
        "payment",
        settings,
        load(Shared),
        routers=ROUTERS,
        consumers=consumers,
        parts=parts,
        outdated=receipts.outdated,
    )
    app.state.review_rules = settings.review_rules
    return app
