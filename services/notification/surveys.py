"""Surveys as rows: begun by an event, asked when they are due, answered by whoever has the mail, shown to staff."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from chassis.crypto import Sealer
from chassis.db import Database, Transaction, table
from chassis.errors import Conflict, NotFound
from contracts.booking import EventFacts
from sqlalchemy import DateTime, Row, String, Uuid, exists, literal, select, tuple_, update
from sqlalchemy.dialects.postgresql import Insert, insert

from notification.domain import Template
from notification.models import Booking, Message, MovedEvent, Survey
from notification.outgoing import queue
from notification.schemas import SurveyAnswer, SurveyAnswered, SurveyAnswers, SurveyRead
from notification.survey_rules import TEMPLATES, Case, Kind, SurveyStatus, Terms, due_at, open_until, why_not

SIGNED_AS = "notification.survey"
SEALED_AS = "notification.survey_comment"


def token_of(sealer: Sealer, survey_id: UUID) -> str:
    """What opens one survey and nothing else."""
    return sealer.sign(str(survey_id), SIGNED_AS)


def begun(tx: Transaction, booking_id: UUID, kind: Kind, since: datetime) -> Insert:
    """The row of a booking's survey, unless it has one of this kind. It is looked at first at `since`, when what it asks about is over."""
    values: Mapping[str, Any] = {
        "id": literal(tx.new_id(), Uuid),
        "booking_id": literal(booking_id, Uuid),
        "kind": literal(kind.value, String),
        "status": literal(SurveyStatus.WAITING.value, String),
        "next_attempt_at": literal(since, DateTime(timezone=True)),
        "created_at": literal(tx.now, DateTime(timezone=True)),
    }
    return insert(table(Survey)).from_select(list(values), select(*values.values())).on_conflict_do_nothing()


async def follow(tx: Transaction, event_id: UUID, ends_at: datetime) -> None:
    """Looks sooner at the surveys of an event that was moved to an earlier time. Of one that ends later, the look itself finds out."""
    surveys, bookings = table(Survey), table(Booking)
    await tx.execute(
        update(surveys)
        .where(
            surveys.c.booking_id == bookings.c.id,
            bookings.c.event_id == event_id,
            surveys.c.kind == Kind.EVENT,
            surveys.c.next_attempt_at > ends_at,
        )
        .values(next_attempt_at=ends_at)
    )


@dataclass(frozen=True)
class Inquirer:
    """Asks whoever is to be asked, once each."""

    database: Database
    terms: Terms

    async def look(self, survey_id: UUID) -> None:
        """Writes the mail of a survey, drops it, or waits until it is due."""
        surveys = table(Survey)
        async with self.database.transaction() as tx:
            found = await _waiting(tx, survey_id)
            if found is None:
                return
            case = _case(found)
            if (reason := why_not(case, self.terms, tx.now)) is not None:
                after: dict[str, Any] = {"status": SurveyStatus.DROPPED, "reason": reason, "next_attempt_at": None}
            elif (at := due_at(case, self.terms)) > tx.now:
                after = {"next_attempt_at": at}
            else:
                after = {"status": SurveyStatus.ASKED, "asked_at": tx.now, "next_attempt_at": None}
                mail = {TEMPLATES[case.kind]: {"survey_id": str(survey_id)}}
                await queue(tx, found.booking_id, mail, cause=f"survey/{survey_id}")
            await tx.execute(update(surveys).where(surveys.c.id == survey_id).values(after))


async def _waiting(tx: Transaction, survey_id: UUID) -> Row[Any] | None:
    """The survey, locked, with what is known of its booking; None where it is over."""
    surveys, bookings, moved, messages = table(Survey), table(Booking), table(MovedEvent), table(Message)
    has_failed_refund = exists().where(
        messages.c.booking_id == bookings.c.id,
        messages.c.template == Template.REFUND_FAILED,
        messages.c.facts["had_succeeded"].as_boolean(),
    )
    found = await tx.execute(
        select(
            surveys.c.booking_id,
            surveys.c.kind,
            surveys.c.created_at,
            bookings.c.event,
            bookings.c.confirmed,
            bookings.c.cancelled,
            bookings.c.contact.is_(None).label("is_erased"),
            moved.c.facts.label("move"),
            has_failed_refund.label("has_failed_refund"),
        )
        .join_from(surveys, bookings, bookings.c.id == surveys.c.booking_id)
        .outerjoin(moved, moved.c.id == bookings.c.event_id)
        .where(surveys.c.id == survey_id, surveys.c.status == SurveyStatus.WAITING)
        .with_for_update(of=surveys)
    )
    return found.first()


