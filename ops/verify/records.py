"""What is read, as plain data: rows of the four databases by booking, and what lies outside of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Terms:
    """How strictly is compared. `kept_since` is the oldest event id that no service may have pruned yet."""

    now: datetime
    settled: bool
    kept_since: UUID
    livemode: bool = False

    def due(self, since: datetime, patience: timedelta) -> bool:
        """Whether what began at `since` should be over."""
        return self.settled or self.now - since > patience


@dataclass(frozen=True, slots=True)
class Told:
    """One event of the outbox, as far as checks need it. `detail` is the reason of a void or a failure that has a mail."""

    version: int
    type: str
    detail: str | None


@dataclass(frozen=True, slots=True)
class Booking:
    """A row of booking, with what its tickets add up to."""

    id: UUID
    event_id: UUID
    status: str
    version: int
    currency: str
    total_minor: int
    refund_policy: dict[str, Any]
    placed_at: datetime
    hold_expires_at: datetime
    payment_id: UUID | None
    payment_version: int
    paid_at: datetime | None
    confirmed_at: datetime | None
    cancelled_by: str | None
    received_at: datetime | None
    unavailable_reason: str | None
    refunded_minor: int
    tickets: int
    tickets_minor: int
    told: Sequence[Told]


@dataclass(frozen=True, slots=True)
class Payment:
    """A row of payment."""

    id: UUID
    booking_id: UUID
    amount_minor: int
    currency: str
    status: str
    version: int
    wish: str
    release_reason: str | None
    provider_ref: str | None
    captured_minor: int
    reserved_minor: int
    refunded_minor: int
    clearing_minor: int
    fee_known: bool
    next_check_at: datetime | None
    updated_at: datetime
    told: Sequence[Told]
    withdrawn_minor: int = 0
    disputed_minor: int = 0
    double_return_minor: int = 0


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of the ledger."""

    id: int
    transaction_id: UUID
    kind: str
    source: str
    account: str
    amount_minor: int
    currency: str
    payment_id: UUID
    refund_id: UUID | None
    booking_id: UUID


@dataclass(frozen=True, slots=True)
class PaymentRefund:
    """A refund as payment knows it."""

    id: UUID
    payment_id: UUID
    booking_id: UUID
    amount_minor: int
    currency: str
    reason: str
    status: str
    provider_ref: str | None
    updated_at: datetime
    failure_code: str | None = None


@dataclass(frozen=True, slots=True)
class Dispute:
    """A dispute as payment knows it. `withdrawn_minor` is in the charged currency, the amount in the dispute's own."""

    id: UUID
    payment_id: UUID
    booking_id: UUID
    provider_ref: str
    status: str
    amount_minor: int
    currency: str
    withdrawn_minor: int
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class RefundBooking:
    """A booking as refund knows it."""

    booking_id: UUID
    placed_at: datetime | None
    total_minor: int | None
    currency: str | None
    policy: dict[str, Any] | None
    lines: list[dict[str, Any]] | None
    payment_id: UUID | None
    captured_minor: int | None
    cancelled_by: str | None
    cancelled_was: str | None
    cancel_received_at: datetime | None
    decided_at: datetime | None
    promised_minor: int
    unavailable_minor: int


@dataclass(frozen=True, slots=True)
class Refund:
    """A refund as the refund service knows it."""

    id: UUID
    booking_id: UUID
    payment_id: UUID
    status: str
    amount_minor: int
    currency: str
    ground: str
    trace: str
    version: int
    updated_at: datetime
    told: Sequence[Told]


@dataclass(frozen=True, slots=True)
class EventMove:
    """An EventRescheduled in booking's outbox."""

    event_id: UUID
    version: int
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class MailBooking:
    """A booking as notification knows it."""

    id: UUID
    version: int


@dataclass(frozen=True, slots=True)
class Message:
    """A mail. One to staff about a whole event has no booking."""

    id: UUID
    booking_id: UUID | None
    template: str
    cause: str
    facts: dict[str, Any]
    status: str
    message_id: str | None
    attempts: int
    created_at: datetime
    next_attempt_at: datetime | None


