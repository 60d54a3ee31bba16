"""What tickets cost, and which payment pays them.

Pure: amounts are integers in minor units, rates are basis points.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from chassis.errors import Invalid
from contracts.money import InvalidMoney, Money, chargeable, total


class PaymentMismatch(Exception):
    """What was paid is not what the booking costs, or another payment pays it: a person must look."""


def tax_included(gross_minor: int, rate_bp: int) -> int:
    """The tax within a gross price: what is left of it above the net price, which is rounded half up."""
    divisor = 10_000 + rate_bp
    return gross_minor - (2 * gross_minor * 10_000 + divisor) // (2 * divisor)


def price_of(gross_minor: Iterable[int], currency: str) -> Money:
    """The sum of the tickets. Raises Invalid when the provider could not charge it."""
    try:
        return chargeable(total((Money(amount, currency) for amount in gross_minor), currency))
    except InvalidMoney as error:
        raise Invalid("items", f"the total cannot be charged: {error}") from None


def pays(amount: Money, price: Money) -> None:
    """Raises PaymentMismatch unless `amount` is exactly `price`."""
    if amount != price:
        raise PaymentMismatch(f"the payment is of {amount}, the booking costs {price}")


def check_tiers(tiers: Sequence[tuple[int, int]]) -> None:
    """Refund tiers are (hours before the start, percent). Raises Invalid unless both fall strictly from each tier to the next."""
    for (hours, percent), (next_hours, next_percent) in pairwise(tiers):
        if next_hours >= hours or next_percent >= percent:
            raise Invalid("refund_policy.tiers", "hours_before and percent must both fall from each tier to the next")


def policy_hash(policy: Mapping[str, Any]) -> str:
    """SHA-256 in hex over the canonical JSON of a refund policy (sorted keys, no blanks): says later which one a buyer accepted."""
    return hashlib.sha256(json.dumps(policy, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
