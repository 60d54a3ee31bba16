from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import product
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from contracts.money import EXPONENTS, WHOLE_UNITS_ONLY
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter
from refund.domain import (
    BY_POLICY,
    GIVES_NOTHING,
    NOTHING_LEFT,
    PAID_BACK,
    RULES,
    TRANSITIONS,
    UNFINISHED,
    Case,
    Decision,
    Ground,
    IllegalTransition,
    Status,
    Trigger,
    decide,
    ground_of_cancellation,
    is_for_cancellation,
    next_status,
)
from refund.policy import InvalidPolicy, Policy, Tier
from refund.shares import Line, allocate, part_of, unit_of

STARTS_AT = datetime(2027, 6, 12, 18, 0, tzinfo=UTC)
STANDARD = Policy("default", 1, (Tier(48, 100), Tier(24, 50)), 0)
MICROSECOND = timedelta(microseconds=1)


def line(number: int, gross: int, tax: int = 0, rate_bp: int = 1900, **refunded: int) -> Line:
    return Line(UUID(int=number), "Stalls", gross, tax, rate_bp, **refunded)


def case(
    *lines: Line,
    policy: Policy = STANDARD,
    before: timedelta = timedelta(hours=30),
    ground: Ground = Ground.POLICY,
    currency: str = "EUR",
    starts_at: datetime = STARTS_AT,
    timezone: str = "Europe/Berlin",
    unavailable: int = 0,
) -> Case:
    paid = sum(line.gross_minor for line in lines)
    left = paid - sum(line.refunded_minor for line in lines) - unavailable
    return Case(ground, currency, paid, left, lines, policy, starts_at, timezone, starts_at - before)


# --- statuses


def test_every_pair_of_status_and_trigger_is_decided() -> None:
    """Writing the table out a second time makes adding a status or a trigger a decision."""
    requested, awaiting, approved, pending = "requested", "awaiting_approval", "approved", "pending"
    unknown, blocked, failed, succeeded = "unknown", "blocked_by_dispute", "failed", "succeeded"
    on_its_way = [approved, pending, unknown, blocked]
    expected = {
        "ask_second_person": {requested: awaiting},
        "import": {requested: succeeded},
        "approve": {requested: approved, awaiting: approved, failed: approved},
        "decline": {requested: "declined", awaiting: "declined"},
        "disputed": dict.fromkeys(on_its_way, blocked),
        "dispute_won": {blocked: approved},
        "provider_waits": dict.fromkeys(on_its_way, pending),
        "no_answer": dict.fromkeys(on_its_way, unknown),
        "refunded": dict.fromkeys(on_its_way, succeeded),
        "refund_failed": dict.fromkeys([*on_its_way, succeeded], failed),
        "rejected": dict.fromkeys(on_its_way, failed),
        "settle_manually": {failed: "settled_manually", blocked: "settled_manually"},
    }
    for status, trigger in product(Status, Trigger):
        if status in expected[trigger]:
            assert next_status(status, trigger) == expected[trigger][status]
        else:
            with pytest.raises(IllegalTransition) as refused:
                next_status(status, trigger)
            assert refused.value.extra["state"] == status
    assert len(TRANSITIONS) == sum(len(pairs) for pairs in expected.values())


def test_declined_and_settled_manually_are_final() -> None:
    assert not [pair for pair in TRANSITIONS if pair[0] in {Status.DECLINED, Status.SETTLED_MANUALLY}]
    assert not GIVES_NOTHING & PAID_BACK
    assert set(Status) == GIVES_NOTHING | PAID_BACK | UNFINISHED


@pytest.mark.parametrize(
    ("by", "was", "ground"),
    [
        ("customer", "confirmed", Ground.POLICY),
        ("staff", "confirmed", Ground.POLICY),
        ("customer", "pending_payment", Ground.NEVER_CONFIRMED),
        ("staff", "payment_authorized", Ground.NEVER_CONFIRMED),
        ("event", "confirmed", Ground.EVENT_CANCELLED),
        ("event", "pending_payment", Ground.EVENT_CANCELLED),
    ],
)
def test_only_a_confirmed_booking_that_people_cancel_falls_under_the_policy(by: str, was: str, ground: Ground) -> None:
    assert ground_of_cancellation(by, was) is ground


# --- the policy


