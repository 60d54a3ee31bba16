"""What a CRM is told of an event: ids, amounts and states. No name, no address, no ticket code leaves the house this way."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from contracts.booking import BookingCancelled, BookingConfirmed, BookingExpired, BookingPlaced
from contracts.event import Event
from contracts.payment import PaymentAttemptFailed, PaymentVoided
from contracts.refund import RefundCompleted, RefundDeclined, RefundFailed

Announced = (
    BookingPlaced
    | BookingConfirmed
    | BookingExpired
    | BookingCancelled
    | PaymentAttemptFailed
    | PaymentVoided
    | RefundCompleted
    | RefundFailed
    | RefundDeclined
)
"""Every event that CRM systems can hear of; each is about one booking."""


class Told(NamedTuple):
    """The status that an event brings about, and its fields that are passed on beside its ids."""

    status: str
    fields: frozenset[str]


TOLD: Mapping[type[Event], Told] = MappingProxyType(
    {
        BookingPlaced: Told("pending_payment", frozenset({"total", "hold_expires_at"})),
        BookingConfirmed: Told("confirmed", frozenset({"payment_id", "total"})),
        BookingExpired: Told("expired", frozenset()),
        BookingCancelled: Told("cancelled", frozenset({"by", "was", "received_at"})),
        PaymentAttemptFailed: Told("requires_payment_method", frozenset({"payment_id", "attempts_left"})),
        PaymentVoided: Told("voided", frozenset({"payment_id", "amount", "was_authorized", "reason"})),
        RefundCompleted: Told("succeeded", frozenset({"refund_id", "payment_id", "amount", "reason"})),
        RefundFailed: Told("failed", frozenset({"refund_id", "payment_id", "amount"})),
        RefundDeclined: Told("declined", frozenset({"refund_id", "rule"})),
    }
)


def type_of(event: type[Event]) -> str:
    """`payment.attempt_failed` for PaymentAttemptFailed: the name that CRM systems subscribe to."""
    return event.type.rpartition(".")[0].replace("-", "_")


TYPES = frozenset(type_of(event) for event in TOLD)


def webhook_id(event: Announced) -> str:
    """The same for every call, every endpoint and every redelivery of an event, so that a receiver can tell that it had it."""
    return f"evt_{event.subject.hex}_{event.version}"


def payload(event: Announced) -> str:
    """The webhook's body: {type, timestamp, data}. `data.version` lets a receiver put the events of one object in order."""
    told = TOLD[type(event)]
    data = event.model_dump(mode="json", include={"booking_id", *told.fields})
    if isinstance(event, BookingPlaced | BookingConfirmed):
        data["event_id"] = str(event.event.event_id)
    if isinstance(event, BookingPlaced):
        data["seats"] = len(event.lines)
    data |= {"status": told.status, "version": event.version}
    timestamp = event.model_dump(mode="json", include={"occurred_at"})["occurred_at"]
    return json.dumps({"type": type_of(type(event)), "timestamp": timestamp, "data": data}, separators=(",", ":"))
