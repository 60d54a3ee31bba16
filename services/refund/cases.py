"""From what is written of a booking to the case that refund.domain decides."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from chassis.db import Transaction, table
from contracts.booking import EventDates, PolicySnapshot
from sqlalchemy import Label, RowMapping, literal_column, select

from refund.domain import FOR_CANCELLATION, GIVES_NOTHING, Case, Ground, Status
from refund.models import Booking, Refund, Reschedule
from refund.policy import Moved, Policy, Tier
from refund.shares import Line


async def given_refunds(tx: Transaction, booking_id: UUID) -> Sequence[RowMapping]:
    """Id, status, amount, ground, reason, lines and deciders of the booking's refunds that have their amount."""
    refunds = table(Refund)
    given = select(
        refunds.c.id,
        refunds.c.status,
        refunds.c.amount_minor,
        refunds.c.ground,
        refunds.c.reason,
        refunds.c.requested_by,
        refunds.c.decided_by,
        refunds.c.trace["lines"].label("lines"),
    ).where(refunds.c.booking_id == booking_id, refunds.c.status.not_in(GIVES_NOTHING))
    return (await tx.execute(given)).mappings().all()


def move_columns() -> tuple[Label[Any], Label[Any]]:
    """What became of the start of a booking's event, as columns of a statement that returns rows of `bookings`."""
    moves = table(Reschedule)
    # Named as text, since SQLAlchemy correlates no subquery that an INSERT returns.
    of_its_event = moves.c.event_id == literal_column("bookings.event_id")
    starts_at, until = (
        select(column).where(of_its_event).scalar_subquery()
        for column in (moves.c.starts_at, moves.c.full_refund_until)
    )
    return starts_at.label("moved_to"), until.label("full_refund_until")


def move_of(row: RowMapping) -> Moved | None:
    """The same as the domain takes it."""
    return None if row["moved_to"] is None else Moved(row["moved_to"], row["full_refund_until"])


def move_then(dates: Mapping[str, Any] | None, known: Moved | None) -> Moved | None:
    """The same as a cancellation states it, since the news of a move may come after it; what is `known` where it does not."""
    if dates is None:
        return known
    stated = EventDates.model_validate(dates)
    return Moved(stated.starts_at, stated.full_refund_until)


async def read_booking(
    tx: Transaction, booking_id: UUID, *, for_update: bool = False
) -> tuple[Booking, Moved | None] | None:
    """A booking and what became of its event's start, locked where asked for. None for one that is not known or not yet placed."""
    bookings = table(Booking)
    query = select(bookings, *move_columns()).where(bookings.c.booking_id == booking_id)
    row = (await tx.execute(query.with_for_update(of=bookings) if for_update else query)).mappings().one_or_none()
    return None if row is None or row["placed_at"] is None else (booking_of(row), move_of(row))


def booking_of(row: RowMapping) -> Booking:
    """A booking from a row that may hold more than its columns."""
    return Booking(**{column.name: row[column.name] for column in table(Booking).c})


def case_of(
    booking: Booking,
    ground: Ground,
    received_at: datetime,
    given: Sequence[RowMapping],
    *,
    moved: Moved | None = None,
    line_ids: Collection[UUID] | None = None,
    asked_minor: int | None = None,
) -> Case:
    """The case of a booking that is placed; `given` are its refunds as `given_refunds` reads them.

    `line_ids` are the tickets that it is about, `asked_minor` is an amount that was asked for.
    """
    assert booking.starts_at is not None, "a booking is decided on only once it is placed"
    shares = [{**share, "prepaid": _is_prepaid(refund)} for refund in given for share in refund["lines"]]
    return Case(
        ground=ground,
        currency=str(booking.currency),
        paid_minor=booking.captured_minor or 0,
        remaining_minor=booking.remaining_minor,
        lines=tuple(
            _line(line, [share for share in shares if share["line_id"] == line["line_id"]])
            for line in booking.lines or ()
        ),
        policy=policy_of(PolicySnapshot.model_validate(booking.policy)),
        starts_at=booking.starts_at,
        timezone=str(booking.timezone),
        received_at=received_at,
        moved=moved,
        line_ids=None if line_ids is None else tuple(line_ids),
        asked_minor=asked_minor,
        fee_kept_minor=booking.fee_kept_minor,
    )


def lines_at_the_end(booking: Booking) -> list[UUID] | None:
    """The tickets that ended with the booking: those of its cancellation that were not given back before. None where that is all."""
    every = [line["line_id"] for line in booking.lines or ()]
    ended = [line_id for line_id in booking.cancelled_line_ids or every if line_id not in booking.given_back]
    return None if len(ended) == len(every) else [UUID(line_id) for line_id in ended]


def _is_prepaid(refund: RowMapping) -> bool:
    """Whether staff gave it for a cancellation. What awaits a second person may be declined, and is looked at anew when it is not."""
    is_given = refund["status"] != Status.AWAITING_APPROVAL
    return is_given and refund["ground"] == Ground.STAFF and refund["reason"] in FOR_CANCELLATION


def _line(line: Mapping[str, Any], taken: Sequence[Mapping[str, Any]]) -> Line:
    return Line(
        line_id=UUID(line["line_id"]),
        name=line["name"],
        gross_minor=line["gross_minor"],
        tax_minor=line["tax_minor"],
        tax_rate_bp=line["tax_rate_bp"],
        refunded_minor=sum(share["refund_minor"] for share in taken),
        refunded_tax_minor=sum(share["refund_tax_minor"] for share in taken),
        prepaid_minor=sum(share["refund_minor"] for share in taken if share["prepaid"]),
    )


def policy_of(snapshot: PolicySnapshot) -> Policy:
    """The policy as the domain applies it. Raises InvalidPolicy."""
    tiers = tuple(Tier(tier.hours_before, tier.percent) for tier in snapshot.tiers)
    return Policy(snapshot.policy_id, snapshot.policy_version, tiers, snapshot.fee_minor)
