"""The ticket types of an event: which prices there are, for how many seats, and whether any are taken now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from chassis.db import Transaction, table
from chassis.errors import Conflict, Invalid
from contracts.money import InvalidMoney, Money, chargeable
from sqlalchemy import insert, select, update

from booking.models import Event, TicketType
from booking.schemas import TICKET_TYPES_MAX, TicketTypeChange

NEEDED = ("name", "price_minor", "capacity")
"""What a new type must say."""


async def change_types(tx: Transaction, event: Event, changes: Sequence[TicketTypeChange]) -> list[TicketType]:
    """Changes types and adds new ones, which are returned. Locks the types in the order in which sales do."""
    if not changes:
        return []
    types = table(TicketType)
    rows = await tx.execute(
        select(types).where(types.c.event_id == event.id).order_by(types.c.id).with_for_update(key_share=True)
    )
    offered = {row.id: row for row in rows}
    _check(event, changes, offered)
    for change in changes:
        values = change.model_dump(exclude={"id"}, exclude_none=True)
        if change.id is not None and values:
            await tx.execute(update(types).where(types.c.id == change.id).values(values))
    free = max(row.position for row in offered.values()) + 1
    added = [
        TicketType(
            id=tx.new_id(),
            event_id=event.id,
            position=position,
            closed=event.draft,
            **{"tax_rate_bp": 0} | change.model_dump(exclude={"id"}, exclude_none=True),
        )
        for position, change in enumerate((change for change in changes if change.id is None), start=free)
    ]
    if added:
        await tx.execute(insert(types).values([kind.model_dump() for kind in added]))
    return added


def check_price(field: str, price_minor: int, currency: str) -> None:
    """Raises Invalid, naming `field`, for a price that the provider could not charge."""
    try:
        chargeable(Money(price_minor, currency))
    except InvalidMoney as error:
        raise Invalid(field, str(error)) from None


async def set_closed(tx: Transaction, event_id: UUID, *, closed: bool) -> None:
    """Ends the taking of seats, or lets it begin. Whoever takes seats at this moment is waited for; in the order in which sales lock."""
    types = table(TicketType)
    each = (
        select(types.c.id)
        .where(types.c.event_id == event_id)
        .order_by(types.c.id)
        .with_for_update(key_share=True)
        .cte("locked")
    )
    await tx.execute(update(types).where(types.c.id == each.c.id).values(closed=closed))


def _check(event: Event, changes: Sequence[TicketTypeChange], offered: Mapping[UUID, Any]) -> None:
    """Raises Invalid, naming the field, and Conflict for fewer seats than are taken."""
    for position, change in enumerate(changes):
        field = f"ticket_types.{position}"
        if change.price_minor is not None:
            check_price(f"{field}.price_minor", change.price_minor, event.currency)
        if change.id is None:
            missing = next((name for name in NEEDED if getattr(change, name) is None), None)
            if missing:
                raise Invalid(f"{field}.{missing}", "is needed for a new ticket type")
        elif change.id not in offered:
            raise Invalid(f"{field}.id", "there is no such ticket type in this event")
        elif change.id in [earlier.id for earlier in changes[:position]]:
            raise Invalid(f"{field}.id", "is named twice")
        elif change.tax_rate_bp is not None and not event.draft:
            raise Invalid(f"{field}.tax_rate_bp", "stays as it is once the event is published")
    if len(offered) + sum(change.id is None for change in changes) > TICKET_TYPES_MAX:
        raise Invalid("ticket_types", f"must not be more than {TICKET_TYPES_MAX} in all")
    _check_names(changes, offered)
    _check_seats(changes, offered)


def _check_names(changes: Sequence[TicketTypeChange], offered: Mapping[UUID, Any]) -> None:
    """A name that is given must be nobody else's: so a request that is sent again adds nothing twice."""
    for position, change in enumerate(changes):
        if change.name is None:
            continue
        others = [row.name for row in offered.values() if row.id != change.id]
        others += [other.name for other in changes[:position] if other.name]
        if change.name.casefold() in {other.casefold() for other in others}:
            raise Invalid(f"ticket_types.{position}.name", "is the name of another ticket type of this event")


def _check_seats(changes: Sequence[TicketTypeChange], offered: Mapping[UUID, Any]) -> None:
    short = [
        {"ticket_type_id": str(row.id), "capacity": change.capacity, "held": row.held, "sold": row.sold}
        for change in changes
        if change.id and change.capacity is not None and change.capacity < (row := offered[change.id]).held + row.sold
    ]
    if short:
        raise Conflict("More seats are held and sold than would be left.", state="seats_taken", taken=short)
