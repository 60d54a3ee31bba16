"""Q1 to Q5: every event is published, consumed once by each that should, without gaps; nothing else was consumed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import timedelta
from uuid import UUID

from contracts.catalogue import CONSUMERS, EVENTS, queue_name
from contracts.event import Event

from ops.verify.reading import Consumption
from ops.verify.records import Dossier, QueueState, Terms, Told
from ops.verify.report import Difference, Kind

PUBLISHING = timedelta(seconds=60)
CONSUMING = timedelta(minutes=15)
"""Longer than all delays between retries."""

REPUBLISH = "boxoffice republish: whoever had it ignores it"

QUEUES: dict[str, frozenset[str]] = {
    event.type: frozenset(queue_name(service, event) for service in services) for event, services in CONSUMERS.items()
}
"""By type of event, the queues that must have it."""

BOOKING_TOLD_TO_MAILS = frozenset(
    event.type for event, services in CONSUMERS.items() if event.publisher == "booking" and "notification" in services
)


def published(row: Consumption, terms: Terms) -> Iterator[Difference]:
    """Q1."""
    for event in row.events:
        if event.published_at is None and terms.due(event.occurred_at, PUBLISHING):
            yield Difference(
                "Q1",
                Kind.STUCK,
                f"event/{event.id}",
                "published",
                f"waits in the outbox of {event.service}, {event.type}",
                f"see whether the relay of {event.service} runs and reaches the broker",
                event.occurred_at,
            )


def consumed(row: Consumption, terms: Terms) -> Iterator[Difference]:
    """Q2 and Q3."""
    if not row.events:
        for consumer in row.consumers:
            yield Difference(
                "Q3",
                Kind.UNKNOWN_EVENT,
                f"{consumer}/{row.event_id}",
                "an outbox that has it",
                "none",
                "look who may write to the publisher's exchange; see what the handler did",
            )
        return
    event = row.events[0]
    if len(row.events) > 1:
        services = ", ".join(each.service for each in row.events)
        yield Difference(
            "Q3", Kind.DUPLICATE, f"event/{row.event_id}", "one outbox", services, "keep both; open a case"
        )
    had = Counter(row.consumers)
    for queue in sorted(QUEUES.get(event.type, frozenset())):
        if queue in row.discarded:
            continue
        if not had.pop(queue, 0) and terms.due(event.occurred_at, CONSUMING):
            yield Difference(
                "Q2",
                Kind.UNCONSUMED,
                f"{queue}/{event.id}",
                f"{event.type} of {event.subject} consumed",
                "never",
                f"boxoffice parked list; else {REPUBLISH}",
                event.occurred_at,
            )
    for queue in had:
        yield Difference(
            "Q3",
            Kind.UNKNOWN_EVENT,
            f"{queue}/{event.id}",
            f"only {event.type}'s consumers",
            queue,
            "look how the queue is bound; see what the handler did",
        )


def discarded(row: Consumption) -> Iterator[str]:
    """No difference, as a person decided it and the audit says why. What it leaves apart is, in the checks that compare effects."""
    what = f"{row.events[0].type} of {row.events[0].subject}" if row.events else "no event of ours"
    return (f"{queue}/{row.event_id}: {what}" for queue in row.discarded)


def unknown_type(row: Consumption, _terms: Terms) -> Iterator[Difference]:
    """Q4, its first half: what is published is in the contracts, by its own publisher."""
    for event in row.events:
        known = EVENTS.get(event.type)
        if known is None or known.publisher != event.service:
            yield Difference(
                "Q4",
                Kind.UNKNOWN_EVENT,
                f"event/{event.id}",
                "a type of the contracts",
                event.type,
                "update this command",
            )


def versions(dossier: Dossier, terms: Terms) -> Iterator[Difference]:
    """Q4: 1, 2, 3 … without gaps up to what the row says, and what others have applied is not beyond it."""
    booking, payment = dossier.booking, dossier.payment
    if booking is not None:
        yield from _gapless("booking", booking.id, booking.version, booking.told, terms)
    if payment is not None:
        yield from _gapless("payment", payment.id, payment.version, payment.told, terms)
    for refund in dossier.refunds:
        yield from _gapless("refund", refund.id, refund.version, refund.told, terms)
    if booking is not None and payment is not None:
        expected = _last(payment.told, {event.type for event in CONSUMERS if "booking" in CONSUMERS[event]})
        yield from _applied("booking", payment.id, booking.payment_version, expected, terms)
    if booking is not None and dossier.mail_booking is not None:
        expected = _last(booking.told, BOOKING_TOLD_TO_MAILS)
        yield from _applied("notification", booking.id, dossier.mail_booking.version, expected, terms)


def _gapless(publisher: str, subject: UUID, version: int, told: Iterable[Told], terms: Terms) -> Iterator[Difference]:
    found = [event.version for event in told]
    if not found and subject < terms.kept_since:
        return
    first = found[0] if found and subject < terms.kept_since else 1
    if found != list(range(first, version + 1)):
        yield Difference(
            "Q4",
            Kind.VERSION_GAP,
            f"{publisher}/{subject}",
            f"versions {first} to {version}",
            str(found),
            "open a case: an event was lost or slipped in",
        )


def _last(told: Iterable[Told], types: Iterable[str]) -> int:
    wanted = frozenset(types)
    return max((event.version for event in told if event.type in wanted), default=0)


def _applied(service: str, subject: UUID, applied: int, expected: int, terms: Terms) -> Iterator[Difference]:
    if applied > expected and subject >= terms.kept_since:
        found = f"version {applied} applied in {service}"
        yield Difference("Q4", Kind.VERSION_GAP, f"{service}/{subject}", f"at most {expected}", found, "open a case")
    elif applied < expected and terms.settled:
        found = f"version {applied} applied in {service}"
        yield Difference("Q4", Kind.UNCONSUMED, f"{service}/{subject}", f"version {expected}", found, REPUBLISH)


def queues(states: Iterable[QueueState], wanted: Iterable[type[Event]], terms: Terms) -> Iterator[Difference]:
    """Q5: live, only what is parked; settled, nothing anywhere. And every queue that the contracts ask for is there."""
    found = {state.name: state for state in states}
    for event in wanted:
        for name in QUEUES[event.type]:
            if name not in found:
                yield Difference("Q5", Kind.MISSING_LOCAL, f"queue/{name}", "declared", "missing", "boxoffice migrate")
    for state in found.values():
        waiting = state.ready + state.unacknowledged
        if state.name.endswith(".parked"):
            if waiting:
                yield Difference(
                    "Q5",
                    Kind.UNCONSUMED,
                    f"queue/{state.name}",
                    "nothing parked",
                    f"{waiting}",
                    "boxoffice parked list",
                )
        elif waiting and terms.settled:
            count = f"{state.ready} ready, {state.unacknowledged} unacknowledged"
            yield Difference("Q5", Kind.STUCK, f"queue/{state.name}", "empty", count, "see the consumer's log")
        if state.arguments.get("x-queue-type") != "quorum":
            kind = str(state.arguments.get("x-queue-type", "classic"))
            yield Difference(
                "X5", Kind.SETTINGS, f"queue/{state.name}", "quorum", kind, "delete it empty; boxoffice migrate"
            )


BY_EVENT = {"Q1": published, "Q2": consumed, "Q4": unknown_type}
