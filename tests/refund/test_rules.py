"""Moved events, tickets given back one after the other, amounts that staff ask for, limits, policies, account numbers: pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from refund.domain import AS_ASKED, BY_POLICY, GIVEN_BEFORE, RULES, Case, Decision, Ground, Status, decide
from refund.iban import is_iban
from refund.limits import may_be_repeated, needs_second_person, suggestion
from refund.policy import Moved, Policy, Tier, contradictions
from refund.reads import TRACE
from refund.shares import Line, unit_of
from refund.words import advice, business_days_after, expected, may_choose_payout, state_in_words

from .test_domain import MICROSECOND, RATES, STANDARD, STARTS_AT, _taxed, after, case, line, policies

# --- boundaries

BOUNDARIES = [
    (timedelta(hours=48) + MICROSECOND, 100),
    (timedelta(hours=48), 100),
    (timedelta(hours=48) - MICROSECOND, 50),
    (timedelta(hours=24) + MICROSECOND, 50),
    (timedelta(hours=24), 50),
    (timedelta(hours=24) - MICROSECOND, 0),
]


@pytest.mark.parametrize(
    "starts_local",
    [
        datetime(2027, 3, 28, 3, 30, tzinfo=ZoneInfo("Europe/Berlin")),
        datetime(2027, 3, 29, 2, 30, tzinfo=ZoneInfo("Europe/Berlin")),
        datetime(2027, 10, 31, 2, 30, tzinfo=ZoneInfo("Europe/Berlin")),
        datetime(2027, 10, 31, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Berlin")),
        datetime(2027, 11, 1, 2, 30, tzinfo=ZoneInfo("Europe/Berlin")),
        datetime(2027, 3, 14, 20, 0, tzinfo=ZoneInfo("America/New_York")),
        datetime(2027, 11, 7, 20, 0, tzinfo=ZoneInfo("America/New_York")),
    ],
)
@pytest.mark.parametrize("customer", ["Asia/Kathmandu", "America/New_York", "Europe/Berlin"])
@pytest.mark.parametrize(("before", "percent"), BOUNDARIES)
def test_boundaries_are_elapsed_hours_on_both_changes_of_the_clocks_wherever_the_customer_is(
    starts_local: datetime, customer: str, before: timedelta, percent: int
) -> None:
    """The request is stamped in the customer's zone; only the instant counts."""
    starts_at = starts_local.astimezone(UTC)
    received_at = (starts_at - before).astimezone(ZoneInfo(customer))
    drawn = replace(case(line(1, 10_000), starts_at=starts_at), received_at=received_at)
    assert decide(drawn).percent == percent


# --- an event that moved


@pytest.mark.parametrize(
    ("new_start_in", "percent"),
    [(60, 100), (48, 100), (47, 50), (30, 50), (25, 50), (10, 50)],
)
def test_a_moved_event_counts_to_whichever_start_is_better(new_start_in: int, percent: int) -> None:
    """30 hours before the promised start: 50 %, unless the new start is later by enough; an earlier one never takes anything."""
    received_at = STARTS_AT - timedelta(hours=30)
    moved = Moved(received_at + timedelta(hours=new_start_in), None)
    decision = decide(replace(case(line(1, 1000)), moved=moved))
    assert decision.percent == percent
    assert ("new start" in decision.rule) is (moved.starts_at > STARTS_AT)


@pytest.mark.parametrize(("late", "percent"), [(-MICROSECOND, 100), (timedelta(0), 100), (MICROSECOND, 50)])
def test_after_a_material_change_everything_goes_back_until_the_window_ends(late: timedelta, percent: int) -> None:
    policy = Policy("fee", 1, STANDARD.tiers, 300)
    drawn = case(line(1, 1000), policy=policy)
    moved = Moved(STARTS_AT, drawn.received_at - late)
    decision = decide(replace(drawn, moved=moved))
    assert (decision.percent, decision.fee_minor) == (percent, 0 if percent == 100 else 300)
    assert ("everything is refunded" in decision.rule) is (percent == 100)