@pytest.mark.parametrize(
    ("before", "percent"),
    [
        (timedelta(days=400), 100),
        (timedelta(hours=48, seconds=1), 100),
        (timedelta(hours=48) + MICROSECOND, 100),
        (timedelta(hours=48), 100),
        (timedelta(hours=48) - MICROSECOND, 50),
        (timedelta(hours=48, seconds=-1), 50),
        (timedelta(hours=24) + MICROSECOND, 50),
        (timedelta(hours=24), 50),
        (timedelta(hours=24) - MICROSECOND, 0),
        (timedelta(hours=24, seconds=-1), 0),
        (timedelta(0), 0),
        (-MICROSECOND, 0),
        (timedelta(days=-3), 0),
    ],
)
def test_a_boundary_belongs_to_the_customer_to_the_microsecond(before: timedelta, percent: int) -> None:
    decision = decide(case(line(1, 10_000), before=before))
    assert (decision.percent, decision.amount_minor) == (percent, 100 * percent)


def test_a_boundary_is_exact_where_floats_are_not() -> None:
    """0.1 + 0.2 hours style errors: in the year 9000 a float of seconds no longer tells microseconds apart."""
    starts_at = datetime(9000, 1, 1, tzinfo=UTC)
    for before, percent in ((timedelta(hours=48), 100), (timedelta(hours=48) - MICROSECOND, 50)):
        assert decide(case(line(1, 100), before=before, starts_at=starts_at)).percent == percent


@pytest.mark.parametrize(
    ("before", "rule"),
    [
        (timedelta(hours=72), "Cancelled at least 48 hours before the start: 100 % is refunded."),
        (timedelta(hours=30), "Cancelled at least 24 hours before the start: 50 % is refunded."),
        (timedelta(hours=3), "Cancelled less than 24 hours before the start: nothing is refunded."),
    ],
)
def test_the_rule_is_told_in_words(before: timedelta, rule: str) -> None:
    assert decide(case(line(1, 1000), before=before)).rule == rule


def test_policies_without_tiers_or_with_nothing_in_a_tier_refund_nothing() -> None:
    none = decide(case(line(1, 1000), policy=Policy("none", 1, (), 0)))
    assert (none.amount_minor, none.rule) == (0, "The policy of this booking refunds nothing.")
    zero = decide(case(line(1, 1000), policy=Policy("zero", 1, (Tier(24, 0),), 0)))
    assert (zero.amount_minor, zero.rule) == (0, "Cancelled at least 24 hours before the start: nothing is refunded.")


@pytest.mark.parametrize(
    ("tiers", "fee_minor", "named"),
    [
        ((Tier(24, 50), Tier(48, 100)), 0, "tiers"),
        ((Tier(48, 50), Tier(24, 100)), 0, "tiers"),
        ((Tier(48, 50), Tier(48, 20)), 0, "tiers"),
        ((Tier(48, 50), Tier(24, 50)), 0, "tiers"),
        ((Tier(-1, 50),), 0, "hours_before"),
        ((Tier(48, 101),), 0, "percent"),
        ((Tier(48, -1),), 0, "percent"),
        ((Tier(48, 100),), -1, "fee_minor"),
    ],
)
def test_a_policy_that_contradicts_itself_is_refused_by_name(
    tiers: tuple[Tier, ...], fee_minor: int, named: str
) -> None:
    with pytest.raises(InvalidPolicy, match=named):
        Policy("p", 1, tiers, fee_minor)


# --- clocks


