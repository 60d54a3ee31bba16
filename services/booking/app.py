"""Assembles booking."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial

from chassis.app import Service, create_service
from chassis.due import Sweep
from chassis.settings import Shared, load
from fastapi import FastAPI

from booking import api, jobs
from booking.consumers import consumers
from booking.models import CANCELLATIONS, HOLDS, NAMES
from booking.settings import Settings
from booking.stream import Changes

ROUTERS = (api.router,)


def create_app() -> FastAPI:
    """The service, configured by its environment."""
    settings = load(Settings)
    app = create_service(
        "booking",
        settings,
        load(Shared),
        routers=ROUTERS,
        consumers=consumers,
        parts=parts,
        token_signing_key=settings.token_signing_key.get_secret_value(),
    )
    app.state.hold = timedelta(seconds=settings.hold_seconds)
    return app


@asynccontextmanager
async def parts(service: Service) -> AsyncIterator[Sequence[Sweep]]:
    """What only booking has: pages that wait, holds that end, events whose bookings end, and names that are indexed."""
    database = service.database
    service.app.state.changes = Changes(database)
    yield [
        Sweep(HOLDS, database, partial(jobs.end_hold, database)),
        Sweep(CANCELLATIONS, database, partial(jobs.end_bookings, database), concurrency=2),
        Sweep(NAMES, database, partial(jobs.index_name, database, service.sealer), concurrency=2),
    ]
