"""The heart of notification: which mails there are, what may happen to a mail and to a webhook, when each is tried again, and until when
money goes back.

Pure: no clock, no database, no network. Instants are aware datetimes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

from chassis.errors import Conflict


class Template(StrEnum):
    """The mails. A plain lapse of an unpaid hold gets none: nobody was charged, and whoever walked away is not written to.

    Those from STAFF_REFUND_FAILED on go to the organiser's staff, all others to the buyer.
    """

    CONFIRMATION = "confirmation"
    TICKETS_CANCELLED = "tickets_cancelled"
    EVENT_MOVED = "event_moved"
    BOOKING_CANCELLED = "booking_cancelled"
    HOLD_EXPIRED = "hold_expired"
    PAYMENT_VOIDED = "payment_voided"
    PAYMENT_REJECTED = "payment_rejected"
    REFUND_SENT = "refund_sent"
    REFUND_FAILED = "refund_failed"
    REFUND_SETTLED = "refund_settled"
    NOTHING_TO_REFUND = "nothing_to_refund"
    SURVEY_EVENT = "survey_event"
    SURVEY_REFUND = "survey_refund"
    STAFF_REFUND_FAILED = "staff_refund_failed"
    STAFF_APPROVAL = "staff_approval"
    STAFF_PAYMENT_REVIEW = "staff_payment_review"
    STAFF_DISPUTE_OPENED = "staff_dispute_opened"
    STAFF_DISPUTE_CLOSED = "staff_dispute_closed"
    STAFF_CAMPAIGN_STARTED = "staff_campaign_started"
    STAFF_CAMPAIGN_FINISHED = "staff_campaign_finished"

    @property
    def for_staff(self) -> bool:
        """Whether staff are written to, and not the buyer."""
        return self.value.startswith("staff_")


class MessageStatus(StrEnum):
    """Where a mail stands. All but `queued` are final; staff may send a new mail from any."""

    QUEUED = "queued"
    SENT = "sent"
    BOUNCED = "bounced"
    FAILED = "failed"
    SUPPRESSED = "suppressed"


class MessageTrigger(StrEnum):
    """What can come of an attempt to send a mail."""

    ACCEPTED = "accepted by the mail server"
    REFUSED = "refused for good"
    DEFERRED = "not accepted now"
    GIVEN_UP = "not accepted in time"
    UNFIT = "cannot be written"
    ERASED = "recipient erased"
    OVERTAKEN = "overtaken by a cancellation"
    NOBODY = "no staff address is set"


class DeliveryStatus(StrEnum):
    """Where a webhook stands."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


class DeliveryTrigger(StrEnum):
    """What can come of a call to a CRM, or be asked by staff."""

    ACKNOWLEDGED = "acknowledged"
    REJECTED = "not acknowledged"
    GIVEN_UP = "not acknowledged in time"
    ENDPOINT_GONE = "endpoint gone"
    REDELIVERY = "redelivery"


class EndpointStatus(StrEnum):
    """Whether an endpoint is called."""

    ACTIVE = "active"
    DISABLED = "disabled"


class IllegalTransition(Conflict):
    """What was asked cannot happen in the current state."""

    def __init__(self, status: StrEnum, trigger: StrEnum) -> None:
        super().__init__(f"It is {status.value}; {trigger.value} cannot happen then.", state=status.value)


MESSAGES: Mapping[tuple[MessageStatus, MessageTrigger], MessageStatus] = MappingProxyType(
    {
        (MessageStatus.QUEUED, MessageTrigger.ACCEPTED): MessageStatus.SENT,
        (MessageStatus.QUEUED, MessageTrigger.REFUSED): MessageStatus.BOUNCED,
        (MessageStatus.QUEUED, MessageTrigger.DEFERRED): MessageStatus.QUEUED,
        (MessageStatus.QUEUED, MessageTrigger.GIVEN_UP): MessageStatus.FAILED,
        (MessageStatus.QUEUED, MessageTrigger.UNFIT): MessageStatus.FAILED,
        (MessageStatus.QUEUED, MessageTrigger.ERASED): MessageStatus.SUPPRESSED,
        (MessageStatus.QUEUED, MessageTrigger.OVERTAKEN): MessageStatus.SUPPRESSED,
        (MessageStatus.QUEUED, MessageTrigger.NOBODY): MessageStatus.SUPPRESSED,
    }
)

