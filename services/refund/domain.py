"""What a refund may become, and how much of what was paid goes back. The rules that it stands on: refund.policy, refund.shares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from uuid import UUID

from chassis.errors import Conflict

from refund.policy import CutOff, Moved, Policy, cut_offs, deciding_start, local, percent_of
from refund.shares import Line, Share, allocate, part_of, shares_of, unit_of


class Status(StrEnum):
    """Where a refund stands."""

    REQUESTED = "requested"
    AWAITING_APPROVAL = "awaiting_approval"
    APPROVED = "approved"
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
    IMPORT = "import"
    DISPUTED = "disputed"
    DISPUTE_WON = "dispute_won"
    PROVIDER_WAITS = "provider_waits"
    NO_ANSWER = "no_answer"
    REFUNDED = "refunded"
    REFUND_FAILED = "refund_failed"
    REJECTED = "rejected"
    SETTLE_MANUALLY = "settle_manually"


_S, _T = Status, Trigger
_UNDECIDED = (_S.REQUESTED, _S.AWAITING_APPROVAL)
_AT_WORK = (_S.APPROVED, _S.PENDING, _S.UNKNOWN)
# What was blocked goes on as soon as the dispute is won, and its outcome may overtake that news.
_ON_ITS_WAY = (*_AT_WORK, _S.BLOCKED_BY_DISPUTE)

TRANSITIONS: Mapping[tuple[Status, Trigger], Status] = MappingProxyType(
    {
        (_S.REQUESTED, _T.ASK_SECOND_PERSON): _S.AWAITING_APPROVAL,
        (_S.REQUESTED, _T.IMPORT): _S.SUCCEEDED,
        # A refund that failed may be approved once more: it is the same refund, with a new attempt.
        **{(status, _T.APPROVE): _S.APPROVED for status in (*_UNDECIDED, _S.FAILED)},
        **{(status, _T.DECLINE): _S.DECLINED for status in _UNDECIDED},
        **{(status, _T.DISPUTED): _S.BLOCKED_BY_DISPUTE for status in _ON_ITS_WAY},
        (_S.BLOCKED_BY_DISPUTE, _T.DISPUTE_WON): _S.APPROVED,
        **{(status, _T.PROVIDER_WAITS): _S.PENDING for status in _ON_ITS_WAY},
        **{(status, _T.NO_ANSWER): _S.UNKNOWN for status in _ON_ITS_WAY},
        **{(status, _T.REFUNDED): _S.SUCCEEDED for status in _ON_ITS_WAY},
        # A bank may return the money up to 30 days after the provider had accepted the refund.
        **{(status, _T.REFUND_FAILED): _S.FAILED for status in (*_ON_ITS_WAY, _S.SUCCEEDED)},
        **{(status, _T.REJECTED): _S.FAILED for status in _ON_ITS_WAY},
        **{(status, _T.SETTLE_MANUALLY): _S.SETTLED_MANUALLY for status in (_S.FAILED, _S.BLOCKED_BY_DISPUTE)},
    }
)

GIVES_NOTHING = frozenset({Status.FAILED, Status.DECLINED})
"""In any other status a refund has its amount of the booking's money: paid back, or promised."""

PAID_BACK = frozenset({Status.SUCCEEDED, Status.SETTLED_MANUALLY})
UNFINISHED = frozenset(Status) - GIVES_NOTHING - PAID_BACK


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
    """What a decision rests on."""

    POLICY = "policy"
    TICKETS = "tickets"
    EVENT_CANCELLED = "event_cancelled"
    NEVER_CONFIRMED = "never_confirmed"
    SEATS_UNAVAILABLE = "seats_unavailable"
    STAFF = "staff"
    OUTSIDE = "outside"


BY_POLICY = frozenset({Ground.POLICY, Ground.TICKETS})
"""The booking's policy decides: on the end of the booking, or on tickets that were given back before it."""

ENDS_BOOKING = frozenset({Ground.POLICY, Ground.EVENT_CANCELLED, Ground.NEVER_CONFIRMED, Ground.SEATS_UNAVAILABLE})
"""Of these a booking has one decision at most."""

FOR_CANCELLATION = frozenset({"customer_cancelled", "staff_cancelled"})
"""With these reasons staff give what the policy would: it does not give that once more. What they give for others comes on top."""

RULES: Mapping[Ground, str] = MappingProxyType(
    {
        Ground.EVENT_CANCELLED: "The event was cancelled: everything is refunded.",
        Ground.NEVER_CONFIRMED: "The booking was cancelled before it was confirmed: everything is refunded.",
        Ground.SEATS_UNAVAILABLE: "No seats were free for the payment: everything is refunded.",
        Ground.STAFF: "Staff decided to refund all that was left.",
        Ground.OUTSIDE: "The refund was made at the payment provider.",
    }
)
"""Outside the policy all that is left goes back, unless an amount was asked for."""
AS_ASKED = "Staff decided on this amount."
NOTHING_LEFT = "Everything that was paid has been refunded already."
GIVEN_BEFORE = "What the policy gives for this has been refunded already."
KEPT_BY_POLICY, NOT_ASKED_FOR = "the flat fee or what is no longer left", "what was not asked for"


