"""What tickets cost: tax, totals, and which payment pays them."""

from __future__ import annotations

from fractions import Fraction

import pytest
from booking import prices
from chassis.errors import Invalid
from contracts.money import EXPONENTS, LARGEST_AMOUNT_MINOR, Money
from hypothesis import given
from hypothesis import strategies as st

DEFAULT_TIERS = [(48, 100), (24, 50)]

minor = st.integers(0, LARGEST_AMOUNT_MINOR)


@pytest.mark.parametrize(
    ("gross", "rate", "tax"),
    [(11900, 1900, 1900), (4200, 1900, 671), (4200, 700, 275), (1, 1900, 0), (0, 1900, 0), (4200, 0, 0), (3, 10000, 1)],
)
def test_tax_is_within_the_price(gross: int, rate: int, tax: int) -> None:
    """3 at 100 %: net 1.5 is rounded up to 2, so the tax is 1."""
    assert prices.tax_included(gross, rate) == tax


@given(gross=minor, rate=st.integers(0, 10_000))
def test_net_is_rounded_half_up(gross: int, rate: int) -> None:
    net = gross - prices.tax_included(gross, rate)
    exact = Fraction(gross * 10_000, 10_000 + rate)
    assert -Fraction(1, 2) < net - exact <= Fraction(1, 2)
    assert 0 <= net <= gross


@given(st.lists(st.integers(0, LARGEST_AMOUNT_MINOR // 20), max_size=20), st.sampled_from(["EUR", "JPY", "HUF"]))
def test_the_price_is_the_sum_of_the_tickets(amounts: list[int], currency: str) -> None:
    assert prices.price_of(amounts, currency) == Money(sum(amounts), currency)


@pytest.mark.parametrize(("amounts", "currency"), [([LARGEST_AMOUNT_MINOR, 1], "EUR"), ([150], "ISK"), ([1], "UGX")])
def test_a_price_that_cannot_be_charged_is_refused(amounts: list[int], currency: str) -> None:
    with pytest.raises(Invalid, match="items"):
        prices.price_of(amounts, currency)


@given(minor, minor, st.sampled_from(sorted(EXPONENTS)), st.sampled_from(sorted(EXPONENTS)))
def test_only_the_exact_price_pays(paid: int, price: int, paid_in: str, priced_in: str) -> None:
    amount, wanted = Money(paid, paid_in), Money(price, priced_in)
    if amount == wanted:
        prices.pays(amount, wanted)
        return
    with pytest.raises(prices.PaymentMismatch):
        prices.pays(amount, wanted)


@pytest.mark.parametrize("tiers", [[], [(0, 100)], DEFAULT_TIERS, [(72, 100), (48, 60), (0, 10)]])
def test_falling_tiers_are_taken(tiers: list[tuple[int, int]]) -> None:
    prices.check_tiers(tiers)


@pytest.mark.parametrize(
    "tiers", [[(24, 50), (48, 100)], [(48, 50), (24, 50)], [(48, 100), (48, 50)], [(48, 50), (24, 60)]]
)
def test_tiers_that_do_not_fall_are_refused(tiers: list[tuple[int, int]]) -> None:
    with pytest.raises(Invalid, match="must both fall"):
        prices.check_tiers(tiers)
