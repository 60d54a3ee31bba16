"""What refund does when a booking is over: gathers its facts, and decides once when it is over and paid.

Facts come in any order and never change, so no version of another aggregate has to be kept for them: each is written where it is
missing, and whichever comes last finds the others there. The row of the booking is the lock of all that happens to its money.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from chassis.db import Transaction, table
from contracts.booking import (
    BookingCancelled,
    BookingConfirmed,
    BookingPlaced,
    EventRescheduled,
    SeatsUnavailable,
    TicketsCancelled,
)
from contracts.payment import BalanceRead, PaymentSucceeded
from contracts.refund import RefundReason
from sqlalchemy import RowMapping, case, func
from sqlalchemy.dialects.postgresql import Insert, insert

from refund import campaign
from refund.cases import (
    booking_of,
    case_of,
    given_refunds,
    lines_at_the_end,
    move_columns,
    move_of,
    move_then,
    policy_of,
)
from refund.domain import Ground, decide, ground_of_cancellation
from refund.models import Balance, Booking, Reschedule
from refund.policy import Moved, local
from refund.recording import record_refund

POLICY_DECIDED = "policy"
REASONS: Mapping[str, RefundReason] = {
    "customer": "customer_cancelled",
    "staff": "staff_cancelled",
    "event": "event_cancelled",
}


async def note_placed(tx: Transaction, event: BookingPlaced) -> None:
    """Keeps what was booked. Raises InvalidPolicy or ZoneInfoNotFoundError for what no cancellation could be decided on."""
    policy_of(event.policy)
    local(event.event.starts_at, event.event.timezone)
    row = await _note(
        tx,
        event.booking_id,
        placed_at=event.occurred_at,
        event_id=event.event.event_id,
        starts_at=event.event.starts_at,
        timezone=event.event.timezone,
        total_minor=event.total.amount_minor,
        currency=event.total.currency,
        policy=event.policy.model_dump(mode="json"),
        lines=[line.model_dump(mode="json") for line in event.lines],
    )
    await _decide(tx, row)


async def note_captured(tx: Transaction, event: PaymentSucceeded) -> None:
    """Keeps what was paid. Raises ValueError when another payment of the booking was captured before."""
    row = await _note(
        tx,
        event.booking_id,
        payment_id=event.payment_id,
        captured_minor=event.amount.amount_minor,
        captured_currency=event.amount.currency,
    )
    if row["payment_id"] != event.payment_id:
        raise ValueError(f"booking {event.booking_id} was paid by {row['payment_id']} before {event.payment_id}")
    await _decide(tx, row)


async def note_confirmed(tx: Transaction, event: BookingConfirmed) -> None:
    """Keeps that the booking is confirmed, and whether it was free."""
    await _note(tx, event.booking_id, confirmed_at=event.occurred_at, free=event.payment_id is None)


async def note_cancelled(tx: Transaction, event: BookingCancelled) -> None:
    """Keeps by whom and when the booking was cancelled."""
    row = await _note(
        tx,
        event.booking_id,
        cancelled_by=event.by,
        cancelled_was=event.was,
        cancel_received_at=event.received_at,
        cancelled_line_ids=[str(line_id) for line_id in event.line_ids],
        cancelled_dates=_stated(event),
    )
    await _decide(tx, row)


async def note_seats_unavailable(tx: Transaction, event: SeatsUnavailable) -> None:
    """Keeps that a payment found no seats. Payment voids it; where it was captured at once, all of it goes back."""
    row = await _note(tx, event.booking_id, seats_unavailable_at=event.occurred_at)
    await _decide(tx, row)


async def note_tickets_cancelled(tx: Transaction, event: TicketsCancelled) -> None:
    """Keeps which tickets were given back, and decides on them as soon as it is known what was placed and paid."""
    line_ids = [str(line_id) for line_id in event.line_ids]
    request = {
        "by": event.by,
        "received_at": event.received_at.isoformat(),
        "line_ids": line_ids,
        "dates": _stated(event),
    }
    bookings = table(Booking)
    noted = insert(bookings).values(booking_id=event.booking_id, given_back=line_ids, undecided=[request])
    is_told_again = bookings.c.given_back.contains(noted.excluded.given_back)
    appended = {
        name: case((is_told_again, bookings.c[name]), else_=bookings.c[name].op("||")(noted.excluded[name]))
        for name in ("given_back", "undecided")
    }
    row: RowMapping = (await tx.execute(_upsert(noted, appended))).mappings().one()
    await _decide(tx, row)


async def note_rescheduled(tx: Transaction, event: EventRescheduled) -> None:
    """Keeps where the event was moved to. A window in which everybody gets everything back stays open when it is moved again."""
    moves = table(Reschedule)
    noted = insert(moves).values(
        event_id=event.event_id,
        version=event.version,
        starts_at=event.event.starts_at,
        full_refund_until=event.full_refund_until,
    )
    is_newer = noted.excluded.version > moves.c.version
    latest = {
        "version": func.greatest(moves.c.version, noted.excluded.version),
        "starts_at": case((is_newer, noted.excluded.starts_at), else_=moves.c.starts_at),
        "full_refund_until": func.greatest(moves.c.full_refund_until, noted.excluded.full_refund_until),
    }
    await tx.execute(noted.on_conflict_do_update(index_elements=[moves.c.event_id], set_=latest))


async def note_balance(tx: Transaction, event: BalanceRead) -> None:
    """Keeps what the provider has available; what was read before is passed over."""
    balances = table(Balance)
    for money in event.available:
        noted = insert(balances).values(
            provider=event.provider,
            currency=money.currency,
            available_minor=money.amount_minor,
            read_at=event.occurred_at,
        )
        latest = {name: noted.excluded[name] for name in ("available_minor", "read_at")}
        await tx.execute(
            noted.on_conflict_do_update(
                index_elements=[balances.c.provider, balances.c.currency],
                set_=latest,
                where=noted.excluded.read_at > balances.c.read_at,
            )
        )


def _stated(event: BookingCancelled | TicketsCancelled) -> dict[str, Any] | None:
    return None if event.event_dates is None else event.event_dates.model_dump(mode="json")


async def _note(tx: Transaction, booking_id: UUID, **facts: object) -> RowMapping:
    """Writes facts where they are missing and returns the booking's row, locked. What was noted before stays."""
    found = await tx.execute(_noting(tuple(facts)), {"booking_id": booking_id, **facts})
    row: RowMapping = found.mappings().one()
    return row


