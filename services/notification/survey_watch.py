"""Shows an operator what was answered of what was asked, of the last OPEN_FOR.

Gauges of what the rows say, and not counters: an answer that is changed counts once, with what it says last.
"""

from __future__ import annotations

import asyncio
from itertools import product

import structlog
from chassis.db import DATABASE_ERRORS, Database, Transaction, reason, table
from chassis.metrics import REGISTRY
from chassis.relay import wait
from prometheus_client import Gauge
from sqlalchemy import func, select

from notification.models import Survey
from notification.survey_rules import OPEN_FOR, SCORES, Kind

log = structlog.get_logger(__name__)

WATCH_S = 10.0

SENT = Gauge(
    "surveys_sent", "Surveys whose mail was written in the last 30 days, by what they ask about.", ["kind"],
    registry=REGISTRY,
)  # fmt: skip
ANSWERS = Gauge(
    "survey_answers", "How many of them were answered with each score.", ["kind", "score"], registry=REGISTRY
)
POINTS = Gauge("survey_points", "The sum of their scores.", ["kind"], registry=REGISTRY)

for _kind in Kind:
    SENT.labels(_kind)
    POINTS.labels(_kind)
for _kind, _score in product(Kind, SCORES):
    ANSWERS.labels(_kind, _score)


async def watch(database: Database) -> None:
    """Measures for ever."""
    while True:
        try:
            async with database.transaction() as tx:
                await measure(tx)
        except DATABASE_ERRORS as error:
            log.warning("surveys cannot be counted", error=reason(error))
        await wait(asyncio.Event(), WATCH_S)


async def measure(tx: Transaction) -> None:
    """Sets the gauges."""
    surveys = table(Survey)
    counted = await tx.execute(
        select(surveys.c.kind, surveys.c.score, func.count().label("surveys"))
        .where(surveys.c.asked_at > tx.now - OPEN_FOR)
        .group_by(surveys.c.kind, surveys.c.score)
    )
    found = {(row.kind, row.score): row.surveys for row in counted}
    for kind in Kind:
        by_score = {score: found.get((kind, score), 0) for score in SCORES}
        SENT.labels(kind).set(found.get((kind, None), 0) + sum(by_score.values()))
        POINTS.labels(kind).set(sum(score * count for score, count in by_score.items()))
        for score, count in by_score.items():
            ANSWERS.labels(kind, score).set(count)
