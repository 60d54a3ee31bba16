"""What booking counts beside what every service counts."""

from __future__ import annotations

from chassis.db import Transaction
from chassis.metrics import REGISTRY
from prometheus_client import Counter

from booking.domain import Refusal, Status

BOOKINGS = Counter("bookings_total", "Bookings by the state that they came into.", ["status"], registry=REGISTRY)
PAYMENTS_WITHOUT_SEATS = Counter(
    "payments_without_seats_total",
    "Payments that found no seats and go back, by reason.",
    ["reason"],
    registry=REGISTRY,
)


def reached(tx: Transaction, status: Status) -> None:
    """Counts a booking that came into `status`, once that is committed."""
    tx.after_commit(BOOKINGS.labels(status).inc)


def refused(tx: Transaction, reason: Refusal) -> None:
    """Counts a payment without seats, once its refusal is committed."""
    tx.after_commit(PAYMENTS_WITHOUT_SEATS.labels(reason).inc)
