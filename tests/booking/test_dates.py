"""When an event is, what may be done until then, and what a move means for its buyers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from booking import dates
from booking.dates import Setting
from chassis.errors import Conflict, Invalid
from hypothesis import given
from hypothesis import strategies as st

START = datetime(2027, 3, 1, 19, tzinfo=UTC)
OPERA = Setting("Opernhaus", START, START + timedelta(hours=3), "Europe/Berlin")
DEFAULT_TIERS = [(48, 100), (24, 50)]
NOW = START - timedelta(days=30)


def later(**by: float) -> Setting:
    delta = timedelta(**by)
    return OPERA._replace(starts_at=OPERA.starts_at + delta, ends_at=OPERA.ends_at + delta)


@pytest.mark.parametrize(
    ("now", "cancelled_at", "state"),
    [
        (START - timedelta(seconds=1), None, None),
        (START, None, "started"),
        (START + timedelta(days=1), None, "started"),
        (START - timedelta(days=9), START - timedelta(days=10), "cancelled"),
    ],
)
def test_sales_end_at_the_start_or_the_cancellation(
    now: datetime, cancelled_at: datetime | None, state: str | None
) -> None:
    if state is None:
        dates.sales_open(now, START, cancelled_at)
        return
    with pytest.raises(Conflict) as refused:
        dates.sales_open(now, START, cancelled_at)
    assert refused.value.extra == {"state": state}


def test_a_customer_cancels_until_the_start() -> None:
    dates.customer_may_cancel(START - timedelta(microseconds=1), START, "confirmed")
    with pytest.raises(Conflict):
        dates.customer_may_cancel(START, START, "confirmed")


@pytest.mark.parametrize(
    ("zone", "local", "fold", "expected"),
    [
        ("Europe/Berlin", "2027-07-01T20:00", None, "2027-07-01T18:00"),
        ("Europe/Berlin", "2027-10-31T02:30", None, "2027-10-31T00:30"),
        ("Europe/Berlin", "2027-10-31T02:30", 0, "2027-10-31T00:30"),
        ("Europe/Berlin", "2027-10-31T02:30", 1, "2027-10-31T01:30"),
        ("Europe/Berlin", "2027-07-01T20:00", 1, "2027-07-01T18:00"),
        ("Europe/Berlin", "2027-03-28T03:00", None, "2027-03-28T01:00"),
        ("Australia/Lord_Howe", "2027-04-04T01:45", 1, "2027-04-03T15:15"),
        ("Pacific/Apia", "2011-12-31T00:00", None, "2011-12-30T10:00"),
        ("UTC", "2028-02-29T12:00", None, "2028-02-29T12:00"),
    ],
)
def test_local_times_are_resolved(zone: str, local: str, fold: int | None, expected: str) -> None:
    """Berlin shows 02:30 twice on the last Sunday of October; Lord Howe puts its clocks back by half an hour."""
    found = dates.instant("local_start", datetime.fromisoformat(local), ZoneInfo(zone), fold)
    assert found == datetime.fromisoformat(expected).replace(tzinfo=UTC)
    assert found.tzinfo is UTC


@pytest.mark.parametrize("fold", [None, 0, 1])
@pytest.mark.parametrize(
    ("zone", "local"), [("Europe/Berlin", "2027-03-28T02:30"), ("Pacific/Apia", "2011-12-30T12:00")]
)
def test_skipped_local_times_are_refused(zone: str, local: str, fold: int | None) -> None:
    """Clocks go from 02:00 to 03:00; Samoa had no 30 December 2011 at all."""
    with pytest.raises(Invalid, match="local_end: does not exist"):
        dates.instant("local_end", datetime.fromisoformat(local), ZoneInfo(zone), fold)


@given(st.datetimes(datetime(2000, 1, 1), datetime(2090, 1, 1)), st.sampled_from(["Europe/Berlin", "America/New_York"]))  # noqa: DTZ001  # wall-clock times have no zone
def test_a_resolved_time_shows_what_was_asked(local: datetime, zone: str) -> None:
    known = ZoneInfo(zone)
    try:
        found = dates.instant("local_start", local, known, None)
    except Invalid:
        return
    assert found.astimezone(known).replace(tzinfo=None, fold=0) == local


def test_an_event_ends_after_its_start() -> None:
    dates.check_times(START, START + timedelta(seconds=1))
    for end in (START, START - timedelta(hours=1)):
        with pytest.raises(Invalid, match="local_end"):
            dates.check_times(START, end)


@pytest.mark.parametrize(
    ("now", "cancelled_at", "state"),
    [
        (START - timedelta(microseconds=1), None, None),
        (START, None, "started"),
        (NOW, NOW - timedelta(days=1), "cancelled"),
        (START, NOW, "cancelled"),
    ],
)
def test_an_event_is_changed_until_its_start_or_its_cancellation(
    now: datetime, cancelled_at: datetime | None, state: str | None
) -> None:
    if state is None:
        dates.may_change(now, START, cancelled_at)
        return
    with pytest.raises(Conflict) as refused:
        dates.may_change(now, START, cancelled_at)
    assert refused.value.extra == {"state": state}


def test_an_event_is_not_moved_into_the_past() -> None:
    dates.check_move(NOW, OPERA, later(days=-29))
    for days in (-30, -31):
        with pytest.raises(Invalid, match="local_start"):
            dates.check_move(NOW, OPERA, later(days=days))
    with pytest.raises(Invalid, match="local_end"):
        dates.check_move(NOW, OPERA, OPERA._replace(ends_at=START))


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (OPERA, False),
        (later(hours=1), False),
        (later(hours=3, minutes=59), False),
        (later(hours=4), True),  # midnight in Berlin
        (later(hours=-20), False),
        (later(hours=-21), True),
        (later(days=7), True),
        (OPERA._replace(venue="Philharmonie"), True),
        (OPERA._replace(timezone="Asia/Tokyo"), True),  # 4 in the morning of the next day
        (OPERA._replace(timezone="Europe/Paris"), False),
        (OPERA._replace(ends_at=START + timedelta(hours=9)), False),
    ],
)
def test_another_day_or_place_is_another_event(after: Setting, expected: bool) -> None:  # noqa: FBT001  # a table's column
    """The day is the one that the event's own clocks show."""
    assert dates.is_material(OPERA, after) is expected


