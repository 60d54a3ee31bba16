"""What a campaign does when it falls due: refund its bookings one by one, at a pace that all replicas share, and tell when it is over."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any
from uuid import UUID

from chassis import outbox
from chassis.app import Service
from chassis.db import Database, Transaction, table
from chassis.due import Sweep
from chassis.loops import running
from chassis.sql import Part
from chassis.watch import watch
from contracts.money import Money
from contracts.refund import RefundApproved, RefundCampaignFinished
from sqlalchemy import Row, select, update

from refund.campaign_models import ITEMS, LOOKS, Campaign, CampaignItem, Pace
from refund.campaign_reads import tally, totals_of
from refund.campaign_rules import OUTCOMES, OVER, ItemState, next_look, skip_reason, spend, tokens_at_hand
from refund.campaign_watch import measure
from refund.cases import case_of, given_refunds
from refund.domain import PAID_BACK, Ground, Status, Trigger, decide, next_status
from refund.limits import may_be_repeated
from refund.models import Booking, Refund
from refund.reads import TRACE
from refund.recording import record_refund

BY_CAMPAIGN = "campaign"


@asynccontextmanager
async def parts(per_s: int, service: Service) -> AsyncIterator[Sequence[Sweep]]:
    """The sweeps of campaigns, and what shows an operator how far they are."""
    service.app.state.campaign_per_s = per_s
    async with running([watch(service.database, measure, "campaigns")]):
        yield [ItemSweep(service.database, per_s), Sweep(LOOKS, service.database, partial(look, service.database))]


class ItemSweep(Sweep):
    """Works on items, no more of them than `per_s` each second, whatever the number of sweeps and campaigns."""

    def __init__(self, database: Database, per_s: int) -> None:
        super().__init__(ITEMS, database, partial(refund_booking, database))
        items, campaigns = table(CampaignItem), table(Campaign)
        of_paused = select(campaigns.c.id).where(campaigns.c.paused_at.is_not(None))
        self.waiting = self.waiting.where(items.c.event_id.not_in(of_paused))
        self._per_s = per_s

    async def claim(self, at_most: int) -> list[UUID]:
        """Claims due items of campaigns that are not paused, as many as there are tokens."""
        items, campaigns, pace = table(CampaignItem), table(Campaign), table(Pace)
        async with self.database.transaction() as tx:
            due = (
                select(items.c.id)
                .join(campaigns, campaigns.c.id == items.c.event_id)
                .where(items.c.due_at <= tx.now, campaigns.c.paused_at.is_(None))
                .order_by(items.c.due_at)
            )
            if (await tx.execute(due.limit(1))).first() is None:
                return []
            # Held until the commit: replicas take their tokens one after the other.
            spent_until = (await tx.execute(select(pace.c.spent_until).with_for_update())).scalar_one()
            room = min(at_most, tokens_at_hand(spent_until, tx.now, self._per_s))
            if not room:
                return []
            chosen = due.limit(room).with_for_update(of=items, skip_locked=True).cte("due")
            claimed = await tx.execute(
                update(items)
                .where(items.c.id == chosen.c.id)
                .values(due_at=tx.now + self.due.lease)
                .returning(items.c.id)
            )
            taken = list(claimed.scalars())
            await tx.execute(update(pace).values(spent_until=spend(spent_until, tx.now, self._per_s, len(taken))))
            return taken


async def refund_booking(database: Database, booking_id: UUID) -> None:
    """Records the refund of an item and marks the item, in one transaction: killed at any point, both are there or neither.

    Where two work on one item, the second waits for the booking and finds it done.
    """
    async with database.transaction() as tx:
        paused = await _is_paused(tx, booking_id)
        bookings = table(Booking)
        locked = select(Booking).where(bookings.c.booking_id == booking_id).with_for_update(key_share=True)
        booking = (await tx.scalars(locked)).one()
        item = await tx.get(CampaignItem, booking_id)
        if item is None or item.state != ItemState.QUEUED:
            return
        if paused:
            await _mark(tx, booking_id, due_at=booking.placed_at)
        elif item.refund_id is not None:
            await _approve_anew(tx, booking, item.refund_id)
            await _mark(tx, booking_id, state=ItemState.RECORDED, due_at=None)
        elif reason := skip_reason(booking.cancelled_by, booking.remaining_minor):
            skipped = {"state": ItemState.SKIPPED, "reason": reason, "due_at": None}
            await _mark(tx, booking_id, **skipped, handled_at=tx.now, done_at=tx.now)
        else:
            refund = await _refund_all(tx, booking)
            recorded = {"state": ItemState.RECORDED, "refund_id": refund.id, "due_at": None}
            await _mark(tx, booking_id, **recorded, handled_at=tx.now)


async def look(database: Database, event_id: UUID) -> None:
    """Notes which items have had an outcome, and tells when all have."""
    campaigns, items, refunds = table(Campaign), table(CampaignItem), table(Refund)
    async with database.transaction() as tx:
        locked = select(Campaign).where(campaigns.c.id == event_id).with_for_update(key_share=True)
        campaign = (await tx.scalars(locked)).one()
        has_outcome = (
            items.c.event_id == event_id,
            items.c.done_at.is_(None),
            items.c.state == ItemState.RECORDED,
            refunds.c.id == items.c.refund_id,
            refunds.c.status.in_(OUTCOMES),
        )
        await tx.execute(update(items).where(*has_outcome).values(done_at=tx.now))
        counted = await tally(tx, event_id)
        this = update(campaigns).where(campaigns.c.id == event_id)
        if campaign.name is None or any(row.state not in OVER for row in counted):
            last_change = max((row.last_change for row in counted), default=campaign.started_at)
            await tx.execute(this.values(look_at=next_look(tx.now, last_change)))
        elif campaign.finished_at is None:
            finished = this.values(look_at=None, finished_at=tx.now, version=campaign.version + 1)
            told = _finished(tx, campaign, campaign.name, counted)
            await tx.execute(finished, alongside=[outbox.rows(tx, told)])


def _finished(tx: Transaction, campaign: Campaign, name: str, counted: Sequence[Row[Any]]) -> RefundCampaignFinished:
    return RefundCampaignFinished(
        version=campaign.version + 1,
        occurred_at=tx.now,
        event_id=campaign.id,
        name=name,
        refunded=sum(row.bookings for row in counted if row.state in PAID_BACK),
        failed=sum(row.bookings for row in counted if row.state == Status.FAILED),
        totals=totals_of(counted, PAID_BACK),
    )


async def _is_paused(tx: Transaction, booking_id: UUID) -> bool:
    """Whether the item's campaign is paused, which it stays until the commit. One that had finished is looked at again."""
    campaigns, items = table(Campaign), table(CampaignItem)
    of_item = (items.c.id == booking_id, campaigns.c.id == items.c.event_id)
    # Before the shared lock: two that hold it and want the row would wait for each other.
    await tx.execute(
        update(campaigns).where(*of_item, campaigns.c.look_at.is_(None)).values(look_at=tx.now, finished_at=None)
    )
    paused_at = select(campaigns.c.paused_at).join(items, items.c.event_id == campaigns.c.id).where(*of_item)
    return (await tx.execute(paused_at.with_for_update(read=True, of=campaigns))).scalar_one() is not None


