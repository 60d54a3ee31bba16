"""The heart: every status with every trigger, every wish with every state, and what time changes."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from payment import schedule
from payment.dispute_states import CLOSED, DisputeStatus
from payment.disputes import verdict
from payment.domain import (
    AT_REST,
    CONFIRMABLE,
    TRANSITIONS,
    Fact,
    IllegalTransition,
    Release,
    Status,
    Step,
    Trigger,
    Wish,
    meaning,
    next_status,
    next_step,
)
from payment.refund_states import (
    IN_RESERVE,
    REFUND_TRANSITIONS,
    RefundStatus,
    RefundTrigger,
    Waiting,
    next_refund_status,
)

S, T = Status, Trigger

FORWARD = {
    S.CREATED: "RPM RA PR AU SU VO FA VO - - FA CR UN RE - - - -",
    S.REQUIRES_PAYMENT_METHOD: "RPM RA PR AU SU VO FA - - - - - UN RE - - - -",
    S.REQUIRES_ACTION: "RPM RA PR AU SU VO FA - - - - - UN RE - - - -",
    S.PROCESSING: "RPM RA PR AU SU VO FA - - - - - UN RE - - - -",
    S.AUTHORIZED: "AU AU AU AU SU VO FA - CA AU - - UN RE RE - - -",
    S.CAPTURING: "CA CA CA CA SU VO FA - CA AU - - UN RE - - - -",
    S.SUCCEEDED: "SU SU SU SU SU - - - - SU - - SU SU - - - -",
    S.VOIDED: "VO VO VO VO - VO VO - - VO - - VO VO - - - -",
    S.FAILED: "FA FA FA FA - FA FA - - FA - - FA FA - - - -",
    S.UNKNOWN: "RPM RA PR AU SU VO FA VO CA AU FA CR UN RE - - - -",
    S.IN_REVIEW: "RE RE RE RE RE RE RE RE RE RE RE RE RE RE RE AU UN UN",
}
"""One row a status; the columns are the triggers in the order of their class, and `-` is what cannot be."""

SHORT = {
    "CR": S.CREATED,
    "RPM": S.REQUIRES_PAYMENT_METHOD,
    "RA": S.REQUIRES_ACTION,
    "PR": S.PROCESSING,
    "AU": S.AUTHORIZED,
    "CA": S.CAPTURING,
    "SU": S.SUCCEEDED,
    "VO": S.VOIDED,
    "FA": S.FAILED,
    "UN": S.UNKNOWN,
    "RE": S.IN_REVIEW,
}
PRODUCT = [
    (status, trigger, cell)
    for status, row in FORWARD.items()
    for trigger, cell in zip(Trigger, row.split(), strict=True)
]


def test_the_table_of_the_tests_covers_every_status() -> None:
    assert set(FORWARD) == set(Status)
    assert len(PRODUCT) == len(Status) * len(Trigger)


@pytest.mark.parametrize(("status", "trigger", "cell"), PRODUCT, ids=str)
def test_every_status_with_every_trigger(status: Status, trigger: Trigger, cell: str) -> None:
    """A pair either leads where the table of this test says, or raises."""
    if cell == "-":
        with pytest.raises(IllegalTransition, match=f"{trigger} is impossible while {status}"):
            next_status(status, trigger)
        assert (status, trigger) not in TRANSITIONS
    else:
        assert next_status(status, trigger) is SHORT[cell]


@given(st.lists(st.sampled_from(Trigger), max_size=30))
def test_captured_money_is_never_forgotten(triggers: list[Trigger]) -> None:
    """Whatever is heard in whatever order, what has succeeded stays so, and what was let go never succeeds."""
    status = S.CREATED
    for trigger in triggers:
        before = status
        try:
            status = next_status(status, trigger)
        except IllegalTransition:
            continue
        if before in {S.SUCCEEDED, S.VOIDED, S.FAILED}:
            assert status is before
        if before is S.IN_REVIEW and trigger not in {T.CLEARED, T.ACCEPTED, T.REJECTED}:
            assert status is before, "only a person decides"


@pytest.mark.parametrize("fact", Fact)
@pytest.mark.parametrize("release", [None, *Release])
@pytest.mark.parametrize("was_authorized", [False, True])
def test_what_a_fact_means(fact: Fact, release: Release | None, was_authorized: bool) -> None:  # noqa: FBT001  # a parameter of the product
    found = meaning(fact, release, was_authorized=was_authorized)
    if fact is Fact.UNRECOGNISED:
        assert found is T.UNANSWERED
    elif fact is Fact.CANCELED:
        let_go = release in {Release.SEATS_UNAVAILABLE, Release.BOOKING_EXPIRED, Release.BOOKING_CANCELLED}
        assert found is (T.RELEASED if let_go else T.CANCELED)
    elif fact in {Fact.METHOD_NEEDED, Fact.ACTION_NEEDED, Fact.PROCESSING}:
        assert found.value == ("authorized" if was_authorized else fact.value)
    else:
        assert found.value == fact.value


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("wish", Wish)
@pytest.mark.parametrize("has_intent", [False, True])
@pytest.mark.parametrize("may_exist", [False, True])
def test_next_step_of_every_state(status: Status, wish: Wish, has_intent: bool, may_exist: bool) -> None:  # noqa: FBT001  # parameters of the product
    """Nothing is sent about what is at rest; nothing is closed here while an intent may exist there."""
    step = next_step(status, wish, has_intent=has_intent, may_exist=may_exist)
    if status in AT_REST:
        expected = Step.REST
    elif not has_intent and may_exist:
        expected = Step.FIND
    elif not has_intent:
        expected = Step.LET_GO if wish is Wish.RELEASE else Step.REST
    elif wish is Wish.RELEASE:
        expected = Step.CANCEL
    elif wish is Wish.CAPTURE and status in {S.AUTHORIZED, S.CAPTURING, S.UNKNOWN}:
        expected = Step.CAPTURE
    else:
        expected = Step.ASK
    assert step is expected


REFUND_TABLE = {
    RefundStatus.SUBMITTED: "PE SU FA UN PE -- BL -- -- SE",
    RefundStatus.PENDING: "PE SU FA UN PE -- BL -- -- SE",
    RefundStatus.UNKNOWN: "PE SU FA UN PE -- BL -- -- SE",
    RefundStatus.BLOCKED: "PE SU BL BL BL -- BL SB FA SE",
    RefundStatus.SUCCEEDED: "SU SU FA SU -- -- -- -- -- OV",
    RefundStatus.FAILED: "FA FA FA FA FA SB FA -- FA SE",
    RefundStatus.SETTLED: "SE OV SE SE SE -- SE -- -- SE",
    RefundStatus.OVERPAID: "OV OV SE OV OV -- OV -- -- OV",
}
"""One row a status; the columns are the triggers in the order of their class, and `--` is what cannot be."""
REFUND_SHORT = {
    "SB": RefundStatus.SUBMITTED,
    "PE": RefundStatus.PENDING,
    "UN": RefundStatus.UNKNOWN,
    "SU": RefundStatus.SUCCEEDED,
    "FA": RefundStatus.FAILED,
    "BL": RefundStatus.BLOCKED,
    "SE": RefundStatus.SETTLED,
    "OV": RefundStatus.OVERPAID,
}


@pytest.mark.parametrize("status", RefundStatus)
@pytest.mark.parametrize("trigger", RefundTrigger)
def test_every_refund_status_with_every_trigger(status: RefundStatus, trigger: RefundTrigger) -> None:
    """A refund may fail after it has succeeded; no other way leads back."""
    cell = dict(zip(RefundTrigger, REFUND_TABLE[status].split(), strict=True))[trigger]
    if cell == "--":
        with pytest.raises(IllegalTransition):
            next_refund_status(status, trigger)
        assert (status, trigger) not in REFUND_TRANSITIONS
    else:
        assert next_refund_status(status, trigger) is REFUND_SHORT[cell]


def test_unknown_is_asked_about_ever_more_rarely_and_never_given_up() -> None:
    waits = [schedule.next_check(S.UNKNOWN, checks, hold_is_over=False) for checks in range(9)]
    assert waits == [timedelta(seconds=s) for s in (2, 10, 60, 300, 1800, 21600, 86400, 86400, 86400)]


@given(st.sampled_from(sorted(CONFIRMABLE - {S.UNKNOWN})), st.integers(min_value=0, max_value=200))
def test_while_a_buyer_may_pay_the_provider_is_asked_within_half_a_minute(status: Status, checks: int) -> None:
    """So every payment settles within a minute of the buyer's confirmation, webhooks or not."""
    wait = schedule.next_check(status, checks, hold_is_over=False)
    assert wait is not None
    assert wait <= timedelta(seconds=30)


