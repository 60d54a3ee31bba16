"""What the refund campaign of a cancelled event is told: that it begins, which bookings it takes on, to pause, to go on, to retry.

A campaign is there as soon as anything tells that its event is cancelled, in whatever order: EventCancelled takes on every captured
booking that is known by then, and a booking that is captured later, or told to be cancelled by its event, takes itself on. The sweeps of
refund.campaign_run do the rest.

Locks are taken in the order campaign, booking, item. Who holds a booking first waits for no campaign but one that is just beginning.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from chassis import audit, outbox
from chassis.auth import Principal
from chassis.db import Transaction, table
from chassis.errors import Conflict, NotFound
from contracts.booking import EventCancelled
from contracts.refund import RefundCampaignStarted
from sqlalchemy import Row, Select, case, literal, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql.elements import ColumnElement

from refund.campaign_models import Campaign, CampaignItem
from refund.campaign_reads import read_progress, tally, totals_of
from refund.campaign_rules import CANCELLATION_GRACE, CampaignState, ItemState
from refund.campaign_schemas import CampaignProgress
from refund.domain import Status
from refund.models import Booking, Refund

_ITEM = ("id", "event_id", "state", "due_at", "queued_at")


async def start(tx: Transaction, event: EventCancelled) -> None:
    """Takes on every captured booking of a cancelled event that neither buyer nor staff had cancelled. Told twice, it is one campaign."""
    campaigns, items, bookings = table(Campaign), table(CampaignItem), table(Booking)
    told = {"name": event.name, "cancelled_at": event.cancelled_at, "look_at": tx.now, "version": 1}
    begun = await tx.execute(
        insert(campaigns)
        .values(id=event.event_id, started_at=tx.now, **told)
        .on_conflict_do_update(index_elements=["id"], set_=told, where=campaigns.c.version == 0)
        .returning(campaigns.c.id)
    )
    if begun.first() is None:
        return
    # Begun only now that the campaign is ours, this statement sees every booking that made it wait.
    found = _items_of(tx, bookings.c.event_id == event.event_id)
    await tx.execute(insert(items).from_select(_ITEM, found).on_conflict_do_nothing(index_elements=["id"]))
    counted = await tally(tx, event.event_id)
    started = RefundCampaignStarted(
        version=1,
        occurred_at=tx.now,
        event_id=event.event_id,
        name=event.name,
        bookings=sum(row.owed for row in counted),
        totals=totals_of(counted),
    )
    await outbox.publish(tx, started)


async def take_on(tx: Transaction, booking: Booking) -> bool:
    """Takes on a captured booking of a cancelled event. True where the campaign alone decides on it. `booking` is locked.

    One that nobody has cancelled yet is taken on where its event has a campaign: its own cancellation follows.
    """
    if booking.placed_at is None or booking.captured_minor is None:
        return False
    campaigns, items, bookings = table(Campaign), table(CampaignItem), table(Booking)
    by_event = booking.cancelled_by == "event"
    if by_event:
        # Whichever of this and EventCancelled is second waits here for the first, so that neither misses the other.
        begun = {"id": booking.event_id, "started_at": tx.now, "look_at": tx.now, "version": 0}
        await tx.execute(insert(campaigns).values(begun).on_conflict_do_nothing())
    elif booking.cancelled_by is not None or booking.seats_unavailable_at is not None:
        return False
    this = _items_of(tx, bookings.c.booking_id == booking.booking_id).where(
        bookings.c.event_id.in_(select(campaigns.c.id))
    )
    item = insert(items).from_select(_ITEM, this)
    sooner = (items.c.state == ItemState.QUEUED) & (item.excluded.due_at < items.c.due_at)
    due = {"due_at": item.excluded.due_at}
    await tx.execute(item.on_conflict_do_update(index_elements=["id"], set_=due, where=sooner))
    return by_event


async def pause(tx: Transaction, staff: Principal, event_id: UUID, pace_per_s: int) -> CampaignProgress:
    """Records no more refunds until it is resumed: after the answer not one. Those recorded before go their way.

    Raises NotFound, or Conflict for a campaign that has finished.
    """
    campaign = await _locked(tx, event_id)
    if campaign.finished_at is not None:
        raise Conflict("This campaign has finished.", state=CampaignState.FINISHED)
    if campaign.paused_at is None:
        await _change(tx, event_id, paused_at=tx.now)
        await _audit(tx, staff, "pause", event_id)
    return await read_progress(tx, event_id, pace_per_s)


async def resume(tx: Transaction, staff: Principal, event_id: UUID, pace_per_s: int) -> CampaignProgress:
    """Goes on where it was paused. Raises NotFound."""
    campaign = await _locked(tx, event_id)
    if campaign.paused_at is not None:
        await _change(tx, event_id, paused_at=None)
        await _audit(tx, staff, "resume", event_id)
    return await read_progress(tx, event_id, pace_per_s)


async def retry(tx: Transaction, staff: Principal, event_id: UUID, pace_per_s: int) -> CampaignProgress:
    """Queues every booking whose refund failed, to have it approved anew at the campaign's pace. Raises NotFound."""
    items, refunds = table(CampaignItem), table(Refund)
    await _locked(tx, event_id)
    queued = await tx.execute(
        update(items)
        .where(
            items.c.event_id == event_id,
            items.c.state == ItemState.RECORDED,
            refunds.c.id == items.c.refund_id,
            refunds.c.status == Status.FAILED,
        )
        .values(state=ItemState.QUEUED, due_at=tx.now)
        .returning(items.c.id)
    )
    if count := len(queued.all()):
        await _change(tx, event_id, look_at=tx.now, finished_at=None)
        await _audit(tx, staff, "retry", event_id, refunds=count)
    return await read_progress(tx, event_id, pace_per_s)


def _items_of(tx: Transaction, which: ColumnElement[bool]) -> Select[Any]:
    """An item for each captured booking that neither buyer nor staff cancelled, as far as is known. The oldest booking is due first."""
    bookings, items = table(Booking), table(CampaignItem)
    at = items.c.due_at.type
    in_case_of_a_buyer = literal(tx.now + CANCELLATION_GRACE, at)
    by_event = bookings.c.cancelled_by == "event"
    return select(
        bookings.c.booking_id,
        bookings.c.event_id,
        literal(str(ItemState.QUEUED)),
        case((by_event, bookings.c.placed_at), else_=in_case_of_a_buyer),
        literal(tx.now, at),
    ).where(which, bookings.c.captured_minor.is_not(None), or_(bookings.c.cancelled_by.is_(None), by_event))


async def _locked(tx: Transaction, event_id: UUID) -> Row[Any]:
    campaigns = table(Campaign)
    found = await tx.execute(select(campaigns).where(campaigns.c.id == event_id).with_for_update(key_share=True))
    campaign = found.one_or_none()
    if campaign is None:
        raise NotFound("refund campaign")
    return campaign


async def _change(tx: Transaction, event_id: UUID, **values: object) -> None:
    campaigns = table(Campaign)
    await tx.execute(update(campaigns).where(campaigns.c.id == event_id).values(values))


async def _audit(tx: Transaction, staff: Principal, verb: str, event_id: UUID, **after: int) -> None:
    await audit.record(
        tx,
        actor=staff.subject,
        action=f"refund_campaign.{verb}",
        subject=f"refund-campaign/{event_id}",
        after=after or None,
    )
