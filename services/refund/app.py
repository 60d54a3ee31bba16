"""The refund service as an application."""

from __future__ import annotations

from chassis.app import create_service
from chassis.settings import Shared, load
from fastapi import FastAPI

from refund import api
from refund.consumers import consumers
from refund.settings import Settings


def create_app() -> FastAPI:
    """Reads the environment; see .env.example."""
    return create_service("refund", load(Settings), load(Shared), routers=[api.router], consumers=consumers)
