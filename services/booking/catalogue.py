"""What can be done with an event: one function each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from chassis import audit, outbox
from chassis.auth import Principal, Role
from chassis.db import Transaction, table
from chassis.errors import Forbidden, Invalid, NotFound, Unauthorized
from contracts.booking import EventFacts, EventRescheduled, PolicySnapshot
from contracts.money import Money
from sqlalchemy import Select, func, insert, select, tuple_, update
from sqlmodel import col

from booking import dates, prices, ticket_types
from booking.models import Event, TicketType
from booking.schemas import (
    EventChange,
    EventCreate,
    EventPage,
    EventRead,
    TicketTypeRead,
)

DAY = "YYYY-MM-DD"


async def create_event(tx: Transaction, manager: Principal, body: EventCreate) -> EventRead:
    """Puts an event on sale, or keeps it as a draft. Raises Invalid, naming the field, for times, prices or tiers that cannot be."""
    zone = ZoneInfo(body.timezone)
    starts_at = dates.instant("local_start", body.local_start, zone, body.local_start_fold)
    ends_at = dates.instant("local_end", body.local_end, zone, body.local_end_fold)
    dates.check_times(starts_at, ends_at)
    prices.check_tiers([(tier.hours_before, tier.percent) for tier in body.refund_policy.tiers])
    for position, offered in enumerate(body.ticket_types):
        ticket_types.check_price(f"ticket_types.{position}.price_minor", offered.price_minor, body.currency)
    event = Event(
        id=tx.new_id(),
        name=body.name,
        venue=body.venue,
        local_start=body.local_start,
        local_end=body.local_end,
        timezone=body.timezone,
        starts_at=starts_at,
        ends_at=ends_at,
        currency=body.currency,
        refund_policy=body.refund_policy.model_dump(),
        created_at=tx.now,
        description=body.description or None,
        draft=not body.published,
    )
    types = [
        TicketType(id=tx.new_id(), event_id=event.id, position=position, closed=event.draft, **kind.model_dump())
        for position, kind in enumerate(body.ticket_types)
    ]
    await tx.execute(insert(table(Event)).values(event.model_dump()))
    await tx.execute(insert(table(TicketType)).values([offered.model_dump() for offered in types]))
    await audit.record(
        tx,
        actor=manager.subject,
        action="event.create",
        subject=f"event/{event.id}",
        after={"capacity": sum(offered.capacity for offered in types), "draft": event.draft},
    )
    return _read(tx, event, types, manager)


async def publish_event(tx: Transaction, manager: Principal, event_id: UUID) -> EventRead:
    """Puts a draft on sale; one that is published already stays as it is. Raises NotFound, and Conflict where its start is over."""
    event = await locked(tx, event_id)
    if event.draft:
        dates.may_publish(tx.now, event.starts_at)
        events = table(Event)
        await tx.execute(update(events).where(events.c.id == event_id).values(draft=False))
        await ticket_types.set_closed(tx, event_id, closed=False)
        await audit.record(tx, actor=manager.subject, action="event.publish", subject=f"event/{event_id}")
    return await read_event(tx, event_id, manager)


async def change_event(tx: Transaction, manager: Principal, event_id: UUID, body: EventChange) -> EventRead:
    """Changes what is sold from now on, and where and when it takes place; bookings keep what they were placed with.

    A draft moves untold, also when its start is over. Raises NotFound; Conflict once it has started or is cancelled, and for fewer seats
    than are taken; Invalid, naming the field, for times, prices and names that cannot be, and for a refund window where nothing moves.
    """
    event = await locked(tx, event_id)
    if not event.draft:
        dates.may_change(tx.now, event.starts_at, event.cancelled_at)
    before = _setting(event)
    changed = _changed(event, body)
    after = dates.Setting(*(changed[name] for name in dates.Setting._fields))
    dates.check_move(tx.now, before, after)
    # A request that is sent again finds the window open.
    is_still = after == before and event.full_refund_until is None
    if body.full_refund_days is not None and (event.draft or is_still):
        raise Invalid("full_refund_days", "is for an event that is moved")
    events = table(Event)
    statement = update(events).where(events.c.id == event_id)
    if after == before or event.draft:
        await tx.execute(statement.values(changed))
    else:
        changed["version"] = event.version + 1
        changed["full_refund_until"] = dates.full_refund_until(
            tx.now,
            before,
            after,
            days=body.full_refund_days,
            tiers=[(tier["hours_before"], tier["percent"]) for tier in event.refund_policy["tiers"]],
            standing=event.full_refund_until,
        )
        moved = EventRescheduled(
            event_id=event_id,
            version=changed["version"],
            occurred_at=tx.now,
            event=EventFacts(event_id=event_id, name=changed["name"], **after._asdict()),
            previous_starts_at=before.starts_at,
            full_refund_until=changed["full_refund_until"],
        )
        await tx.execute(statement.values(changed), alongside=[outbox.rows(tx, moved)])
    added = await ticket_types.change_types(tx, event, body.ticket_types)
    await audit.record(
        tx,
        actor=manager.subject,
        action="event.change",
        subject=f"event/{event_id}",
        before=_instants(before),
        after={
            **_instants(after),
            "fields": sorted(body.model_fields_set - {"ticket_types"}),
            "ticket_types": [
                offered.model_dump(mode="json", exclude_none=True, exclude={"name"})
                for offered in body.ticket_types
                if offered.id is not None
            ],
            "added": [offered.model_dump(include={"id", "price_minor", "capacity"}) for offered in added],
        },
    )
    return await read_event(tx, event_id, manager)


async def read_event(tx: Transaction, event_id: UUID, reader: Principal | None) -> EventRead:
    """The event with its free seats. Raises NotFound, also for a draft that is none of the reader's business."""
    event, types = await with_types(tx, event_id)
    if event is None or (event.draft and not _is_staff(reader)):
        raise NotFound("event")
    return _read(tx, event, types, reader)


