"""Assembles a service in one call: routes, consumers, relay and sweeps in one process, on one database and one broker."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from contracts.asyncapi import document
from contracts.catalogue import EVENTS
from fastapi import APIRouter, FastAPI
from faststream.rabbit import RabbitBroker

from chassis import broker as amqp
from chassis import health, logs, metrics, openapi, parked_api, problems, tracing
from chassis.auth import Auth
from chassis.clock import Clock, SystemClock
from chassis.consumers import Consumers, Receiver
from chassis.crypto import Sealer
from chassis.db import Database
from chassis.due import Sweep
from chassis.ids import Ids, SystemIds
from chassis.link import BrokerLink
from chassis.loops import running
from chassis.parked import ParkedMessages
from chassis.relay import Relay
from chassis.request_id import RequestIdMiddleware
from chassis.settings import Role, ServiceSettings, Shared
from chassis.upkeep import Outdated, Upkeep


@dataclass(frozen=True)
class Service:
    """What a service's own parts are built from."""

    name: str
    app: FastAPI
    shared: Shared
    database: Database
    broker: RabbitBroker
    sealer: Sealer


Parts = Callable[[Service], AbstractAsyncContextManager[Sequence[Sweep]]]
"""Opens what only this service needs (a provider, a mail server), puts it on `app.state`, and yields its sweeps."""


@asynccontextmanager
async def _no_parts(_: Service) -> AsyncIterator[Sequence[Sweep]]:
    yield ()


def create_service(  # the parts of a service, by name
    name: str,
    settings: ServiceSettings,
    shared: Shared,
    *,
    routers: Sequence[APIRouter],
    consumers: Consumers,
    parts: Parts = _no_parts,
    outdated: Outdated = lambda _: (),
    token_signing_key: str | None = None,
    clock: Clock | None = None,
    ids: Ids | None = None,
) -> FastAPI:
    """The service as an ASGI application, connected to nothing until it is started.

    Raises ValueError when an event that the contracts give this service has no handler.
    """
    if missing := consumers.missing():
        raise ValueError(f"{name} handles no {', '.join(missing)}")
    logs.configure(name, shared.log_level)
    clock, ids = clock or SystemClock(), ids or SystemIds()
    database = Database(settings.database_url.get_secret_value(), clock, ids, pool=settings.database_pool)
    broker = amqp.connect(name, settings.broker_url.get_secret_value(), prefetch=settings.prefetch)
    sealer = Sealer.from_settings(shared.seal_keyset.get_secret_value(), shared.blind_index_key.get_secret_value())
    roles = shared.roles
    if Role.CONSUMERS in roles:
        Receiver(consumers, broker, database, shared.retry_delays_ms).subscribe(settings.prefetch)
    link = BrokerLink(broker, sorted(consumers.subscriptions) if Role.CONSUMERS in roles else [])

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        tracer = tracing.configure(name, shared.otlp_endpoint)
        async with AsyncExitStack() as stack:
            if tracer:
                stack.callback(tracer.shutdown)
            stack.push_async_callback(database.close)
            stack.push_async_callback(app.state.auth.close)
            sweeps = await stack.enter_async_context(parts(Service(name, app, shared, database, broker, sealer)))
            loops = [link.run()]
            if Role.RELAY in roles:
                relay = Relay(name, database, broker)
                database.wake_relay = relay.wake
                loops += [relay.run(), Upkeep(database, shared.outbox_retention_days, outdated, sweeps).run()]
            if Role.SWEEPS in roles:
                loops += [sweep.run() for sweep in sweeps]
            await stack.enter_async_context(running(loops))
            stack.push_async_callback(link.close)
            _leave_what_stays_to_itself()
            yield

    app = FastAPI(
        title=name,
        version="1",
        lifespan=lifespan,
        telemetry={"logs": False},
        generate_unique_id_function=openapi.operation_id,
    )
    openapi.describe_refusals(app)
    app.state.database = database
    app.state.sealer = sealer
    app.state.auth = Auth(shared, clock, token_signing_key)
    app.state.consumers = consumers
    app.state.parked = ParkedMessages(name, database, settings.broker_url.get_secret_value(), shared.retry_delays_ms[0])
    metrics.observe_pool(database)
    metrics.begin_at_zero(
        (event.type for event in EVENTS.values() if event.publisher == name),
        (subscription.event.type for subscription in consumers.subscriptions.values()),
    )
    problems.install(app)
    for router in (*routers, parked_api.router) if Role.HTTP in roles else ():
        app.include_router(router)
    app.include_router(
        health.router(
            {
                "database": database.answers,
                "broker": link.connected,
                "consumers": link.consuming,
            }
        )
    )
    app.add_api_route("/metrics", metrics.metrics_page, include_in_schema=False)
    app.add_api_route("/asyncapi", lambda: document([name]), include_in_schema=False)
    app.add_middleware(metrics.MetricsMiddleware)
    app.add_middleware(tracing.TraceparentMiddleware)
    app.add_middleware(RequestIdMiddleware, ids=ids)
    return app


def _leave_what_stays_to_itself() -> None:
    """Modules and routes live as long as the process: a full collection that walked them all would hold up every request."""
    gc.collect()
    gc.freeze()