# --- tickets, amounts


def test_tickets_are_decided_on_by_themselves() -> None:
    drawn = case(line(1, 999, 160), line(2, 501, 80), line(3, 333, 53), ground=Ground.TICKETS)
    decision = decide(replace(drawn, line_ids=(UUID(int=2),)))
    assert (decision.amount_minor, [share.line_id for share in decision.lines]) == (251, [UUID(int=2)])


def test_the_flat_fee_is_kept_once_whatever_is_given_back_first() -> None:
    """A fee of 3.00: the first ticket gives 2.00 by the policy, all of it kept; the second pays the rest of the fee; the third none."""
    policy = Policy("fee", 1, (Tier(24, 50),), 300)
    one = replace(
        case(line(1, 400), line(2, 1000), line(3, 1000), policy=policy, ground=Ground.TICKETS), line_ids=(UUID(int=1),)
    )
    first = decide(one)
    second = decide(replace(after(first, Ground.TICKETS), line_ids=(UUID(int=2),)))
    third = decide(replace(after(second, Ground.POLICY), line_ids=(UUID(int=3),)))
    decided = (first, second, third)
    assert [(decision.amount_minor, decision.fee_minor) for decision in decided] == [(0, 200), (400, 100), (500, 0)]


def test_what_staff_ask_for_is_what_goes_back() -> None:
    drawn = case(line(1, 999, 160), line(2, 501, 80), ground=Ground.STAFF)
    by_amount = decide(replace(drawn, asked_minor=500))
    assert (by_amount.amount_minor, [share.refund_minor for share in by_amount.lines]) == (500, [333, 167])
    by_line = decide(replace(drawn, line_ids=(UUID(int=2),), asked_lines=(500,)))
    assert (by_line.amount_minor, by_line.rule) == (500, AS_ASKED)
    assert by_line.lines[0].arithmetic == (
        "100 % of 5.01 EUR, less 0.01 EUR for what was not asked for: 5.00 EUR, tax of 0.80 EUR in it"
    )
    assert decide(replace(drawn, asked_minor=1501)).amount_minor == 1500


def test_what_was_made_outside_is_as_it_is() -> None:
    taken = line(1, 1000, 160, refunded_minor=700, refunded_tax_minor=112)
    drawn = replace(case(taken, ground=Ground.OUTSIDE), asked_minor=900)
    decision = decide(drawn)
    assert (decision.amount_minor, decision.rule) == (900, RULES[Ground.OUTSIDE])
    assert [(share.refund_minor, share.kept_minor) for share in decision.lines] == [(300, 0)]
    spent = replace(case(line(1, 1000, refunded_minor=1000), ground=Ground.OUTSIDE), asked_minor=1)
    assert (decide(spent).amount_minor, decide(spent).rule) == (1, RULES[Ground.OUTSIDE])


# --- any sequence


@st.composite
def bookings(draw: st.DrawFn) -> Case:
    currency = draw(st.sampled_from(["EUR", "JPY", "ISK", "HUF"]))
    unit = unit_of(currency)
    rates = draw(st.lists(st.sampled_from(RATES), min_size=1, max_size=3, unique=True))
    priced = draw(st.lists(st.tuples(st.integers(0, 9999), st.sampled_from(rates)), min_size=1, max_size=20))
    lines = tuple(line(n, gross * unit, _taxed(gross * unit, rate), rate) for n, (gross, rate) in enumerate(priced))
    return case(*lines, policy=draw(policies()), currency=currency, ground=Ground.TICKETS)


