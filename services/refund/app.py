"""The refund service as an application."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from chassis.app import Service, create_service
from chassis.due import Sweep
from chassis.loops import running
from chassis.settings import Shared, load
from chassis.watch import watch
from fastapi import FastAPI

from refund import api, campaign_api, campaign_run
from refund.consumers import consumers
from refund.settings import Settings
from refund.watch import measure

ROUTERS = (api.router, campaign_api.router)


def create_app() -> FastAPI:
    """Reads the environment; see .env.example."""
    settings = load(Settings)

    @asynccontextmanager
    async def parts(service: Service) -> AsyncIterator[Sequence[Sweep]]:
        async with (
            running([watch(service.database, measure, "unfinished refunds")]),
            campaign_run.parts(settings.campaign_per_s, service) as sweeps,
        ):
            yield sweeps

    app = create_service("refund", settings, load(Shared), routers=ROUTERS, consumers=consumers, parts=parts)
    app.state.approval_above_minor = settings.approval_above_minor
    return app
