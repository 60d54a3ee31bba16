"""The refund service as an application."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from chassis.app import Service, create_service
from chassis.due import Sweep
from chassis.settings import Shared, load
from fastapi import FastAPI

from refund import api, campaign_api, campaign_run
from refund.consumers import consumers
from refund.settings import Settings
from refund.watch import watch

ROUTERS = (api.router, campaign_api.router)


def create_app() -> FastAPI:
    """Reads the environment; see .env.example."""
    settings = load(Settings)

    @asynccontextmanager
    async def parts(service: Service) -> AsyncIterator[Sequence[Sweep]]:
        watching = asyncio.create_task(watch(service.database))
        try:
            async with campaign_run.parts(settings.campaign_per_s, service) as sweeps:
                yield sweeps
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    app = create_service("refund", settings, load(Shared), routers=ROUTERS, consumers=consumers, parts=parts)
    app.state.approval_above_minor = settings.approval_above_minor
    return app
