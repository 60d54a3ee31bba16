"""Reads everything and compares it: once, twice in live mode, or again and again until all is settled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import UUID

import aio_pika.exceptions
import aiohttp
import asyncpg
import httpx2
import stripe
from chassis.clock import SystemClock
from contracts.catalogue import CONSUMERS, PUBLISHERS
from sqlalchemy.exc import SQLAlchemyError

from ops.settings import Settings
from ops.verify import messages, money, outside, people, provider, seats, statements, trust
from ops.verify.reading import Snapshot, consumption, dossiers, snapshots
from ops.verify.records import (
    Delivery,
    Dossier,
    Endpoint,
    EventMove,
    Leak,
    Message,
    Outside,
    Receipt,
    Right,
    Seats,
    Terms,
)
from ops.verify.report import Difference, Report
from ops.verify.waiting import until_settled

T = TypeVar("T")

SECOND_LOOK_S = 30.0
DATABASE_ERRORS = (SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError)
OUTSIDE_ERRORS = (
    stripe.StripeError,
    aiohttp.ClientError,
    httpx2.HTTPError,
    aio_pika.exceptions.AMQPError,
    OSError,
    TimeoutError,
)


@dataclass
class Inside:
    """Snapshots of the databases. `inboxes` were taken before `read`, since an inbox follows from other services' outboxes."""

    inboxes: dict[str, Snapshot]
    read: dict[str, Snapshot]


@dataclass(frozen=True)
class Trusted:
    """What trust compares, read from one database."""

    service: str
    audit_rows: int
    audit_problems: list[str]
    rights: list[Right]
    settings: Mapping[str, str]
    columns: int
    leaks: list[Leak]


def kept_since(now: datetime, retention: timedelta) -> UUID:
    """The least UUIDv7 of the instant before which published events may have been pruned."""
    return UUID(int=int((now - retention).timestamp() * 1000) << 80)


@asynccontextmanager
async def inside(settings: Settings) -> AsyncIterator[Inside]:
    """Opens two snapshots of each database. Raises one of DATABASE_ERRORS."""
    urls = {service: settings.reading_url(service) for service in PUBLISHERS}
    async with snapshots(urls) as inboxes, snapshots(urls) as read:
        yield Inside(inboxes, read)


async def read_outside(settings: Settings, *, settled: bool) -> Outside:
    """Reads provider, broker, mailbox and CRM. What cannot be read is named with the reason."""
    found = Outside(crm_url=settings.crm_url)
    management = outside.Management(
        settings.broker_management_url.get_secret_value(), settings.broker_url.get_secret_value()
    )
    found.vhost = management.vhost
    queues = outside.read_queues(settings.broker_url.get_secret_value(), management, settled=settled)
    found.queues = await _read(found, "broker", queues)
    found.permissions = await _read(found, "broker's permissions", management.get("permissions"))
    await management.close()
    account = outside.ProviderSettings()
    if account.api_key is None:
        found.left_out["provider"] = "PAYMENT_STRIPE_API_KEY is not set"
    else:
        found.shown = await _read(found, "provider", outside.read_provider(account))
    if settings.mail_url:
        found.mailbox = await _read(found, "mailbox", outside.read_mailbox(settings.mail_url))
    if settings.crm_url:
        found.calls = await _read(found, "CRM", outside.read_crm(settings.crm_url))
    return found


async def _read(found: Outside, source: str, reading: Awaitable[T]) -> T | None:
    try:
        return await reading
    except OUTSIDE_ERRORS as error:
        found.unread[source] = reason(error)
        return None


def reason(error: BaseException) -> str:
    """Class and first line of an error."""
    return f"{type(error).__name__}: {error}".splitlines()[0][:300]


async def look(settings: Settings, *, settled: bool, retention: timedelta) -> Report:
    """One look at everything."""
    now = SystemClock().now()
    terms = Terms(now, settled, kept_since(now, retention))
    try:
        async with inside(settings) as opened:
            # The provider after our rows: what is ours follows from it.
            return await compare(opened, lambda: read_outside(settings, settled=settled), terms)
    except DATABASE_ERRORS as error:
        return Report(unread={"databases": reason(error)})


async def compare(opened: Inside, read: Callable[[], Awaitable[Outside]], terms: Terms) -> Report:
    """Compares everything that was opened."""
    found = await read()
    report = Report(unread=found.unread, left_out=found.left_out)
    await _by_booking(report, opened, found, terms)
    await _by_event(report, opened, found, terms)
    await _seats(report, opened)
    if found.queues is not None:
        report.note("Q5", len(found.queues), messages.queues(found.queues, CONSUMERS, terms))
    for service in PUBLISHERS:
        _trust(report, await read_trust(opened.read[service]))
    if found.permissions is not None:
        report.note("X3", len(PUBLISHERS), trust.broker_rights(found.vhost, found.permissions, PUBLISHERS))
    return report