DELIVERIES: Mapping[tuple[DeliveryStatus, DeliveryTrigger], DeliveryStatus] = MappingProxyType(
    {
        (DeliveryStatus.PENDING, DeliveryTrigger.ACKNOWLEDGED): DeliveryStatus.DELIVERED,
        (DeliveryStatus.PENDING, DeliveryTrigger.REJECTED): DeliveryStatus.PENDING,
        (DeliveryStatus.PENDING, DeliveryTrigger.GIVEN_UP): DeliveryStatus.FAILED,
        (DeliveryStatus.PENDING, DeliveryTrigger.ENDPOINT_GONE): DeliveryStatus.FAILED,
        (DeliveryStatus.DELIVERED, DeliveryTrigger.REDELIVERY): DeliveryStatus.PENDING,
        (DeliveryStatus.FAILED, DeliveryTrigger.REDELIVERY): DeliveryStatus.PENDING,
    }
)


def after(status: MessageStatus, trigger: MessageTrigger) -> MessageStatus:
    """The mail's status after `trigger`. Raises IllegalTransition for a pair that MESSAGES does not have."""
    try:
        return MESSAGES[status, trigger]
    except KeyError:
        raise IllegalTransition(status, trigger) from None


def delivery_after(status: DeliveryStatus, trigger: DeliveryTrigger) -> DeliveryStatus:
    """The webhook's status after `trigger`. Raises IllegalTransition for a pair that DELIVERIES does not have."""
    try:
        return DELIVERIES[status, trigger]
    except KeyError:
        raise IllegalTransition(status, trigger) from None


MAIL_DELAYS = tuple(
    timedelta(seconds=s) for s in (5, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 43200)
)
"""Waits between attempts to hand a mail over, 27 hours in all: a mail server that is down over night loses nothing."""

WEBHOOK_DELAYS = tuple(timedelta(seconds=s) for s in (5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400))
"""Waits between calls, the schedule that the Standard Webhooks specification proposes; three days in all."""

LONGEST_RETRY_AFTER = timedelta(hours=24)

SECOND_LOOK = timedelta(minutes=1)
"""Longer than any transaction: a booking whose confirmation was being written when its event moved is seen by then."""


def next_look_at(moved_at: datetime, now: datetime, *, more: bool) -> datetime | None:
    """When to look again for bookings of a moved event that have not been written to; None when all have. `more`: some are left."""
    if more:
        return now
    second = moved_at + SECOND_LOOK
    return second if now < second else None


def next_mail_at(attempts: int, now: datetime) -> datetime | None:
    """When to try again after `attempts` attempts, the last of them at `now`; None when it is given up."""
    return now + MAIL_DELAYS[attempts - 1] if attempts <= len(MAIL_DELAYS) else None


def next_webhook_at(attempts: int, now: datetime, retry_after: timedelta | None = None) -> datetime | None:
    """When to call again after `attempts` calls, never before the receiver's own Retry-After; None when it is given up."""
    if attempts > len(WEBHOOK_DELAYS):
        return None
    return now + max(WEBHOOK_DELAYS[attempts - 1], min(retry_after or timedelta(0), LONGEST_RETRY_AFTER))


class Tier(NamedTuple):
    """`percent` of the price is refunded when the cancellation is received at least `hours_before` the start."""

    hours_before: int
    percent: int


class CutOff(NamedTuple):
    """The last instant at which a cancellation still gets `percent` back. The boundary belongs to the customer."""

    until: datetime
    percent: int


def cut_offs(tiers: Iterable[Tier], starts_at: datetime) -> list[CutOff]:
    """The instants at which a refund gets smaller, earliest first. Hours are elapsed time, whatever the clocks on the wall do."""
    return sorted(
        CutOff(starts_at - timedelta(hours=tier.hours_before), tier.percent) for tier in tiers if tier.percent
    )


def percent_back(tiers: Iterable[Tier], starts_at: datetime, received_at: datetime) -> int:
    """What the policy gives for a cancellation received at an instant."""
    return next((cut.percent for cut in cut_offs(tiers, starts_at) if received_at <= cut.until), 0)