@dataclass(frozen=True)
class EventFilters:
    """Which events: those to come, or all, with drafts or without; `q` is in parts of their name, venue and day."""

    ended: bool = False
    drafts: bool = False
    latest_first: bool = False
    q: str | None = None


async def list_events(
    tx: Transaction, reader: Principal | None, filters: EventFilters, *, cursor: UUID | None, limit: int
) -> EventPage:
    """Events by their start; drafts are for staff.

    `cursor` is the last event of the page before. Raises Unauthorized and Forbidden where somebody else asks for drafts.
    """
    if filters.drafts and reader is None:
        raise Unauthorized
    if filters.drafts and not _is_staff(reader):
        raise Forbidden
    place = tuple_(col(Event.starts_at), col(Event.id))
    wanted = select(col(Event.id)).order_by(place.desc() if filters.latest_first else place).limit(limit + 1)
    if not filters.drafts:
        wanted = wanted.where(col(Event.draft).is_(False))
    if not filters.ended:
        wanted = wanted.where(col(Event.ends_at) > tx.now)
    if filters.q is not None:
        shown = func.concat_ws(" ", col(Event.name), col(Event.venue), func.to_char(col(Event.local_start), DAY))
        wanted = wanted.where(*(shown.icontains(part, autoescape=True) for part in filters.q.split()))
    if cursor is not None:
        last = await tx.get(Event, cursor)
        if last is None:
            raise Invalid("cursor", "is not one that was given")
        after = (last.starts_at, last.id)
        wanted = wanted.where(place < after if filters.latest_first else place > after)
    ids = list(await tx.scalars(wanted))
    rows = await tx.execute(_joined().where(col(Event.id).in_(ids[:limit])))
    found: dict[UUID, tuple[Event, list[TicketType]]] = {}
    for event, offered in rows:
        found.setdefault(event.id, (event, []))[1].append(offered)
    return EventPage(
        items=[_read(tx, *found[event_id], reader) for event_id in ids[:limit]],
        next_cursor=ids[limit - 1] if len(ids) > limit else None,
    )


async def with_types(tx: Transaction, event_id: UUID) -> tuple[Event | None, list[TicketType]]:
    """The event and its ticket types in one statement."""
    rows = (await tx.execute(_joined().where(col(Event.id) == event_id))).all()
    return (rows[0][0] if rows else None), [offered for _, offered in rows]


async def locked(tx: Transaction, event_id: UUID) -> Event:
    """The event, alone in this transaction until it ends; bookings of it go on meanwhile. Raises NotFound."""
    found = await tx.execute(select(Event).where(col(Event.id) == event_id).with_for_update(key_share=True))
    event = found.scalar_one_or_none()
    if event is None:
        raise NotFound("event")
    return event


def _setting(event: Event) -> dates.Setting:
    return dates.Setting(event.venue, event.starts_at, event.ends_at, event.timezone)


def _instants(setting: dates.Setting) -> dict[str, str]:
    return {"starts_at": setting.starts_at.isoformat(), "ends_at": setting.ends_at.isoformat()}


def _changed(event: Event, body: EventChange) -> dict[str, Any]:
    """The columns that a change may touch, as they are after it. A local time that stays keeps its instant, unless the zone changes."""
    timezone = body.timezone or event.timezone
    zone, is_rezoned = ZoneInfo(timezone), timezone != event.timezone
    local_start, local_end = body.local_start or event.local_start, body.local_end or event.local_end
    starts_at, ends_at = event.starts_at, event.ends_at
    if is_rezoned or body.local_start is not None or body.local_start_fold is not None:
        starts_at = dates.instant("local_start", local_start, zone, body.local_start_fold)
    if is_rezoned or body.local_end is not None or body.local_end_fold is not None:
        ends_at = dates.instant("local_end", local_end, zone, body.local_end_fold)
    return {
        "name": body.name or event.name,
        "venue": body.venue or event.venue,
        "local_start": local_start,
        "local_end": local_end,
        "timezone": timezone,
        "starts_at": starts_at,
        "ends_at": ends_at,
        "description": event.description if body.description is None else body.description or None,
    }


def _is_staff(reader: Principal | None) -> bool:
    return reader is not None and reader.has(Role.VIEWER)


def _joined() -> Select[Event, TicketType]:
    return (
        select(Event, TicketType)
        .join(TicketType, col(TicketType.event_id) == col(Event.id))
        .order_by(col(TicketType.position))
        .execution_options(populate_existing=True)
    )


def _read(tx: Transaction, event: Event, types: Iterable[TicketType], reader: Principal | None) -> EventRead:
    is_staff = _is_staff(reader)
    return EventRead(
        id=event.id,
        name=event.name,
        venue=event.venue,
        local_start=event.local_start,
        local_end=event.local_end,
        timezone=event.timezone,
        starts_at=event.starts_at,
        ends_at=event.ends_at,
        currency=event.currency,
        status=dates.event_status(tx.now, event.starts_at, event.ends_at, event.cancelled_at, draft=event.draft),
        full_refund_until=event.full_refund_until,
        refund_policy=PolicySnapshot.model_validate(event.refund_policy),
        ticket_types=[
            TicketTypeRead(
                id=offered.id,
                name=offered.name,
                price=Money(offered.price_minor, event.currency),
                tax_rate_bp=offered.tax_rate_bp,
                capacity=offered.capacity,
                available=offered.capacity - offered.held - offered.sold,
                held=offered.held if is_staff else None,
                sold=offered.sold if is_staff else None,
            )
            for offered in types
        ],
        description=event.description,
    )
