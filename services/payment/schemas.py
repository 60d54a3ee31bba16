"""What clients send and get."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from payment.fraud import ReviewStatus
from payment.models import Dispute, Payment, Refund, Review


class PaymentCreate(BaseModel):
    """Asks to pay a booking."""

    model_config = ConfigDict(extra="forbid")

    booking_id: UUID


class AmountRead(BaseModel):
    """Money: minor units of a currency."""

    amount_minor: int
    currency: str


class MethodRead(BaseModel):
    """The method that was used, as far as it may be shown."""

    kind: str
    brand: str | None
    last4: str | None


class PaymentRead(BaseModel):
    """A payment. `payable` says whether its buyer may still try."""

    id: UUID
    booking_id: UUID
    status: str
    amount: AmountRead
    captured_minor: int
    refunded_minor: int
    refund_pending_minor: int
    attempts_left: int
    payable: bool
    method: MethodRead | None
    hold_expires_at: datetime
    created_at: datetime
    updated_at: datetime


class RefundRead(BaseModel):
    """A refund as the provider sees it, for staff. `waits_for` says why it is not done yet."""

    id: UUID
    status: str
    amount: AmountRead
    reason: str
    waits_for: str | None
    failure_code: str | None
    provider_ref: str | None
    created_at: datetime
    updated_at: datetime


class PaymentDetail(PaymentRead):
    """A payment; staff also see its refunds, oldest first, and what disputes have taken."""

    refunds: list[RefundRead] | None = None
    disputed_minor: int | None = None


class DisputeRead(BaseModel):
    """A dispute. `withdrawn_minor` is what the bank holds or has taken of what was charged; `respond_by` the provider's deadline."""

    id: UUID
    payment_id: UUID
    booking_id: UUID
    status: str
    reason: str
    amount: AmountRead
    withdrawn_minor: int
    respond_by: datetime | None
    provider_ref: str
    created_at: datetime
    updated_at: datetime


class DisputePage(BaseModel):
    """Disputes, newest first. `next_cursor` asks for the page after this one."""

    disputes: list[DisputeRead]
    next_cursor: UUID | None


class Decision(BaseModel):
    """Which of the payment's reviews is decided, and a word about it for colleagues only; kept sealed."""

    model_config = ConfigDict(extra="forbid")

    review_id: UUID
    note: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000)] | None = None


class ReviewRead(BaseModel):
    """A payment that a person looks at. `reason` names the rules that held it, or what in the provider's object is doubted."""

    id: UUID
    payment_id: UUID
    booking_id: UUID
    amount: AmountRead
    kind: str
    reason: str
    detail: dict[str, Any]
    method: MethodRead | None
    opened_at: datetime
    status: ReviewStatus
    decided_by: str | None
    decided_at: datetime | None
    note: str | None


class ReviewPage(BaseModel):
    """Reviews, newest first. `next_cursor` asks for the page after this one."""

    items: list[ReviewRead]
    next_cursor: UUID | None


class PaymentStarted(BaseModel):
    """What the browser needs to confirm; there is no `client_secret` once nothing is left to confirm."""

    payment: PaymentRead
    client_secret: str | None = Field(repr=False)
    publishable_key: str


class PaymentPage(BaseModel):
    """Payments, newest first. `next_cursor` asks for the page after this one."""

    payments: list[PaymentRead]
    next_cursor: UUID | None


class MoneyOfDay(BaseModel):
    """What was captured, given back and taken by banks on one day. `disputed_minor` is in the currency that the account settles in."""

    day: date
    currency: str
    captured_minor: int
    refunded_minor: int
    disputed_minor: int


class MoneyOfEvent(BaseModel):
    """The same for one event, without disputes. `event_id` is absent for payments from before it was kept."""

    event_id: UUID | None
    currency: str
    captured_minor: int
    refunded_minor: int


class Checkouts(BaseModel):
    """What became of the payments that were opened."""

    succeeded: int = 0
    failed: int = 0
    abandoned: int = 0
    open: int = 0


class Attempts(BaseModel):
    """How often buyers tried to pay."""

    succeeded: int
    declined: int


class DeclinesOfCode(BaseModel):
    """How often attempts were declined with one of the provider's codes."""

    code: str
    count: int


class PaymentAnalytics(BaseModel):
    """Money by day and by event, as the ledger has it, and what became of checkouts."""

    by_day: list[MoneyOfDay]
    by_event: list[MoneyOfEvent]
    checkouts: Checkouts
    attempts: Attempts
    declines: list[DeclinesOfCode]


def shown(payment: Payment) -> PaymentRead:
    """A row as its readers see it."""
    return PaymentRead(
        id=payment.id,
        booking_id=payment.booking_id,
        status=payment.status,
        amount=AmountRead(amount_minor=payment.amount_minor, currency=payment.currency),
        captured_minor=payment.captured_minor,
        refunded_minor=payment.refunded_minor,
        refund_pending_minor=payment.reserved_minor,
        attempts_left=payment.attempts_left,
        payable=payment.payable,
        method=_method_of(payment),
        hold_expires_at=payment.hold_expires_at,
        created_at=payment.created_at,
        updated_at=payment.updated_at,
    )


def shown_refund(refund: Refund) -> RefundRead:
    """A row as staff see it."""
    amount = AmountRead(amount_minor=refund.amount_minor, currency=refund.currency)
    return RefundRead(amount=amount, **refund.model_dump(include=RefundRead.model_fields.keys() - {"amount"}))


def shown_dispute(dispute: Dispute) -> DisputeRead:
    """A row as staff see it."""
    amount = AmountRead(amount_minor=dispute.amount_minor, currency=dispute.currency)
    return DisputeRead(amount=amount, **dispute.model_dump(include=DisputeRead.model_fields.keys() - {"amount"}))


def shown_review(review: Review, payment: Payment, note: str | None) -> ReviewRead:
    """A row as staff see it, with its payment's amount and the note unsealed."""
    return ReviewRead(
        amount=AmountRead(amount_minor=payment.amount_minor, currency=payment.currency),
        booking_id=payment.booking_id,
        method=_method_of(payment),
        reason=", ".join(review.reasons),
        note=note,
        **review.model_dump(
            include={"id", "payment_id", "kind", "detail", "opened_at", "status", "decided_by", "decided_at"}
        ),
    )


def _method_of(payment: Payment) -> MethodRead | None:
    if not payment.method_kind:
        return None
    return MethodRead(kind=payment.method_kind, brand=payment.method_brand, last4=payment.method_last4)