@pytest.mark.parametrize("status", Status)
def test_after_the_hold_the_provider_is_asked_more_rarely(status: Status) -> None:
    during = schedule.next_check(status, 3, hold_is_over=False)
    after = schedule.next_check(status, 3, hold_is_over=True)
    if status in AT_REST:
        assert during is after is None
    else:
        assert during is not None
        assert after is not None
        assert during <= after


def test_a_refund_that_succeeded_is_watched_for_a_month() -> None:
    waits = [schedule.next_refund_check(RefundStatus.SUCCEEDED, checks) for checks in range(6)]
    assert waits[-1] is None
    assert sum((wait for wait in waits if wait), timedelta()) == timedelta(days=30)
    assert schedule.next_refund_check(RefundStatus.FAILED, 0) is None
    assert schedule.next_refund_check(RefundStatus.PENDING, 0) == timedelta(seconds=5)
    assert schedule.next_refund_check(RefundStatus.UNKNOWN, 0) == timedelta(seconds=2)


@given(st.sampled_from(sorted(IN_RESERVE)), st.sampled_from([None, *Waiting]), st.integers(min_value=0, max_value=99))
def test_a_refund_that_is_open_is_always_looked_at_again(
    status: RefundStatus, why: Waiting | None, checks: int
) -> None:
    """Also what waits for money, the buyer or a dispute, without any webhook."""
    wait = schedule.next_refund_check(status, checks, why)
    assert wait is not None
    assert wait <= timedelta(days=1)