def ground_of_cancellation(by: str, was: str) -> Ground:
    """Why a cancelled booking is refunded; `by` and `was` as BookingCancelled states them."""
    if by == "event":
        return Ground.EVENT_CANCELLED
    return Ground.POLICY if was == "confirmed" else Ground.NEVER_CONFIRMED


def is_for_cancellation(ground: Ground, *, is_cancelled: bool) -> bool:
    """Whether booking tells of the cancellation that a refund follows from: of tickets, or of the booking, where that is known.

    Of a cancelled event's bookings one that had expired is refunded without: a payment that came late finds no seats.
    """
    return ground is Ground.TICKETS or (is_cancelled and ground in ENDS_BOOKING - {Ground.SEATS_UNAVAILABLE})


@dataclass(frozen=True, slots=True)
class Case:
    """All that a decision rests on.

    `remaining_minor`: of `paid_minor`, what is neither paid back nor promised. `line_ids`: the tickets that it is about, all where it is
    None. `asked_minor`: an amount that staff ask for or that was made outside; `asked_lines`: the same for each ticket.
    `fee_kept_minor`: of the flat fee, what earlier decisions about tickets have kept.
    """

    ground: Ground
    currency: str
    paid_minor: int
    remaining_minor: int
    lines: tuple[Line, ...]
    policy: Policy
    starts_at: datetime
    timezone: str
    received_at: datetime
    moved: Moved | None = None
    line_ids: tuple[UUID, ...] | None = None
    asked_minor: int | None = None
    asked_lines: tuple[int, ...] | None = None
    fee_kept_minor: int = 0

    @property
    def chosen(self) -> tuple[Line, ...]:
        """The tickets that it is about. `asked_lines` are in their order."""
        return tuple(line for line in self.lines if self.line_ids is None or line.line_id in self.line_ids)

    @property
    def prepaid_minor(self) -> int:
        """What staff gave for a cancellation of these tickets before it came."""
        return sum(line.prepaid_minor for line in self.chosen)


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


@dataclass(frozen=True, slots=True)
class _Terms:
    percent: int
    rule: str
    fee_minor: int = 0
    less: str = KEPT_BY_POLICY


def decide(case: Case) -> Decision:
    """What goes back: by the policy half up per line less what staff gave and the flat fee, else what was asked for or all that is left.

    Never more than is left, but for what was made outside, which is as it is.
    """
    terms, lines, unit = _terms(case), case.chosen, unit_of(case.currency)
    wholes = [part_of(line.gross_minor, terms.percent, unit) for line in lines]
    parts = [
        max(0, min(whole - line.prepaid_minor, line.left_minor)) for whole, line in zip(wholes, lines, strict=True)
    ]
    asked = parts if case.asked_lines is None else list(case.asked_lines)
    # Staff may have given more for one ticket than the policy does: that counts for the others.
    due_minor = max(0, min(sum(asked), sum(wholes) - case.prepaid_minor))
    fee_minor = min(terms.fee_minor // unit * unit, due_minor)
    amount_minor = due_minor - fee_minor if case.asked_minor is None else case.asked_minor
    if case.ground is Ground.OUTSIDE:
        amounts = allocate(min(amount_minor, sum(parts)), parts)
    else:
        amount_minor = min(amount_minor, case.remaining_minor)
        amounts = allocate(amount_minor, asked, unit)
    return Decision(
        case=case,
        amount_minor=amount_minor,
        percent=terms.percent,
        fee_minor=fee_minor,
        rule=_rule(case, terms, amount_minor, sum(wholes)),
        received_local=local(case.received_at, case.timezone),
        starts_local=local(case.starts_at, case.timezone),
        cut_offs=cut_offs(case.policy, deciding_start(case.starts_at, case.moved), case.timezone),
        lines=shares_of(lines, parts, amounts, percent=terms.percent, currency=case.currency, less=terms.less),
    )


def _rule(case: Case, terms: _Terms, amount_minor: int, whole_minor: int) -> str:
    if amount_minor:
        return terms.rule
    if not case.remaining_minor:
        return NOTHING_LEFT
    return GIVEN_BEFORE if whole_minor and case.prepaid_minor else terms.rule


def _terms(case: Case) -> _Terms:
    if case.ground not in BY_POLICY:
        by_amount = case.asked_minor is not None or case.asked_lines is not None
        rule = AS_ASKED if case.ground is Ground.STAFF and by_amount else RULES[case.ground]
        return _Terms(100, rule, less=NOT_ASKED_FOR if by_amount else KEPT_BY_POLICY)
    if case.moved and case.moved.full_refund_until and case.received_at <= case.moved.full_refund_until:
        until = local(case.moved.full_refund_until, case.timezone)
        return _Terms(100, f"The event was changed: until {until} everything is refunded.")
    starts_at = deciding_start(case.starts_at, case.moved)
    percent, rule = percent_of(case.policy, starts_at, case.received_at)
    if starts_at != case.starts_at:
        rule += " The hours count to the new start, which is better for the buyer."
    return _Terms(percent, rule, max(0, case.policy.fee_minor - case.fee_kept_minor))