async def _refund_all(tx: Transaction, booking: Booking) -> Refund:
    """All that is left of what was captured, whatever the policy."""
    given = await given_refunds(tx, booking.booking_id) if booking.promised_minor else ()
    received_at = booking.cancel_received_at or tx.now
    decision = decide(case_of(booking, Ground.EVENT_CANCELLED, received_at, given))
    return await record_refund(tx, booking, decision, reason="event_cancelled", requested_by=BY_CAMPAIGN)


async def _approve_anew(tx: Transaction, booking: Booking, refund_id: UUID) -> None:
    """The same refund once more, where it still has failed, its amount is still left of its tickets, and no bank disputes the payment."""
    refunds, bookings = table(Refund), table(Booking)
    refund = (await tx.execute(select(refunds).where(refunds.c.id == refund_id).with_for_update())).one()
    if (
        refund.status != Status.FAILED
        or refund.amount_minor > booking.remaining_minor
        or booking.dispute_id is not None
    ):
        return
    given = await given_refunds(tx, booking.booking_id) if booking.promised_minor else ()
    if not may_be_repeated(TRACE.validate_python(refund.trace), case_of(booking, Ground.STAFF, tx.now, given).lines):
        return
    approved = RefundApproved(
        version=refund.version + 1,
        occurred_at=tx.now,
        refund_id=refund.id,
        booking_id=refund.booking_id,
        payment_id=refund.payment_id,
        amount=Money(refund.amount_minor, refund.currency),
        reason=refund.reason,
    )
    promised = (
        update(bookings)
        .where(bookings.c.booking_id == refund.booking_id)
        .values(promised_minor=bookings.c.promised_minor + refund.amount_minor)
    )
    moved = (
        update(refunds)
        .where(refunds.c.id == refund.id)
        .values(
            status=next_status(Status(refund.status), Trigger.APPROVE),
            failure=None,
            version=refund.version + 1,
            updated_at=tx.now,
        )
    )
    await tx.execute(moved, alongside=[Part(promised), outbox.rows(tx, approved)])


async def _mark(tx: Transaction, booking_id: UUID, **values: object) -> None:
    items = table(CampaignItem)
    await tx.execute(update(items).where(items.c.id == booking_id).values(values))
