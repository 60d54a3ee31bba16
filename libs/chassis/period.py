"""The days that an analysis is asked for, as days of a time zone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo, available_timezones

from fastapi import Depends, Query
from pydantic import AfterValidator, StringConstraints

from chassis.errors import Invalid

DAYS_MAX = 366

Day = Annotated[date, Query(ge=date(2000, 1, 1), le=date(2100, 1, 1))]


def _iana_zone(name: str) -> str:
    # The set also holds links of the machine, such as localtime.
    if name not in available_timezones() or ("/" not in name and name != "UTC"):
        raise ValueError("is not an IANA time zone such as Europe/Berlin")
    return name


TimeZone = Annotated[str, StringConstraints(max_length=100), AfterValidator(_iana_zone)]
"""The name of a zone in a request."""


@dataclass(frozen=True, slots=True)
class Period:
    """From the instant `begins` to before the instant `ends`; days in between are those of `timezone`."""

    begins: datetime
    ends: datetime
    timezone: str


def period(since: date, until: date, timezone: str) -> Period:
    """The days from `since` to the one before `until`. Raises Invalid for none or more than DAYS_MAX."""
    if not timedelta(0) < until - since <= timedelta(days=DAYS_MAX):
        raise Invalid("until", f"must be 1 to {DAYS_MAX} days after since")
    begins, ends = (datetime.combine(day, time.min, ZoneInfo(timezone)).astimezone(UTC) for day in (since, until))
    return Period(begins, ends, timezone)


async def _asked(
    since: Day, until: Annotated[Day, Query(description="not part of it")], timezone: TimeZone = "UTC"
) -> Period:
    return period(since, until, timezone)


AskedPeriod = Annotated[Period, Depends(_asked)]
"""`since`, `until` and `timezone` of a request."""
