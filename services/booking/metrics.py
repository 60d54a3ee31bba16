"""What booking counts beside what every service counts."""

from __future__ import annotations

from datetime import datetime

from chassis import tracing
from chassis.db import Transaction
from chassis.metrics import REGISTRY
from prometheus_client import Counter, Histogram

from booking.domain import Refusal, Status

BOOKINGS = Counter("bookings_total", "Bookings by the state that they came into.", ["status"], registry=REGISTRY)
PAYMENTS_WITHOUT_SEATS = Counter(
    "payments_without_seats_total",
    "Payments that found no seats and go back, by reason.",
    ["reason"],
    registry=REGISTRY,
)
CONFIRM_SECONDS = Histogram(
    "booking_confirm_seconds",
    "From the buyer's confirmation at the provider, after whatever the bank asked, until the booking is confirmed.",
    buckets=(0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 30.0, 60.0, 300.0, 1800.0),
    registry=REGISTRY,
)

for _status in Status:
    BOOKINGS.labels(_status)


def reached(tx: Transaction, status: Status) -> None:
    """Counts a booking that came into `status`, once that is committed."""
    tx.after_commit(BOOKINGS.labels(status).inc)


def refused(tx: Transaction, reason: Refusal) -> None:
    """Counts a payment without seats, once its refusal is committed."""
    tx.after_commit(PAYMENTS_WITHOUT_SEATS.labels(reason).inc)


def confirmed(tx: Transaction, buyer_confirmed_at: datetime | None) -> None:
    """Times a confirmation, once it is committed. The provider's clock is not ours: what it puts into our future took no time."""
    if buyer_confirmed_at is not None:
        waited_s = max(0.0, (tx.now - buyer_confirmed_at).total_seconds())
        tx.after_commit(lambda: CONFIRM_SECONDS.observe(waited_s, tracing.exemplar()))
