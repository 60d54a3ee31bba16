"""The heart: every status with every trigger, and the rules of money and time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import product
from zoneinfo import ZoneInfo

import pytest
from booking import domain
from booking.domain import RefundState, Seats, Status, Trigger
from chassis.errors import Conflict, Invalid
from contracts.money import EXPONENTS, LARGEST_AMOUNT_MINOR, Money
from hypothesis import given
from hypothesis import strategies as st

P, A, C, X, Z = (
    Status.PENDING_PAYMENT,
    Status.PAYMENT_AUTHORIZED,
    Status.CONFIRMED,
    Status.EXPIRED,
    Status.CANCELLED,
)

AFTER: dict[Trigger, dict[Status, Status | None]] = {
    Trigger.PAYMENT_AUTHORIZED: {P: A, A: A, C: None, X: A, Z: None},
    Trigger.PAYMENT_SUCCEEDED: {P: C, A: C, C: None, X: C, Z: None},
    Trigger.PAYMENT_FAILED: {P: X, A: X, C: None, X: None, Z: None},
    Trigger.HOLD_ENDED: {P: X, A: None, C: None, X: None, Z: None},
    Trigger.CANCELLATION: {P: Z, A: Z, C: Z, X: None, Z: None},
}

START = datetime(2027, 3, 1, 19, tzinfo=UTC)
DEFAULT_TIERS = [(48, 100), (24, 50)]

minor = st.integers(0, LARGEST_AMOUNT_MINOR)


@pytest.mark.parametrize(("status", "trigger"), list(product(Status, Trigger)))
def test_every_pair_is_decided(status: Status, trigger: Trigger) -> None:
    """A pair leads where this table says; one without a target is refused, with the state in the answer."""
    expected = AFTER[trigger][status]
    if expected is not None:
        assert domain.next_status(status, trigger) is expected
        return
    with pytest.raises(domain.IllegalTransition) as refused:
        domain.next_status(status, trigger)
    assert refused.value.extra == {"state": status}
    assert trigger in refused.value.detail


def test_nothing_leads_out_of_cancelled() -> None:
    assert not [status for status, _ in domain.TRANSITIONS if status is Z]


@pytest.mark.parametrize(("before", "after"), list(product(Status, Status)))
def test_seats_follow_the_status(before: Status, after: Status) -> None:
    """What a way through the states adds up to is what the last state occupies, and no state occupies a seat twice."""
    by = domain.seats_between(before, after)
    occupied = domain.OCCUPIES[before]
    assert Seats(occupied.held + by.held, occupied.sold + by.sold) == domain.OCCUPIES[after]
    assert sum(domain.OCCUPIES[after]) == (1 if after in {P, A, C} else 0)


def test_a_free_booking_is_confirmed_at_once() -> None:
    assert domain.first_status(Money(0, "EUR")) is C
    assert domain.first_status(Money(1, "EUR")) is P


@pytest.mark.parametrize(
    ("now", "cancelled_at", "state"),
    [
        (START - timedelta(seconds=1), None, None),
        (START, None, "started"),
        (START + timedelta(days=1), None, "started"),
        (START - timedelta(days=9), START - timedelta(days=10), "cancelled"),
    ],
)
def test_sales_end_at_the_start_or_the_cancellation(
    now: datetime, cancelled_at: datetime | None, state: str | None
) -> None:
    if state is None:
        domain.sales_open(now, START, cancelled_at)
        return
    with pytest.raises(Conflict) as refused:
        domain.sales_open(now, START, cancelled_at)
    assert refused.value.extra == {"state": state}


def test_a_customer_cancels_until_the_start() -> None:
    domain.customer_may_cancel(START - timedelta(microseconds=1), START, C)
    with pytest.raises(Conflict):
        domain.customer_may_cancel(START, START, C)


@pytest.mark.parametrize(
    ("gross", "rate", "tax"),
    [(11900, 1900, 1900), (4200, 1900, 671), (4200, 700, 275), (1, 1900, 0), (0, 1900, 0), (4200, 0, 0), (3, 10000, 1)],
)
def test_tax_is_within_the_price(gross: int, rate: int, tax: int) -> None:
    """3 at 100 %: net 1.5 is rounded up to 2, so the tax is 1."""
    assert domain.tax_included(gross, rate) == tax


@given(gross=minor, rate=st.integers(0, 10_000))
def test_net_is_rounded_half_up(gross: int, rate: int) -> None:
    net = gross - domain.tax_included(gross, rate)
    exact = Fraction(gross * 10_000, 10_000 + rate)
    assert -Fraction(1, 2) < net - exact <= Fraction(1, 2)
    assert 0 <= net <= gross


@given(st.lists(st.integers(0, LARGEST_AMOUNT_MINOR // 20), max_size=20), st.sampled_from(["EUR", "JPY", "HUF"]))
def test_the_price_is_the_sum_of_the_tickets(amounts: list[int], currency: str) -> None:
    assert domain.price_of(amounts, currency) == Money(sum(amounts), currency)


@pytest.mark.parametrize(("amounts", "currency"), [([LARGEST_AMOUNT_MINOR, 1], "EUR"), ([150], "ISK"), ([1], "UGX")])
def test_a_price_that_cannot_be_charged_is_refused(amounts: list[int], currency: str) -> None:
    with pytest.raises(Invalid, match="items"):
        domain.price_of(amounts, currency)


@given(minor, minor, st.sampled_from(sorted(EXPONENTS)), st.sampled_from(sorted(EXPONENTS)))
def test_only_the_exact_price_pays(paid: int, price: int, paid_in: str, priced_in: str) -> None:
    amount, wanted = Money(paid, paid_in), Money(price, priced_in)
    if amount == wanted:
        domain.pays(amount, wanted)
        return
    with pytest.raises(domain.PaymentMismatch):
        domain.pays(amount, wanted)


@pytest.mark.parametrize("tiers", [[], [(0, 100)], DEFAULT_TIERS, [(72, 100), (48, 60), (0, 10)]])
def test_falling_tiers_are_taken(tiers: list[tuple[int, int]]) -> None:
    domain.check_tiers(tiers)


@pytest.mark.parametrize(
    "tiers", [[(24, 50), (48, 100)], [(48, 50), (24, 50)], [(48, 100), (48, 50)], [(48, 50), (24, 60)]]
)
def test_tiers_that_do_not_fall_are_refused(tiers: list[tuple[int, int]]) -> None:
    with pytest.raises(Invalid, match="must both fall"):
        domain.check_tiers(tiers)


@pytest.mark.parametrize(
    ("price", "refunded", "failed", "awaited", "expected"),
    [
        (100, 0, 0, False, RefundState.NONE),
        (0, 0, 0, False, RefundState.NONE),
        (100, 0, 0, True, RefundState.PENDING),
        (100, 50, 0, True, RefundState.PARTIALLY_REFUNDED),
        (100, 50, 0, False, RefundState.PARTIALLY_REFUNDED),
        (100, 50, 50, True, RefundState.REFUND_FAILED),
        (100, 0, 100, True, RefundState.REFUND_FAILED),
        (100, 100, 50, True, RefundState.REFUNDED),
        (100, 100, 0, False, RefundState.REFUNDED),
    ],
)
def test_what_the_customer_sees_of_refunds(
    price: int,
    refunded: int,
    failed: int,
    awaited: bool,  # noqa: FBT001  # a table's column
    expected: RefundState,
) -> None:
    state = domain.refund_state(Money(price, "EUR"), refunded_minor=refunded, failed_minor=failed, awaited=awaited)
    assert state is expected


@pytest.mark.parametrize(
    ("zone", "local", "fold", "expected"),
    [
        ("Europe/Berlin", "2027-07-01T20:00", None, "2027-07-01T18:00"),
        ("Europe/Berlin", "2027-10-31T02:30", None, "2027-10-31T00:30"),
        ("Europe/Berlin", "2027-10-31T02:30", 0, "2027-10-31T00:30"),
        ("Europe/Berlin", "2027-10-31T02:30", 1, "2027-10-31T01:30"),
        ("Europe/Berlin", "2027-07-01T20:00", 1, "2027-07-01T18:00"),
        ("Europe/Berlin", "2027-03-28T03:00", None, "2027-03-28T01:00"),
        ("Australia/Lord_Howe", "2027-04-04T01:45", 1, "2027-04-03T15:15"),
        ("Pacific/Apia", "2011-12-31T00:00", None, "2011-12-30T10:00"),
        ("UTC", "2028-02-29T12:00", None, "2028-02-29T12:00"),
    ],
)
def test_local_times_are_resolved(zone: str, local: str, fold: int | None, expected: str) -> None:
    """Berlin shows 02:30 twice on the last Sunday of October; Lord Howe puts its clocks back by half an hour."""
    found = domain.instant("local_start", datetime.fromisoformat(local), ZoneInfo(zone), fold)
    assert found == datetime.fromisoformat(expected).replace(tzinfo=UTC)
    assert found.tzinfo is UTC


@pytest.mark.parametrize("fold", [None, 0, 1])
@pytest.mark.parametrize(
    ("zone", "local"), [("Europe/Berlin", "2027-03-28T02:30"), ("Pacific/Apia", "2011-12-30T12:00")]
)
def test_skipped_local_times_are_refused(zone: str, local: str, fold: int | None) -> None:
    """Clocks go from 02:00 to 03:00; Samoa had no 30 December 2011 at all."""
    with pytest.raises(Invalid, match="local_end: does not exist"):
        domain.instant("local_end", datetime.fromisoformat(local), ZoneInfo(zone), fold)


@given(st.datetimes(datetime(2000, 1, 1), datetime(2090, 1, 1)), st.sampled_from(["Europe/Berlin", "America/New_York"]))  # noqa: DTZ001  # wall-clock times have no zone
def test_a_resolved_time_shows_what_was_asked(local: datetime, zone: str) -> None:
    known = ZoneInfo(zone)
    try:
        found = domain.instant("local_start", local, known, None)
    except Invalid:
        return
    assert found.astimezone(known).replace(tzinfo=None, fold=0) == local


def test_an_event_ends_after_its_start() -> None:
    domain.check_times(START, START + timedelta(seconds=1))
    for end in (START, START - timedelta(hours=1)):
        with pytest.raises(Invalid, match="local_end"):
            domain.check_times(START, end)
