"""What a handler would do with a message, tried in a transaction that is rolled back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from pydantic import ValidationError
from sqlalchemy import text

from chassis import inbox
from chassis.consumers import Subscription
from chassis.db import Database, Transaction
from chassis.parked import Parked

LONGEST_ERROR = 500


@dataclass(frozen=True)
class Rehearsal:
    """What a handler would do: rows inserted, updated and deleted by table, and events published. Nothing of it was kept."""

    message_id: str
    outcome: str
    error: str | None
    changes: dict[str, dict[str, int]]
    events: list[str]


class _UndoneError(Exception):
    """Ends the transaction of a rehearsal, with what it found."""

    def __init__(self, rehearsal: Rehearsal) -> None:
        super().__init__()
        self.rehearsal = rehearsal


async def rehearse(database: Database, subscriptions: Mapping[str, Subscription], message: Parked) -> Rehearsal:
    """Runs the handler of the message's queue and rolls back."""
    subscription = subscriptions[message.queue]
    try:
        event = subscription.event.model_validate_json(message.body)
        event_id = UUID(message.message_id)
    except (ValidationError, ValueError) as error:
        return Rehearsal(message.message_id, "cannot be read", type(error).__name__, {}, [])
    try:
        async with database.transaction() as tx:
            before = await _touched(tx)
            outcome = "already consumed"
            if await inbox.first_time(tx, subscription.queue, event_id):
                await subscription.handler(event, tx)
                outcome = "would be done"
            rehearsal = Rehearsal(message.message_id, outcome, None, await _changes(tx, before), await _events(tx))
            raise _UndoneError(rehearsal)  # noqa: TRY301  # it is what rolls back
    except _UndoneError as undone:
        return undone.rehearsal
    except Exception as error:  # noqa: BLE001  # whatever the handler raises is what the rehearsal is to show
        shown = f"{type(error).__name__}: {error}"[:LONGEST_ERROR]
        return Rehearsal(message.message_id, "would fail", shown, {}, [])


async def _changes(tx: Transaction, before: Counter[tuple[str, str]]) -> dict[str, dict[str, int]]:
    changes: dict[str, dict[str, int]] = {}
    for (table, kind), count in ((await _touched(tx)) - before).items():
        changes.setdefault(table, {})[kind] = count
    return changes


async def _touched(tx: Transaction) -> Counter[tuple[str, str]]:
    """Rows that this connection has touched, by table and kind: also in transactions before this one that PostgreSQL has not added up."""
    counted = await tx.execute(
        text(
            "SELECT relname, n_tup_ins AS inserted, n_tup_upd AS updated, n_tup_del AS deleted FROM pg_stat_xact_user_tables "
            "ORDER BY relname"
        )
    )
    kinds = ("inserted", "updated", "deleted")
    return Counter({(row["relname"], kind): row[kind] for row in counted.mappings() for kind in kinds})


async def _events(tx: Transaction) -> list[str]:
    written = await tx.execute(
        text(
            "SELECT type, subject, version FROM outbox WHERE published_at IS NULL AND xmin = pg_current_xact_id()::xid ORDER BY seq"
        )
    )
    return [f"{row.type} of {row.subject}, version {row.version}" for row in written]
