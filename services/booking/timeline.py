"""What happened to a booking, for staff: from the instants on its own row, its refunds and the audit chain, none of which grow old."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, get_args
from uuid import UUID

from chassis.audit import AuditRow
from chassis.db import Transaction, table
from sqlalchemy import Row, or_, select

from booking.domain import Status
from booking.models import Booking, BookingRefund
from booking.placed import Placed, load
from booking.schemas import Timeline, TimelineEntry, What

MOVED_FIELDS = frozenset({"venue", "timezone"})

ORDER: tuple[What, ...] = get_args(What)


async def read_timeline(tx: Transaction, booking_id: UUID) -> Timeline:
    """The oldest first. Raises NotFound."""
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
    entries = [*_own(placed.booking), *_endings(placed, rows), *_moves(rows), *_refunds(placed.booking, told)]
    return Timeline(items=sorted(entries, key=lambda entry: (entry.at, ORDER.index(entry.what))))


def _entry(what: Any, at: Any, by: str | None = None, **detail: Any) -> TimelineEntry:
    return TimelineEntry(at=at, what=what, by=by, detail=detail)


def _money(booking: Booking, amount_minor: int) -> dict[str, Any]:
    return {"amount_minor": amount_minor, "currency": booking.currency}


def _own(booking: Booking) -> Iterator[TimelineEntry]:
    payment = str(booking.payment_id) if booking.payment_id else None
    placed: dict[str, Any] = {"total": _money(booking, booking.total_minor)}
    if booking.total_minor:
        placed["hold_expires_at"] = booking.hold_expires_at.isoformat()
    if booking.policy_accepted_at:
        placed |= {"policy_accepted_at": booking.policy_accepted_at.isoformat(), "policy_hash": booking.policy_hash}
    yield _entry("placed", booking.placed_at, "customer", **placed)
    if booking.authorized_at:
        yield _entry("authorized", booking.authorized_at, payment_id=payment)
    if booking.secured_at:
        yield _entry("secured", booking.secured_at)
    if booking.unavailable_at:
        yield _entry("seats_unavailable", booking.unavailable_at, reason=booking.unavailable_reason)
    if booking.expired_at:
        yield _entry("expired", booking.expired_at)
    if booking.paid_at:
        yield _entry("paid", booking.paid_at, payment_id=payment, amount=_money(booking, booking.total_minor))
    if booking.confirmed_at:
        yield _entry("confirmed", booking.confirmed_at)
    if booking.declined_at:
        yield _entry("refund_declined", booking.declined_at, times=booking.refunds_declined)


def _endings(placed: Placed, audited: Iterable[Row[Any]]) -> Iterator[TimelineEntry]:
    """Tickets that were given back, all that went with one request together, and the end of the booking."""
    booking = placed.booking
    by_staff = {row.at.isoformat(): row.actor for row in audited if row.action == "booking.cancel"}
    together: dict[str, list[str]] = {}
    for ticket_id, received_at in booking.given_back.items():
        together.setdefault(received_at, []).append(ticket_id)
    for received_at, ticket_ids in together.items():
        yield _entry("tickets_given_back", received_at, by_staff.get(received_at, "customer"), ticket_ids=ticket_ids)
    if booking.status is Status.CANCELLED and booking.received_at is not None:
        by = booking.cancelled_by
        if by == "staff":
            by = by_staff.get(booking.received_at.isoformat(), by)
        elif by == "event":
            by = next((row.actor for row in audited if row.action == "event.cancel"), by)
        detail = {"cancelled_by": booking.cancelled_by, "ticket_ids": [str(ticket.id) for ticket in placed.left]}
        yield _entry("cancelled", booking.received_at, by, **detail)


def _moves(audited: Iterable[Row[Any]]) -> Iterator[TimelineEntry]:
    for row in audited:
        if row.action != "event.change":
            continue
        before, after = _setting(row.before), _setting(row.after)
        if before != after or MOVED_FIELDS & set(row.after.get("fields", ())):
            yield _entry("event_moved", row.at, row.actor, before=before, after=after)


def _setting(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: facts.get(name) for name in ("starts_at", "ends_at")}


def _refunds(booking: Booking, told: Iterable[Row[Any]]) -> Iterator[TimelineEntry]:
    for row in told:
        instants = {
            "refund_completed": row.completed_at,
            "refund_failed": row.failed_at,
            "refund_settled_manually": row.settled_at,
        }
        for what, at in instants.items():
            if at is not None:
                yield _entry(what, at, refund_id=str(row.id), amount=_money(booking, row.amount_minor))
