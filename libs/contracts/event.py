"""What every event has, and how its name becomes a routing key."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

Sealed = Annotated[str, Field(json_schema_extra={"x-sealed": True})]
"""Ciphertext of personal data or a secret (chassis.crypto). The associated data is the field's name as its contract states it."""

Minor = Annotated[int, Field(ge=0, description="minor units of the currency beside it")]


class Fact(BaseModel):
    """A part of an event. Unknown fields are ignored, so that a newer publisher does not break an older consumer."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Event(Fact):
    """Something that happened, in the past tense, about one aggregate.

    A subclass names its type (`payment.succeeded.v1`: publisher, what happened, version of the shape), which is also its
    routing key, and the field that identifies the aggregate. `version` counts that aggregate's events 1, 2, 3 without gaps.
    """

    type: ClassVar[str]
    publisher: ClassVar[str]
    subject_field: ClassVar[str]

    version: int = Field(ge=1, description="the aggregate's events are numbered 1, 2, 3 without gaps")
    occurred_at: AwareDatetime

    def __init_subclass__(cls, *, type: str, subject: str, **kwargs: Any) -> None:  # noqa: A002  # the attribute's name in CloudEvents
        super().__init_subclass__(**kwargs)
        cls.type = type
        cls.publisher = type.partition(".")[0]
        cls.subject_field = subject

    @property
    def subject(self) -> UUID:
        """Id of the aggregate that the event is about."""
        subject: UUID = getattr(self, self.subject_field)
        return subject
