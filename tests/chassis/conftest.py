"""A specimen service that stands on the chassis: refund's queues and database, handlers of our own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from chassis.app import create_service
from chassis.consumers import Consumers
from chassis.db import Transaction
from chassis.settings import ServiceSettings, Shared, load
from contracts.catalogue import consumed_by
from contracts.event import Event
from fastapi import APIRouter, FastAPI
from pydantic_settings import SettingsConfigDict

from tests.chassis.issuer import world  # noqa: F401  # a fixture
from tests.conftest import Vhost
from tests.support.service import Running, running_service


class Settings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="REFUND_")


@dataclass
class Specimen:
    """A running service, what its handlers saw, and what they shall do."""

    running: Running
    seen: list[Event] = field(default_factory=list)
    handle: Callable[[Event, Transaction], Awaitable[None]] | None = None


@pytest.fixture(scope="module")
def routes() -> APIRouter:
    """Routes of the specimen; a module that needs some overrides this."""
    return APIRouter()


@pytest.fixture(scope="module")
async def specimen(postgres_url: str, broker_vhost: Vhost, routes: APIRouter) -> AsyncIterator[Specimen]:
    """The service, for all tests of a module."""
    consumers = Consumers("refund")
    found: dict[str, Any] = {}

    async def handler(event: Event, tx: Transaction) -> None:
        specimen: Specimen = found["specimen"]
        if specimen.handle is not None:
            await specimen.handle(event, tx)
        specimen.seen.append(event)

    for event in consumed_by("refund"):
        consumers.on(event)(handler)

    def create_app() -> FastAPI:
        return create_service("refund", load(Settings), load(Shared), routers=[routes], consumers=consumers)

    async with running_service("refund", postgres_url, broker_vhost, create_app) as running:
        found["specimen"] = Specimen(running)
        yield found["specimen"]


@pytest.fixture(autouse=True)
def clean(request: pytest.FixtureRequest) -> None:
    """Each test finds a specimen that has seen nothing and does nothing."""
    if "specimen" in request.fixturenames:
        specimen: Specimen = request.getfixturevalue("specimen")
        specimen.seen.clear()
        specimen.handle = None
