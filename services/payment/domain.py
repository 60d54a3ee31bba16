"""The heart of payment: what a payment may become, and what is done next about it. Its refunds: payment.refund_states.

Two sources move a payment. Booking says what should become of it (`Wish`), the provider what has become of it (`Fact`). A fact is only
ever read from the provider's own object; what was asked for and not answered is `unknown` and stays so until there is proof.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class IllegalTransition(Exception):
    """A trigger that the status does not allow: two things that cannot both be true."""

    def __init__(self, status: StrEnum, trigger: StrEnum) -> None:
        super().__init__(f"{trigger} is impossible while {status}")


class Status(StrEnum):
    """What has become of a payment."""

    CREATED = "created"
    REQUIRES_PAYMENT_METHOD = "requires_payment_method"
    REQUIRES_ACTION = "requires_action"
    PROCESSING = "processing"
    AUTHORIZED = "authorized"
    CAPTURING = "capturing"
    SUCCEEDED = "succeeded"
    VOIDED = "voided"
    FAILED = "failed"
    UNKNOWN = "unknown"
    IN_REVIEW = "in_review"


class Fact(StrEnum):
    """What the provider's object says about a payment, in words of ours."""

    METHOD_NEEDED = "method_needed"
    ACTION_NEEDED = "action_needed"
    PROCESSING = "processing"
    AUTHORIZED = "authorized"
    CAPTURED = "captured"
    CANCELED = "canceled"
    UNRECOGNISED = "unrecognised"


class Wish(StrEnum):
    """What booking wants: that the buyer can pay, that an authorized amount is captured, or that the payment is let go."""

    COLLECT = "collect"
    CAPTURE = "capture"
    RELEASE = "release"


class Release(StrEnum):
    """Why a payment is let go."""

    SEATS_UNAVAILABLE = "seats_unavailable"
    BOOKING_EXPIRED = "booking_expired"
    BOOKING_CANCELLED = "booking_cancelled"
    TOO_MANY_DECLINES = "too_many_declines"
    REVIEW_REJECTED = "review_rejected"


class Trigger(StrEnum):
    """What moves a payment from one status to another."""

    METHOD_NEEDED = "method_needed"
    ACTION_NEEDED = "action_needed"
    PROCESSING = "processing"
    AUTHORIZED = "authorized"
    CAPTURED = "captured"
    RELEASED = "released"  # canceled at the provider, since booking let go
    CANCELED = "canceled"  # canceled at the provider for another reason
    LET_GO = "let_go"  # booking let go, and nothing exists at the provider
    CAPTURE_STARTED = "capture_started"
    CAPTURE_REFUSED = "capture_refused"
    REFUSED = "refused"  # the provider does not take this amount
    ABSENT = "absent"  # proved: what was asked for does not exist
    UNANSWERED = "unanswered"
    DOUBTED = "doubted"  # the provider's object is not the one that we asked for
    HELD = "held"  # a rule wants a person to look at it before booking hears of it
    CLEARED = "cleared"  # a person lets a held payment go on
    ACCEPTED = "accepted"  # a person accepts what was doubted: the provider is asked anew
    REJECTED = "rejected"  # a person does not want the money, or booking needs it no more


_STALE = (Trigger.METHOD_NEEDED, Trigger.ACTION_NEEDED, Trigger.PROCESSING)
"""Facts that come before an authorization: read late, they change nothing after it."""

_OPEN = {
    Trigger.METHOD_NEEDED: Status.REQUIRES_PAYMENT_METHOD,
    Trigger.ACTION_NEEDED: Status.REQUIRES_ACTION,
    Trigger.PROCESSING: Status.PROCESSING,
    Trigger.AUTHORIZED: Status.AUTHORIZED,
    Trigger.CAPTURED: Status.SUCCEEDED,
    Trigger.RELEASED: Status.VOIDED,
    Trigger.CANCELED: Status.FAILED,
    Trigger.UNANSWERED: Status.UNKNOWN,
    Trigger.DOUBTED: Status.IN_REVIEW,
}
_WITHOUT_INTENT = {Trigger.LET_GO: Status.VOIDED, Trigger.REFUSED: Status.FAILED, Trigger.ABSENT: Status.CREATED}
_LATE = (*_STALE, Trigger.AUTHORIZED, Trigger.CAPTURE_REFUSED, Trigger.UNANSWERED, Trigger.DOUBTED)
"""What may still be heard of a final payment; of the facts only the opposite of its end is impossible."""


def _stays(status: Status, *triggers: Trigger) -> dict[Trigger, Status]:
    return dict.fromkeys(triggers, status)


