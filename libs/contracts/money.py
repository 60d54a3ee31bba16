"""Money as integers in minor units with an ISO 4217 currency. No floats, no default currency."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

EXPONENTS: Mapping[str, int] = MappingProxyType(
    {
        "EUR": 2, "USD": 2, "GBP": 2, "CHF": 2, "SEK": 2, "NOK": 2, "DKK": 2, "PLN": 2, "CZK": 2, "HUF": 2,
        "JPY": 0, "AUD": 2, "CAD": 2, "NZD": 2, "SGD": 2, "INR": 2, "ISK": 2, "UGX": 2,
    }
)  # fmt: skip
"""Enabled currencies and their exponents as the provider counts them (docs.stripe.com/currencies): ISK and UGX are sent with two
decimals although ISO 4217 gives them none. Three-decimal currencies are refused."""

WHOLE_UNITS_ONLY = frozenset({"ISK", "UGX"})
"""Sent with two decimals that must be zero (docs.stripe.com/currencies)."""

LARGEST_AMOUNT_MINOR = 99_999_999
"""Eight digits, the provider's maximum for every enabled currency."""


class InvalidMoney(ValueError):
    """An amount or a currency that cannot stand for money; its text names which."""


@dataclass(frozen=True, slots=True, order=False)
class Money:
    """An amount in minor units of an enabled currency: `Money(1999, "EUR")` is 19.99 euros.

    Raises InvalidMoney for a currency outside EXPONENTS and for an amount that is no integer.
    """

    amount_minor: int
    currency: str

    def __post_init__(self) -> None:
        if self.currency not in EXPONENTS:
            raise InvalidMoney(f"currency {self.currency!r} is not enabled")
        if type(self.amount_minor) is not int:
            raise InvalidMoney("amount_minor must be an integer in minor units")

    def __add__(self, other: Money) -> Money:
        return Money(self.amount_minor + self._same(other), self.currency)

    def __sub__(self, other: Money) -> Money:
        return Money(self.amount_minor - self._same(other), self.currency)

    def __lt__(self, other: Money) -> bool:
        return self.amount_minor < self._same(other)

    def __le__(self, other: Money) -> bool:
        return self.amount_minor <= self._same(other)

    def __neg__(self) -> Money:
        return Money(-self.amount_minor, self.currency)

    def __bool__(self) -> bool:
        return self.amount_minor != 0

    def __str__(self) -> str:
        digits = EXPONENTS[self.currency]
        sign, amount = ("-", -self.amount_minor) if self.amount_minor < 0 else ("", self.amount_minor)
        units, rest = divmod(amount, 10**digits)
        return f"{sign}{units}.{rest:0{digits}d} {self.currency}" if digits else f"{sign}{units} {self.currency}"

    def _same(self, other: Money) -> int:
        if self.currency != other.currency:
            raise InvalidMoney(f"{self.currency} and {other.currency} cannot be combined")
        return other.amount_minor


def total(amounts: Iterable[Money], currency: str) -> Money:
    """Sum of amounts that are all in `currency`; zero of it when there are none."""
    result = Money(0, currency)
    for amount in amounts:
        result += amount
    return result


def chargeable(money: Money) -> Money:
    """The same money, if the provider can charge it.

    Raises InvalidMoney for a negative amount, one of more than eight digits, or a fraction of a currency that has whole units only.
    """
    if money.amount_minor < 0:
        raise InvalidMoney("amount_minor must not be negative")
    if money.amount_minor > LARGEST_AMOUNT_MINOR:
        raise InvalidMoney(f"amount_minor must not exceed {LARGEST_AMOUNT_MINOR}")
    if money.currency in WHOLE_UNITS_ONLY and money.amount_minor % 100:
        raise InvalidMoney(f"amount_minor in {money.currency} must be a multiple of 100")
    return money