def _case(found: Row[Any]) -> Case:
    kind = Kind(found.kind)
    event = EventFacts.model_validate(found.move["event"] if found.move else found.event)
    return Case(
        kind=kind,
        since=event.ends_at if kind is Kind.EVENT else found.created_at,
        is_confirmed=found.confirmed,
        is_cancelled=found.cancelled,
        is_erased=found.is_erased,
        has_failed_refund=found.has_failed_refund,
    )


async def read(tx: Transaction, sealer: Sealer, survey_id: UUID, token: str | None) -> SurveyRead:
    """What is asked, and what was answered. Raises NotFound, whatever is wrong with the token or the survey."""
    return _shown(await _asked(tx, sealer, survey_id, token), tx.now)


async def answer(
    tx: Transaction, sealer: Sealer, survey_id: UUID, token: str | None, given: SurveyAnswer
) -> SurveyRead:
    """Keeps the answer, in the place of an earlier one. Raises NotFound as `read` does, Conflict once the survey is closed."""
    surveys, asked = table(Survey), await _asked(tx, sealer, survey_id, token)
    if tx.now > open_until(asked.asked_at):
        raise Conflict("This survey is closed: answers were taken for 30 days.", state="closed")
    said = {
        "score": given.score,
        "comment": sealer.seal(given.comment, SEALED_AS) if given.comment else None,
        "answered_at": tx.now,
    }
    await tx.execute(update(surveys).where(surveys.c.id == survey_id).values(said))
    return _shown(asked, tx.now, **said)


async def _asked(tx: Transaction, sealer: Sealer, survey_id: UUID, token: str | None) -> Row[Any]:
    """The survey, locked against an erasure. That of a customer who was erased is gone."""
    surveys, bookings = table(Survey), table(Booking)
    if token is None or not sealer.is_signed(str(survey_id), SIGNED_AS, token):
        raise NotFound("survey")
    found = await tx.execute(
        select(surveys, bookings.c.event)
        .join_from(surveys, bookings, bookings.c.id == surveys.c.booking_id)
        .where(surveys.c.id == survey_id, surveys.c.status == SurveyStatus.ASKED, bookings.c.contact.is_not(None))
        .with_for_update(of=surveys)
    )
    asked: Row[Any] | None = found.first()
    if asked is None:
        raise NotFound("survey")
    return asked


def _shown(asked: Row[Any], now: datetime, **said: Any) -> SurveyRead:
    until = open_until(asked.asked_at)
    shown = {"score": asked.score, "answered_at": asked.answered_at} | said
    return SurveyRead(
        kind=asked.kind,
        event_name=asked.event["name"],
        open_until=until,
        is_open=now <= until,
        score=shown["score"],
        answered_at=shown["answered_at"],
    )


async def answers(
    tx: Transaction, sealer: Sealer, *, booking_id: UUID | None, max_score: int | None, cursor: UUID | None, limit: int
) -> SurveyAnswers:
    """What was answered, newest first, with comments in clear."""
    surveys = table(Survey)
    query = select(surveys).where(surveys.c.answered_at.is_not(None))
    if booking_id is not None:
        query = query.where(surveys.c.booking_id == booking_id)
    if max_score is not None:
        query = query.where(surveys.c.score <= max_score)
    if cursor is not None:
        last = select(surveys.c.answered_at).where(surveys.c.id == cursor).scalar_subquery()
        query = query.where(tuple_(surveys.c.answered_at, surveys.c.id) < tuple_(last, literal(cursor, Uuid)))
    found = await tx.execute(query.order_by(surveys.c.answered_at.desc(), surveys.c.id.desc()).limit(limit + 1))
    items = [
        SurveyAnswered(
            id=row.id,
            booking_id=row.booking_id,
            kind=row.kind,
            score=row.score,
            comment=sealer.unseal(row.comment, SEALED_AS) if row.comment else None,
            answered_at=row.answered_at,
        )
        for row in found
    ]
    return SurveyAnswers(items=items[:limit], next_cursor=items[limit - 1].id if len(items) > limit else None)
