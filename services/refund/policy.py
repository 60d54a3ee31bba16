"""A refund policy: which percentage a cancellation gives, and until when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

LONGEST_HOURS = 100_000
"""More than eleven years; it keeps every cut-off within the calendar."""


class InvalidPolicy(ValueError):
    """A refund policy that cannot be applied; its text names the field."""


@dataclass(frozen=True, slots=True)
class Tier:
    """`percent` of the price is refunded when the cancellation is received at least `hours_before` the start."""

    hours_before: int
    percent: int


@dataclass(frozen=True, slots=True)
class Policy:
    """A refund policy as it was frozen on a booking. Raises InvalidPolicy, naming all that `contradictions` finds."""

    policy_id: str
    policy_version: int
    tiers: tuple[Tier, ...]
    fee_minor: int

    def __post_init__(self) -> None:
        if wrong := contradictions(self.tiers, self.fee_minor):
            raise InvalidPolicy("; ".join(f"{field} {sentence}" for field, sentence in wrong))


def contradictions(tiers: Sequence[Tier], fee_minor: int) -> list[tuple[str, str]]:
    """What is wrong with a policy: the field, and a sentence about it. A tier must ask for less time and give less than the one before."""
    wrong = [("fee_minor", "must not be negative")] if fee_minor < 0 else []
    for index, tier in enumerate(tiers):
        name = f"tiers.{index}"
        if not 0 <= tier.hours_before <= LONGEST_HOURS:
            wrong.append((f"{name}.hours_before", f"must lie between 0 and {LONGEST_HOURS}, not {tier.hours_before}"))
        if not 0 <= tier.percent <= 100:  # noqa: PLR2004  # per cent
            wrong.append((f"{name}.percent", f"must lie between 0 and 100, not {tier.percent}"))
        before = tiers[index - 1] if index else None
        if before and tier.hours_before >= before.hours_before:
            wrong.append((f"{name}.hours_before", f"must be below {before.hours_before}, the hours of the tier before"))
        if before and tier.percent >= before.percent:
            wrong.append((f"{name}.percent", f"must be below {before.percent}, the percentage of the tier before"))
    return wrong


@dataclass(frozen=True, slots=True)
class Moved:
    """What became of an event's start. Until `full_refund_until` every buyer may cancel and gets everything back."""

    starts_at: datetime
    full_refund_until: datetime | None


def deciding_start(promised: datetime, moved: Moved | None) -> datetime:
    """Of the promised and the new start the one that is better for the buyer: tiers fall, so it is the later one."""
    return promised if moved is None else max(promised, moved.starts_at)


@dataclass(frozen=True, slots=True)
class CutOff:
    """The last instant at which a cancellation still gives `percent`, also as the event's local time with its offset."""

    percent: int
    hours_before: int
    until: datetime
    until_local: str


def percent_of(policy: Policy, starts_at: datetime, received_at: datetime) -> tuple[int, str]:
    """The percentage of a cancellation and its rule in words.

    A boundary belongs to the customer: exactly 48 hours is at least 48 hours. Differences are exact integers of microseconds.
    """
    before_start = starts_at - received_at
    for tier in policy.tiers:
        if before_start >= timedelta(hours=tier.hours_before):
            share = f"{tier.percent} % is refunded" if tier.percent else "nothing is refunded"
            return tier.percent, f"Cancelled at least {tier.hours_before} hours before the start: {share}."
    if not policy.tiers:
        return 0, "The policy of this booking refunds nothing."
    return 0, f"Cancelled less than {policy.tiers[-1].hours_before} hours before the start: nothing is refunded."


def cut_offs(policy: Policy, starts_at: datetime, timezone: str) -> tuple[CutOff, ...]:
    """Hours are elapsed hours: across a change of the clocks the local time of a cut-off moves by one hour."""
    untils = [(tier, starts_at - timedelta(hours=tier.hours_before)) for tier in policy.tiers]
    return tuple(CutOff(tier.percent, tier.hours_before, until, local(until, timezone)) for tier, until in untils)


def local(instant: datetime, timezone: str) -> str:
    """The instant as local time of an IANA zone with its offset: 2027-03-28T03:30:00+02:00."""
    return instant.astimezone(ZoneInfo(timezone)).isoformat()