@dataclass(slots=True)
class Dossier:
    """All that four databases say about one booking."""

    booking_id: UUID
    booking: Booking | None = None
    payment: Payment | None = None
    entries: list[Entry] = field(default_factory=list)
    payment_refunds: list[PaymentRefund] = field(default_factory=list)
    disputes: list[Dispute] = field(default_factory=list)
    refund_booking: RefundBooking | None = None
    refunds: list[Refund] = field(default_factory=list)
    mail_booking: MailBooking | None = None
    messages: list[Message] = field(default_factory=list)

    @property
    def name(self) -> str:
        """How differences call it."""
        return f"booking/{self.booking_id}"


@dataclass(frozen=True, slots=True)
class EventRow:
    """An event in an outbox."""

    id: UUID
    service: str
    type: str
    subject: UUID
    version: int
    occurred_at: datetime
    published_at: datetime | None


@dataclass(frozen=True, slots=True)
class InboxRow:
    """A consumer that has had an event, or shall never have it."""

    event_id: UUID
    consumer: str
    discarded: bool


@dataclass(frozen=True, slots=True)
class Seats:
    """A ticket type: what it counts, and a recount from the bookings."""

    id: UUID
    event_id: UUID
    capacity: int
    held: int
    sold: int
    counted_held: int
    counted_sold: int


@dataclass(frozen=True, slots=True)
class Intent:
    """A PaymentIntent of ours, as the provider lists it."""

    ref: str
    payment_id: str
    booking_id: str
    status: str
    amount_minor: int
    received_minor: int
    currency: str
    livemode: bool
    charge: str | None


@dataclass(frozen=True, slots=True)
class ProviderRefund:
    """A refund of a payment of ours, as the provider lists it. One made by hand has no `refund_id`."""

    ref: str
    intent_ref: str
    refund_id: str | None
    attempt_id: str | None
    status: str
    amount_minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class ProviderDispute:
    """A dispute of a payment of ours, as the provider lists it."""

    ref: str
    intent_ref: str
    status: str
    amount_minor: int
    currency: str
    is_withdrawn: bool


@dataclass(frozen=True, slots=True)
class Movement:
    """A balance transaction. `converted`: it is in another currency than its source."""

    ref: str
    type: str
    source: str
    amount_minor: int
    fee_minor: int
    currency: str
    converted: bool


@dataclass(slots=True)
class Provider:
    """What the provider shows of ours. `events` are the ids of all that it lists."""

    livemode: bool
    intents: list[Intent] = field(default_factory=list)
    refunds: list[ProviderRefund] = field(default_factory=list)
    disputes: list[ProviderDispute] = field(default_factory=list)
    movements: list[Movement] = field(default_factory=list)
    events: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Receipt:
    """A webhook that payment received."""

    event_id: str
    outcome: str | None
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Delivery:
    """A webhook that notification owes to a CRM."""

    endpoint_id: UUID
    webhook_id: str
    type: str
    status: str
    created_at: datetime
    next_attempt_at: datetime | None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A CRM that wants to hear of events."""

    id: UUID
    url: str
    event_types: Sequence[str]
    status: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class CrmCall:
    """A delivery that the CRM receiver kept."""

    webhook_id: str | None
    verified: bool
    answered: int


@dataclass(frozen=True, slots=True)
class QueueState:
    """How many messages a queue holds."""

    name: str
    ready: int
    unacknowledged: int
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Right:
    """What a role may do with a table of its service. Role and table exist whatever it may."""

    service: str
    role: str
    table: str
    privileges: frozenset[str]


@dataclass(frozen=True, slots=True)
class Leak:
    """A text in clear that looks like what must not be there; `what` names its kind and never shows it."""

    place: str
    row: str
    what: str


@dataclass
class Outside:
    """What lies outside of the databases; None where it was not there to be read."""

    shown: Provider | None = None
    queues: list[QueueState] | None = None
    permissions: list[dict[str, str]] | None = None
    vhost: str = "/"
    mailbox: Counter[str] | None = None
    crm_url: str | None = None
    calls: list[CrmCall] | None = None
    unread: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
