"""Which service consumes which event. The broker's topology, the inboxes' completeness check and docs/events.md come from this table."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from contracts import booking, payment, refund
from contracts.event import Event

PUBLISHERS = ("booking", "payment", "refund", "notification")

CONSUMERS: Mapping[type[Event], tuple[str, ...]] = MappingProxyType(
    {
        booking.BookingPlaced: ("payment", "refund", "notification"),
        booking.SeatsSecured: ("payment",),
        booking.SeatsUnavailable: ("payment", "refund"),
        booking.BookingConfirmed: ("refund", "notification"),
        booking.BookingExpired: ("payment", "notification"),
        booking.BookingCancelled: ("payment", "refund", "notification"),
        booking.TicketsCancelled: ("refund", "notification"),
        booking.EventRescheduled: ("refund", "notification"),
        booking.EventCancelled: ("refund",),
        payment.PaymentAuthorized: ("booking",),
        payment.PaymentSucceeded: ("booking", "refund"),
        payment.PaymentAttemptFailed: ("notification",),
        payment.PaymentFailed: ("booking", "notification"),
        payment.PaymentHeldForReview: ("notification",),
        payment.PaymentVoided: ("notification",),
        payment.PaymentRefunded: ("refund",),
        payment.PaymentRefundFailed: ("refund",),
        payment.PaymentRefundRejected: ("refund",),
        payment.PaymentRefundPending: ("refund",),
        payment.PaymentRefundBlocked: ("refund",),
        payment.PaymentRefundedOutside: ("refund",),
        payment.DisputeOpened: ("refund", "notification"),
        payment.DisputeClosed: ("refund", "notification"),
        payment.BalanceRead: ("refund",),
        refund.RefundApproved: ("payment",),
        refund.RefundCompleted: ("booking", "notification"),
        refund.RefundFailed: ("booking", "notification"),
        refund.RefundDeclined: ("booking", "notification"),
        refund.RefundAwaitingApproval: ("notification",),
        refund.RefundSettledManually: ("payment", "booking", "notification"),
        refund.RefundCampaignStarted: ("notification",),
        refund.RefundCampaignFinished: ("notification",),
    }
)

EVENTS: Mapping[str, type[Event]] = MappingProxyType({event.type: event for event in CONSUMERS})


def consumed_by(service: str) -> tuple[type[Event], ...]:
    """The events that `service` consumes."""
    return tuple(event for event, consumers in CONSUMERS.items() if service in consumers)


def queue_name(service: str, event: type[Event]) -> str:
    """`payment.booking-placed` for payment consuming `booking.placed.v1`: consumer first, then publisher and what happened.

    The version of the shape is part of it from v2 on, so that both can be consumed side by side.
    """
    publisher, happened, version = event.type.split(".")
    suffix = "" if version == "v1" else f"-{version}"
    return f"{service}.{publisher}-{happened}{suffix}"