_ROWS: Mapping[Status, Mapping[Trigger, Status]] = {
    Status.CREATED: _OPEN | _WITHOUT_INTENT,
    Status.REQUIRES_PAYMENT_METHOD: _OPEN,
    Status.REQUIRES_ACTION: _OPEN,
    Status.PROCESSING: _OPEN,
    Status.UNKNOWN: _OPEN
    | _WITHOUT_INTENT
    | {Trigger.CAPTURE_STARTED: Status.CAPTURING, Trigger.CAPTURE_REFUSED: Status.AUTHORIZED},
    Status.AUTHORIZED: _OPEN
    | _stays(Status.AUTHORIZED, *_STALE, Trigger.CAPTURE_REFUSED)
    | {Trigger.CAPTURE_STARTED: Status.CAPTURING, Trigger.HELD: Status.IN_REVIEW},
    Status.CAPTURING: _OPEN
    | _stays(Status.CAPTURING, *_STALE, Trigger.AUTHORIZED, Trigger.CAPTURE_STARTED)
    | {Trigger.CAPTURE_REFUSED: Status.AUTHORIZED},
    Status.SUCCEEDED: _stays(Status.SUCCEEDED, *_LATE, Trigger.CAPTURED),
    Status.VOIDED: _stays(Status.VOIDED, *_LATE, Trigger.RELEASED, Trigger.CANCELED),
    Status.FAILED: _stays(Status.FAILED, *_LATE, Trigger.RELEASED, Trigger.CANCELED),
    # A person decides: whatever is heard meanwhile is asked for again afterwards.
    Status.IN_REVIEW: _stays(Status.IN_REVIEW, *Trigger)
    | {Trigger.CLEARED: Status.AUTHORIZED, Trigger.ACCEPTED: Status.UNKNOWN, Trigger.REJECTED: Status.UNKNOWN},
}
TRANSITIONS: Mapping[tuple[Status, Trigger], Status] = MappingProxyType(
    {(status, trigger): target for status, row in _ROWS.items() for trigger, target in row.items()}
)
FINAL = frozenset({Status.SUCCEEDED, Status.VOIDED, Status.FAILED})
AT_REST = FINAL | {Status.IN_REVIEW}
"""Nothing is done about these any more, or not before a person has decided."""
CONFIRMABLE = frozenset(
    {Status.CREATED, Status.REQUIRES_PAYMENT_METHOD, Status.REQUIRES_ACTION, Status.PROCESSING, Status.UNKNOWN}
)
"""The buyer may be at work on these."""

DECLINES_MAX = 5
OF_BOOKING = frozenset({Release.SEATS_UNAVAILABLE, Release.BOOKING_EXPIRED, Release.BOOKING_CANCELLED})
"""Reasons that booking gave: it needs no word that the payment is over."""
YIELDING = frozenset({Release.BOOKING_EXPIRED, Release.TOO_MANY_DECLINES})
"""Reasons that an authorization overtakes: booking is asked once more whether there are seats."""


def next_status(status: Status, trigger: Trigger) -> Status:
    """Raises IllegalTransition for a pair that TRANSITIONS does not have."""
    try:
        return TRANSITIONS[status, trigger]
    except KeyError:
        raise IllegalTransition(status, trigger) from None


def meaning(fact: Fact, release: Release | None, *, was_authorized: bool) -> Trigger:
    """What a fact triggers. Of an intent that was authorized before, an earlier fact was read late and tells no more than that."""
    match fact:
        case Fact.UNRECOGNISED:
            return Trigger.UNANSWERED
        case Fact.CANCELED:
            return Trigger.RELEASED if release in OF_BOOKING else Trigger.CANCELED
        case Fact.METHOD_NEEDED | Fact.ACTION_NEEDED | Fact.PROCESSING if was_authorized:
            return Trigger.AUTHORIZED
        case _:
            return Trigger(fact.value)


class Step(StrEnum):
    """What is done next about a payment."""

    REST = "rest"
    LET_GO = "let_go"  # close it here: nothing exists at the provider
    FIND = "find"  # ask for the intent by our id: its creation was never answered
    ASK = "ask"  # ask for the intent
    CAPTURE = "capture"
    CANCEL = "cancel"


def next_step(status: Status, wish: Wish, *, has_intent: bool, may_exist: bool) -> Step:
    """`may_exist`: an intent was asked for, and no answer is recorded."""
    if status in AT_REST:
        return Step.REST
    if not has_intent:
        if may_exist:
            return Step.FIND
        return Step.LET_GO if wish is Wish.RELEASE else Step.REST
    if wish is Wish.RELEASE:
        return Step.CANCEL
    if wish is Wish.CAPTURE and status in {Status.AUTHORIZED, Status.CAPTURING, Status.UNKNOWN}:
        return Step.CAPTURE
    return Step.ASK
