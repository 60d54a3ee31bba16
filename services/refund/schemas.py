"""What refund's routes take and give. Money is minor units with a currency; instants are UTC."""

from __future__ import annotations

import unicodedata
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from contracts.money import Money
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from refund.domain import Decision, Ground, Status
from refund.policy import CutOff
from refund.shares import Share

LONGEST_NOTE = 1000


def _printable(text: str) -> str:
    """Refuses what no person types: control characters other than a line's end, and halves of a surrogate pair."""
    if any(unicodedata.category(char) in {"Cc", "Cs"} and char != "\n" for char in text):
        raise ValueError("must not hold control characters")
    return text


Note = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST_NOTE), AfterValidator(_printable)
]
QuoteState = Literal["unpaid", "free", "paid", "cancelled"]
StaffReason = Literal["customer_cancelled", "staff_cancelled", "event_cancelled", "goodwill", "duplicate", "other"]


class RefundRequest(BaseModel):
    """Staff refund all that is left of a booking's payment, in the currency that was charged."""

    model_config = ConfigDict(extra="forbid")

    booking_id: UUID
    reason: StaffReason
    note: Note | None = Field(None, description="for colleagues only; kept sealed")


class RefundSummary(BaseModel):
    """A refund as a list shows it."""

    id: UUID
    booking_id: UUID
    payment_id: UUID
    status: Status
    amount: Money
    reason: str
    failure: str | None = Field(description="why it failed: the provider's code, or not_enough_left")
    created_at: datetime
    updated_at: datetime


class RefundDetail(RefundSummary):
    """A refund with the trace of its decision. `requested_by` and `note` are shown to staff only."""

    ground: Ground
    rule: str
    trace: Decision
    requested_by: str | None = None
    note: str | None = None


class RefundPage(BaseModel):
    """Refunds, newest first."""

    items: list[RefundSummary]
    next_cursor: UUID | None = Field(description="give it as `cursor` for the next page; absent on the last")


class Quote(BaseModel):
    """What a cancellation received at `now` gives. `amount` is 0 in every state but `paid`, and may be 0 there."""

    booking_id: UUID
    state: QuoteState
    amount: Money
    percent: int
    fee_minor: int = Field(description="flat fee kept of the percentage, in the currency of `amount`")
    rule: str
    now: datetime
    starts_at: datetime
    timezone: str
    next_cut_offs: tuple[CutOff, ...]
    lines: tuple[Share, ...]
    paid: Money
    refunded: Money
    pending: Money = Field(description="promised, and not yet accepted by the provider")
    remaining: Money
