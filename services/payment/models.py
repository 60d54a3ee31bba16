"""The tables of payment. Every money rule of the domain stands here once more as a constraint (migrations/versions)."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from chassis.db import Transaction
from chassis.due import Due
from contracts.money import Money
from sqlalchemy import BigInteger, Column, DateTime, Enum, Identity, MetaData
from sqlmodel import Field, SQLModel, col, select

from payment.domain import CONFIRMABLE, DECLINES_MAX, Release, Status, Wish
from payment.refund_states import RefundStatus

INSTANT: Any = DateTime(timezone=True)


class Operation(StrEnum):
    """What may be asked of the provider."""

    CREATE = "create"
    CAPTURE = "capture"
    CANCEL = "cancel"
    REFUND = "refund"


class Outcome(StrEnum):
    """How an attempt ended. One without an outcome may still have its effect."""

    DONE = "done"
    REFUSED = "refused"
    ABSENT = "absent"  # proved not to have had its effect
    MOOT = "moot"  # the payment ended otherwise


def _text_of(enum: type[StrEnum]) -> Any:
    """A text column that is read back as the enum; its CHECK stands in the migration."""
    return Enum(enum, native_enum=False, values_callable=lambda members: [member.value for member in members])


class Table(SQLModel):
    """Base of this service's tables."""

    metadata = MetaData()


class Payment(Table, table=True):
    """What is owed for one booking and what became of it. `version` counts its events."""

    __tablename__ = "payments"

    id: UUID = Field(primary_key=True)
    booking_id: UUID = Field(unique=True)
    amount_minor: int = Field(sa_type=BigInteger)
    currency: str
    status: Status = Field(default=Status.CREATED, sa_type=_text_of(Status))
    status_since: datetime = Field(sa_type=INSTANT)
    version: int = 0
    wish: Wish = Field(default=Wish.COLLECT, sa_type=_text_of(Wish))
    release_reason: Release | None = Field(default=None, sa_type=_text_of(Release))
    booking_version: int
    hold_expires_at: datetime = Field(sa_type=INSTANT)
    provider: str
    provider_ref: str | None = None
    authorized_at: datetime | None = Field(default=None, sa_type=INSTANT)
    captured_minor: int = Field(default=0, sa_type=BigInteger)
    reserved_minor: int = Field(default=0, sa_type=BigInteger)
    refunded_minor: int = Field(default=0, sa_type=BigInteger)
    clearing_minor: int = Field(default=0, sa_type=BigInteger)
    fee_known: bool = False
    method_kind: str | None = None
    method_brand: str | None = None
    method_last4: str | None = None
    declines: int = 0
    last_decline_ref: str | None = None
    review_reason: str | None = None
    checks: int = 0
    next_check_at: datetime | None = Field(default=None, sa_type=INSTANT)
    created_at: datetime = Field(sa_type=INSTANT)
    updated_at: datetime = Field(sa_type=INSTANT)

    @property
    def amount(self) -> Money:
        """What is owed."""
        return Money(self.amount_minor, self.currency)

    @property
    def attempts_left(self) -> int:
        """How many declines the buyer still has."""
        return max(0, DECLINES_MAX - self.declines)

    @property
    def payable(self) -> bool:
        """Whether the buyer may still confirm."""
        return self.status in CONFIRMABLE and self.wish is Wish.COLLECT

    @property
    def refundable_minor(self) -> int:
        """What may still be promised back."""
        return self.captured_minor - self.refunded_minor - self.reserved_minor


class Attempt(Table, table=True):
    """One operation asked of the provider; its id is the idempotency key.

    `sent_at` is when it was last sent: unset, the provider cannot have it. A definitive refusal closes the row, and trying again is a new
    row; silence keeps the row, and so the key.
    """

    __tablename__ = "attempts"

    id: UUID = Field(primary_key=True)
    payment_id: UUID
    refund_id: UUID | None = None
    operation: Operation = Field(sa_type=_text_of(Operation))
    outcome: Outcome | None = Field(default=None, sa_type=_text_of(Outcome))
    code: str | None = None
    sent_at: datetime | None = Field(default=None, sa_type=INSTANT)
    created_at: datetime = Field(sa_type=INSTANT)
    closed_at: datetime | None = Field(default=None, sa_type=INSTANT)


