"""What refund's routes take and give. Money is minor units with a currency; instants are UTC."""

from __future__ import annotations

import unicodedata
from datetime import date, datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from contracts.money import LARGEST_AMOUNT_MINOR, Money
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)

from refund.domain import Decision, Ground, Status
from refund.iban import is_iban
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


Minor = Annotated[int, Field(ge=1, le=LARGEST_AMOUNT_MINOR, strict=True)]


class AskedLine(BaseModel):
    """A ticket, and how much of it; all that is left of it where no amount is given."""

    model_config = ConfigDict(extra="forbid")

    line_id: UUID
    amount_minor: Minor | None = None


class RefundRequest(BaseModel):
    """Staff refund an amount, or of some tickets, or all that is left of a booking's payment, in the currency that was charged."""

    model_config = ConfigDict(extra="forbid")

    booking_id: UUID
    amount_minor: Minor | None = None
    lines: Annotated[tuple[AskedLine, ...], Field(min_length=1, max_length=100)] | None = None
    reason: StaffReason
    note: Note | None = Field(None, description="for colleagues only; kept sealed")
    override: StrictBool = Field(
        default=False, description="more than the policy gives, or while disputed; needs the role manager"
    )

    @field_validator("lines")
    @classmethod
    def _each_once(cls, lines: tuple[AskedLine, ...] | None) -> tuple[AskedLine, ...] | None:
        if lines and len({line.line_id for line in lines}) < len(lines):
            raise ValueError("must name each ticket once")
        return lines

    @field_validator("lines")
    @classmethod
    def _one_way(cls, lines: tuple[AskedLine, ...] | None, info: ValidationInfo) -> tuple[AskedLine, ...] | None:
        if lines and info.data.get("amount_minor") is not None:
            raise ValueError("must not be given together with amount_minor")
        return lines


class Evidence(BaseModel):
    """How staff paid a refund another way than by the provider."""

    model_config = ConfigDict(extra="forbid")

    evidence: Note = Field(description="what shows it, such as the reference of a bank transfer; kept sealed")
    paid_at: AwareDatetime


class PayoutDetails(BaseModel):
    """Another way in which the holder wants the money: `iban` or `other_way`. Kept sealed; staff who may refund see it."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"account_holder": "Ada Lovelace", "iban": "DE89370400440532013000"}]},
    )

    account_holder: Annotated[Note, StringConstraints(max_length=140)]
    iban: Annotated[str, StringConstraints(max_length=42)] | None = None
    other_way: Note | None = Field(None, description="in words, where there is no IBAN")

    @field_validator("iban")
    @classmethod
    def _checked(cls, iban: str | None) -> str | None:
        plain = None if iban is None else "".join(iban.split()).upper()
        if plain is not None and not is_iban(plain):
            raise ValueError("is not an IBAN: its check digits do not fit")
        return plain

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.iban is None) is (self.other_way is None):
            raise ValueError("give either iban or other_way")
        return self


class RefundSummary(BaseModel):
    """A refund as a list shows it."""

    id: UUID
    booking_id: UUID
    payment_id: UUID
    status: Status
    amount: Money
    reason: str
    failure: str | None = Field(description="why it failed: the provider's code, not_enough_left or dispute_lost")
    waiting_for: str | None = Field(
        description="why it is pending or unknown: provider, balance, customer_action, unknown"
    )
    has_payout_details: bool = Field(description="the holder has said in which other way the money may be paid")
    created_at: datetime
    updated_at: datetime = Field(description="since when it has its status")


class RefundDetail(RefundSummary):
    """A refund with the trace of its decision. What follows `trace` is shown to staff only, payout details to those who may refund."""

    ground: Ground
    rule: str
    trace: Decision
    requested_by: str | None = None
    decided_by: str | None = Field(None, description="the second person")
    override: bool | None = None
    note: str | None = None
    evidence: str | None = None
    paid_at: datetime | None = None
    payout_details: PayoutDetails | None = None


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
    moved_to: datetime | None = Field(
        description="the event's new start; hours count to whichever is better for the buyer"
    )
    full_refund_until: datetime | None = Field(description="the event was changed: until then everything is refunded")
    full_refund_until_local: str | None
    next_cut_offs: tuple[CutOff, ...]
    lines: tuple[Share, ...]
    paid: Money
    refunded: Money
    pending: Money = Field(description="promised, and not yet accepted by the provider")
    remaining: Money


class PolicyTier(BaseModel):
    """`percent` of the price is refunded when the cancellation is received at least `hours_before` the start."""

    model_config = ConfigDict(extra="forbid")

    hours_before: Annotated[int, Field(strict=True)]
    percent: Annotated[int, Field(strict=True)]


class PolicyDraft(BaseModel):
    """What a new version of a policy says. Tiers fall in hours and in percent; below the last nothing is refunded."""

    model_config = ConfigDict(extra="forbid")

    tiers: Annotated[tuple[PolicyTier, ...], Field(max_length=20)]
    fee_minor: Annotated[int, Field(strict=True, le=LARGEST_AMOUNT_MINOR)] = 0
    valid_from: AwareDatetime | None = Field(None, description="now, where it is not given; never in the past")


class PolicyRead(BaseModel):
    """A version of a policy; it is never changed."""

    policy_id: str
    version: int
    tiers: list[PolicyTier]
    fee_minor: int
    valid_from: datetime
    created_by: str
    created_at: datetime


class PolicyHistory(BaseModel):
    """A policy: the version that is valid now, if any is, and all of them, the oldest first."""

    policy_id: str
    valid: PolicyRead | None
    versions: list[PolicyRead]


class RefundStep(BaseModel):
    """Where one refund stands, for its buyer."""

    id: UUID
    status: Status
    amount: Money
    since: datetime
    state: str = Field(description="in plain words")
    expected_from: date | None = Field(
        description="when the bank shows the money at the earliest, once the provider has accepted"
    )
    expected_until: date | None
    what_to_do: str | None
    can_choose_payout: bool = Field(description="POST /refunds/{id}/payout-details is open")
    payout_chosen: bool = Field(description="the holder has said in which other way the money may be paid")


class MoneyStatus(BaseModel):
    """Where the money of a booking is. Instants are UTC; `timezone` is the event's."""

    booking_id: UUID
    timezone: str
    paid: Money
    refunded: Money
    pending: Money
    refunds: list[RefundStep]


class RefundsOfReason(BaseModel):
    """Refunds that were asked for, by their reason. `completed_minor` has reached the buyers since."""

    reason: str
    currency: str
    count: int
    amount_minor: int
    completed_minor: int


class RefundsOfTier(BaseModel):
    """Refunds by a policy, by the percentage that it gave."""

    percent: int
    currency: str
    count: int
    amount_minor: int


class RefundsOfDay(BaseModel):
    """What was asked for on one day, and what reached buyers on it."""

    day: date
    currency: str
    requested_minor: int
    completed_minor: int


class RefundAnalytics(BaseModel):
    """Refunds by reason, by the policy's percentage and by day."""

    by_reason: list[RefundsOfReason]
    by_tier: list[RefundsOfTier]
    by_day: list[RefundsOfDay]
