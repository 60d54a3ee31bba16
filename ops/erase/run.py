"""Finds a customer's bookings, says what speaks against erasing them, and blanks what is sealed about them.

Each service is a transaction of its own with its audit rows, and booking, where bookings are found by address, is the last: whoever is
interrupted starts again.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from booking.placed import EMAIL
from booking.search import normalised
from chassis import audit
from chassis.clock import SystemClock
from chassis.crypto import Sealer
from chassis.db import Database, Transaction
from chassis.idempotency import SEALED_AS as ANSWER
from chassis.ids import SystemIds
from contracts.catalogue import CONSUMERS, EVENTS, queue_name
from sqlalchemy import text

from ops.erase.parts import ADDRESS, ERASED_ANSWER, PARTS, RELATED, Part, blanked, sealed_fields
from ops.settings import Settings

SEALED_EVENTS = {event.type: event for event in EVENTS.values() if sealed_fields(event)}
LIVE = frozenset({"pending_payment", "payment_authorized"})

UNDER_WAY: Mapping[str, str] = {
    "payment": """
        SELECT 'payment ' || id || ' is ' || status AS sentence FROM payments
            WHERE booking_id = ANY(:ids) AND status NOT IN ('succeeded', 'voided', 'failed')
        UNION ALL SELECT 'dispute ' || id || ' is ' || status FROM disputes
            WHERE booking_id = ANY(:ids) AND status IN ('inquiry', 'open')""",
    "refund": """
        SELECT 'refund ' || id || ' is ' || status AS sentence FROM refunds
            WHERE booking_id = ANY(:ids) AND status NOT IN ('succeeded', 'declined', 'settled_manually')
              AND NOT (status = 'failed' AND failure IN ('dispute_lost', 'not_enough_left'))""",
    "notification": """
        SELECT 'mail ' || id || ' is ' || status AS sentence FROM messages WHERE booking_id = ANY(:ids) AND status = 'queued'""",
}
"""What still needs the customer's data, in words."""


@dataclass(frozen=True)
class Blanked:
    """How many rows of a table are blanked."""

    service: str
    table: str
    columns: str
    rows: int


class Kept(NamedTuple):
    """An event in an outbox."""

    id: UUID
    type: str
    body: str


@asynccontextmanager
async def databases(settings: Settings) -> AsyncIterator[dict[str, Database]]:
    """The four, as their owners, in the order in which they are blanked: a service itself may change no event that it has written."""
    async with AsyncExitStack() as stack:
        opened = {
            service: Database(settings.database_url(service), SystemClock(), SystemIds(), pool=1) for service in PARTS
        }
        for database in opened.values():
            stack.push_async_callback(database.close)
        yield opened


async def bookings_of(booking: Database, sealer: Sealer, email: str) -> list[UUID]:
    """The bookings that were made with an address, oldest first."""
    async with booking.transaction() as tx:
        found = await tx.execute(
            text("SELECT id FROM bookings WHERE email_index = :index ORDER BY id"),
            {"index": sealer.blind_index(normalised(email), EMAIL)},
        )
        return [row.id for row in found]


async def obstacles(opened: Mapping[str, Database], ids: Sequence[UUID]) -> list[str]:
    """A sentence for each reason to wait: a ticket to be used, money or mail under way, an event that somebody has not had."""
    found: list[str] = []
    async with opened["booking"].transaction() as tx:
        rows = await tx.execute(
            text(
                "SELECT bookings.id, status, starts_at, starts_at > :now AS is_to_come FROM bookings "
                "JOIN events ON events.id = event_id WHERE bookings.id = ANY(:ids) ORDER BY bookings.id"
            ),
            {"ids": list(ids), "now": tx.now},
        )
        for row in rows:
            if row.status in LIVE:
                found.append(f"booking {row.id} is {row.status}: it is not over")
            elif row.status == "confirmed" and row.is_to_come:
                found.append(f"booking {row.id} is confirmed and its event starts at {row.starts_at:%Y-%m-%d %H:%M %Z}")
    for service, sql in UNDER_WAY.items():
        async with opened[service].transaction() as tx:
            found += [row.sentence for row in await tx.execute(text(sql), {"ids": list(ids)})]
    return [*found, *await _not_consumed(opened, ids)]


async def _not_consumed(opened: Mapping[str, Database], ids: Sequence[UUID]) -> list[str]:
    """Its body is still in the broker, or parked there, and would be written down after the erasure."""
    awaited: dict[tuple[str, str], list[UUID]] = {}
    for service, database in opened.items():
        async with database.transaction() as tx:
            for row in await _kept_events(tx, service, ids):
                for consumer in CONSUMERS[SEALED_EVENTS[row.type]]:
                    awaited.setdefault((consumer, queue_name(consumer, SEALED_EVENTS[row.type])), []).append(row.id)
    found: list[str] = []
    for (service, queue), events in awaited.items():
        async with opened[service].transaction() as tx:
            had = await tx.execute(
                text("SELECT event_id FROM inbox WHERE consumer = :queue AND event_id = ANY(:events)"),
                {"queue": queue, "events": events},
            )
            found += [
                f"event {each} waits in {queue}, or is parked" for each in set(events) - {row.event_id for row in had}
            ]
    return sorted(found)


