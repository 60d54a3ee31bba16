"""What a refund may become, and how much of what was paid goes back. The rules that it stands on: refund.policy, refund.shares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from chassis.errors import Conflict

from refund.policy import CutOff, Policy, cut_offs, local, percent_of
from refund.shares import Line, Share, allocate, part_of, shares_of, unit_of


class Status(StrEnum):
    """Where a refund stands."""

    REQUESTED = "requested"
    AWAITING_APPROVAL = "awaiting_approval"
    APPROVED = "approved"
    SUBMITTED = "submitted"
    PENDING = "pending"
    UNKNOWN = "unknown"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    DECLINED = "declined"
    BLOCKED_BY_DISPUTE = "blocked_by_dispute"
    SETTLED_MANUALLY = "settled_manually"


class Trigger(StrEnum):
    """What moves a refund on."""

    ASK_SECOND_PERSON = "ask_second_person"
    APPROVE = "approve"
    DECLINE = "decline"
    DISPUTE_OPENED = "dispute_opened"
    DISPUTE_WON = "dispute_won"
    SUBMIT = "submit"
    PROVIDER_WAITS = "provider_waits"
    NO_ANSWER = "no_answer"
    REFUNDED = "refunded"
    REFUND_FAILED = "refund_failed"
    REJECTED = "rejected"
    SETTLE_MANUALLY = "settle_manually"


_S, _T = Status, Trigger
_UNDECIDED = (_S.REQUESTED, _S.AWAITING_APPROVAL)
_ON_ITS_WAY = (_S.APPROVED, _S.SUBMITTED, _S.PENDING, _S.UNKNOWN)

TRANSITIONS: Mapping[tuple[Status, Trigger], Status] = MappingProxyType(
    {
        (_S.REQUESTED, _T.ASK_SECOND_PERSON): _S.AWAITING_APPROVAL,
        **{(status, _T.APPROVE): _S.APPROVED for status in _UNDECIDED},
        **{(status, _T.DECLINE): _S.DECLINED for status in _UNDECIDED},
        **{(status, _T.DISPUTE_OPENED): _S.BLOCKED_BY_DISPUTE for status in (*_UNDECIDED, _S.APPROVED)},
        (_S.BLOCKED_BY_DISPUTE, _T.DISPUTE_WON): _S.APPROVED,
        (_S.APPROVED, _T.SUBMIT): _S.SUBMITTED,
        **{(status, _T.PROVIDER_WAITS): _S.PENDING for status in (_S.APPROVED, _S.SUBMITTED, _S.UNKNOWN)},
        **{(status, _T.NO_ANSWER): _S.UNKNOWN for status in (_S.APPROVED, _S.SUBMITTED, _S.PENDING)},
        **{(status, _T.REFUNDED): _S.SUCCEEDED for status in _ON_ITS_WAY},
        # A bank may return the money up to 30 days after the provider had accepted the refund.
        **{(status, _T.REFUND_FAILED): _S.FAILED for status in (*_ON_ITS_WAY, _S.SUCCEEDED)},
        (_S.APPROVED, _T.REJECTED): _S.FAILED,
        (_S.FAILED, _T.APPROVE): _S.APPROVED,
        **{(status, _T.SETTLE_MANUALLY): _S.SETTLED_MANUALLY for status in (_S.FAILED, _S.BLOCKED_BY_DISPUTE)},
    }
)

GIVES_NOTHING = frozenset({Status.FAILED, Status.DECLINED})
"""In any other status a refund has its amount of the booking's money: paid back, or promised."""

PAID_BACK = frozenset({Status.SUCCEEDED, Status.SETTLED_MANUALLY})


class IllegalTransition(Conflict):
    """The refund's status does not allow it."""

    def __init__(self, status: Status, trigger: Trigger) -> None:
        super().__init__(f"A refund that is {status} cannot take {trigger}.", state=status)


def next_status(status: Status, trigger: Trigger) -> Status:
    """The status after `trigger`. Raises IllegalTransition for a pair that TRANSITIONS does not hold."""
    try:
        return TRANSITIONS[status, trigger]
    except KeyError:
        raise IllegalTransition(status, trigger) from None


class Ground(StrEnum):
    """What a decision rests on: the booking's policy, or a case in which all that is left goes back."""

    POLICY = "policy"
    EVENT_CANCELLED = "event_cancelled"
    NEVER_CONFIRMED = "never_confirmed"
    SEATS_UNAVAILABLE = "seats_unavailable"
    STAFF = "staff"


EVERYTHING_BACK: Mapping[Ground, str] = MappingProxyType(
    {
        Ground.EVENT_CANCELLED: "The event was cancelled: everything is refunded.",
        Ground.NEVER_CONFIRMED: "The booking was cancelled before it was confirmed: everything is refunded.",
        Ground.SEATS_UNAVAILABLE: "No seats were free for the payment: everything is refunded.",
        Ground.STAFF: "Staff decided to refund all that was left.",
    }
)
NOTHING_LEFT = "Everything that was paid has been refunded already."


def ground_of_cancellation(by: str, was: str) -> Ground:
    """Why a cancelled booking is refunded; `by` and `was` as BookingCancelled states them."""
    if by == "event":
        return Ground.EVENT_CANCELLED
    return Ground.POLICY if was == "confirmed" else Ground.NEVER_CONFIRMED


@dataclass(frozen=True, slots=True)
class Case:
    """All that a decision rests on. `remaining_minor`: of `paid_minor`, what is neither paid back nor promised."""

    ground: Ground
    currency: str
    paid_minor: int
    remaining_minor: int
    lines: tuple[Line, ...]
    policy: Policy
    starts_at: datetime
    timezone: str
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Decision:
    """An amount and its trace: from `case` alone, `decide` makes the same decision again."""

    case: Case
    amount_minor: int
    percent: int
    fee_minor: int
    rule: str
    received_local: str
    starts_local: str
    cut_offs: tuple[CutOff, ...]
    lines: tuple[Share, ...]


def decide(case: Case) -> Decision:
    """What goes back: by the policy half up per line less the flat fee, else all that is left; never more than is left."""
    by_policy = case.ground is Ground.POLICY
    percent, rule = (
        percent_of(case.policy, case.starts_at, case.received_at) if by_policy else (100, EVERYTHING_BACK[case.ground])
    )
    unit = unit_of(case.currency)
    parts = [min(part_of(line.gross_minor, percent, unit), line.left_minor) for line in case.lines]
    fee_minor = min(case.policy.fee_minor // unit * unit, sum(parts)) if by_policy else 0
    amount_minor = min(sum(parts) - fee_minor, case.remaining_minor)
    return Decision(
        case=case,
        amount_minor=amount_minor,
        percent=percent,
        fee_minor=fee_minor,
        rule=rule if case.remaining_minor else NOTHING_LEFT,
        received_local=local(case.received_at, case.timezone),
        starts_local=local(case.starts_at, case.timezone),
        cut_offs=cut_offs(case.policy, case.starts_at, case.timezone),
        lines=shares_of(case.lines, percent, parts, allocate(amount_minor, parts, unit), case.currency),
    )
