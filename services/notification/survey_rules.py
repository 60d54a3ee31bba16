"""Who is asked how it was, when, and until when the answer may be changed. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType

from notification.domain import Template


class Kind(StrEnum):
    """What a survey asks about. A booking has at most one of each."""

    EVENT = "event"
    REFUND = "refund"


class SurveyStatus(StrEnum):
    """`waiting` for its time, `asked` once its mail was written, or `dropped`: nobody is asked."""

    WAITING = "waiting"
    ASKED = "asked"
    DROPPED = "dropped"


TEMPLATES: Mapping[Kind, Template] = MappingProxyType(
    {Kind.EVENT: Template.SURVEY_EVENT, Kind.REFUND: Template.SURVEY_REFUND}
)
KINDS: Mapping[Template, Kind] = MappingProxyType({template: kind for kind, template in TEMPLATES.items()})

SCORES = range(1, 6)
COMMENT_MAX = 1_000
"""Characters."""

OPEN_FOR = timedelta(days=30)
"""How long after the mail an answer is taken, and the last one counts. Satisfaction is told of as many days."""

STALE_AFTER = timedelta(days=30)
"""Whoever was not asked by then, since the service or the surveys were off, is not asked any more."""


@dataclass(frozen=True)
class Terms:
    """Whether anybody is asked, and how long after the event's end, or the refund."""

    is_on: bool
    delays: Mapping[Kind, timedelta]


@dataclass(frozen=True)
class Case:
    """What is known when a survey is looked at. `since`: the end of the event as it takes place now, or when the refund was told of."""

    kind: Kind
    since: datetime
    is_confirmed: bool
    is_cancelled: bool
    is_erased: bool
    has_failed_refund: bool


def due_at(case: Case, terms: Terms) -> datetime:
    """When to ask."""
    return case.since + terms.delays[case.kind]


def why_not(case: Case, terms: Terms, now: datetime) -> str | None:
    """Why nobody is asked, in words; None where somebody is, once it is due."""
    if not terms.is_on:
        return "surveys are switched off"
    if case.is_erased:
        return "the recipient has been erased"
    if case.kind is Kind.EVENT and (case.is_cancelled or not case.is_confirmed):
        return "the booking was cancelled"
    if case.kind is Kind.REFUND and case.has_failed_refund:
        return "a refund did not arrive"
    return "it is too late" if now > due_at(case, terms) + STALE_AFTER else None


def open_until(asked_at: datetime) -> datetime:
    """The last instant at which an answer is taken. It belongs to the customer."""
    return asked_at + OPEN_FOR