async def plan(opened: Mapping[str, Database], sealer: Sealer, ids: Sequence[UUID]) -> list[Blanked]:
    """What `erase` would blank."""
    found: list[Blanked] = []
    for service, database in opened.items():
        async with database.transaction() as tx:
            for part in PARTS[service]:
                counted = await tx.execute(text(_counting(part)), {"ids": list(ids)})
                found.append(Blanked(service, part.table, ", ".join(part.blanks), counted.scalar_one()))
            if service == "booking":
                named = text("SELECT count(*) FROM booking_names WHERE booking_id = ANY(:ids)")
                words = (await tx.execute(named, {"ids": list(ids)})).scalar_one()
                found.append(Blanked(service, "booking_names", "removed", words))
            events = len(await _kept_events(tx, service, ids))
            found.append(Blanked(service, "outbox", "sealed fields of body", events))
            answers = len(await _answers(tx, sealer, service, ids))
            found.append(Blanked(service, "idempotency_keys", "answer", answers))
    return [each for each in found if each.rows]


async def erase(opened: Mapping[str, Database], sealer: Sealer, ids: Sequence[UUID], by: str) -> None:
    """Blanks all of it. `by` is who did it, as the audit rows name them."""
    for service, database in opened.items():
        async with database.transaction() as tx:
            for part in PARTS[service]:
                values = {name: blank and blank.seal(sealer) for name, blank in part.blanks.items()}
                await tx.execute(text(_blanking(part)), {**values, "ids": list(ids)})
            if service == "booking":
                await _forget_how_to_find(tx, sealer, ids)
            for row in await _kept_events(tx, service, ids):
                body = blanked(SEALED_EVENTS[row.type], row.body, sealer)
                await tx.execute(text("UPDATE outbox SET body = :body WHERE id = :id"), {"body": body, "id": row.id})
            for scope, key in await _answers(tx, sealer, service, ids):
                await tx.execute(
                    text("UPDATE idempotency_keys SET answer = :answer WHERE scope = :scope AND key = :key"),
                    {"answer": ERASED_ANSWER.seal(sealer), "scope": scope, "key": key},
                )
            for booking_id in ids:
                await audit.record(tx, actor=by, action="customer.erase", subject=f"booking/{booking_id}")


async def _forget_how_to_find(tx: Transaction, sealer: Sealer, ids: Sequence[UUID]) -> None:
    index = sealer.blind_index(ADDRESS, EMAIL)
    found_by = text("UPDATE bookings SET email_index = :index, names_due_at = NULL WHERE id = ANY(:ids)")
    await tx.execute(found_by, {"index": index, "ids": list(ids)})
    await tx.execute(text("DELETE FROM booking_names WHERE booking_id = ANY(:ids)"), {"ids": list(ids)})


async def _kept_events(tx: Transaction, service: str, ids: Sequence[UUID]) -> Sequence[Kept]:
    """Events of a service about bookings that have sealed fields."""
    types = [event.type for event in SEALED_EVENTS.values() if event.publisher == service]
    if not types:
        return []
    kept = text("SELECT id, type, body FROM outbox WHERE subject = ANY(:ids) AND type = ANY(:types) ORDER BY seq")
    return [Kept(*row) for row in await tx.execute(kept, {"ids": list(ids), "types": types})]


async def _answers(tx: Transaction, sealer: Sealer, service: str, ids: Sequence[UUID]) -> list[tuple[str, str]]:
    """Scope and key of the answers that name one of the bookings, or what belongs to them."""
    related = (await tx.execute(text(RELATED[service]), {"ids": list(ids)})).all()
    names = {str(each) for each in ids} | {str(row.id) for row in related}
    pattern = re.compile("|".join(sorted(names)))
    candidates = await tx.execute(
        text(
            "SELECT scope, key, answer FROM idempotency_keys WHERE created_at = ANY(:instants) OR scope ~ :pattern ORDER BY scope, key"
        ),
        {"instants": sorted({row.at for row in related if row.at is not None}), "pattern": pattern.pattern},
    )
    return [
        (row.scope, row.key)
        for row in candidates
        if pattern.search(row.scope) or pattern.search(sealer.unseal(row.answer, ANSWER))
    ]


def _counting(part: Part) -> str:
    held = " OR ".join(f"{name} IS NOT NULL" for name in part.blanks)
    return f"SELECT count(*) FROM {part.table} WHERE ({part.which}) AND ({held})"  # noqa: S608  # names of ours


def _blanking(part: Part) -> str:
    values = ", ".join(f"{name} = :{name}" for name in part.blanks)
    return f"UPDATE {part.table} SET {values} WHERE {part.which}"  # noqa: S608  # names of ours


def lines(found: Sequence[Blanked]) -> Iterator[str]:
    """A table for people."""
    for each in found:
        yield f"{each.service:12} {each.table:18} {each.rows:>6} {'row ' if each.rows == 1 else 'rows'}  {each.columns}"
