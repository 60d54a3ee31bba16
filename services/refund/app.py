"""The refund service as an application."""

from __future__ import annotations

from functools import partial

from chassis.app import create_service
from chassis.settings import Shared, load
from fastapi import FastAPI

from refund import api, campaign_api, campaign_run
from refund.consumers import consumers
from refund.settings import Settings


def create_app() -> FastAPI:
    """Reads the environment; see .env.example."""
    settings = load(Settings)
    return create_service(
        "refund",
        settings,
        load(Shared),
        routers=[api.router, campaign_api.router],
        consumers=consumers,
        parts=partial(campaign_run.parts, settings.campaign_per_s),
    )
