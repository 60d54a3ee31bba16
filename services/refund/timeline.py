"""What happened to a refund, for staff: from its events, from what staff did by the audit, and from its row, which never grows old."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from chassis.audit import AuditRow
from chassis.db import Transaction, table
from chassis.errors import NotFound
from chassis.timeline import Timeline, TimelineEntry, Told, entry, events_about, in_order
from sqlalchemy import select

from refund.domain import UNFINISHED
from refund.models import Refund

BY_STAFF: Mapping[str, str] = {
    "refund.approve": "approved",
    "refund.decline": "declined",
    "refund.retry": "retried",
    "refund.settle_manually": "settled_manually",
}
"""Actions of the audit in words; that it was asked for stands on the row."""

Staff = Mapping[datetime, tuple[str, str]]
"""By the instant of its transaction, what was done and by whom."""


async def read_timeline(tx: Transaction, refund_id: UUID) -> Timeline:
    """Oldest first. Raises NotFound."""
    refund = await tx.get(Refund, refund_id)
    if refund is None:
        raise NotFound("refund")
    audited = table(AuditRow)
    rows = await tx.execute(
        select(audited.c.at, audited.c.actor, audited.c.action)
        .where(audited.c.subject == f"refund/{refund_id}")
        .order_by(audited.c.seq)
    )
    staff = {row.at: (BY_STAFF[row.action], row.actor) for row in rows if row.action in BY_STAFF}
    told = await events_about(tx, refund_id)
    entries = [_requested(refund), *_by_staff(staff), *_told(told, staff)]
    return in_order([*entries, *_now(refund, entries)])


def _requested(refund: Refund) -> TimelineEntry:
    amount = {"amount_minor": refund.amount_minor, "currency": refund.currency}
    facts = {"amount": amount, "reason": refund.reason, "ground": refund.ground, "rule": refund.trace["rule"]}
    return entry(refund.created_at, "requested", refund.requested_by, booking_id=refund.booking_id, **facts)


def _by_staff(staff: Staff) -> Iterator[TimelineEntry]:
    for at, (word, actor) in staff.items():
        yield entry(at, word, actor)


def _told(told: Sequence[Told], staff: Staff) -> Iterator[TimelineEntry]:
    """What staff did is told by the audit, with who did it."""
    for event in told:
        if event.at not in staff:
            facts = {name: event.body.get(name) for name in ("reason", "had_succeeded", "rule")}
            yield entry(event.at, event.happened, **facts)


def _now(refund: Refund, entries: Sequence[TimelineEntry]) -> Iterator[TimelineEntry]:
    """What only the row knows: that it waits, that its buyer named another account, and how one ended that no event is left of."""
    if refund.payout_details_at is not None:
        yield entry(refund.payout_details_at, "payout_details_given")
    last = max(each.at for each in entries)
    if refund.updated_at > last or (refund.status in UNFINISHED and refund.waiting_for):
        facts = {"waiting_for": refund.waiting_for, "failure": refund.failure}
        yield entry(refund.updated_at, refund.status, **facts)
