"""Which authorized payments a person looks at before booking hears of them, and what may be decided. Pure, like the domain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from contracts.money import Money


class ReviewKind(StrEnum):
    """Why a person looks at a payment."""

    HELD = "held"  # a rule below
    DOUBTED = "doubted"  # the provider's object is not as it was asked for


class ReviewStatus(StrEnum):
    """What has become of a review."""

    OPEN = "open"
    APPROVED = "approved"
    REJECTED = "rejected"


class Rule(StrEnum):
    """Why a payment is held."""

    AMOUNT = "amount"
    DECLINES_OF_CARD = "declines_of_card"
    DECLINES_OF_BOOKING = "declines_of_booking"
    RISK = "risk"


DECLINES_WITHIN = timedelta(hours=1)
HIGHEST_RISK = "highest"
"""The provider's own word (docs.stripe.com/radar/risk-evaluation)."""
ACCEPTABLE = frozenset({"system", "payment_id", "booking_id"})
"""Doubts that a person may accept: what stands in the metadata, which can be edited by hand. Never the amount, the mode or the object."""


@dataclass(frozen=True, slots=True)
class Rules:
    """`above_minor`: by currency, above which amount a payment is held; a currency without a limit has none."""

    above_minor: Mapping[str, int] = field(default_factory=dict)
    declines: int = 5


DEFAULT = Rules()


@dataclass(frozen=True, slots=True)
class Signs:
    """What the rules look at. Declines are those of the hour before, by the card that is used now and by the booking's buyer."""

    amount: Money
    declines_of_card: int = 0
    declines_of_booking: int = 0
    risk_level: str | None = None
    is_flagged: bool = False


def rules_met(rules: Rules, signs: Signs) -> tuple[Rule, ...]:
    """The rules that hold a payment; none where it goes on."""
    limit = rules.above_minor.get(signs.amount.currency)
    met = {
        Rule.AMOUNT: limit is not None and signs.amount.amount_minor > limit,
        Rule.DECLINES_OF_CARD: signs.declines_of_card >= rules.declines,
        Rule.DECLINES_OF_BOOKING: signs.declines_of_booking >= rules.declines,
        Rule.RISK: signs.risk_level == HIGHEST_RISK or signs.is_flagged,
    }
    return tuple(rule for rule, is_met in met.items() if is_met)


def detail_of(rules: Rules, signs: Signs) -> dict[str, int | str | bool | None]:
    """What a person is shown of it: figures and the provider's words."""
    return {
        "above_minor": rules.above_minor.get(signs.amount.currency),
        "declines_of_card": signs.declines_of_card,
        "declines_of_booking": signs.declines_of_booking,
        "risk_level": signs.risk_level,
        "flagged_by_provider": signs.is_flagged,
    }


def unacceptable(doubts: Sequence[str]) -> list[str]:
    """Those of the doubts with which no payment goes on."""
    return [doubt for doubt in doubts if doubt not in ACCEPTABLE]
