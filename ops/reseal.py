"""`boxoffice reseal`: everything sealed is sealed anew with the key that seals now, so that older keys can be retired.

Services may run meanwhile: a value is replaced only where it still is the one that was read.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from typing import NamedTuple

import asyncpg
from chassis.crypto import Sealer, Unsealable
from chassis.idempotency import SEALED_AS as ANSWER
from contracts.catalogue import EVENTS
from notification.surveys import SEALED_AS as COMMENT
from notification.webhooks import SEALED_AS as ENDPOINT
from payment.receipts import SEALED_AS as RECEIPT
from payment.reviews import SEALED_NOTE as REVIEW
from refund.reads import SEALED_EVIDENCE, SEALED_NOTE, SEALED_PAYOUT

from ops.erase.parts import sealed_fields
from ops.settings import SERVICES, Keys, Settings

BOOKING = ("booking.contact", "booking.tickets", "booking.access")
COLUMNS: Mapping[str, Mapping[tuple[str, str], str]] = {
    "booking": dict(
        zip((("bookings", name) for name in ("contact", "issued_tickets", "access")), BOOKING, strict=True)
    ),
    "payment": {("receipts", "body"): RECEIPT, ("reviews", "note"): REVIEW},
    "refund": {
        ("refunds", "note"): SEALED_NOTE,
        ("refunds", "evidence"): SEALED_EVIDENCE,
        ("refunds", "payout_details"): SEALED_PAYOUT,
    },
    "notification": {
        **dict(zip((("bookings", name) for name in ("contact", "tickets", "access")), BOOKING, strict=True)),
        ("webhook_endpoints", "secret"): ENDPOINT,
        ("surveys", "comment"): COMMENT,
    },
}
"""The sealed columns of each service, and what they are sealed as."""
OF_ALL: Mapping[tuple[str, str], str] = {("idempotency_keys", "answer"): ANSWER}
SEALED_EVENTS = {event.type: sealed_fields(event) for event in EVENTS.values() if sealed_fields(event)}
KEYS: Mapping[str, tuple[str, ...]] = {"idempotency_keys": ("scope", "key")}
"""Primary keys that are not `id`."""
PAGE = 500


class Counted(NamedTuple):
    """How many values of a column were sealed anew, and how many no key opens."""

    service: str
    column: str
    resealed: int
    unopened: int


async def reseal(settings: Settings, keys: Keys) -> AsyncIterator[Counted]:
    """Table after table."""
    sealer = Sealer.from_settings(keys.seal_keyset.get_secret_value(), keys.blind_index_key.get_secret_value())
    for service in SERVICES:
        connection = await asyncpg.connect(settings.plain_database_url(service), timeout=5)
        try:
            for (table, column), sealed_as in {**COLUMNS[service], **OF_ALL}.items():
                change = _anew(sealer, sealed_as)
                yield Counted(service, f"{table}.{column}", *await _column(connection, table, column, change))
            change = _event_anew(sealer)
            yield Counted(
                service, "outbox.body", *await _column(connection, "outbox", "body", change, list(SEALED_EVENTS))
            )
        finally:
            await connection.close()


def _anew(sealer: Sealer, sealed_as: str) -> Callable[[str, str | None], str]:
    return lambda value, _: sealer.seal(sealer.unseal(value, sealed_as), sealed_as)


def _event_anew(sealer: Sealer) -> Callable[[str, str | None], str]:
    def anew(body: str, event_type: str | None) -> str:
        kept = json.loads(body)
        for name, sealed_as in SEALED_EVENTS[event_type or ""].items():
            if kept.get(name) is not None:
                kept[name] = sealer.seal(sealer.unseal(kept[name], sealed_as), sealed_as)
        return json.dumps(kept, separators=(",", ":"), ensure_ascii=False)

    return anew


async def _column(
    connection: asyncpg.Connection[asyncpg.Record],
    table: str,
    column: str,
    change: Callable[[str, str | None], str],
    types: list[str] | None = None,
) -> tuple[int, int]:
    """Page by page, in the order of the table's key. What a service writes meanwhile is sealed with the new key already."""
    key = KEYS.get(table, ("id",))
    names, marks = ", ".join(key), ", ".join(f"${at}" for at in range(3, 3 + len(key)))
    kind = "type" if types else "NULL::text"
    chosen = f"{column} IS NOT NULL AND ($1::text[] IS NULL OR {kind} = ANY($1))"
    read = f"SELECT {column} AS value, {kind} AS type, {names} FROM {table} WHERE {chosen}"  # noqa: S608  # names of ours
    more = f"{read} AND ({names}) > ({marks}) ORDER BY {names} LIMIT $2"
    write = f"UPDATE {table} SET {column} = $2 WHERE {column} = $1 AND ({names}) = ({marks})"  # noqa: S608  # names of ours
    rows = await connection.fetch(f"{read} ORDER BY {names} LIMIT $2", types, PAGE)
    resealed = unopened = 0
    while rows:
        for row in rows:
            try:
                value = change(row["value"], row["type"])
            except Unsealable:
                unopened += 1
                continue
            await connection.execute(write, row["value"], value, *(row[name] for name in key))
            resealed += 1
        rows = await connection.fetch(more, types, PAGE, *(rows[-1][name] for name in key))
    return resealed, unopened


async def run(settings: Settings, keys: Keys, say: Callable[[str], None]) -> int:
    """Prints what was done. 0: every value is sealed with the newest key, 1: some open with none that is known."""
    unopened = 0
    async for counted in reseal(settings, keys):
        say(f"{counted.service:12} {counted.column:28} {counted.resealed:>8} resealed, {counted.unopened} not opened")
        unopened += counted.unopened
    return 1 if unopened else 0
