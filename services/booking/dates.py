"""Where and when an event takes place, what may be done until then, and what it means for buyers when it is moved.

Pure: no clock, no database. Instants are aware datetimes, local times are naive ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

from chassis.errors import Conflict, Invalid

EVERYTHING = 100
FULL_REFUND_DAYS = 14
"""How long everything goes back after a material change, unless the organiser says otherwise."""


class Setting(NamedTuple):
    """Where and when an event takes place; `timezone` is the IANA zone in which its local times are shown."""

    venue: str
    starts_at: datetime
    ends_at: datetime
    timezone: str

    @property
    def local_date(self) -> date:
        """The day of the start, as the buyer has it in the calendar."""
        return self.starts_at.astimezone(ZoneInfo(self.timezone)).date()


class SalesEnded(Conflict):
    """The event is cancelled."""

    def __init__(self) -> None:
        super().__init__("The event is cancelled.", state="cancelled")


def instant(field: str, local: datetime, zone: ZoneInfo, fold: int | None) -> datetime:
    """The UTC instant of a wall-clock time. An hour that clocks show twice means the first, unless `fold` is 1.

    Raises Invalid, naming `field`, for a time that clocks skip.
    """
    resolved = local.replace(tzinfo=zone, fold=fold or 0).astimezone(UTC)
    if resolved.astimezone(zone).replace(tzinfo=None, fold=0) != local.replace(fold=0):
        raise Invalid(field, "does not exist: clocks are put forward over it")
    return resolved


def check_times(starts_at: datetime, ends_at: datetime) -> None:
    """Raises Invalid unless the event ends after its start."""
    if ends_at <= starts_at:
        raise Invalid("local_end", "must be after local_start")


EventStatus = Literal["draft", "on_sale", "started", "ended", "cancelled"]


def event_status(
    now: datetime, starts_at: datetime, ends_at: datetime, cancelled_at: datetime | None, *, draft: bool
) -> EventStatus:
    """What an event is now. Derived, never stored."""
    if draft:
        return "draft"
    if cancelled_at is not None:
        return "cancelled"
    if now < starts_at:
        return "on_sale"
    return "started" if now < ends_at else "ended"


def sales_open(now: datetime, starts_at: datetime, cancelled_at: datetime | None) -> None:
    """Raises SalesEnded once the event is cancelled, Conflict once it has started."""
    if cancelled_at is not None:
        raise SalesEnded
    if now >= starts_at:
        raise Conflict("The event has started; it is not sold any more.", state="started")


def customer_may_cancel(now: datetime, starts_at: datetime, status: str) -> None:
    """Raises Conflict once the event has started: then only staff cancel."""
    if now >= starts_at:
        raise Conflict("The event has started; the booking cannot be cancelled any more.", state=status)


def may_change(now: datetime, starts_at: datetime, cancelled_at: datetime | None) -> None:
    """Raises Conflict once the event is cancelled or has started."""
    if cancelled_at is not None:
        raise Conflict("The event is cancelled; it cannot be changed any more.", state="cancelled")
    if now >= starts_at:
        raise Conflict("The event has started; it cannot be changed any more.", state="started")


def may_publish(now: datetime, starts_at: datetime) -> None:
    """Raises Conflict for a draft whose start is over."""
    if now >= starts_at:
        raise Conflict("The start of this event is over; it cannot be published.", state="draft")


def may_cancel(*, draft: bool) -> None:
    """Raises Conflict for a draft: nobody could book it."""
    if draft:
        raise Conflict("The event is a draft; there is nothing to cancel.", state="draft")


def check_move(now: datetime, before: Setting, after: Setting) -> None:
    """Raises Invalid for an end that is not after the start, and for a new start that is over already."""
    check_times(after.starts_at, after.ends_at)
    if after.starts_at != before.starts_at and after.starts_at <= now:
        raise Invalid("local_start", "must be in the future")


def is_material(before: Setting, after: Setting) -> bool:
    """Whether the event is another one for its buyers: on another day, or at another place."""
    return after.venue != before.venue or after.local_date != before.local_date


def full_refund_until(
    now: datetime,
    before: Setting,
    after: Setting,
    *,
    days: int | None,
    tiers: Sequence[tuple[int, int]],
    standing: datetime | None,
) -> datetime | None:
    """Until when every buyer may cancel and gets everything back; None where only the policy says so.

    A material change opens the window for FULL_REFUND_DAYS, any move for as many `days` as the organiser gives. It never ends before
    the instant until which the policy's `tiers` (hours before the start, percent) give everything back for the new start, nor after that
    start. A window that is `standing` from an earlier change is never cut short.
    """
    if days is None:
        if not is_material(before, after):
            return standing
        days = FULL_REFUND_DAYS
    by_policy = [after.starts_at - timedelta(hours=hours) for hours, percent in tiers if percent == EVERYTHING]
    until = min(max([now + timedelta(days=days), *by_policy]), after.starts_at)
    return max(until, standing) if standing else until
