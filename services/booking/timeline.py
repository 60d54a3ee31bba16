"""What happened to a booking, for staff: from the instants on its own row, its refunds and the audit chain, none of which grow old."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from chassis.audit import AuditRow
from chassis.db import Transaction, table
from chassis.timeline import Timeline, TimelineEntry, entry, in_order
from sqlalchemy import Row, or_, select

from booking.domain import Status
from booking.models import Booking, BookingRefund
from booking.placed import Placed, load

MOVED_FIELDS = frozenset({"venue", "timezone"})


async def read_timeline(tx: Transaction, booking_id: UUID) -> Timeline:
    """Oldest first; at one instant the sale comes before a move, that before an end, and refunds come last. Raises NotFound."""
    placed = await load(tx, booking_id)
    refunds, audited = table(BookingRefund), table(AuditRow)
    event = f"event/{placed.booking.event_id}"
    rows = (
        await tx.execute(
            select(audited)
            .where(
                or_(
                    (audited.c.subject == f"booking/{booking_id}") & (audited.c.action == "booking.cancel"),
                    (audited.c.subject == event) & audited.c.action.in_(["event.change", "event.cancel"]),
                ),
                audited.c.at >= placed.booking.placed_at,
            )
            .order_by(audited.c.seq)
        )
    ).all()
    told = (await tx.execute(select(refunds).where(refunds.c.booking_id == booking_id))).all()
    return in_order([*_sale(placed.booking), *_moves(rows), *_endings(placed, rows), *_refunds(placed.booking, told)])


def _money(booking: Booking, amount_minor: int) -> dict[str, Any]:
    return {"amount_minor": amount_minor, "currency": booking.currency}


def _sale(booking: Booking) -> Iterator[TimelineEntry]:
    total = _money(booking, booking.total_minor)
    yield entry(
        booking.placed_at,
        "placed",
        "customer",
        total=total,
        hold_expires_at=booking.hold_expires_at.isoformat() if booking.total_minor else None,
        policy_accepted_at=booking.policy_accepted_at.isoformat() if booking.policy_accepted_at else None,
        policy_hash=booking.policy_hash,
    )
    if booking.authorized_at:
        yield entry(booking.authorized_at, "authorized", payment_id=booking.payment_id)
    if booking.secured_at:
        yield entry(booking.secured_at, "secured")
    if booking.unavailable_at:
        yield entry(booking.unavailable_at, "seats_unavailable", reason=booking.unavailable_reason)
    if booking.expired_at:
        yield entry(booking.expired_at, "expired")
    if booking.paid_at:
        yield entry(booking.paid_at, "paid", payment_id=booking.payment_id, amount=total)
    if booking.confirmed_at:
        yield entry(booking.confirmed_at, "confirmed")


def _moves(audited: Iterable[Row[Any]]) -> Iterator[TimelineEntry]:
    for row in audited:
        if row.action != "event.change":
            continue
        before, after = _setting(row.before), _setting(row.after)
        if before != after or MOVED_FIELDS & set(row.after.get("fields", ())):
            yield entry(row.at, "event_moved", row.actor, before=before, after=after)


def _setting(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: facts.get(name) for name in ("starts_at", "ends_at")}


def _endings(placed: Placed, audited: Iterable[Row[Any]]) -> Iterator[TimelineEntry]:
    """Tickets that were given back, all that went with one request together, and the end of the booking."""
    booking = placed.booking
    by_staff = {row.at.isoformat(): row.actor for row in audited if row.action == "booking.cancel"}
    together: dict[str, list[str]] = {}
    for ticket_id, received_at in booking.given_back.items():
        together.setdefault(received_at, []).append(ticket_id)
    for received_at, ticket_ids in together.items():
        yield entry(
            datetime.fromisoformat(received_at),
            "tickets_given_back",
            by_staff.get(received_at, "customer"),
            ticket_ids=ticket_ids,
        )
    if booking.status is Status.CANCELLED and booking.received_at is not None:
        by = booking.cancelled_by
        if by == "staff":
            by = by_staff.get(booking.received_at.isoformat(), by)
        elif by == "event":
            by = next((row.actor for row in audited if row.action == "event.cancel"), by)
        detail = {"cancelled_by": booking.cancelled_by, "ticket_ids": [str(ticket.id) for ticket in placed.left]}
        yield entry(booking.received_at, "cancelled", by, **detail)


def _refunds(booking: Booking, told: Iterable[Row[Any]]) -> Iterator[TimelineEntry]:
    if booking.declined_at:
        yield entry(booking.declined_at, "refund_declined", times=booking.refunds_declined)
    for row in told:
        instants = {
            "refund_failed": row.failed_at,
            "refund_completed": row.completed_at,
            "refund_settled_manually": row.settled_at,
        }
        for what, at in instants.items():
            if at is not None:
                yield entry(at, what, refund_id=row.id, amount=_money(booking, row.amount_minor))
