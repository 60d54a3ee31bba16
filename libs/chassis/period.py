"""The days that an analysis is asked for, as days of a time zone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo, available_timezones

from fastapi import Depends, Query

from chassis.errors import Invalid

DAYS_MAX = 366

Day = Annotated[date, Query(ge=date(2000, 1, 1), le=date(2100, 1, 1))]


@dataclass(frozen=True, slots=True)
class Period:
    """From the instant `begins` to before the instant `ends`; days in between are those of `timezone`."""

    begins: datetime
    ends: datetime
    timezone: str


def period(since: date, until: date, timezone: str) -> Period:
    """The days from `since` to the one before `until`. Raises Invalid for none or more than DAYS_MAX, or a zone that there is not."""
    if timezone not in available_timezones():
        raise Invalid("timezone", "is no IANA time zone such as Europe/Berlin")
    if not timedelta(0) < until - since <= timedelta(days=DAYS_MAX):
        raise Invalid("until", f"must be 1 to {DAYS_MAX} days after since")
    begins, ends = (datetime.combine(day, time.min, ZoneInfo(timezone)).astimezone(UTC) for day in (since, until))
    return Period(begins, ends, timezone)


async def _asked(
    since: Day, until: Annotated[Day, Query(description="not part of it")], timezone: str = "UTC"
) -> Period:
    return period(since, until, timezone)


AskedPeriod = Annotated[Period, Depends(_asked)]
"""`since`, `until` and `timezone` of a request."""