@cache
def _noting(names: tuple[str, ...]) -> Any:
    bookings = table(Booking)
    noted = insert(bookings)
    return _upsert(noted, {name: func.coalesce(bookings.c[name], noted.excluded[name]) for name in names})


def _upsert(noted: Insert, otherwise: Mapping[str, object]) -> Any:
    upsert = noted.on_conflict_do_update(index_elements=["booking_id"], set_=otherwise)
    return upsert.returning(table(Booking), *move_columns())


async def _decide(tx: Transaction, row: RowMapping) -> None:
    """Decides on tickets that were given back, then on the booking's end, when it is known what was placed and paid."""
    booking, moved = booking_of(row), move_of(row)
    if booking.placed_at is None or booking.captured_minor is None:
        return
    while booking.undecided:
        request, *booking.undecided = booking.undecided
        await _refund_tickets(tx, booking, moved, request)
    if await campaign.take_on(tx, booking):
        return
    if booking.decided_at is None and (ended := end_of(booking)) is not None:
        await _refund_ended(tx, booking, moved, ended)


def end_of(booking: Booking) -> tuple[Ground, RefundReason, datetime] | None:
    """What ended the booking, and when that was asked for. None for one that goes on."""
    if booking.cancelled_by is not None and booking.cancel_received_at is not None:
        ground = ground_of_cancellation(booking.cancelled_by, str(booking.cancelled_was))
        return ground, REASONS[booking.cancelled_by], booking.cancel_received_at
    if booking.seats_unavailable_at is not None:
        return Ground.SEATS_UNAVAILABLE, "seats_unavailable", booking.seats_unavailable_at
    return None


async def _refund_ended(
    tx: Transaction, booking: Booking, moved: Moved | None, ended: tuple[Ground, RefundReason, datetime]
) -> None:
    """The one decision on a booking that is over, by what `end_of` says of it."""
    ground, reason, received_at = ended
    given = await given_refunds(tx, booking.booking_id) if booking.promised_minor else ()
    line_ids = lines_at_the_end(booking) if ground is Ground.POLICY else None
    moved = move_then(booking.cancelled_dates, moved)
    decision = decide(case_of(booking, ground, received_at, given, moved=moved, line_ids=line_ids))
    await record_refund(tx, booking, decision, reason=reason, requested_by=POLICY_DECIDED)


async def _refund_tickets(tx: Transaction, booking: Booking, moved: Moved | None, request: Mapping[str, Any]) -> None:
    """A decision on tickets that were given back before the booking ended."""
    line_ids = [UUID(line_id) for line_id in request["line_ids"]]
    if booking.decided_at is not None and _ended_with(booking, request["line_ids"]):
        return
    given = await given_refunds(tx, booking.booking_id) if booking.promised_minor else ()
    received_at = datetime.fromisoformat(request["received_at"])
    moved = move_then(request.get("dates"), moved)
    asked = case_of(booking, Ground.TICKETS, received_at, given, moved=moved, line_ids=line_ids)
    if booking.decided_at is not None:
        asked = replace(asked, fee_kept_minor=asked.policy.fee_minor)
    decision = decide(asked)
    await record_refund(tx, booking, decision, reason=REASONS[request["by"]], requested_by=POLICY_DECIDED)


def _ended_with(booking: Booking, line_ids: Collection[str]) -> bool:
    """Whether the decision on the booking's end, which overtook the news of these tickets, was about them too."""
    ended = booking.cancelled_line_ids
    return not ended or not set(ended).isdisjoint(line_ids)