class Refund(Table, table=True):
    """A refund as the provider sees it. Its id is given by the refund service; one made outside of Boxoffice gets one here."""

    __tablename__ = "refunds"

    id: UUID = Field(primary_key=True)
    payment_id: UUID
    booking_id: UUID
    amount_minor: int = Field(sa_type=BigInteger)
    currency: str
    reason: str
    status: RefundStatus = Field(default=RefundStatus.SUBMITTED, sa_type=_text_of(RefundStatus))
    status_since: datetime = Field(sa_type=INSTANT)
    provider_ref: str | None = None
    failure_code: str | None = None
    checks: int = 0
    next_check_at: datetime | None = Field(default=None, sa_type=INSTANT)
    created_at: datetime = Field(sa_type=INSTANT)
    updated_at: datetime = Field(sa_type=INSTANT)

    @property
    def amount(self) -> Money:
        """What goes back."""
        return Money(self.amount_minor, self.currency)


class LedgerEntry(Table, table=True):
    """One side of a posting. The entries of a `transaction_id` sum to zero per currency; none is ever changed or removed."""

    __tablename__ = "ledger_entries"

    id: int = Field(sa_column=Column(BigInteger, Identity(always=True), primary_key=True))
    transaction_id: UUID
    kind: str
    source: str
    account: str
    amount_minor: int = Field(sa_type=BigInteger)
    currency: str
    payment_id: UUID
    refund_id: UUID | None = None
    created_at: datetime = Field(sa_type=INSTANT)


class Receipt(Table, table=True):
    """A webhook as it was received, sealed. `outcome` is written in the transaction that applied it."""

    __tablename__ = "receipts"

    id: UUID = Field(primary_key=True)
    provider: str
    event_id: str
    type: str
    object_ref: str | None = None
    body: str
    tries: int = 0
    outcome: str | None = None
    next_attempt_at: datetime | None = Field(default=None, sa_type=INSTANT)
    received_at: datetime = Field(sa_type=INSTANT)
    processed_at: datetime | None = Field(default=None, sa_type=INSTANT)


class FreeBooking(Table, table=True):
    """A booking that owes nothing: later events about it need no payment."""

    __tablename__ = "free_bookings"

    booking_id: UUID = Field(primary_key=True)


LEASE = timedelta(seconds=30)
"""Two calls of ten seconds and a wait for a lock on either side of them fit in. It is also how long a payment rests at most when
whoever works on it is killed."""

MADE_OUTSIDE = "made_outside"
"""Reason of a refund that was made at the provider by hand."""

CHECKS = Due("payment-checks", Payment, "next_check_at", lease=LEASE)
REFUND_CHECKS = Due("refund-checks", Refund, "next_check_at", lease=LEASE)
RECEIPTS = Due("webhook-receipts", Receipt, "next_attempt_at", lease=LEASE)


async def locked_payment(tx: Transaction, payment_id: UUID) -> Payment | None:
    """The payment, held until the transaction ends. Whoever changes one of its refunds holds it too, and takes it first."""
    return (await tx.scalars(select(Payment).where(Payment.id == payment_id).with_for_update())).one_or_none()


async def payment_of_booking(tx: Transaction, booking_id: UUID, *, lock: bool = False) -> Payment | None:
    """The payment of a booking, if it is here yet."""
    query = select(Payment).where(Payment.booking_id == booking_id)
    return (await tx.scalars(query.with_for_update() if lock else query)).one_or_none()


async def locked_payment_of_refund(tx: Transaction, refund_id: UUID) -> Payment | None:
    """The payment of a refund, held until the transaction ends. Read the refund after it."""
    query = select(Payment).join(Refund, col(Refund.payment_id) == Payment.id).where(Refund.id == refund_id)
    return (await tx.scalars(query.with_for_update(of=Payment))).one_or_none()


async def refund_now(tx: Transaction, refund_id: UUID) -> Refund | None:
    """The refund as it is now. Hold its payment where it is to be changed."""
    return await tx.get(Refund, refund_id, populate_existing=True)


async def refund_by_ref(tx: Transaction, ref: str) -> Refund | None:
    """The refund that the provider calls `ref`."""
    return (await tx.scalars(select(Refund).where(Refund.provider_ref == ref))).one_or_none()


async def is_free(tx: Transaction, booking_id: UUID) -> bool:
    """Whether the booking owes nothing, and so has no payment."""
    return (await tx.get(FreeBooking, booking_id)) is not None