@pytest.mark.parametrize(
    ("starts_local", "timezone", "cut_off"),
    [
        # Berlin changes to summer time on 2027-03-28 at 02:00: 24 elapsed hours before 03:30 is 02:30 the day before.
        ("2027-03-28T03:30:00", "Europe/Berlin", "2027-03-27T02:30:00+01:00"),
        # and back on 2027-10-31: the second 02:30 (fold) is 25 hours after 02:30 the day before.
        ("2027-10-31T02:30:00+01:00", "Europe/Berlin", "2027-10-30T03:30:00+02:00"),
        ("2027-10-31T02:30:00+02:00", "Europe/Berlin", "2027-10-30T02:30:00+02:00"),
        # Lord Howe Island moves by half an hour; Kathmandu is 5:45 away; New York changes on 2027-03-14.
        ("2027-04-04T12:00:00", "Australia/Lord_Howe", "2027-04-03T12:30:00+11:00"),
        ("2027-06-12T20:00:00", "Asia/Kathmandu", "2027-06-11T20:00:00+05:45"),
        ("2027-03-14T12:00:00", "America/New_York", "2027-03-13T11:00:00-05:00"),
    ],
)
def test_hours_are_elapsed_hours_and_cut_offs_are_shown_in_the_zone_of_the_event(
    starts_local: str, timezone: str, cut_off: str
) -> None:
    starts = datetime.fromisoformat(starts_local)
    starts_at = (starts if starts.tzinfo else starts.replace(tzinfo=ZoneInfo(timezone))).astimezone(UTC)
    day = Policy("day", 1, (Tier(24, 100),), 0)
    on_time = decide(case(line(1, 100), policy=day, before=timedelta(hours=24), starts_at=starts_at, timezone=timezone))
    assert on_time.percent == 100
    assert [found.until_local for found in on_time.cut_offs] == [cut_off]
    assert on_time.received_local == cut_off
    assert on_time.cut_offs[0].until == starts_at - timedelta(hours=24)
    assert datetime.fromisoformat(on_time.starts_local) == starts_at


# --- rounding


@pytest.mark.parametrize(
    ("gross", "currency", "refund"),
    [
        (999, "EUR", 500),
        (1, "EUR", 1),
        (3, "EUR", 2),
        (1000, "EUR", 500),
        (999, "JPY", 500),
        (99_900, "ISK", 50_000),
        (100, "UGX", 100),
    ],
)
def test_half_is_rounded_up_in_units_that_the_provider_takes(gross: int, currency: str, refund: int) -> None:
    assert decide(case(line(1, gross), currency=currency)).amount_minor == refund


def test_every_line_is_rounded_by_itself() -> None:
    """Three tickets at 9.99: 3 x 5.00, not 14.99."""
    decision = decide(case(line(1, 999), line(2, 999), line(3, 999)))
    assert [share.refund_minor for share in decision.lines] == [500, 500, 500]
    assert [share.kept_minor for share in decision.lines] == [499, 499, 499]
    assert decision.amount_minor == 1500


def test_tax_is_rounded_once_for_each_rate_and_shared_by_largest_remainder() -> None:
    """Three lines with 1.595 of tax each: 4.785 is 4.79 in all, where rounding each would give 4.80."""
    lines = [line(n, 1998, 319) for n in (1, 2, 3)]
    shares = decide(case(*lines, line(4, 1000, 65, 700))).lines
    assert sum(share.refund_tax_minor for share in shares[:3]) == 479
    assert [share.refund_tax_minor for share in shares] == [160, 160, 159, 33]


def test_the_fee_is_kept_once_and_never_makes_the_refund_negative() -> None:
    policy = Policy("fee", 1, (Tier(24, 50),), 300)
    decision = decide(case(line(1, 1000), line(2, 500), policy=policy))
    assert (decision.amount_minor, decision.fee_minor) == (450, 300)
    assert [share.refund_minor for share in decision.lines] == [300, 150]
    small = decide(case(line(1, 400), policy=policy))
    assert (small.amount_minor, small.fee_minor) == (0, 200)
    assert decide(case(line(1, 400), policy=policy, before=timedelta(hours=1))).fee_minor == 0


def test_a_fee_in_whole_units_is_rounded_in_favour_of_the_customer() -> None:
    decision = decide(case(line(1, 100_000), policy=Policy("fee", 1, (Tier(24, 100),), 150), currency="ISK"))
    assert (decision.amount_minor, decision.fee_minor) == (99_900, 100)


def test_arithmetic_is_told_in_words() -> None:
    policy = Policy("fee", 1, (Tier(24, 50),), 100)
    first = decide(case(line(1, 999, 160), policy=policy))
    assert first.lines[0].arithmetic == (
        "50 % of 9.99 EUR, less 1.00 EUR for the flat fee or what is no longer left: 4.00 EUR, tax of 0.64 EUR in it"
    )
    rest = decide(case(line(1, 999, 160, refunded_minor=400, refunded_tax_minor=64), ground=Ground.STAFF))
    assert rest.lines[0].arithmetic == (
        "100 % of 9.99 EUR, of which 4.00 EUR was refunded before: 5.99 EUR, tax of 0.96 EUR in it"
    )


# --- what is left

