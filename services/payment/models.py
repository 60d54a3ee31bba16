"""The tables of payment. Every money rule of the domain stands here once more as a constraint (migrations/versions)."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from chassis.db import Database, Transaction, table
from chassis.due import Due
from contracts.money import Money
from sqlalchemy import ARRAY, BigInteger, Column, DateTime, Enum, Identity, MetaData, Text, Uuid, bindparam, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel, col, select

from payment.dispute_states import DisputeStatus
from payment.domain import CONFIRMABLE, DECLINES_MAX, Release, Status, Wish
from payment.fraud import ReviewKind, ReviewStatus
from payment.refund_states import RefundStatus, Waiting

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
    """What is owed for one booking and what became of it. `version` counts its events.

    `dispute_id` names a dispute that is open; `withdrawn_minor` is what disputes hold or have taken, `disputed_minor` what of it could
    have been refunded, `double_return_minor` what the buyer has twice. `accepted_doubts` a person has looked at.
    """

    __tablename__ = "payments"

    id: UUID = Field(primary_key=True)
    booking_id: UUID = Field(unique=True)
    event_id: UUID | None = None
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
    dispute_id: UUID | None = None
    withdrawn_minor: int = Field(default=0, sa_type=BigInteger)
    disputed_minor: int = Field(default=0, sa_type=BigInteger)
    double_return_minor: int = Field(default=0, sa_type=BigInteger)
    fee_known: bool = False
    method_kind: str | None = None
    method_brand: str | None = None
    method_last4: str | None = None
    declines: int = 0
    last_decline_ref: str | None = None
    review_reason: str | None = None
    accepted_doubts: list[str] = Field(default_factory=list, sa_type=ARRAY(Text))
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
        return self.captured_minor - self.refunded_minor - self.reserved_minor - self.disputed_minor


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
    """A refund as the provider sees it. Its id is given by the refund service; one made outside of Boxoffice gets one here.

    `approved_version` is the approval that it acts on; `blocked_by` the dispute that others were told it waits for.
    """

    __tablename__ = "refunds"

    id: UUID = Field(primary_key=True)
    payment_id: UUID
    booking_id: UUID
    amount_minor: int = Field(sa_type=BigInteger)
    currency: str
    reason: str
    status: RefundStatus = Field(default=RefundStatus.SUBMITTED, sa_type=_text_of(RefundStatus))
    status_since: datetime = Field(sa_type=INSTANT)
    approved_version: int = 0
    waits_for: Waiting | None = Field(default=None, sa_type=_text_of(Waiting))
    blocked_by: UUID | None = None
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

    @property
    def is_outside(self) -> bool:
        """Whether it was made at the provider by hand."""
        return self.reason == MADE_OUTSIDE

    @property
    def is_told(self) -> bool:
        """Whether others hear of it: nobody knows of a payment that a review rejected."""
        return self.reason != REVIEW_REJECTED


def new_refund(
    tx: Transaction, refund_id: UUID, *, payment_id: UUID, booking_id: UUID, amount: Money, reason: str, **columns: Any
) -> Refund:
    """One that begins now; it is not written yet."""
    return Refund(
        id=refund_id,
        payment_id=payment_id,
        booking_id=booking_id,
        amount_minor=amount.amount_minor,
        currency=amount.currency,
        reason=reason,
        status_since=tx.now,
        created_at=tx.now,
        updated_at=tx.now,
        **columns,
    )


class Review(Table, table=True):
    """A payment that a person looks at, by which rules or doubts (`reasons`), and what was decided. `note` is sealed."""

    __tablename__ = "reviews"

    id: UUID = Field(primary_key=True)
    payment_id: UUID
    kind: ReviewKind = Field(sa_type=_text_of(ReviewKind))
    reasons: list[str] = Field(sa_type=ARRAY(Text))
    detail: dict[str, Any] = Field(sa_type=JSONB)
    status: ReviewStatus = Field(default=ReviewStatus.OPEN, sa_type=_text_of(ReviewStatus))
    opened_at: datetime = Field(sa_type=INSTANT)
    decided_by: str | None = None
    decided_at: datetime | None = Field(default=None, sa_type=INSTANT)
    note: str | None = None


class Decline(Table, table=True):
    """An attempt of the buyer's that was declined. `card` is the provider's fingerprint of the card number."""

    __tablename__ = "declines"

    id: UUID = Field(primary_key=True)
    payment_id: UUID
    code: str
    card: str | None = None
    at: datetime = Field(sa_type=INSTANT)


class Dispute(Table, table=True):
    """A dispute as the provider sees it.

    `withdrawn_minor` is what it holds or has taken, `movements` how many bookings of the provider are posted; `revision` counts what was
    applied, so that an answer that was asked for earlier never overwrites a later one.
    """

    __tablename__ = "disputes"

    id: UUID = Field(primary_key=True)
    payment_id: UUID
    booking_id: UUID
    provider_ref: str
    status: DisputeStatus = Field(sa_type=_text_of(DisputeStatus))
    status_since: datetime = Field(sa_type=INSTANT)
    reason: str
    amount_minor: int = Field(sa_type=BigInteger)
    currency: str
    withdrawn_minor: int = Field(default=0, sa_type=BigInteger)
    movements: int = 0
    respond_by: datetime | None = Field(default=None, sa_type=INSTANT)
    revision: int = 1
    checks: int = 0
    next_check_at: datetime | None = Field(default=None, sa_type=INSTANT)
    created_at: datetime = Field(sa_type=INSTANT)
    updated_at: datetime = Field(sa_type=INSTANT)

    @property
    def amount(self) -> Money:
        """What the buyer disputes."""
        return Money(self.amount_minor, self.currency)


class ProviderAccount(Table, table=True):
    """The account at a provider: what it has available, and when it is next asked for that, and for what nobody told us of.

    `version` counts its events; `next_refund_at` is when the next refund may be sent, by whichever replica.
    """

    __tablename__ = "provider_accounts"

    id: UUID = Field(primary_key=True)
    provider: str
    version: int = 0
    available: dict[str, int] = Field(default_factory=dict, sa_type=JSONB)
    read_at: datetime | None = Field(default=None, sa_type=INSTANT)
    next_balance_at: datetime = Field(sa_type=INSTANT)
    listed_until: datetime = Field(sa_type=INSTANT)
    next_listing_at: datetime = Field(sa_type=INSTANT)
    next_refund_at: datetime = Field(sa_type=INSTANT)


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


LEASE = timedelta(seconds=15)
"""One call of ten seconds and a wait of five for a lock fit in; whoever makes a second call claims anew before it. It is also how long
a payment rests at most when whoever works on it is killed."""
CLAIM_ANEW_BELOW = timedelta(seconds=12)
"""Who comes to work this late, having waited for a free place, claims anew."""

MADE_OUTSIDE = "made_outside"
"""Reason of a refund that was made at the provider by hand."""
REVIEW_REJECTED = "review_rejected"
"""Reason of a refund of what had been captured of a payment that a review rejected."""
DECIDED_HERE = frozenset({MADE_OUTSIDE, REVIEW_REJECTED})
"""Reasons of refunds that the refund service has not decided."""

CHECKS = Due("payment-checks", Payment, "next_check_at", lease=LEASE)
REFUND_CHECKS = Due("refund-checks", Refund, "next_check_at", lease=LEASE)
RECEIPTS = Due("webhook-receipts", Receipt, "next_attempt_at", lease=LEASE)
DISPUTE_CHECKS = Due("dispute-checks", Dispute, "next_check_at", lease=LEASE)
BALANCE_READS = Due("balance-reads", ProviderAccount, "next_balance_at", lease=LEASE)
LISTINGS = Due("provider-listings", ProviderAccount, "next_listing_at", lease=timedelta(minutes=2))


_OF_BOOKING = select(Payment).where(col(Payment.booking_id) == bindparam("booking", type_=Uuid))
_LOCK_OF_BOOKING = _OF_BOOKING.with_for_update()


def is_running_out(tx: Transaction, row: Payment | Refund) -> bool:
    """Whether the claim on a row may end before a call of the provider does."""
    return row.next_check_at is None or row.next_check_at - tx.now < CLAIM_ANEW_BELOW


async def claim_anew(database: Database, due: Due, row_id: UUID) -> None:
    """Before a second call of the provider."""
    rows = table(due.model)
    async with database.transaction() as tx:
        await tx.execute(update(rows).where(rows.c.id == row_id).values({due.column: tx.now + due.lease}))


async def locked_payment(tx: Transaction, payment_id: UUID) -> Payment | None:
    """The payment, held until the transaction ends. Whoever changes one of its refunds holds it too, and takes it first."""
    return await tx.get(Payment, payment_id, with_for_update=True)


async def payment_of_booking(tx: Transaction, booking_id: UUID, *, lock: bool = False) -> Payment | None:
    """The payment of a booking, if it is here yet."""
    found = await tx.execute(_LOCK_OF_BOOKING if lock else _OF_BOOKING, {"booking": booking_id})
    return found.scalar_one_or_none()


async def locked_payment_of_refund(tx: Transaction, refund_id: UUID) -> Payment | None:
    """The payment of a refund, held until the transaction ends. Read the refund after it."""
    query = select(Payment).join(Refund, col(Refund.payment_id) == Payment.id).where(Refund.id == refund_id)
    return (await tx.scalars(query.with_for_update(of=Payment))).one_or_none()


async def refund_now(tx: Transaction, refund_id: UUID) -> Refund | None:
    """The refund as it is now. Hold its payment where it is to be changed."""
    return await tx.get(Refund, refund_id)


async def refund_by_ref(tx: Transaction, ref: str) -> Refund | None:
    """The refund that the provider calls `ref`."""
    return (await tx.scalars(select(Refund).where(Refund.provider_ref == ref))).one_or_none()


async def dispute_by_ref(tx: Transaction, ref: str) -> Dispute | None:
    """The dispute that the provider calls `ref`."""
    return (await tx.scalars(select(Dispute).where(Dispute.provider_ref == ref))).one_or_none()


async def is_free(tx: Transaction, booking_id: UUID) -> bool:
    """Whether the booking owes nothing, and so has no payment."""
    return (await tx.get(FreeBooking, booking_id)) is not None
