"""What goes back of each ticket. Integers in minor units; every rounding is here, and each is made once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from uuid import UUID

from contracts.money import WHOLE_UNITS_ONLY, Money


@dataclass(frozen=True, slots=True)
class Line:
    """One ticket at its frozen price, tax included, and what other refunds took of it.

    `prepaid_minor`: of that, what staff gave for a cancellation before it came.
    """

    line_id: UUID
    name: str
    gross_minor: int
    tax_minor: int
    tax_rate_bp: int
    refunded_minor: int = 0
    refunded_tax_minor: int = 0
    prepaid_minor: int = 0

    @property
    def left_minor(self) -> int:
        """Of the price, what no refund took."""
        return self.gross_minor - self.refunded_minor

    @property
    def left_tax_minor(self) -> int:
        """Of the tax, what no refund took."""
        return self.tax_minor - self.refunded_tax_minor


@dataclass(frozen=True, slots=True)
class Share:
    """What goes back of one line, what is kept after all refunds, and how it came about in words."""

    line_id: UUID
    refund_minor: int
    refund_tax_minor: int
    kept_minor: int
    kept_tax_minor: int
    arithmetic: str


def unit_of(currency: str) -> int:
    """The smallest step of an amount that the provider takes: ISK and UGX are counted with two decimals that must be zero."""
    return 100 if currency in WHOLE_UNITS_ONLY else 1


def part_of(gross_minor: int, percent: int, unit: int) -> int:
    """`percent` of a price in whole `unit`s, half up: 50 % of 9.99 is 5.00."""
    if percent == 100:  # noqa: PLR2004  # per cent
        return gross_minor
    return (gross_minor // unit * percent + 50) // 100 * unit


def allocate(amount: int, weights: Sequence[int], unit: int = 1) -> list[int]:
    """`amount` shared out by weight in whole `unit`s. The shares add up to it, and none exceeds its weight.

    `amount` must not exceed the sum of the weights; all are whole units, unless everything goes out.
    """
    whole = sum(weights)
    if amount == whole:
        return list(weights)
    exact = [Fraction(amount * weight, whole * unit) for weight in weights]
    return [share * unit for share in _by_largest_remainder(exact, amount // unit)]


def tax_within(lines: Sequence[Line], amounts: Sequence[int]) -> list[int]:
    """The tax contained in what goes back of each line, rounded once for each tax rate (half up), then by largest remainder.

    What takes the rest of a line takes the rest of its tax, so that all refunds of a line together return exactly its tax.
    """
    taxes = [0] * len(lines)
    for rate_bp in {line.tax_rate_bp for line in lines}:
        indices = [index for index, line in enumerate(lines) if line.tax_rate_bp == rate_bp and amounts[index]]
        exact = [Fraction(lines[i].left_tax_minor * amounts[i], lines[i].left_minor) for i in indices]
        total = int(sum(exact, Fraction(1, 2)))
        for index, share in zip(indices, _by_largest_remainder(exact, total), strict=True):
            taxes[index] = share
    return taxes


def _by_largest_remainder(exact: Sequence[Fraction], total: int) -> list[int]:
    """Integers that add up to `total`, each the floor of its exact share or one more; of equal remainders the first is served first."""
    shares = [int(share) for share in exact]
    order = sorted(range(len(exact)), key=lambda index: shares[index] - exact[index])
    for index in order[: total - sum(shares)]:
        shares[index] += 1
    return shares


def shares_of(
    lines: Sequence[Line], parts: Sequence[int], amounts: Sequence[int], *, percent: int, currency: str, less: str
) -> tuple[Share, ...]:
    """The trace of each line: `parts` is what the percentage gives, `amounts` what goes back of it, `less` why that is less."""
    taxes = tax_within(lines, amounts)
    return tuple(
        Share(
            line_id=line.line_id,
            refund_minor=amount,
            refund_tax_minor=tax,
            kept_minor=line.left_minor - amount,
            kept_tax_minor=line.left_tax_minor - tax,
            arithmetic=_in_words(line, (percent, currency, less), part, amount, tax),
        )
        for line, part, amount, tax in zip(lines, parts, amounts, taxes, strict=True)
    )


def _in_words(line: Line, terms: tuple[int, str, str], part: int, amount: int, tax: int) -> str:
    percent, currency, why_less = terms
    gross, taken, less, refund, contained = (
        Money(minor, currency) for minor in (line.gross_minor, line.refunded_minor, part - amount, amount, tax)
    )
    words = f"{percent} % of {gross}"
    if taken:
        words += f", of which {taken} was refunded before"
    if less:
        words += f", less {less} for {why_less}"
    return f"{words}: {refund}, tax of {contained} in it"
