"""S1 to S3: seats against a recount of the bookings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta

from booking.domain import Status

from ops.verify.records import Dossier, Seats, Terms
from ops.verify.report import Difference, Kind

HOLD_GRACE = timedelta(seconds=60)
SEATED_UNPAID = timedelta(minutes=15)
"""How long an authorized payment may take to be captured before its seats count as stuck."""

RECOUNT = "stop sales of the event and write the recount into ticket_types, with booking stopped"


def not_oversold(types: Iterable[Seats]) -> Iterator[Difference]:
    """S1."""
    for row in types:
        taken = max(row.counted_held + row.counted_sold, row.held + row.sold)
        if taken > row.capacity:
            yield Difference(
                "S1",
                Kind.OVERSOLD,
                f"ticket_type/{row.id}",
                f"at most {row.capacity} seats taken",
                f"{taken}, event/{row.event_id}",
                "stop sales of the event; cancel the latest bookings and refund them",
            )


def recounted(types: Iterable[Seats]) -> Iterator[Difference]:
    """S2, and of S3 that no booking which is over holds a seat."""
    for row in types:
        for name, stored, counted in (("held", row.held, row.counted_held), ("sold", row.sold, row.counted_sold)):
            if stored != counted:
                subject = f"ticket_type/{row.id}/{name}"
                yield Difference("S2", Kind.STATE, subject, f"{counted}, by the bookings", str(stored), RECOUNT)


def hold_in_time(dossier: Dossier, terms: Terms) -> Iterator[Difference]:
    """S3: an unpaid hold ends; an authorized payment is captured or let go."""
    booking = dossier.booking
    if booking is None:
        return
    limits = {Status.PENDING_PAYMENT: HOLD_GRACE, Status.PAYMENT_AUTHORIZED: SEATED_UNPAID}
    limit = limits.get(Status(booking.status))
    if limit is not None and terms.now > booking.hold_expires_at + limit:
        yield Difference(
            "S3",
            Kind.STUCK,
            dossier.name,
            f"over by {booking.hold_expires_at + limit:%Y-%m-%d %H:%M:%S %Z}",
            booking.status,
            "see whether booking's sweeps run, and payment's",
            booking.hold_expires_at,
        )