def test_what_waits_for_a_top_up_leaves_the_rate_to_others() -> None:
    """A mass refund that met an empty balance does not ask about each of its refunds every half minute."""
    first = schedule.next_refund_check(RefundStatus.PENDING, 0, Waiting.BALANCE)
    assert first is not None
    assert first >= timedelta(minutes=1)


@given(st.sampled_from(DisputeStatus), st.integers(min_value=0, max_value=99))
def test_an_open_dispute_is_looked_at_every_hour(status: DisputeStatus, checks: int) -> None:
    wait = schedule.next_dispute_check(status, checks)
    if status in CLOSED:
        assert wait is None
    else:
        assert wait is not None
        assert wait <= timedelta(hours=1)


def test_how_the_dispute_ended_that_a_refund_waited_for() -> None:
    """The one that it was told to wait for; where that is not known, the worst of all."""
    one, other = uuid4(), uuid4()
    statuses = {one: DisputeStatus.LOST, other: DisputeStatus.WON}
    assert verdict(statuses, other) is DisputeStatus.WON
    assert verdict(statuses, None) is DisputeStatus.LOST
    assert verdict({other: DisputeStatus.WON}, None) is DisputeStatus.WON
    assert verdict({}, None) is None


@given(st.floats(min_value=0.1, max_value=300), st.integers(min_value=0, max_value=20), st.integers(min_value=0))
def test_a_rate_limit_is_respected_and_spread(retry_after_s: float, checks: int, spread: int) -> None:
    wait = schedule.after_rate_limit(retry_after_s, checks, spread).total_seconds()
    assert retry_after_s <= wait + 1e-6
    assert wait <= max(120.0, retry_after_s) * 2


def test_waits_grow() -> None:
    for waits in (
        [schedule.after_silence(checks) for checks in range(8)],
        [schedule.after_postponement(checks) for checks in range(8)],
        [schedule.after_rate_limit(2, checks, 0) for checks in range(8)],
    ):
        assert all(earlier <= later for earlier, later in pairwise(waits))
