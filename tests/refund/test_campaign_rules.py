from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from refund.campaign_rules import (
    BURST,
    campaign_state,
    estimated_end,
    next_look,
    skip_reason,
    spend,
    tokens_at_hand,
)

NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=1)


def test_a_bucket_that_rested_holds_one_burst() -> None:
    assert tokens_at_hand(LONG_AGO, NOW, 20) == 20
    assert tokens_at_hand(spend(LONG_AGO, NOW, 20, 20), NOW, 20) == 0
    assert tokens_at_hand(spend(LONG_AGO, NOW, 20, 5), NOW, 20) == 15


def test_a_clock_that_is_behind_finds_no_tokens() -> None:
    assert tokens_at_hand(NOW + timedelta(seconds=3), NOW, 20) == 0


@given(
    per_s=st.integers(1, 1000),
    asked=st.lists(st.tuples(st.integers(0, 2_000_000), st.integers(0, 50)), max_size=60),
)
def test_no_window_ever_gets_more_than_its_time_and_one_burst(per_s: int, asked: list[tuple[int, int]]) -> None:
    """Whoever asks whenever and for how many: from any instant on, tokens are at most the rate times the time, and one burst."""
    spent_until, now = LONG_AGO, NOW
    taken: list[tuple[datetime, int]] = []
    for pause_us, wanted in asked:
        now += timedelta(microseconds=pause_us)
        count = min(wanted, tokens_at_hand(spent_until, now, per_s))
        spent_until = spend(spent_until, now, per_s, count)
        taken.append((now, count))
    for index, (since, _) in enumerate(taken):
        within = sum(count for _, count in taken[index:])
        assert within <= ((now - since) + BURST) / timedelta(seconds=1) * per_s * (1 + 1e-3)


@pytest.mark.parametrize(
    ("cancelled_by", "remaining", "reason"),
    [
        (None, 1, None),
        ("event", 1, None),
        ("event", 0, "already_refunded"),
        (None, 0, "already_refunded"),
        ("customer", 1, "cancelled_before"),
        ("staff", 0, "cancelled_before"),
    ],
)
def test_who_is_passed_over(cancelled_by: str | None, remaining: int, reason: str | None) -> None:
    assert skip_reason(cancelled_by, remaining) == reason


def test_a_campaign_is_finished_only_with_nothing_awaited() -> None:
    assert campaign_state(paused=False, finished=False, unfinished_items=0) == "running"
    assert campaign_state(paused=True, finished=False, unfinished_items=3) == "paused"
    assert campaign_state(paused=False, finished=True, unfinished_items=0) == "finished"
    assert campaign_state(paused=False, finished=True, unfinished_items=1) == "running"


def test_the_end_is_estimated_by_what_is_seen_then_by_the_pace_and_else_not() -> None:
    assert estimated_end(NOW, 50, 100, 5.0, 20) == NOW + timedelta(seconds=20)
    assert estimated_end(NOW, 50, 100, 0.0, 20) == NOW + timedelta(seconds=5)
    assert estimated_end(NOW, 0, 100, 0.0, 20) is None
    assert estimated_end(NOW, 0, 0, 5.0, 20) is None


@pytest.mark.parametrize(("quiet_s", "wait_s"), [(0, 1), (9, 1), (100, 10), (600, 60), (86_400, 60)])
def test_the_longer_nothing_moves_the_less_often_it_is_looked_at(quiet_s: int, wait_s: int) -> None:
    assert next_look(NOW, NOW - timedelta(seconds=quiet_s)) == NOW + timedelta(seconds=wait_s)
