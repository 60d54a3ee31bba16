"""A refund policy: which percentage a cancellation gives, and until when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo


class InvalidPolicy(ValueError):
    """A refund policy that cannot be applied; its text names the field."""


@dataclass(frozen=True, slots=True)
class Tier:
    """`percent` of the price is refunded when the cancellation is received at least `hours_before` the start."""

    hours_before: int
    percent: int


@dataclass(frozen=True, slots=True)
class Policy:
    """A refund policy as it was frozen on a booking. Raises InvalidPolicy unless hours and percents fall from tier to tier."""

    policy_id: str
    policy_version: int
    tiers: tuple[Tier, ...]
    fee_minor: int

    def __post_init__(self) -> None:
        if self.fee_minor < 0:
            raise InvalidPolicy("fee_minor must not be negative")
        if any(tier.hours_before < 0 or not 0 <= tier.percent <= 100 for tier in self.tiers):  # noqa: PLR2004  # per cent
            raise InvalidPolicy("tiers: hours_before must not be negative, percent must lie between 0 and 100")
        pairs = zip(self.tiers, self.tiers[1:], strict=False)
        if any(b.hours_before >= a.hours_before or b.percent >= a.percent for a, b in pairs):
            raise InvalidPolicy("tiers: hours_before and percent must both fall from each tier to the next")


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
