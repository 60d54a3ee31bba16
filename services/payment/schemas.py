"""What clients send and get."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from payment.models import Payment


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


class PaymentStarted(BaseModel):
    """What the browser needs to confirm; there is no `client_secret` once nothing is left to confirm."""

    payment: PaymentRead
    client_secret: str | None = Field(repr=False)
    publishable_key: str


class PaymentPage(BaseModel):
    """Payments, newest first. `next_cursor` asks for the page after this one."""

    payments: list[PaymentRead]
    next_cursor: UUID | None


def shown(payment: Payment) -> PaymentRead:
    """A row as its readers see it."""
    method = (
        MethodRead(kind=payment.method_kind, brand=payment.method_brand, last4=payment.method_last4)
        if payment.method_kind
        else None
    )
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
        method=method,
        hold_expires_at=payment.hold_expires_at,
        created_at=payment.created_at,
        updated_at=payment.updated_at,
    )
