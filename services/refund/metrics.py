"""What refund counts. Labels take values from the sets that its domain and contracts name."""

from __future__ import annotations

from chassis import metrics
from prometheus_client import Counter, Gauge, Histogram

REFUNDS = Counter(
    "refunds_total",
    "Refunds by the status they reached and their reason.",
    ["status", "reason"],
    registry=metrics.REGISTRY,
)
REQUESTED = Counter(
    "refunds_requested_total",
    "Decisions about money that goes back, by their reason and what they rest on.",
    ["reason", "ground"],
    registry=metrics.REGISTRY,
)
AMOUNT_MINOR = Counter(
    "refund_amount_minor_total",
    "Minor units by the status that the refund reached.",
    ["status", "currency"],
    registry=metrics.REGISTRY,
)
OVERPAID = Counter(
    "refunds_overpaid_total",
    "Refunds that staff had settled by hand and that the provider then paid as well: ask the buyer for one of them.",
    registry=metrics.REGISTRY,
)
UNFINISHED = Gauge(
    "refunds_unfinished", "Refunds that have no outcome, by status.", ["status"], registry=metrics.REGISTRY
)
OLDEST_SECONDS = Gauge(
    "refund_oldest_unfinished_seconds",
    "Age of the oldest refund in this status, since it was decided on. For failed: without a payout to the buyer.",
    ["status"],
    registry=metrics.REGISTRY,
)
ACCEPTED_SECONDS = Histogram(
    "refund_accepted_seconds",
    "From the request's arrival to the provider's acceptance.",
    buckets=(1, 2, 5, 10, 30, 60, 300, 900, 3600, 6 * 3600, 12 * 3600, 24 * 3600, 48 * 3600, 7 * 86400, 30 * 86400),
    registry=metrics.REGISTRY,
)
