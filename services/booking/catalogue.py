"""What can be done with an event: one function each."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID
from zoneinfo import ZoneInfo

from chassis import audit
from chassis.auth import Principal
from chassis.db import Transaction, table
from chassis.errors import Invalid, NotFound
from contracts.booking import PolicySnapshot
from contracts.money import InvalidMoney, Money, chargeable
from sqlalchemy import Select, insert, select, tuple_
from sqlmodel import col

from booking import domain
from booking.models import Event, TicketType
from booking.schemas import EventCreate, EventPage, EventRead, TicketTypeRead


async def create_event(tx: Transaction, manager: Principal, body: EventCreate) -> EventRead:
    """Puts an event on sale. Raises Invalid, naming the field, for times, prices or refund tiers that cannot be."""
    zone = ZoneInfo(body.timezone)
    starts_at = domain.instant("local_start", body.local_start, zone, body.local_start_fold)
    ends_at = domain.instant("local_end", body.local_end, zone, body.local_end_fold)
    domain.check_times(starts_at, ends_at)
    domain.check_tiers([(tier.hours_before, tier.percent) for tier in body.refund_policy.tiers])
    _check_prices(body)
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
    )
    types = [
        TicketType(id=tx.new_id(), event_id=event.id, position=position, **offered.model_dump())
        for position, offered in enumerate(body.ticket_types)
    ]
    await tx.execute(insert(table(Event)).values(event.model_dump()))
    await tx.execute(insert(table(TicketType)).values([offered.model_dump() for offered in types]))
    await audit.record(
        tx,
        actor=manager.subject,
        action="event.create",
        subject=f"event/{event.id}",
        after={"capacity": sum(offered.capacity for offered in types)},
    )
    return _read(tx, event, types)


async def read_event(tx: Transaction, event_id: UUID) -> EventRead:
    """The event with its free seats. Raises NotFound."""
    event, types = await with_types(tx, event_id)
    if event is None:
        raise NotFound("event")
    return _read(tx, event, types)


async def list_events(tx: Transaction, *, ended: bool, cursor: UUID | None, limit: int) -> EventPage:
    """Events by their start: those that have not ended, or all of them. `cursor` is the last event of the page before."""
    wanted = select(col(Event.id)).order_by(col(Event.starts_at), col(Event.id)).limit(limit + 1)
    if not ended:
        wanted = wanted.where(col(Event.ends_at) > tx.now)
    if cursor is not None:
        last = await tx.get(Event, cursor)
        if last is None:
            raise Invalid("cursor", "is not one that was given")
        wanted = wanted.where(tuple_(col(Event.starts_at), col(Event.id)) > (last.starts_at, last.id))
    ids = list(await tx.scalars(wanted))
    rows = await tx.execute(_joined().where(col(Event.id).in_(ids[:limit])))
    found: dict[UUID, tuple[Event, list[TicketType]]] = {}
    for event, offered in rows:
        found.setdefault(event.id, (event, []))[1].append(offered)
    return EventPage(
        items=[_read(tx, *found[event_id]) for event_id in ids[:limit]],
        next_cursor=ids[limit - 1] if len(ids) > limit else None,
    )


async def with_types(tx: Transaction, event_id: UUID) -> tuple[Event | None, list[TicketType]]:
    """The event and its ticket types in one statement."""
    rows = (await tx.execute(_joined().where(col(Event.id) == event_id))).all()
    return (rows[0][0] if rows else None), [offered for _, offered in rows]


def _joined() -> Select[Event, TicketType]:
    return (
        select(Event, TicketType)
        .join(TicketType, col(TicketType.event_id) == col(Event.id))
        .order_by(col(TicketType.position))
    )


def _check_prices(body: EventCreate) -> None:
    for position, offered in enumerate(body.ticket_types):
        try:
            chargeable(Money(offered.price_minor, body.currency))
        except InvalidMoney as error:
            raise Invalid(f"ticket_types.{position}.price_minor", str(error)) from None


def _read(tx: Transaction, event: Event, types: Iterable[TicketType]) -> EventRead:
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
        status="cancelled" if event.cancelled_at else "started" if event.starts_at <= tx.now else "on_sale",
        refund_policy=PolicySnapshot.model_validate(event.refund_policy),
        ticket_types=[
            TicketTypeRead(
                id=offered.id,
                name=offered.name,
                price=Money(offered.price_minor, event.currency),
                tax_rate_bp=offered.tax_rate_bp,
                capacity=offered.capacity,
                available=offered.capacity - offered.held - offered.sold,
            )
            for offered in types
        ],
    )
