"""What `boxoffice watch` shows. Labels take values from small fixed sets: checks, steps, names of certificates and keys."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

REGISTRY = CollectorRegistry()

STEPS = ("book", "pay", "confirm", "cancel", "refund")
OUTCOMES = ("passed", "failed")

DIFFERENCES = Gauge(
    "verify_differences", "What the last verify found to differ, by check.", ["check"], registry=REGISTRY
)
VERIFY_EXIT = Gauge(
    "verify_exit_code",
    "How the last verify ended: 0 no difference, 1 some, 2 something could not be read, 3 not everything was compared.",
    registry=REGISTRY,
)
VERIFIED_AT = Gauge(
    "verify_last_timestamp_seconds", "When a verify last compared everything that it should.", registry=REGISTRY
)
VERIFY_SECONDS = Gauge("verify_seconds", "How long the last one took.", registry=REGISTRY)
VERIFY_EVERY_S = Gauge("verify_interval_seconds", "How often it is run; 0 for never.", registry=REGISTRY)
CANARY_RUNS = Counter("canary_runs_total", "Test purchases by how they ended.", ["outcome"], registry=REGISTRY)
CANARY_FAILED_AT = Counter("canary_failures_total", "Failed ones by the step that failed.", ["step"], registry=REGISTRY)
CANARY_SECONDS = Histogram(
    "canary_step_seconds",
    "How long a step of a test purchase took.",
    ["step"],
    buckets=(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0),
    registry=REGISTRY,
)
CANARY_PASSED_AT = Gauge(
    "canary_last_passed_timestamp_seconds", "When one last went through to its refund.", registry=REGISTRY
)
CANARY_EVERY_S = Gauge("canary_interval_seconds", "How often one is made; 0 for never.", registry=REGISTRY)
GATEWAY_ANSWERS = Gauge(
    "gateway_answers",
    "1 where the gateway answered when it was last asked, 0 where not; none where its address is not known.",
    ["address"],
    registry=REGISTRY,
)
ENDS_AT = Gauge("expiry_timestamp_seconds", "When a certificate or a key ends.", ["kind", "name"], registry=REGISTRY)
CERTIFICATE_ERRORS = Gauge(
    "expiry_certificate_unreadable", "1 where the certificate could not be looked at.", ["name"], registry=REGISTRY
)

for _outcome in OUTCOMES:
    CANARY_RUNS.labels(_outcome)
for _step in STEPS:
    CANARY_FAILED_AT.labels(_step)
    CANARY_SECONDS.labels(_step)  # rules take its purchases off those of buyers
