"""`boxoffice refund simulate`: a draft policy played over real bookings.

Policies change at their tiers only, so a row holds from its hour up to that of the row before: together they are every hour.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from contracts.booking import PolicySnapshot
from contracts.money import Money
from pydantic import ValidationError
from refund.cases import policy_of
from refund.domain import Case, Ground, decide
from refund.policy import Policy, Tier, contradictions
from refund.schemas import PolicyDraft
from refund.shares import Line

from ops.settings import Settings
from ops.verify.reading import snapshot

SOLD = """
    SELECT starts_at, timezone, currency::text, policy::text, lines::text, captured_minor FROM bookings
    WHERE captured_minor IS NOT NULL AND placed_at IS NOT NULL
      AND ($1::uuid IS NULL OR event_id = $1)
      AND ($2::timestamptz IS NULL OR starts_at >= $2) AND ($3::timestamptz IS NULL OR starts_at < $3)
    ORDER BY booking_id"""
MICROSECOND = timedelta(microseconds=1)


class UnusableDraft(ValueError):
    """The file holds no policy that could be applied; its text says why, a line for each field."""


@dataclass(frozen=True)
class Sold:
    """A paid booking, with the columns of SOLD."""

    starts_at: datetime
    timezone: str
    currency: str
    policy: str
    lines: str
    captured_minor: int


@dataclass(frozen=True)
class Owed:
    """What all bookings in a currency would get if they were cancelled `from_hours` to below `below_hours` before the start.

    `from_hours` is missing below the last tier of all, `below_hours` above the first.
    """

    from_hours: int | None
    below_hours: int | None
    currency: str
    bookings: int
    paid_minor: int
    draft_minor: int
    frozen_minor: int

    def as_dict(self) -> Mapping[str, Any]:
        """Its fields."""
        return asdict(self)


def read_draft(file: Path) -> Policy:
    """The policy in a file. Raises UnusableDraft."""
    try:
        draft = PolicyDraft.model_validate_json(file.read_bytes())
    except OSError as error:
        raise UnusableDraft(f"{file}: {error.strerror}") from None
    except ValidationError as error:
        wrong = [(".".join(map(str, found["loc"])) or "the file", found["msg"]) for found in error.errors()]
        raise _unusable(file, wrong) from None
    tiers = tuple(Tier(tier.hours_before, tier.percent) for tier in draft.tiers)
    if contradicting := contradictions(tiers, draft.fee_minor):
        raise _unusable(file, contradicting)
    return Policy("draft", 1, tiers, draft.fee_minor)


def _unusable(file: Path, wrong: Iterable[tuple[str, str]]) -> UnusableDraft:
    return UnusableDraft("\n".join(f"{file}: {field}: {sentence}" for field, sentence in wrong))


async def simulate(
    settings: Settings, draft: Policy, event_id: UUID | None, since: datetime | None, until: datetime | None
) -> list[Owed]:
    """Reads the paid bookings of events that start from `since` to before `until`, and plays the draft over them."""
    async with snapshot("refund", settings.reading_url("refund")) as read:
        sold = await read.rows(Sold, SOLD, event_id, since, until)
    return played(draft, sold)


def played(draft: Policy, sold: Sequence[Sold]) -> list[Owed]:
    """What would be owed between the hours of all tiers, the longest before the start first, by currency. Tickets given back count too."""
    cases = [_case(booking) for booking in sold]
    hours = sorted({tier.hours_before for policy in (draft, *(case.policy for case in cases)) for tier in policy.tiers})
    hours.reverse()
    found: list[Owed] = []
    for below, since in zip([None, *hours], [*hours, None], strict=True):
        sums: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
        for case in cases:
            before = timedelta(hours=since) if since is not None else timedelta(hours=below or 0) - MICROSECOND
            now = replace(case, received_at=case.starts_at - before)
            amounts = (1, case.paid_minor, decide(replace(now, policy=draft)).amount_minor, decide(now).amount_minor)
            sums[case.currency] = [had + more for had, more in zip(sums[case.currency], amounts, strict=True)]
        found += [Owed(since, below, currency, *amounts) for currency, amounts in sorted(sums.items())]
    return found


def _case(booking: Sold) -> Case:
    lines = tuple(
        Line(UUID(line["line_id"]), line["name"], line["gross_minor"], line["tax_minor"], line["tax_rate_bp"])
        for line in json.loads(booking.lines)
    )
    return Case(
        ground=Ground.POLICY,
        currency=booking.currency,
        paid_minor=booking.captured_minor,
        remaining_minor=booking.captured_minor,
        lines=lines,
        policy=policy_of(PolicySnapshot.model_validate_json(booking.policy)),
        starts_at=booking.starts_at,
        timezone=booking.timezone,
        received_at=booking.starts_at,
    )


def lines(owed: Sequence[Owed]) -> Iterator[str]:
    """A table for people."""
    if not owed:
        yield "No paid booking is among these."
        return
    columns = "{:<22}{:>9}{:>20}{:>20}{:>20}{:>20}"
    yield columns.format("hours before the start", "bookings", "paid", "draft owes", "as sold owes", "difference")
    for row in owed:
        money = (row.paid_minor, row.draft_minor, row.frozen_minor, row.draft_minor - row.frozen_minor)
        shown = [str(Money(minor, row.currency)) for minor in money]
        yield columns.format(_hours(row), row.bookings, *shown)


def _hours(row: Owed) -> str:
    if row.from_hours is None:
        return "always" if row.below_hours is None else f"less than {row.below_hours}"
    return f"{row.from_hours} or more" if row.below_hours is None else f"{row.from_hours} to below {row.below_hours}"
