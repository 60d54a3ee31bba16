"""What privileged people did, in rows that nobody can change unseen.

Each row's hash covers the row and the hash before it: h(n) = SHA-256(h(n-1) + canonical JSON of entry n). Editing,
removing or slipping in a row breaks the chain from there on. A chain alone does not show that its tail was cut off or
written anew as a whole: that is what a `Head` kept outside the database is for.

Rows hold ids, codes and amounts, never personal data: they outlive an erasure.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Column, DateTime, Executable, Text, func, insert, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Result
from sqlmodel import Field, SQLModel

from chassis.db import Transaction, table
from chassis.logs import redacted_text

AUDIT_GRANTS = "INSERT, SELECT"
"""All that a service's role may do on the table `audit`; its migration grants this and no more."""

GENESIS = "0" * 64
"""What stands as the hash before the first row."""

PAGE = 1_000
"""Rows that a check of the chain reads at once."""

_LOCK = 0x61756469
"""Key of the advisory lock that writers queue at: "audi" in ASCII. Each service has a database of its own."""


class AuditRow(SQLModel, table=True):
    """One privileged action. `subject` is what it was done to, such as `refund/0192…`."""

    __tablename__ = "audit"
    __table_args__ = (CheckConstraint("seq > 0", name="audit_seq_positive"),)

    seq: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    at: datetime = Field(sa_type=DateTime(timezone=True))
    actor: str
    action: str
    subject: str
    reason: str | None = Field(default=None, sa_type=Text)
    before: dict[str, Any] | None = Field(default=None, sa_type=JSONB(none_as_null=True))
    after: dict[str, Any] | None = Field(default=None, sa_type=JSONB(none_as_null=True))
    previous_hash: str
    hash: str = Field(unique=True)


class Reader(Protocol):
    """What a chain is read with: a transaction of ours, or a session of SQLAlchemy's."""

    async def execute(self, statement: Executable, /) -> Result[Any]:
        """Runs a statement."""
        ...


@dataclass(frozen=True, slots=True)
class Head:
    """The last row of a chain, as it is kept outside the database."""

    seq: int
    hash: str


async def record(
    tx: Transaction,
    *,
    actor: str,
    action: str,
    subject: str,
    reason: str | None = None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Appends a row in the transaction of the action itself.

    Writers queue until the one before has committed, so call it late in a transaction. An e-mail address or a card
    number in the free text of `reason` is masked.

    Raises:
        ValueError: `before` or `after` holds what is neither id, code, flag nor whole amount, or personal data.

    """
    entry = {
        "at": tx.now,
        "actor": actor,
        "action": action,
        "subject": subject,
        "reason": None if reason is None else redacted_text(reason),
        "before": _facts("before", before),
        "after": _facts("after", after),
    }
    await tx.execute(select(func.pg_advisory_xact_lock(_LOCK)))
    # A statement of its own: its snapshot must be taken after the lock, or it would miss the row just committed.
    last = await head(tx)
    row = {"seq": last.seq + 1, **entry, "previous_hash": last.hash}
    await tx.execute(insert(table(AuditRow)).values({**row, "hash": _hash(row)}))


async def head(tx: Reader) -> Head:
    """The chain's last row; seq 0 and GENESIS before the first."""
    rows = table(AuditRow)
    last = (await tx.execute(select(rows.c.seq, rows.c.hash).order_by(rows.c.seq.desc()).limit(1))).one_or_none()
    return Head(0, GENESIS) if last is None else Head(last.seq, last.hash)


async def verify_chain(tx: Reader, anchor: Head | None = None) -> list[str]:
    """What is wrong with the chain, a sentence each with the row's number; empty when it is whole.

    `anchor` is an earlier head that was kept outside; without it a cut tail and a chain written anew stay unseen.
    """
    problems: list[str] = []
    expected = Head(0, GENESIS)
    anchored = anchor is None or anchor.seq == 0
    async for row in _rows(tx):
        seq, stored = row["seq"], row.pop("hash")
        if seq != expected.seq + 1:
            problems.append(f"audit rows {expected.seq + 1} to {seq - 1} are missing")
        elif row["previous_hash"] != expected.hash:
            problems.append(f"audit row {seq} does not continue row {expected.seq}")
        if _hash(row) != stored:
            problems.append(f"audit row {seq} was changed: its hash does not match its content")
        if anchor is not None and seq == anchor.seq:
            anchored = True
            if stored != anchor.hash:
                problems.append(f"audit row {seq} is not the one that was anchored: the chain was written anew")
        expected = Head(seq, stored)
    if not anchored and anchor is not None:
        problems.append(f"audit row {anchor.seq} was anchored and is gone: the chain ends at row {expected.seq}")
    return problems


async def _rows(tx: Reader) -> AsyncIterator[dict[str, Any]]:
    rows = table(AuditRow)
    seq = 0
    while True:
        page = select(rows).where(rows.c.seq > seq).order_by(rows.c.seq).limit(PAGE)
        found = (await tx.execute(page)).mappings().all()
        for row in found:
            yield dict(row)
        if len(found) < PAGE:
            return
        seq = found[-1]["seq"]


def _hash(row: Mapping[str, Any]) -> str:
    """SHA-256 in hex over the previous hash (as hex text) and the canonical JSON of all other columns: sorted keys, no blanks, UTC."""
    entry = {name: value for name, value in row.items() if name != "previous_hash"}
    entry["at"] = row["at"].astimezone(UTC).isoformat(timespec="microseconds")
    canonical = json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256((row["previous_hash"] + canonical).encode()).hexdigest()


def _facts(name: str, value: Any) -> Any:
    """`value` as plain JSON. Numbers are whole: a float would come back from the database in another form."""
    match value:
        case None | bool() | int():
            return value
        case str():
            if redacted_text(value) != value:
                raise ValueError(f"{name} holds personal data or a secret, which an audit row must not keep")
            return value
        case UUID():
            return str(value)
        case Mapping():
            return {str(key): _facts(f"{name}.{key}", item) for key, item in value.items()}
        case list() | tuple():
            return [_facts(f"{name}[{index}]", item) for index, item in enumerate(value)]
        case _:
            raise ValueError(
                f"{name} is a {type(value).__name__}; an audit row keeps text, whole numbers and flags only"
            )