@pytest.mark.parametrize(
    ("after", "days", "tiers", "standing", "expected"),
    [
        # Not material: only what the organiser gives.
        (later(hours=1), None, [], None, None),
        (later(hours=1), 7, [], None, NOW + timedelta(days=7)),
        (later(hours=1), None, [], NOW + timedelta(days=3), NOW + timedelta(days=3)),
        # Material: fourteen days, or what the organiser gives.
        (later(days=7), None, [], None, NOW + timedelta(days=14)),
        (later(days=7), 30, [], None, NOW + timedelta(days=30)),
        # Not before the policy gives less than everything for the new start.
        (later(days=7), None, DEFAULT_TIERS, None, START + timedelta(days=5)),
        (later(days=7), None, [(48, 80)], None, NOW + timedelta(days=14)),
        # Not after the new start.
        (later(days=-25), None, [], None, START - timedelta(days=25)),
        (later(days=7), 365, DEFAULT_TIERS, None, START + timedelta(days=7)),
        # Never shorter than what buyers were told before.
        (later(days=7), 7, [], NOW + timedelta(days=10), NOW + timedelta(days=10)),
        (later(days=7), 14, [], NOW + timedelta(days=10), NOW + timedelta(days=14)),
    ],
)
def test_how_long_everything_goes_back(
    after: Setting, days: int | None, tiers: list[tuple[int, int]], standing: datetime | None, expected: datetime | None
) -> None:
    found = dates.full_refund_until(NOW, OPERA, after, days=days, tiers=tiers, standing=standing)
    assert found == expected