def a_refund(draw: st.DrawFn, then: Case) -> Case:
    """A case of the booking as it stands: some tickets by policy, an amount or some tickets by staff."""
    unit = unit_of(then.currency)
    before = timedelta(hours=draw(st.integers(0, 2000)))
    now = replace(then, received_at=then.starts_at - before, line_ids=None, asked_minor=None, asked_lines=None)
    some = draw(st.sets(st.sampled_from([line.line_id for line in then.lines]), min_size=1))
    chosen = tuple(line.line_id for line in then.lines if line.line_id in some)
    kind = draw(st.sampled_from(["tickets", "amount", "lines"]))
    if kind == "tickets":
        return replace(now, ground=Ground.TICKETS, line_ids=chosen)
    if kind == "amount":
        asked = draw(st.integers(0, then.remaining_minor // unit)) * unit
        return replace(now, ground=Ground.STAFF, asked_minor=asked)
    lefts = [line.left_minor for line in then.lines if line.line_id in some]
    asked_lines = tuple(draw(st.integers(0, left // unit)) * unit for left in lefts)
    return replace(now, ground=Ground.STAFF, line_ids=chosen, asked_lines=asked_lines)


@given(bookings(), st.data())
def test_any_sequence_of_refunds_adds_up_line_by_line_and_rate_by_rate(booked: Case, data: st.DataObject) -> None:
    """Refunded and kept are what was paid at every step; the last refund takes the rest; each decision can be made again."""
    decisions: list[Decision] = []
    then = booked
    for _ in range(data.draw(st.integers(0, 6))):
        decisions.append(decide(a_refund(data.draw, then)))
        then = after(decisions[-1], Ground.STAFF)
    decisions.append(decide(replace(then, ground=Ground.EVENT_CANCELLED)))
    refunded = {line.line_id: (0, 0) for line in booked.lines}
    fees = 0
    for decision in decisions:
        assert decision.amount_minor == sum(share.refund_minor for share in decision.lines)
        fees += decision.fee_minor
        for share in decision.lines:
            gross, tax = refunded[share.line_id]
            refunded[share.line_id] = gross + share.refund_minor, tax + share.refund_tax_minor
            whole = next(line for line in booked.lines if line.line_id == share.line_id)
            assert (refunded[share.line_id][0] + share.kept_minor) == whole.gross_minor
            assert (refunded[share.line_id][1] + share.kept_tax_minor) == whole.tax_minor
            assert 0 <= share.kept_tax_minor <= share.kept_minor
            assert 0 <= share.refund_tax_minor <= share.refund_minor
        assert decide(TRACE.validate_json(TRACE.dump_json(decision)).case) == decision
    assert sum(decision.amount_minor for decision in decisions) == booked.paid_minor
    assert refunded == {line.line_id: (line.gross_minor, line.tax_minor) for line in booked.lines}
    assert fees <= booked.policy.fee_minor


# --- what staff may give


def test_staff_may_give_what_the_policy_gives_less_what_was_given() -> None:
    drawn = case(line(1, 1000), line(2, 500))
    assert suggestion(drawn) == 750
    given_before = case(line(1, 1000, refunded_minor=400), line(2, 500))
    assert suggestion(given_before) == 350
    assert suggestion(case(line(1, 1000, refunded_minor=900), line(2, 500))) == 0
    assert suggestion(replace(drawn, remaining_minor=100)) == 100


@pytest.mark.parametrize(
    ("before", "fee", "refunded", "prepaid", "amounts"),
    [
        (30, 0, (0, 0), (0, 0), [500, 500]),
        (30, 0, (500, 0), (500, 0), [0, 500]),
        (30, 0, (200, 0), (200, 0), [300, 500]),
        (30, 0, (800, 0), (800, 0), [0, 200]),  # more than the policy gives for one counts for the other
        (30, 0, (1000, 100), (1000, 100), [0, 0]),
        (30, 0, (400, 0), (0, 0), [500, 500]),  # goodwill stays on top
        (30, 0, (600, 0), (200, 0), [300, 500]),
        (72, 50, (950, 1000), (950, 1000), [0, 0]),  # the fee is kept of what is left to give
        (72, 50, (500, 1000), (500, 1000), [450, 0]),
        (12, 0, (500, 0), (500, 0), [0, 0]),
    ],
)
def test_what_staff_gave_for_a_cancellation_the_policy_does_not_give_once_more(
    before: int, fee: int, refunded: tuple[int, int], prepaid: tuple[int, int], amounts: list[int]
) -> None:
    lines = [line(n, 1000, refunded_minor=refunded[n], prepaid_minor=prepaid[n]) for n in (0, 1)]
    drawn = case(*lines, before=timedelta(hours=before), policy=replace(STANDARD, fee_minor=fee))
    for ground in BY_POLICY:
        decision = decide(replace(drawn, ground=ground))
        assert [share.refund_minor for share in decision.lines] == amounts
        assert decision.amount_minor == sum(amounts)
        assert (decision.rule == GIVEN_BEFORE) == (not sum(amounts) and before > 24)
    everything = decide(replace(drawn, ground=Ground.STAFF))
    assert everything.amount_minor == drawn.remaining_minor, "staff may still give all that is left"


@pytest.mark.parametrize(
    ("currency", "amount", "asks"),
    [("EUR", 50_000, False), ("EUR", 50_001, True), ("JPY", 10**8, False), ("ISK", 1, True)],
)
def test_above_the_limit_of_its_currency_a_second_person_is_asked(currency: str, amount: int, *, asks: bool) -> None:
    assert needs_second_person({"EUR": 50_000, "ISK": 0}, currency, amount) is asks


@pytest.mark.parametrize(
    ("refunded", "tax", "fits"), [(400, 64, True), (0, 0, True), (400, 65, False), (500, 80, False), (300, 70, False)]
)
def test_a_refund_is_repeated_only_where_its_tickets_are_as_they_were(refunded: int, tax: int, *, fits: bool) -> None:
    failed = decide(case(line(1, 1000, 160, refunded_minor=400, refunded_tax_minor=64), ground=Ground.STAFF))
    now = [Line(UUID(int=1), "Stalls", 1000, 160, 1900, refunded, tax)]
    assert may_be_repeated(failed, now) is fits


# --- policies, account numbers, words


def test_everything_that_is_wrong_with_a_policy_is_named() -> None:
    wrong = contradictions([Tier(-1, 101), Tier(5, 101), Tier(10**9, 0)], -1)
    assert [field for field, _ in wrong] == [
        "fee_minor",
        "tiers.0.hours_before",
        "tiers.0.percent",
        "tiers.1.percent",
        "tiers.1.hours_before",
        "tiers.1.percent",
        "tiers.2.hours_before",
        "tiers.2.hours_before",
    ]
    assert contradictions([Tier(48, 100), Tier(0, 0)], 0) == []


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("DE89370400440532013000", True),
        ("GB82WEST12345698765432", True),
        ("NO9386011117947", True),
        ("DE89370400440532013001", False),
        ("DE98370400440532013000", False),
        ("de89370400440532013000", False),
        ("DE89", False),
        ("", False),
        ("DE8937040044053201300\u0660", False),
    ],
)
def test_an_iban_is_told_by_its_check_digits(text: str, *, valid: bool) -> None:
    assert is_iban(text) is valid


def test_a_bank_shows_the_money_after_five_to_ten_business_days() -> None:
    friday = date(2027, 3, 26)
    assert expected(friday) == (date(2027, 4, 2), date(2027, 4, 9))
    assert business_days_after(date(2027, 3, 27), 1) == date(2027, 3, 29)


def test_every_state_has_its_words() -> None:
    for status in set(Status) - {Status.REQUESTED}:
        for waiting_for in (None, "provider", "balance", "customer_action", "unknown"):
            assert state_in_words(status, waiting_for, None).endswith(".")
    assert may_choose_payout(Status.FAILED, "expired_or_canceled_card")
    assert not may_choose_payout(Status.FAILED, "dispute_lost")
    assert advice(Status.PENDING, "balance", None, payout_chosen=False) is None