OUTSIDE_THE_POLICY = sorted(set(Ground) - BY_POLICY - {Ground.OUTSIDE})


@pytest.mark.parametrize("ground", OUTSIDE_THE_POLICY)
def test_outside_the_policy_everything_left_goes_back_whenever_it_is_asked_for(ground: Ground) -> None:
    policy = Policy("strict", 1, (), 500)
    decision = decide(case(line(1, 999, 160), line(2, 1, 0), policy=policy, before=timedelta(-1), ground=ground))
    assert (decision.amount_minor, decision.fee_minor, decision.percent) == (1000, 0, 100)
    assert decision.rule == RULES[ground]


@pytest.mark.parametrize("ground", [ground for ground in Ground if ground in {*BY_POLICY, *OUTSIDE_THE_POLICY}])
def test_nothing_left_gives_nothing(ground: Ground) -> None:
    taken = line(1, 999, 160, refunded_minor=999, refunded_tax_minor=160)
    decision = decide(case(taken, ground=ground))
    assert (decision.amount_minor, decision.rule) == (0, NOTHING_LEFT)


def test_a_refund_is_capped_by_what_payment_says_is_left() -> None:
    decision = decide(case(line(1, 1000), line(2, 500), ground=Ground.STAFF, unavailable=1200))
    assert [share.refund_minor for share in decision.lines] == [200, 100]
    assert decision.amount_minor == 300


def test_shares_of_nothing_are_nothing() -> None:
    assert allocate(0, []) == []
    assert allocate(0, [0, 0]) == [0, 0]
    assert allocate(0, [3, 2]) == [0, 0]


# --- properties

RATES = (0, 700, 1900, 2500)


def _taxed(gross: int, rate_bp: int) -> int:
    return gross - (gross * 10_000 * 2 + 10_000 + rate_bp) // (2 * (10_000 + rate_bp))


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    hours = sorted(draw(st.sets(st.integers(0, 2000), max_size=4)), reverse=True)
    count = len(hours)
    percents = sorted(draw(st.sets(st.integers(0, 100), min_size=count, max_size=count)), reverse=True)
    tiers = tuple(Tier(*pair) for pair in zip(hours, percents, strict=True))
    return Policy("drawn", 1, tiers, draw(st.integers(0, 3000)))


@st.composite
def cases(draw: st.DrawFn) -> Case:
    currency = draw(st.sampled_from(sorted(EXPONENTS)))
    unit = unit_of(currency)
    amounts = draw(st.lists(st.tuples(st.integers(0, 20_000), st.sampled_from(RATES)), min_size=1, max_size=20))
    lines = tuple(line(n, gross * unit, _taxed(gross * unit, rate), rate) for n, (gross, rate) in enumerate(amounts))
    before = timedelta(microseconds=draw(st.integers(-10 * 3_600_000_000, 2100 * 3_600_000_000)))
    ground = draw(st.sampled_from(sorted(set(Ground) - {Ground.OUTSIDE})))
    return case(*lines, policy=draw(policies()), before=before, ground=ground, currency=currency)


def after(first: Decision, ground: Ground) -> Case:
    """The same booking after `first` was refunded."""
    shares = {share.line_id: share for share in first.lines}
    taken = tuple(
        replace(
            line,
            refunded_minor=line.refunded_minor + shares[line.line_id].refund_minor,
            refunded_tax_minor=line.refunded_tax_minor + shares[line.line_id].refund_tax_minor,
        )
        if line.line_id in shares
        else line
        for line in first.case.lines
    )
    then = first.case
    left = max(0, then.remaining_minor - first.amount_minor)
    fee = then.fee_kept_minor + (first.fee_minor if then.ground is Ground.TICKETS else 0)
    return replace(
        then,
        ground=ground,
        remaining_minor=left,
        lines=taken,
        line_ids=None,
        asked_minor=None,
        asked_lines=None,
        fee_kept_minor=fee,
    )


