"""Notification as an application: `uvicorn notification.app:create_app --factory`."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import structlog
from chassis.app import Service, create_service
from chassis.due import Sweep
from chassis.settings import Shared, load
from fastapi import FastAPI

from notification import survey_api, webhooks
from notification.api import router
from notification.consumers import consumers
from notification.crm import Crm
from notification.guard import Guard, Resolver, SystemResolver
from notification.jobs import CallCentre, Lanes, PostOffice
from notification.letters import Writer
from notification.models import MAILS, MOVES, SURVEYS
from notification.moves import Rounds
from notification.settings import Settings, refuse_in_production
from notification.smtp import Mailer
from notification.survey_watch import watch
from notification.surveys import Inquirer

log = structlog.get_logger(__name__)

ROUTERS = (router, survey_api.router)


def create_app(resolver: Resolver | None = None, tls: ssl.SSLContext | None = None) -> FastAPI:
    """The service as the environment describes it. `resolver` and `tls` are other people's DNS and certificates, for tests."""
    settings, shared = load(Settings), load(Shared)
    refuse_in_production(settings, shared)
    guard = Guard(settings.webhook_allowed_hosts, resolver or SystemResolver())

    @asynccontextmanager
    async def parts(service: Service) -> AsyncIterator[Sequence[Sweep]]:
        sender = settings.sender
        writer = Writer(sender.display_name, shared.public_url)
        mailer = Mailer(settings)
        post_office = PostOffice(service.database, service.sealer, mailer, writer, sender, settings.staff)
        if settings.staff is None:
            log.warning("staff are not written to: NOTIFICATION_STAFF_ADDRESS is not set")
        crm = Crm(guard, service.database.clock, tls)
        calls = CallCentre(service.database, service.sealer, crm)
        service.app.state.guard = guard
        watching = asyncio.create_task(watch(service.database))
        try:
            yield (
                Sweep(MAILS, service.database, post_office.send),
                Sweep(MOVES, service.database, Rounds(service.database).go),
                Sweep(SURVEYS, service.database, Inquirer(service.database, settings.survey_terms).look),
                Lanes(service.database, calls.drain),
            )
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            await crm.close()
            await mailer.close()

    return create_service(
        "notification",
        settings,
        shared,
        routers=ROUTERS,
        consumers=consumers,
        parts=parts,
        outdated=webhooks.outdated,
    )
