"""Parked messages of all services, for the command line: `chassis.parked` with the administrator's addresses."""

from __future__ import annotations

import importlib
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict

from chassis.clock import SystemClock
from chassis.consumers import Consumers
from chassis.db import Database
from chassis.ids import SystemIds
from chassis.parked import Parked, ParkedMessages, UnknownMessage
from chassis.rehearsal import Rehearsal, rehearse
from contracts.catalogue import CONSUMERS, queue_name

from ops.settings import SERVICES, Settings, Shared

WORK_QUEUES = {queue_name(service, event): service for event, services in CONSUMERS.items() for service in services}
"""Each queue with the service that it is for."""


@asynccontextmanager
async def of_service(settings: Settings, shared: Shared, service: str) -> AsyncIterator[ParkedMessages]:
    """What a service has given up."""
    async with _database(settings, service) as database:
        broker_url = settings.broker_url.get_secret_value()
        yield ParkedMessages(service, database, broker_url, shared.retry_delays_ms[0])


@asynccontextmanager
async def of_queue(settings: Settings, shared: Shared, queue: str) -> AsyncIterator[tuple[ParkedMessages, str]]:
    """What the service of a queue has given up, and the queue's name without `.parked`. Raises UnknownMessage."""
    name = queue.removesuffix(".parked")
    if name not in WORK_QUEUES:
        raise UnknownMessage(f"there is no queue {queue}; the queues are {', '.join(sorted(WORK_QUEUES))}")
    async with of_service(settings, shared, WORK_QUEUES[name]) as messages:
        yield messages, name


async def everything(settings: Settings, shared: Shared) -> list[Parked]:
    """What all services have given up, by queue, oldest first."""
    found: list[Parked] = []
    for service in SERVICES:
        async with of_service(settings, shared, service) as messages:
            found += (await messages.all())[0]
    return found


async def rehearsed(settings: Settings, messages: Sequence[Parked]) -> list[Rehearsal]:
    """What the services' handlers would do with each."""
    results: list[Rehearsal] = []
    for service in sorted({WORK_QUEUES[message.queue] for message in messages}):
        consumers: Consumers = importlib.import_module(f"{service}.consumers").consumers
        async with _database(settings, service) as database:
            results += [
                await rehearse(database, consumers.subscriptions, message)
                for message in messages
                if WORK_QUEUES[message.queue] == service
            ]
    return results


@asynccontextmanager
async def _database(settings: Settings, service: str) -> AsyncIterator[Database]:
    database = Database(settings.database_url(service), SystemClock(), SystemIds(), pool=1)
    try:
        yield database
    finally:
        await database.close()


def as_json(items: Sequence[Parked | Rehearsal]) -> str:
    """For programs."""
    return json.dumps([asdict(item) for item in items], indent=2)
