"""Who is asked how it was, and when."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from notification.survey_rules import OPEN_FOR, STALE_AFTER, Case, Kind, Terms, due_at, open_until, why_not

OVER = datetime(2031, 3, 29, 21, 0, tzinfo=UTC)
TERMS = Terms(is_on=True, delays={Kind.EVENT: timedelta(hours=12), Kind.REFUND: timedelta(days=2)})
OFF = replace(TERMS, is_on=False)
MICROSECOND = timedelta(microseconds=1)


def case(kind: Kind, **facts: bool) -> Case:
    usual = {"is_confirmed": True, "is_cancelled": False, "is_erased": False, "has_failed_refund": False}
    return Case(kind, OVER, **(usual | facts))


def test_each_kind_has_a_delay_of_its_own() -> None:
    assert due_at(case(Kind.EVENT), TERMS) == OVER + timedelta(hours=12)
    assert due_at(case(Kind.REFUND), TERMS) == OVER + timedelta(days=2)


@pytest.mark.parametrize(
    ("kind", "facts", "terms", "asked"),
    [
        (Kind.EVENT, {}, TERMS, True),
        (Kind.EVENT, {"is_cancelled": True}, TERMS, False),  # by the buyer, by staff, or with the event
        (Kind.EVENT, {"is_confirmed": False}, TERMS, False),
        (Kind.EVENT, {"has_failed_refund": True}, TERMS, True),
        (Kind.EVENT, {"is_erased": True}, TERMS, False),
        (Kind.EVENT, {}, OFF, False),
        (Kind.REFUND, {}, TERMS, True),
        (Kind.REFUND, {"is_cancelled": True}, TERMS, True),
        (Kind.REFUND, {"is_confirmed": False, "is_cancelled": True}, TERMS, True),
        (Kind.REFUND, {"has_failed_refund": True}, TERMS, False),  # it did not arrive: that is no time for the question
        (Kind.REFUND, {"is_erased": True}, TERMS, False),
        (Kind.REFUND, {}, OFF, False),
    ],
)
def test_who_is_asked(kind: Kind, facts: dict[str, bool], terms: Terms, *, asked: bool) -> None:
    assert (why_not(case(kind, **facts), terms, OVER) is None) is asked


@pytest.mark.parametrize("kind", Kind)
def test_nobody_is_asked_about_what_is_long_over(kind: Kind) -> None:
    last = due_at(case(kind), TERMS) + STALE_AFTER
    assert why_not(case(kind), TERMS, last) is None
    assert why_not(case(kind), TERMS, last + MICROSECOND) == "it is too late"


def test_an_answer_is_taken_for_thirty_days() -> None:
    assert open_until(OVER) - OVER == OPEN_FOR == timedelta(days=30)