async def _by_booking(report: Report, opened: Inside, found: Outside, terms: Terms) -> None:
    shown = None if found.shown is None else provider.Compared(found.shown)
    mailbox = None if found.mailbox is None else people.Mailbox(found.mailbox)
    moves = people.moves_of(await opened.read["booking"].rows(EventMove, statements.MOVES))
    async for dossier in dossiers(opened.read):
        for code, count, differences in _checks(dossier, terms, moves):
            report.note(code, count, differences)
        if shown is not None:
            report.note("P1", 1 + len(dossier.payment_refunds), shown.dossier(dossier, terms))
        if mailbox is not None:
            report.note("V1", 0, mailbox.dossier(dossier))
    if shown is not None:
        report.note("P2", len(shown.shown.movements), shown.rest())
        since = terms.now - timedelta(days=29)
        receipts = await opened.read["payment"].rows(Receipt, statements.RECEIPTS, since)
        report.note("P3", len(shown.shown.intents) + len(shown.shown.refunds))
        report.note("P4", len(receipts), provider.webhooks(receipts, shown.shown, terms))
    if mailbox is not None and found.mailbox is not None:
        mailbox.to_staff(await opened.read["notification"].rows(Message, statements.MESSAGES_TO_STAFF))
        report.note("V2", len(found.mailbox), mailbox.rest())


def _checks(dossier: Dossier, terms: Terms, moves: people.Moves) -> Iterator[tuple[str, int, Iterator[Difference]]]:
    counts = {
        "M1": len(dossier.entries),
        "M2": len(dossier.payment_refunds) + (dossier.payment is not None),
        "M4": len(dossier.entries),
        "M6": len(dossier.refunds),
    }
    for code, check in money.CHECKS.items():
        yield code, counts.get(code, 1), check(dossier, terms)
    yield "S3", 1, seats.hold_in_time(dossier, terms)
    yield "Q4", 1, messages.versions(dossier, terms)
    yield "V1", len(dossier.messages), people.mails(dossier, terms, moves)


async def _by_event(report: Report, opened: Inside, found: Outside, terms: Terms) -> None:
    notification = opened.read["notification"]
    endpoints = await notification.rows(Endpoint, statements.ENDPOINTS)
    announced = people.Announcements(endpoints, await notification.rows(Delivery, statements.DELIVERIES))
    async for row in consumption(opened.inboxes, opened.read, terms.kept_since):
        for code, check in messages.BY_EVENT.items():
            report.note(code, len(row.events), check(row, terms))
        report.note("Q3", len(row.consumers))
        report.discarded += messages.discarded(row)
        report.note("V3", 0, announced.event(row, terms))
    report.note("V3", len(announced.deliveries), announced.settled(terms))
    if found.calls is not None and found.crm_url is not None:
        report.note("V3", len(found.calls), people.crm(endpoints, announced.deliveries, found.calls, found.crm_url))


async def _seats(report: Report, opened: Inside) -> None:
    types = await opened.read["booking"].rows(Seats, statements.SEATS)
    report.note("S1", len(types), seats.not_oversold(types))
    report.note("S2", len(types), seats.recounted(types))


async def read_trust(read: Snapshot) -> Trusted:
    """Reads what trust compares."""
    head, problems = await read.audit_chain()
    columns, leaks = await trust.scan(read)
    return Trusted(read.service, head.seq, problems, await read_rights(read), await read_settings(read), columns, leaks)


async def read_rights(read: Snapshot) -> list[Right]:
    """What the roles of a service may do in its database, and who else may enter."""
    return [
        Right(service, role, table, frozenset(privileges))
        for sql in (statements.RIGHTS, statements.DDL, statements.DEFINERS, statements.STRANGERS)
        for service, role, table, privileges in await read.tuples(sql, read.service)
    ]


async def read_settings(read: Snapshot) -> dict[str, str]:
    """Settings that durability depends on."""
    return {str(name): str(value) for name, value in await read.tuples(statements.SETTINGS)}


def _trust(report: Report, found: Trusted) -> None:
    report.note("X1", found.audit_rows, trust.audit_chain(found.service, found.audit_problems))
    report.note("X3", len(found.rights), trust.privileges(found.rights))
    report.note("X4", found.columns, trust.leaks(found.leaks))
    report.note("X5", len(found.settings), trust.durability(found.service, found.settings))


async def verify(
    settings: Settings,
    *,
    settled: bool,
    retention: timedelta,
    wait_s: float,
    say: Callable[[str], None],
    second_look_s: float = SECOND_LOOK_S,
) -> Report:
    """Compares everything; live, what a second look does not find again is not told."""
    if wait_s:
        try:
            await until_settled(settings, wait_s, kept_since(SystemClock().now(), retention), say)
        except (*DATABASE_ERRORS, *OUTSIDE_ERRORS) as error:
            return Report(unread={"databases or broker": reason(error)})
    report = await look(settings, settled=settled, retention=retention)
    if settled or not report.differences:
        return report
    say(f"{len(report.differences)} differences at the first look; looking again in {second_look_s:g} s")
    first = {difference.identity for difference in report.differences}
    await asyncio.sleep(second_look_s)  # noqa: TID251  # what is on its way needs real time to arrive
    again = await look(settings, settled=settled, retention=retention)
    again.differences = [difference for difference in again.differences if difference.identity in first]
    return again
