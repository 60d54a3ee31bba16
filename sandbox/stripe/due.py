"""What happens by the passing of the stand-in's time: settlements, refunds that change, disputes, authorisations that lapse."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sandbox.stripe import charges, disputes, intents, refunds
from sandbox.stripe.work import Work

VERBS: Mapping[str, Callable[[Work, str], object]] = {
    "charge.dispute": disputes.open_by_card,
    "charge.settle": charges.settle_later,
    "payment_intent.expire": intents.expire,
    "refund.fail": refunds.fail,
    "refund.succeed": refunds.succeed,
}


def run(work: Work, batch: int = 100) -> int:
    """Do what has fallen due, oldest first, within the caller's transaction; the number of rows done."""
    rows = work.store.connection.execute(
        "SELECT id, verb, object_id FROM due WHERE at <= ? ORDER BY at, id LIMIT ?", (work.now, batch)
    ).fetchall()
    for identifier, verb, object_id in rows:
        work.store.connection.execute("DELETE FROM due WHERE id = ?", (identifier,))
        VERBS[verb](work, object_id)
    return len(rows)