@given(cases())
def test_a_decision_adds_up_line_by_line_and_rate_by_rate(drawn: Case) -> None:
    decision = decide(drawn)
    pairs = list(zip(drawn.lines, decision.lines, strict=True))
    assert decision.amount_minor == sum(share.refund_minor for _, share in pairs)
    assert 0 <= decision.amount_minor <= drawn.remaining_minor
    for line, share in pairs:
        assert share.refund_minor + share.kept_minor == line.gross_minor
        assert share.refund_tax_minor + share.kept_tax_minor == line.tax_minor
        assert 0 <= share.refund_tax_minor <= share.refund_minor <= line.gross_minor
        assert 0 <= share.kept_tax_minor <= share.kept_minor
    if drawn.currency in WHOLE_UNITS_ONLY:
        assert decision.amount_minor % 100 == 0
        assert all(share.refund_minor % 100 == 0 for _, share in pairs)


@given(cases())
def test_the_tax_of_a_rate_is_rounded_once(drawn: Case) -> None:
    decision = decide(drawn)
    for rate_bp in {line.tax_rate_bp for line in drawn.lines}:
        group = [p for p in zip(drawn.lines, decision.lines, strict=True) if p[0].tax_rate_bp == rate_bp]
        parts = [Fraction(ln.tax_minor * sh.refund_minor, ln.gross_minor) for ln, sh in group if ln.gross_minor]
        exact = sum(parts, Fraction(0))
        assert abs(sum(share.refund_tax_minor for _, share in group) - exact) <= Fraction(1, 2)


@given(cases())
def test_the_last_refund_takes_the_rest_of_every_line_and_its_tax(drawn: Case) -> None:
    first = decide(drawn)
    second = decide(after(first, Ground.STAFF))
    assert first.amount_minor + second.amount_minor == drawn.paid_minor
    for ln, one, two in zip(drawn.lines, first.lines, second.lines, strict=True):
        assert one.refund_minor + two.refund_minor == ln.gross_minor
        assert one.refund_tax_minor + two.refund_tax_minor == ln.tax_minor
        assert (two.kept_minor, two.kept_tax_minor) == (0, 0)
    assert decide(after(second, Ground.STAFF)).amount_minor == 0


@given(cases(), st.data())
def test_what_payment_says_is_left_caps_every_line(drawn: Case, data: st.DataObject) -> None:
    unit = unit_of(drawn.currency)
    gone = data.draw(st.integers(0, drawn.paid_minor // unit)) * unit
    capped = decide(after(decide(drawn), Ground.STAFF))
    left = max(0, capped.case.remaining_minor - gone)
    less = replace(capped.case, remaining_minor=left)
    decision = decide(less)
    assert decision.amount_minor == left
    for ln, share in zip(less.lines, decision.lines, strict=True):
        assert 0 <= share.refund_minor <= ln.left_minor
        assert 0 <= share.refund_tax_minor <= ln.left_tax_minor


@given(cases(), st.integers(0, 10**12))
def test_asking_earlier_never_gives_less(drawn: Case, earlier_us: int) -> None:
    earlier = replace(drawn, received_at=drawn.received_at - timedelta(microseconds=earlier_us))
    assert decide(earlier).amount_minor >= decide(drawn).amount_minor


@given(cases())
def test_the_stored_trace_makes_the_same_decision_again(drawn: Case) -> None:
    decision = decide(drawn)
    stored = TypeAdapter(Decision).dump_json(decision)
    read = TypeAdapter(Decision).validate_json(stored)
    assert decide(read.case) == read == decision


@given(st.integers(0, 10**8), st.integers(0, 100))
def test_half_up_is_the_schoolbook_one(gross: int, percent: int) -> None:
    assert part_of(gross, percent, 1) == (gross * percent * 2 + 100) // 200


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=30), st.data())
def test_shares_add_up_and_are_within_one_of_exact(weights: list[int], data: st.DataObject) -> None:
    amount = data.draw(st.integers(0, sum(weights)))
    shares = allocate(amount, weights)
    assert sum(shares) == amount
    for share, weight in zip(shares, weights, strict=True):
        assert 0 <= share <= weight
        if sum(weights):
            assert abs(share * sum(weights) - amount * weight) < sum(weights)


def test_a_refund_says_whether_a_cancellation_belongs_to_it() -> None:
    """Of tickets always; of the booking only where booking has told of one: a late payment for a cancelled event may have none."""
    told = {ground for ground in Ground if is_for_cancellation(ground, is_cancelled=True)}
    assert told == {Ground.POLICY, Ground.TICKETS, Ground.EVENT_CANCELLED, Ground.NEVER_CONFIRMED}
    assert {ground for ground in Ground if is_for_cancellation(ground, is_cancelled=False)} == {Ground.TICKETS}
