"""What is shown of refund campaigns: how far they are, their bookings, and what one would do."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from chassis.db import Transaction, table
from chassis.errors import Conflict, NotFound
from contracts.money import Money
from sqlalchemy import BigInteger, Row, Select, case, column, func, or_, select
from sqlalchemy import table as table_named
from sqlalchemy.sql.elements import ColumnElement, Label

from refund.campaign_models import Campaign, CampaignItem
from refund.campaign_rules import OVER, ItemState, campaign_state, estimated_end
from refund.campaign_schemas import (
    CampaignItemPage,
    CampaignItemRead,
    CampaignPlan,
    CampaignProgress,
    CampaignTotal,
    PlannedTotal,
)
from refund.domain import PAID_BACK, Status
from refund.models import Booking, Refund

RATE_OVER = timedelta(minutes=1)
_balances = table_named("balances", column("currency"), column("available_minor"), column("read_at"))


async def read_progress(tx: Transaction, event_id: UUID, pace_per_s: int) -> CampaignProgress:
    """How far the campaign is. Raises NotFound."""
    campaign = await named(tx, event_id)
    return progress_of(tx, campaign, await tally(tx, event_id), pace_per_s)


async def named(tx: Transaction, event_id: UUID) -> Campaign:
    """The campaign of an event. Raises NotFound."""
    campaign = await tx.get(Campaign, event_id)
    if campaign is None:
        raise NotFound("refund campaign")
    return campaign


def progress_of(tx: Transaction, campaign: Campaign, counted: Sequence[Row[Any]], pace_per_s: int) -> CampaignProgress:
    """What is shown of a campaign whose items are `counted` as `tally` counts them."""
    items: dict[str, int] = {}
    for row in counted:
        items[row.state] = items.get(row.state, 0) + row.bookings
    unfinished = sum(count for state, count in items.items() if state not in OVER)
    state = campaign_state(
        paused=campaign.paused_at is not None, finished=campaign.finished_at is not None, unfinished_items=unfinished
    )
    observed_s = min(RATE_OVER, tx.now - campaign.started_at).total_seconds()
    rate = sum(row.of_late for row in counted) / observed_s if observed_s > 0 else 0.0
    queued = items.get(ItemState.QUEUED, 0)
    return CampaignProgress(
        event_id=campaign.id,
        name=campaign.name,
        state=state,
        bookings=sum(items.values()),
        done=sum(row.done for row in counted),
        items=items,
        totals=[_total(currency, counted) for currency in sorted({row.currency for row in counted})],
        started_at=campaign.started_at,
        finished_at=campaign.finished_at,
        as_of=tx.now,
        rate_per_s=round(rate, 2),
        estimated_end=None if campaign.paused_at else estimated_end(tx.now, queued, unfinished, rate, pace_per_s),
    )


async def tally(tx: Transaction, event_id: UUID) -> Sequence[Row[Any]]:
    """The items of a campaign by shown state and currency: bookings, owed (those with an amount), done, of_late, minor, last_change."""
    items, bookings = table(CampaignItem), table(Booking)
    state = shown_state()
    counted = (
        joined(
            state,
            bookings.c.currency,
            func.count().label("bookings"),
            func.count().filter(_amount() > 0).label("owed"),
            func.count(items.c.done_at).label("done"),
            func.count().filter(items.c.done_at > tx.now - RATE_OVER).label("of_late"),
            func.sum(_amount()).cast(BigInteger).label("minor"),
            func.max(func.greatest(items.c.queued_at, items.c.handled_at, items.c.done_at)).label("last_change"),
        )
        .where(items.c.event_id == event_id)
        .group_by(state, bookings.c.currency)
    )
    rows: Sequence[Row[Any]] = (await tx.execute(counted)).all()
    return rows


def totals_of(counted: Sequence[Row[Any]], states: frozenset[Status] | None = None) -> tuple[Money, ...]:
    """What items `counted` by `tally` give back, one amount for each currency; of `states` alone where they are named."""
    currencies = sorted({row.currency for row in counted})
    return tuple(Money(_minor(currency, counted, states), currency) for currency in currencies)


async def list_items(
    tx: Transaction, event_id: UUID, *, state: str | None, cursor: UUID | None, limit: int
) -> CampaignItemPage:
    """Bookings of a campaign, by their ids. Raises NotFound."""
    items = table(CampaignItem)
    await named(tx, event_id)
    query = items_query(event_id).limit(limit + 1)
    if state is not None:
        query = query.where(shown_state() == state)
    if cursor is not None:
        query = query.where(items.c.id > cursor)
    found = (await tx.execute(query)).all()
    shown = [item_of(row) for row in found[:limit]]
    return CampaignItemPage(items=shown, next_cursor=shown[-1].booking_id if len(found) > limit else None)


def items_query(event_id: UUID) -> Select[Any]:
    """Rows for `item_of`, by their ids."""
    items, bookings, refunds = table(CampaignItem), table(Booking), table(Refund)
    return (
        joined(
            items.c.id,
            items.c.refund_id,
            items.c.queued_at,
            items.c.handled_at,
            func.coalesce(items.c.reason, refunds.c.failure).label("reason"),
            refunds.c.updated_at,
            bookings.c.payment_id,
            bookings.c.currency,
            shown_state(),
            _amount().label("minor"),
        )
        .where(items.c.event_id == event_id)
        .order_by(items.c.id)
    )


def item_of(row: Row[Any]) -> CampaignItemRead:
    """A row of `items_query` as it is shown."""
    return CampaignItemRead(
        booking_id=row.id,
        payment_id=row.payment_id,
        refund_id=row.refund_id,
        state=row.state,
        reason=row.reason,
        amount=Money(row.minor, row.currency),
        queued_at=row.queued_at,
        handled_at=row.handled_at,
        updated_at=row.updated_at,
    )


async def plan(tx: Transaction, event_id: UUID) -> CampaignPlan:
    """What a cancellation of the event would refund. Raises Conflict where it is cancelled already."""
    if await tx.get(Campaign, event_id) is not None:
        raise Conflict("This event is being refunded already; ask without dry_run.", state="cancelled")
    bookings = table(Booking)
    owed = (
        select(bookings.c.currency, func.count().label("bookings"), func.sum(_left()).cast(BigInteger).label("minor"))
        .where(
            bookings.c.event_id == event_id,
            bookings.c.captured_minor.is_not(None),
            or_(bookings.c.cancelled_by.is_(None), bookings.c.cancelled_by == "event"),
            _left() > 0,
        )
        .group_by(bookings.c.currency)
        .order_by(bookings.c.currency)
    )
    found = (await tx.execute(owed)).all()
    at_hand = select(
        _balances.c.currency,
        func.sum(_balances.c.available_minor).cast(BigInteger).label("minor"),
        func.min(_balances.c.read_at).label("read_at"),
    ).group_by(_balances.c.currency)
    available = {row.currency: row for row in (await tx.execute(at_hand)).all()}
    return CampaignPlan(
        event_id=event_id,
        bookings=sum(row.bookings for row in found),
        totals=[_planned(Money(row.minor, row.currency), available.get(row.currency)) for row in found],
    )


def _planned(amount: Money, available: Row[Any] | None) -> PlannedTotal:
    if available is None:
        return PlannedTotal(amount=amount, available_minor=None, shortfall_minor=None, read_at=None)
    return PlannedTotal(
        amount=amount,
        available_minor=available.minor,
        shortfall_minor=max(0, amount.amount_minor - available.minor),
        read_at=available.read_at,
    )


def shown_state() -> Label[str]:
    """State of an item, for `joined`: that of its refund, once one is recorded."""
    items, refunds = table(CampaignItem), table(Refund)
    return case((items.c.state == ItemState.RECORDED, refunds.c.status), else_=items.c.state).label("state")


def _left() -> ColumnElement[int]:
    bookings = table(Booking)
    gone = bookings.c.promised_minor + bookings.c.unavailable_minor + bookings.c.lost_minor
    return func.greatest(0, bookings.c.captured_minor - gone)


def _amount() -> ColumnElement[int]:
    items, refunds = table(CampaignItem), table(Refund)
    return case((items.c.state == ItemState.SKIPPED, 0), else_=func.coalesce(refunds.c.amount_minor, _left()))


def joined(*columns: ColumnElement[Any]) -> Select[Any]:
    """Items with their bookings and refunds."""
    items, bookings, refunds = table(CampaignItem), table(Booking), table(Refund)
    return (
        select(*columns)
        .select_from(items)
        .join(bookings, bookings.c.booking_id == items.c.id)
        .outerjoin(refunds, refunds.c.id == items.c.refund_id)
    )


def _total(currency: str, counted: Sequence[Row[Any]]) -> CampaignTotal:
    everything, refunded, failed = (
        _minor(currency, counted, states) for states in (None, PAID_BACK, frozenset({Status.FAILED}))
    )
    declined = _minor(currency, counted, frozenset({Status.DECLINED}))
    return CampaignTotal(
        refunded=Money(refunded, currency),
        outstanding=Money(everything - refunded - failed - declined, currency),
        failed=Money(failed, currency),
    )


def _minor(currency: str, counted: Sequence[Row[Any]], states: frozenset[Status] | None) -> int:
    return sum(row.minor for row in counted if row.currency == currency and (states is None or row.state in states))
