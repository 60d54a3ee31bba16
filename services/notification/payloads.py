"""What a CRM is told of an event: ids, amounts and states. No name, no address, no ticket code leaves the house this way."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple
from uuid import UUID

from contracts.booking import (
    BookingCancelled,
    BookingConfirmed,
    BookingExpired,
    BookingPlaced,
    EventRescheduled,
    TicketsCancelled,
)
from contracts.event import Event
from contracts.payment import (
    DisputeClosed,
    DisputeOpened,
    PaymentAttemptFailed,
    PaymentFailed,
    PaymentHeldForReview,
    PaymentVoided,
)
from contracts.refund import (
    RefundAwaitingApproval,
    RefundCampaignFinished,
    RefundCampaignStarted,
    RefundCompleted,
    RefundDeclined,
    RefundFailed,
    RefundSettledManually,
)

AboutBooking = (
    BookingPlaced
    | BookingConfirmed
    | TicketsCancelled
    | BookingExpired
    | BookingCancelled
    | PaymentAttemptFailed
    | PaymentFailed
    | PaymentHeldForReview
    | PaymentVoided
    | DisputeOpened
    | DisputeClosed
    | RefundAwaitingApproval
    | RefundCompleted
    | RefundFailed
    | RefundSettledManually
    | RefundDeclined
)
AboutEvent = EventRescheduled | RefundCampaignStarted | RefundCampaignFinished
Announced = AboutBooking | AboutEvent
"""Every event that CRM systems can hear of: about one booking, or about an event that may have many."""


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
        TicketsCancelled: Told("confirmed", frozenset({"by", "received_at", "line_ids", "remaining_line_ids"})),
        EventRescheduled: Told("moved", frozenset({"previous_starts_at", "full_refund_until"})),
        PaymentAttemptFailed: Told("requires_payment_method", frozenset({"payment_id", "attempts_left"})),
        PaymentFailed: Told("failed", frozenset({"payment_id", "reason", "rejected_in_review"})),
        PaymentHeldForReview: Told("in_review", frozenset({"payment_id", "amount", "kind", "reasons"})),
        PaymentVoided: Told("voided", frozenset({"payment_id", "amount", "was_authorized", "reason"})),
        DisputeOpened: Told("disputed", frozenset({"payment_id", "dispute_id", "amount", "reason", "respond_by"})),
        DisputeClosed: Told("closed", frozenset({"payment_id", "dispute_id", "amount", "outcome"})),
        RefundAwaitingApproval: Told("awaiting_approval", frozenset({"refund_id", "payment_id", "amount", "reason"})),
        RefundCompleted: Told("succeeded", frozenset({"refund_id", "payment_id", "amount", "reason"})),
        RefundFailed: Told("failed", frozenset({"refund_id", "payment_id", "amount", "had_succeeded"})),
        RefundSettledManually: Told("settled_manually", frozenset({"refund_id", "payment_id", "amount", "reason"})),
        RefundDeclined: Told("declined", frozenset({"refund_id", "rule"})),
        RefundCampaignStarted: Told("started", frozenset({"bookings", "totals"})),
        RefundCampaignFinished: Told("finished", frozenset({"refunded", "failed", "totals"})),
    }
)


def type_of(event: type[Event]) -> str:
    """`payment.attempt_failed` for PaymentAttemptFailed: the name that CRM systems subscribe to."""
    return event.type.rpartition(".")[0].replace("-", "_")


def cause(event: Announced) -> str:
    """What a mail names as the transition that it is about: the aggregate and its version."""
    return f"{event.publisher}/{event.subject}/{event.version}"


TYPES = frozenset(type_of(event) for event in TOLD)


def webhook_id(event: Announced) -> str:
    """The same for every call, every endpoint and every redelivery of an event, so that a receiver can tell that it had it."""
    return webhook_id_of(type(event), event.subject, event.version)


def webhook_id_of(event: type[Event], subject: UUID, version: int) -> str:
    """By the event's type, its aggregate's id and version. A campaign has the id of an event whose moves booking numbers."""
    campaign = "campaign_" if issubclass(event, RefundCampaignStarted | RefundCampaignFinished) else ""
    return f"evt_{campaign}{subject.hex}_{version}"


def payload(event: Announced) -> str:
    """The webhook's body: {type, timestamp, data}. `data.version` lets a receiver put the events of one object in order."""
    told = TOLD[type(event)]
    subject = "event_id" if isinstance(event, AboutEvent) else "booking_id"
    data = event.model_dump(mode="json", include={subject, *told.fields})
    if isinstance(event, BookingPlaced | BookingConfirmed):
        data["event_id"] = str(event.event.event_id)
    if isinstance(event, BookingPlaced):
        data["seats"] = len(event.lines)
    if isinstance(event, EventRescheduled):
        data |= event.event.model_dump(mode="json", include={"starts_at", "ends_at", "timezone"})
    data |= {"status": told.status, "version": event.version}
    timestamp = event.model_dump(mode="json", include={"occurred_at"})["occurred_at"]
    return json.dumps({"type": type_of(type(event)), "timestamp": timestamp, "data": data}, separators=(",", ":"))
