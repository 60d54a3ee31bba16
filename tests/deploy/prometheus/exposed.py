"""What can be asked for: every metric that a part of Boxoffice exposes, with its labels, taken from the registries themselves."""

from __future__ import annotations

import importlib
import sys
from functools import cache

from chassis.metrics import REGISTRY
from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from ops.watch import metrics as watch

SERVICES = ("booking", "payment", "refund", "notification")
ADDED = frozenset({"job", "instance", "service", "le"})
"""Labels that Prometheus, or a histogram, adds."""
BROKER = {
    f"rabbitmq_detailed_queue_{what}": frozenset({"vhost", "queue"})
    for what in ("messages_ready", "messages_unacked", "messages", "consumers")
}
"""What the broker's endpoint has; the test of the running stack asks it."""
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum"), "gauge": ("",)}


@cache
def metrics() -> dict[str, frozenset[str]]:
    """Labels by the name of each series."""
    for service in SERVICES:
        importlib.import_module(f"{service}.app")
    found = dict(BROKER)
    found["up"] = frozenset()
    for registry in (REGISTRY, watch.REGISTRY):
        for collector in registry._collector_to_names:
            if isinstance(collector, MetricWrapperBase):
                labels = frozenset(collector._labelnames)
                found |= {collector._name + suffix: labels for suffix in SUFFIXES[collector._type]}
            else:
                found |= {sample.name: frozenset() for family in collector.collect() for sample in family.samples}
    return found


@cache
def exposers() -> dict[str, frozenset[str]]:
    """By the name of each series, who has it: services, `watch` or `rabbitmq`. Whoever asks one of them for it finds it."""
    known = metrics()
    own = {
        id(value): service
        for name, module in list(sys.modules.items())
        if (service := name.partition(".")[0]) in SERVICES
        for value in vars(module).values()
        if isinstance(value, MetricWrapperBase)
    }
    found = dict.fromkeys(known, frozenset(SERVICES)) | dict.fromkeys(BROKER, frozenset({"rabbitmq"}))
    for registry in (REGISTRY, watch.REGISTRY):
        for collector in registry._collector_to_names:
            if isinstance(collector, MetricWrapperBase):
                who = "watch" if registry is watch.REGISTRY else own.get(id(collector))
                if who is not None:
                    found |= {collector._name + suffix: frozenset({who}) for suffix in SUFFIXES[collector._type]}
    return found


@cache
def samples() -> dict[str, list[dict[str, str]]]:
    """Labels of each series that is there before anything has happened, by name."""
    metrics()
    found: dict[str, list[dict[str, str]]] = {}
    for registry in (REGISTRY, watch.REGISTRY):
        for name, labels in _series(registry):
            found.setdefault(name, []).append(labels)
    return found


def _series(registry: CollectorRegistry) -> list[tuple[str, dict[str, str]]]:
    return [(sample.name, sample.labels) for family in registry.collect() for sample in family.samples]
