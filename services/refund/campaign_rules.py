"""The rules of a refund campaign: what becomes of a booking of a cancelled event, how fast, and when all of it is over."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from refund.domain import PAID_BACK, Status


class ItemState(StrEnum):
    """What the campaign has done with a booking. What becomes of a recorded refund says the refund alone."""

    QUEUED = "queued"
    RECORDED = "recorded"
    SKIPPED = "skipped"


class SkipReason(StrEnum):
    """Why a booking of a cancelled event gets no refund of the campaign."""

    ALREADY_REFUNDED = "already_refunded"
    CANCELLED_BEFORE = "cancelled_before"


class CampaignState(StrEnum):
    """Where a campaign stands."""

    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"


OUTCOMES = PAID_BACK | {Status.FAILED, Status.DECLINED}
"""With one of these a refund has its outcome; a bank may still turn a success into a failure."""

SHOWN_STATES = (ItemState.QUEUED, ItemState.SKIPPED, *Status)
"""States that an item is shown in: its own until a refund is recorded, then that refund's status."""

OVER = OUTCOMES | {ItemState.SKIPPED}
"""Shown states in which nothing more is awaited."""

CANCELLATION_GRACE = timedelta(minutes=5)
"""How long an item waits for its booking's own cancellation. One by the customer may be on its way, and then the policy holds."""

BURST = timedelta(seconds=1)
LOOK_AT_LEAST = timedelta(minutes=1)
LOOK_AT_MOST = timedelta(seconds=1)


def skip_reason(cancelled_by: str | None, remaining_minor: int) -> SkipReason | None:
    """Why a booking is passed over; None where all that is left of it goes back."""
    if cancelled_by not in {None, "event"}:
        return SkipReason.CANCELLED_BEFORE
    return None if remaining_minor else SkipReason.ALREADY_REFUNDED


def tokens_at_hand(spent_until: datetime, now: datetime, per_s: int) -> int:
    """How many items may be taken on now.

    The bucket is one instant: the tokens of all time before `spent_until` are taken, and those older than BURST are lost.
    """
    return max(0, (now - max(spent_until, now - BURST)) // (timedelta(seconds=1) / per_s))


def spend(spent_until: datetime, now: datetime, per_s: int, taken: int) -> datetime:
    """The bucket after `taken` tokens."""
    return max(spent_until, now - BURST) + taken * timedelta(seconds=1) / per_s


def campaign_state(*, paused: bool, finished: bool, unfinished_items: int) -> CampaignState:
    """What is shown. A refund that staff retry after the end is awaited again."""
    if finished and not unfinished_items:
        return CampaignState.FINISHED
    return CampaignState.PAUSED if paused else CampaignState.RUNNING


def estimated_end(
    now: datetime, queued: int, unfinished_items: int, measured_per_s: float, pace_per_s: int
) -> datetime | None:
    """When the last outcome is there at the rate of late; None when nobody can say: what is left waits for the provider."""
    rate = measured_per_s or (pace_per_s if queued else 0)
    return now + timedelta(seconds=unfinished_items / rate) if rate and unfinished_items else None


def next_look(now: datetime, last_change: datetime) -> datetime:
    """When to look again whether all is over: each second while things move, less often the longer nothing has."""
    return now + min(LOOK_AT_LEAST, max(LOOK_AT_MOST, (now - last_change) / 10))
