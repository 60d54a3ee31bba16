import pytest
from contracts.money import (
    EXPONENTS,
    LARGEST_AMOUNT_MINOR,
    WHOLE_UNITS_ONLY,
    InvalidMoney,
    Money,
    chargeable,
    total,
)
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

currencies = st.sampled_from(sorted(EXPONENTS))
amounts = st.integers(-(10**12), 10**12)
READ = TypeAdapter(Money)


@given(amounts, amounts, currencies)
def test_adding_and_taking_away_are_exact(a: int, b: int, currency: str) -> None:
    one, two = Money(a, currency), Money(b, currency)
    assert one + two == two + one == Money(a + b, currency)
    assert one + two - two == one
    assert one - two == -(two - one)
    assert (one < two, one <= two, bool(one)) == (a < b, a <= b, a != 0)


@given(st.lists(amounts, max_size=50), currencies)
def test_a_total_is_the_sum_and_zero_of_nothing(parts: list[int], currency: str) -> None:
    assert total((Money(part, currency) for part in parts), currency) == Money(sum(parts), currency)


@given(amounts, currencies)
def test_the_text_tells_the_amount_back(amount: int, currency: str) -> None:
    number, code = str(Money(amount, currency)).split(" ")
    assert code == currency
    assert int(number.replace(".", "")) == amount
    assert len(number.partition(".")[2]) == EXPONENTS[currency]


@given(amounts, currencies)
def test_what_is_written_is_read_again(amount: int, currency: str) -> None:
    money = Money(amount, currency)
    assert READ.validate_json(READ.dump_json(money)) == money


@given(amounts, currencies, currencies)
def test_currencies_never_mix(amount: int, one: str, other: str) -> None:
    if one == other:
        return
    for mixing in (Money.__add__, Money.__sub__, Money.__lt__, Money.__le__):
        with pytest.raises(InvalidMoney, match=f"{one} and {other} cannot be combined"):
            mixing(Money(amount, one), Money(amount, other))
    assert Money(amount, one) != Money(amount, other)
    with pytest.raises(InvalidMoney):
        total([Money(amount, one)], other)


@pytest.mark.parametrize(
    ("amount_minor", "currency", "text"),
    [
        (1999, "EUR", "19.99 EUR"),
        (-5, "USD", "-0.05 USD"),
        (0, "GBP", "0.00 GBP"),
        (999, "JPY", "999 JPY"),
        (-999, "JPY", "-999 JPY"),
        (500_00, "ISK", "500.00 ISK"),
        (500_00, "UGX", "500.00 UGX"),
    ],
)
def test_money_is_shown_with_its_currencys_decimals(amount_minor: int, currency: str, text: str) -> None:
    assert str(Money(amount_minor, currency)) == text


def test_the_enabled_currencies_are_those_that_the_provider_counts_alike() -> None:
    """ISK and UGX have no decimals in ISO 4217; the provider counts them with two."""
    assert {currency for currency, digits in EXPONENTS.items() if digits == 0} == {"JPY"}
    assert {currency for currency, digits in EXPONENTS.items() if digits != 2} == {"JPY"}
    assert {"ISK", "UGX"} == WHOLE_UNITS_ONLY <= EXPONENTS.keys()


@pytest.mark.parametrize("currency", ["KWD", "BHD", "TND", "JOD", "OMR", "eur", "EURO", "", "XXX", "BTC"])
def test_a_currency_that_is_not_enabled_is_refused_by_name(currency: str) -> None:
    with pytest.raises(InvalidMoney, match=f"currency '{currency}' is not enabled"):
        Money(1, currency)


@pytest.mark.parametrize("amount", [1.0, 19.99, "5", True, None, float("nan")])
def test_an_amount_is_a_whole_number(amount: object) -> None:
    with pytest.raises(InvalidMoney, match="amount_minor"):
        Money(amount, "EUR")  # type: ignore[arg-type]  # the point of the test


@pytest.mark.parametrize(
    "body",
    [
        '{"amount_minor": 19.99, "currency": "EUR"}',
        '{"amount_minor": 1, "currency": "KWD"}',
        '{"amount_minor": 1}',
        '{"currency": "EUR"}',
    ],
)
def test_a_body_that_is_no_money_is_refused(body: str) -> None:
    with pytest.raises(ValidationError):
        READ.validate_json(body)


def test_money_does_not_change() -> None:
    with pytest.raises(AttributeError):
        Money(1, "EUR").amount_minor = 2  # type: ignore[misc]  # the point of the test


@given(st.integers(0, LARGEST_AMOUNT_MINOR), currencies)
def test_what_the_provider_takes_is_chargeable(amount: int, currency: str) -> None:
    whole = amount - amount % 100 if currency in WHOLE_UNITS_ONLY else amount
    assert chargeable(Money(whole, currency)) == Money(whole, currency)


@pytest.mark.parametrize(
    ("amount_minor", "currency", "sentence"),
    [
        (-1, "EUR", "must not be negative"),
        (LARGEST_AMOUNT_MINOR + 1, "JPY", "must not exceed 99999999"),
        (101, "ISK", "in ISK must be a multiple of 100"),
        (50, "UGX", "in UGX must be a multiple of 100"),
    ],
)
def test_what_the_provider_would_refuse_is_refused_first(amount_minor: int, currency: str, sentence: str) -> None:
    with pytest.raises(InvalidMoney, match=f"amount_minor {sentence}"):
        chargeable(Money(amount_minor, currency))
