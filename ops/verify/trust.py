"""X1 to X5: audit chains, privileges, leaks, settings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from chassis.logs import redacted_text

from ops import privileges as declared
from ops.verify.reading import Snapshot
from ops.verify.records import Leak, Right
from ops.verify.report import Difference, Kind
from ops.verify.statements import TEXTS

DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}

NOT_PERSONAL = frozenset({("messages", "message_id"), ("outbox", "traceparent"), ("events", "description")})
"""Ids that we make: an @ there is no address of a person, and a trace's random digits are no card number. And what an organiser publishes,
which may say how to reach them.
"""

SUSPICIOUS = "@|eyJ|bearer|_test_|_live_|whsec_|_secret_|passw|BEGIN [A-Z ]*PRIVATE|[0-9]([ -]?[0-9]){12}"
"""One of these stands in whatever `redacted_text` would mask; PostgreSQL looks for it, so that little has to be fetched."""

CLIENT_SECRET = re.compile(r"\bpi_\w+_secret_\w+")
PRIVATE_KEY = re.compile(r"BEGIN [A-Z ]*PRIVATE KEY")
LEAKS_SHOWN = 20


def audit_chain(service: str, problems: Iterable[str]) -> Iterator[Difference]:
    """X1."""
    for problem in problems:
        yield Difference(
            "X1",
            Kind.AUDIT,
            f"{service}/audit",
            "a whole chain",
            problem,
            "restore the rows from a backup; find who changed them",
        )


def privileges(rights: Iterable[Right]) -> Iterator[Difference]:
    """X3 in PostgreSQL."""
    for right in rights:
        expected = declared.on_table(right.service, right.role, right.table)
        if right.privileges != expected:
            yield Difference(
                "X3",
                Kind.PRIVILEGE,
                f"{right.service}/{right.table}/{right.role}",
                ", ".join(sorted(expected)) or "nothing",
                ", ".join(sorted(right.privileges)) or "nothing",
                f"as {right.service}_owner, GRANT or REVOKE what differs",
            )


def broker_rights(
    vhost: str, permissions: Iterable[Mapping[str, str]], services: Iterable[str]
) -> Iterator[Difference]:
    """X3 in RabbitMQ: a service declares nothing, writes to its own exchanges and reads its own queues."""
    found = {row["user"]: row for row in permissions if row["vhost"] == vhost}
    for service in services:
        expected = declared.in_broker(service)
        row = found.get(service)
        actual = {name: row[name] for name in expected} if row else None
        if actual != expected:
            yield Difference(
                "X3",
                Kind.PRIVILEGE,
                f"rabbitmq/{service}",
                str(expected),
                str(actual),
                "import deploy/rabbitmq's definitions",
            )


def durability(service: str, settings: Mapping[str, str]) -> Iterator[Difference]:
    """X5."""
    for name, expected in DURABLE.items():
        if settings.get(name) != expected:
            yield Difference(
                "X5",
                Kind.SETTINGS,
                f"postgresql/{service}/{name}",
                expected,
                str(settings.get(name)),
                "set it, and restart",
            )


def leaks(found: Iterable[Leak]) -> Iterator[Difference]:
    """X4."""
    for leak in found:
        yield Difference(
            "X4",
            Kind.LEAK,
            f"{leak.place}/{leak.row}",
            "nothing in clear",
            leak.what,
            "seal the column or cut the field; erase the row",
        )


def kind_of_leak(text: str) -> str | None:
    """What `text` shows in clear, in words; None where it shows nothing."""
    if PRIVATE_KEY.search(text):
        return "a private key"
    if CLIENT_SECRET.search(text):
        return "a payment's client secret"
    if redacted_text(text) == text:
        return None
    without_addresses = text.replace("@", " ")
    is_address = redacted_text(without_addresses) == without_addresses
    return "an e-mail address" if is_address else "a secret or card number"


async def scan(read: Snapshot) -> tuple[int, list[Leak]]:
    """How many columns of a database were looked through, and what was found: at most LEAKS_SHOWN a column."""
    columns = [(t, c, kind) for t, c, kind in await read.tuples(TEXTS) if (t, c) not in NOT_PERSONAL]
    found: list[Leak] = []
    for table, column, kind in columns:
        shown = f"encode({column}, 'escape')" if kind == "bytea" else f"{column}::text"
        sql = f'SELECT ctid::text, {shown} FROM "{table}" WHERE {shown} ~* $1'  # noqa: S608  # names come from the catalogue
        suspects = 0
        for row, text in await read.tuples(sql, SUSPICIOUS):
            if suspects < LEAKS_SHOWN and (what := kind_of_leak(text)) is not None:
                found.append(Leak(f"{read.service}.{table}.{column}", row, what))
                suspects += 1
    return len(columns), found
