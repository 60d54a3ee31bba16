"""The routes of surveys: the two of whoever was asked, opened by the token of the mail, and that of staff."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from chassis.auth import Staff
from chassis.db import Tx
from fastapi import APIRouter, Depends, Query, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from notification import surveys
from notification.schemas import SurveyAnswer, SurveyAnswers, SurveyRead

router = APIRouter()

_bearer = HTTPBearer(
    auto_error=False, scheme_name="SurveyToken", description="The token of one survey, which its mail brings."
)


async def _token(credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]) -> str | None:
    return credentials.credentials if credentials else None


Token = Annotated[str | None, Depends(_token)]


@router.get("/surveys/{survey_id}")
async def read_survey(survey_id: UUID, tx: Tx, token: Token, request: Request) -> SurveyRead:
    """What is asked, and whether it was answered. Looking answers nothing."""
    return await surveys.read(tx, request.app.state.sealer, survey_id, token)


@router.put("/surveys/{survey_id}/answer")
async def answer_survey(survey_id: UUID, body: SurveyAnswer, tx: Tx, token: Token, request: Request) -> SurveyRead:
    """Answers. Sent again within 30 days of the mail, the last answer counts."""
    return await surveys.answer(tx, request.app.state.sealer, survey_id, token, body)


@router.get("/surveys")
async def list_survey_answers(  # a filter each
    tx: Tx,
    _: Staff,
    request: Request,
    *,
    booking_id: UUID | None = None,
    max_score: Annotated[int | None, Query(ge=1, le=5)] = None,
    cursor: UUID | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> SurveyAnswers:
    """What buyers answered, newest first. A comment is as its buyer wrote it."""
    return await surveys.answers(
        tx, request.app.state.sealer, booking_id=booking_id, max_score=max_score, cursor=cursor, limit=limit
    )
