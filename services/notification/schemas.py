"""What staff send and see, and whoever is asked how it was."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictInt, StringConstraints

from notification.domain import DeliveryStatus, EndpointStatus, MessageStatus, Template
from notification.payloads import TYPES
from notification.survey_rules import COMMENT_MAX, SCORES, Kind

SECRET_PREFIX = "whsec_"  # noqa: S105  # the prefix of every secret, not one
SECRET_BYTES_MIN, SECRET_BYTES_MAX = 24, 64
"""What the Standard Webhooks specification asks of a secret."""


def _a_secret(value: str) -> str:
    try:
        key = base64.b64decode(value.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not value.startswith(SECRET_PREFIX) or not SECRET_BYTES_MIN <= len(key) <= SECRET_BYTES_MAX:
        raise ValueError(
            f"must be {SECRET_PREFIX} and the base64 of {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX} random bytes"
        )
    return value


def _a_type(value: str) -> str:
    if value not in TYPES:
        raise ValueError(f"is none of {', '.join(sorted(TYPES))}")
    return value


EventType = Annotated[str, AfterValidator(_a_type), Field(max_length=64)]


class _Out(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class NotificationOut(_Out):
    """A mail, without a word of it and without its recipient."""

    id: UUID
    booking_id: UUID | None = Field(description="absent for a mail to staff about a whole event")
    template: Template
    for_staff: bool
    cause: str
    status: MessageStatus
    message_id: str | None
    attempts: int
    last_error: str | None
    created_at: datetime
    next_attempt_at: datetime | None
    sent_at: datetime | None


class Notifications(BaseModel):
    """Mails. `next_cursor` asks for the page after this one."""

    items: list[NotificationOut]
    next_cursor: UUID | None


class EndpointIn(BaseModel):
    """An endpoint to register. Without `event_types` it is told everything, without `secret` one is made."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field(max_length=2000)
    event_types: list[EventType] = Field(default_factory=lambda: sorted(TYPES), min_length=1, max_length=50)
    secret: Annotated[str, AfterValidator(_a_secret), Field(max_length=200)] | None = None


class EndpointOut(_Out):
    """An endpoint, without its secret."""

    id: UUID
    url: str
    event_types: list[str]
    status: EndpointStatus
    disabled_reason: str | None
    created_at: datetime


class EndpointCreated(EndpointOut):
    """The answer to a registration: the only one that shows the secret."""

    secret: str


class Endpoints(BaseModel):
    """Every endpoint."""

    items: list[EndpointOut]


class DeliveryOut(_Out):
    """A webhook and how far it got."""

    id: UUID
    endpoint_id: UUID
    webhook_id: str
    type: str
    booking_id: UUID | None = Field(description="absent for what is about a whole event")
    status: DeliveryStatus
    attempts: int
    last_status: int | None
    last_error: str | None
    created_at: datetime
    next_attempt_at: datetime | None
    delivered_at: datetime | None


class Deliveries(BaseModel):
    """Webhooks, newest first; `next` is the cursor of the page after this one."""

    items: list[DeliveryOut]
    next: UUID | None


class SurveyAnswer(BaseModel):
    """How it was, from 1, very bad, to 5, very good."""

    model_config = ConfigDict(extra="forbid")

    score: StrictInt = Field(ge=SCORES[0], le=SCORES[-1])
    comment: Annotated[str, StringConstraints(strip_whitespace=True, max_length=COMMENT_MAX)] | None = None


class SurveyRead(BaseModel):
    """A survey as whoever has its mail sees it. The comment is not shown again: mails are passed on."""

    kind: Kind
    event_name: str
    open_until: datetime = Field(description="the last instant at which an answer is taken or changed")
    is_open: bool
    score: int | None = Field(description="absent while it is not answered")
    answered_at: datetime | None


class SurveyAnswered(BaseModel):
    """An answer as staff see it."""

    id: UUID
    booking_id: UUID
    kind: Kind
    score: int
    comment: str | None
    answered_at: datetime


class SurveyAnswers(BaseModel):
    """Answers, newest first. `next_cursor` asks for those before them."""

    items: list[SurveyAnswered]
    next_cursor: UUID | None
