"""What payment counts beside the chassis."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from chassis.db import Transaction
from chassis.metrics import REGISTRY
from contracts.money import EXPONENTS, Money
from prometheus_client import Counter, Gauge, Histogram

from payment.dispute_states import DisputeStatus
from payment.domain import Status
from payment.gateways import DeclineKind

PROVIDER_CALLS = Counter(
    "provider_calls_total",
    "Calls to the payment provider by outcome: answered, refused, unanswered or notrun.",
    ["operation", "outcome"],
    registry=REGISTRY,
)
PROVIDER_SECONDS = Histogram(
    "provider_call_seconds",
    "Time until the provider answered.",
    ["operation"],
    buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
    registry=REGISTRY,
)
WEBHOOKS = Counter(
    "provider_webhooks_total",
    "Webhooks by what became of them: accepted, duplicate, known, ignored, foreign, or why they were refused.",
    ["outcome"],
    registry=REGISTRY,
)
LAST_WEBHOOK = Gauge(
    "provider_webhook_timestamp_seconds",
    "When the last genuine webhook came; 0 before the first that this process got.",
    registry=REGISTRY,
)
LAST_CAPTURE = Gauge(
    "payment_captured_timestamp_seconds",
    "When a payment was last captured, of which the provider then tells by webhook; 0 before the first.",
    registry=REGISTRY,
)
PAYMENTS = Counter("payments_total", "Payments that came to a status.", ["status"], registry=REGISTRY)
REFUNDS = Counter("payment_refunds_total", "Refunds that came to a status.", ["status"], registry=REGISTRY)
CHECKOUTS = Counter(
    "payment_checkouts_total",
    "Checkouts that ended: paid, declined, blocked (by fraud rules), seats_gone, refused (no such amount), abandoned (no card entered).",
    ["outcome"],
    registry=REGISTRY,
)
DECLINES = Counter(
    "payment_declines_total",
    "Confirmations that were declined, by who said no: issuer, authentication, blocked (by fraud rules) or provider.",
    ["by"],
    registry=REGISTRY,
)
CAPTURED_MINOR = Histogram(
    "payment_captured_minor",
    "Amounts that were captured, in minor units.",
    ["currency"],
    buckets=(1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000),
    registry=REGISTRY,
)
LARGE_CAPTURES = Counter(
    "payment_large_captures_total",
    "Captures that are large for a booking of events, in whatever currency: see LARGE_MINOR.",
    ["currency"],
    registry=REGISTRY,
)
LARGE_MINOR: Mapping[str, int] = MappingProxyType(
    {
        "EUR": 500_000, "USD": 550_000, "GBP": 430_000, "CHF": 480_000, "SEK": 5_700_000, "NOK": 5_900_000, "DKK": 3_700_000,
        "PLN": 2_150_000, "CZK": 12_500_000, "HUF": 80_000_000, "JPY": 800_000, "AUD": 850_000, "CAD": 750_000,
        "NZD": 930_000, "SGD": 720_000, "INR": 45_000_000, "ISK": 72_000_000, "UGX": 80_000_000,
    }
)  # fmt: skip
"""About 5,000 euros, in minor units; rough, since it only tells the usual from the rare. In HUF and UGX no payment can be as
large (LARGEST_AMOUNT_MINOR): there it is four fifths of what can be."""
CARD_DECLINES = Gauge(
    "payment_card_declines_most",
    "How often the one card was declined within the last hour that was declined most. Which one it is stands in the log.",
    registry=REGISTRY,
)
OPEN = Gauge(
    "payment_open",
    "Payments, refunds and disputes whose outcome is open, by status.",
    ["what", "status"],
    registry=REGISTRY,
)
OPEN_OLDEST_SECONDS = Gauge(
    "payment_open_oldest_seconds", "Age of the one that has been so for longest.", ["what", "status"], registry=REGISTRY
)
STUCK_MONEY = Gauge(
    "payment_stuck_clearing", "Payments whose money has been in flight for more than ten minutes.", registry=REGISTRY
)
FAILED_REFUNDS = Gauge(
    "payment_rejected_refunds_failed",
    "Refunds of what was captured of a payment that a review rejected, which failed and are sent anew each day.",
    registry=REGISTRY,
)
DISPUTE_DUE_SECONDS = Gauge(
    "payment_dispute_due_seconds",
    "Time that is left to answer the dispute that must be answered first; endless when none is open.",
    registry=REGISTRY,
)
DISPUTES = Counter("payment_disputes_total", "Disputes that came to a status.", ["status"], registry=REGISTRY)
DISPUTES_OPENED = Counter(
    "payment_disputes_opened_total",
    "Disputes that took, or would have taken, money; an inquiry counts once it has become one.",
    registry=REGISTRY,
)
OVERPAYMENTS = Counter(
    "payment_overpayments_total",
    "Money that buyers got twice: settled_and_sent, settled_beyond_captured or refund_and_dispute.",
    ["how"],
    registry=REGISTRY,
)
BALANCE = Gauge(
    "provider_balance_available_minor",
    "What the provider had available for refunds when it was last asked, in minor units.",
    ["currency"],
    registry=REGISTRY,
)
DOUBLE_RETURNS = Gauge(
    "payment_double_returns",
    "Payments whose buyer has more than was captured by refunds and disputes.",
    registry=REGISTRY,
)
REVIEWS = Counter(
    "payment_reviews_total",
    "Reviews of payments by kind (held by a rule, or doubted) that were opened, approved or rejected.",
    ["kind", "status"],
    registry=REGISTRY,
)
QUARANTINED = Counter(
    "payments_quarantined_total",
    "Payments whose object at the provider is not what was asked for.",
    ["reason"],
    registry=REGISTRY,
)


for _currency in EXPONENTS:
    CAPTURED_MINOR.labels(_currency)
    LARGE_CAPTURES.labels(_currency)
# Prometheus sees no increase in a series that begins at 1: what an alert counts is there from the start.
for _kind in DeclineKind:
    DECLINES.labels(_kind)
for _refused in ("signature", "stale", "future", "malformed", "livemode", "accepted"):
    WEBHOOKS.labels(_refused)
for _dispute in DisputeStatus:
    DISPUTES.labels(_dispute)
for _how in ("settled_and_sent", "settled_beyond_captured", "refund_and_dispute"):
    OVERPAYMENTS.labels(_how)
for _status in Status:
    PAYMENTS.labels(_status)
for _outcome in ("paid", "declined", "blocked", "seats_gone", "refused", "abandoned"):
    CHECKOUTS.labels(_outcome)


def checkout_ended(tx: Transaction, outcome: str) -> None:
    """Counts a checkout by how it ended, once that is committed."""
    tx.after_commit(CHECKOUTS.labels(outcome).inc)


def captured(tx: Transaction, amount: Money) -> None:
    """Notes an amount that was captured, once that is committed."""
    tx.after_commit(lambda: CAPTURED_MINOR.labels(amount.currency).observe(amount.amount_minor))
    if amount.amount_minor >= LARGE_MINOR[amount.currency]:
        tx.after_commit(LARGE_CAPTURES.labels(amount.currency).inc)
    tx.after_commit(lambda: LAST_CAPTURE.set(tx.now.timestamp()))
