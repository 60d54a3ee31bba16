"""Webhooks that only repeat what an answer of the provider's has said already: most of them, and done with in one statement for all.

What an event claims is not believed here either: it is the payment's own row, written after a look at the provider's object, that says
it is known. Whatever is not known by then is looked at when its receipt falls due.
"""

from __future__ import annotations

from functools import partial

from chassis.db import Database, table
from chassis.loops import repeat
from sqlalchemy import bindparam, or_, update
from sqlalchemy.types import DateTime

from payment import metrics
from payment.domain import Status
from payment.models import Payment, Receipt

LOOK_S = 0.5

_RECEIPTS, _PAYMENTS = table(Receipt), table(Payment)
_NOW = bindparam("now", type_=DateTime(timezone=True))
_SETTLE = (
    update(_RECEIPTS)
    .where(
        _RECEIPTS.c.next_attempt_at.is_not(None),
        _RECEIPTS.c.outcome.is_(None),
        _PAYMENTS.c.provider == _RECEIPTS.c.provider,
        _PAYMENTS.c.provider_ref == _RECEIPTS.c.object_ref,
        or_(
            _RECEIPTS.c.type == "payment_intent.created",
            (_RECEIPTS.c.type == "payment_intent.amount_capturable_updated") & _PAYMENTS.c.authorized_at.is_not(None),
            (_RECEIPTS.c.type == "payment_intent.succeeded") & (_PAYMENTS.c.status == Status.SUCCEEDED),
        ),
    )
    .values(outcome="known", next_attempt_at=None, processed_at=_NOW)
    .returning(_RECEIPTS.c.id)
)


async def settle_for_ever(database: Database) -> None:
    """Settles what is known, twice a second. An outage of the database is waited out."""
    await repeat(partial(settle, database), LOOK_S, "webhooks cannot be settled")


async def settle(database: Database) -> int:
    """Gives every receipt its outcome that tells nothing which its payment does not show. Returns how many."""
    async with database.single() as tx:
        settled = len((await tx.execute(_SETTLE, {"now": tx.now})).all())
    metrics.WEBHOOKS.labels("known").inc(settled)
    return settled
