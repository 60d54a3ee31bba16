"""What staff may give back: by the policy, by what is left, and alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from refund.domain import Case, Decision, decide
from refund.shares import Line


def suggestion(case: Case) -> int:
    """What the policy gives for the case's tickets, less what was refunded of them before; never more than is left."""
    untouched = tuple(replace(line, refunded_minor=0, refunded_tax_minor=0, prepaid_minor=0) for line in case.lines)
    given = decide(replace(case, lines=untouched, remaining_minor=case.paid_minor)).amount_minor
    taken = sum(line.refunded_minor for line in case.chosen)
    return max(0, min(given - taken, case.remaining_minor))


def needs_second_person(limits_minor: Mapping[str, int], currency: str, amount_minor: int) -> bool:
    """Whether an amount is above what one person may refund of a booking. A currency without a limit has none."""
    return currency in limits_minor and amount_minor > limits_minor[currency]


def may_be_repeated(decision: Decision, lines: Sequence[Line]) -> bool:
    """Whether a refund that failed still fits each of its tickets, as they are now without it, price and tax.

    Where other refunds took more of a ticket since, it would take the rest of it once more, or round the tax of the rest differently.
    """
    now = {line.line_id: line for line in lines}
    then = {line.line_id: line for line in decision.case.lines}
    taken = [share for share in decision.lines if share.refund_minor]
    return all(_fits(then[share.line_id], now[share.line_id]) for share in taken)


def _fits(then: Line, now: Line) -> bool:
    if now.refunded_minor == then.refunded_minor:
        return now.refunded_tax_minor == then.refunded_tax_minor
    return now.refunded_minor < then.refunded_minor and now.refunded_tax_minor <= then.refunded_tax_minor
