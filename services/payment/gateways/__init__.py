"""What payment asks of a payment provider, whichever it is.

A call ends in one of four ways. It answers with a view of the provider's object, or raises

GatewayError
├── Refused      definitive: it was not done, and will not be under this key
├── Unanswered   it may or may not have been done: a timeout, a lost connection, a 5xx, a conflict, an answer that cannot be read
└── NotRun       it was not done, and may be asked again under the same key after a while: too many requests, a refused API key
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from contracts.money import Money

from payment.dispute_states import DisputeFact
from payment.domain import Fact
from payment.refund_states import RefundTrigger, Waiting

SYSTEM = "boxoffice"
"""Stands in the metadata of every object that is ours."""


class GatewayError(Exception):
    """A call that brought no view. Its text holds neither secrets nor personal data."""


class Refused(GatewayError):
    """The provider will not do it. `code` is the provider's word for why."""

    def __init__(self, code: str) -> None:
        super().__init__(f"the provider refused: {code}")
        self.code = code


class Unanswered(GatewayError):
    """Whether it was done is not known."""

    def __init__(self, why: str) -> None:
        super().__init__(f"the provider did not answer: {why}")
        self.why = why


class NotRun(GatewayError):
    """It was certainly not done; ask again after `retry_after_s`."""

    def __init__(self, why: str, retry_after_s: float) -> None:
        super().__init__(f"the provider did not run it: {why}")
        self.why = why
        self.retry_after_s = retry_after_s


class BadWebhook(Exception):
    """A webhook that is not acted upon. `reason` is one of a few words, for a metric."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"webhook refused: {reason}")
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Method:
    """What may be shown of the method that was used."""

    kind: str
    brand: str | None
    last4: str | None


class DeclineKind(StrEnum):
    """Who said no to a confirmation, so that an issuer's outage is told from a fault of ours."""

    ISSUER = "issuer"
    AUTHENTICATION = "authentication"  # 3-D Secure was not passed
    BLOCKED = "blocked"  # the provider's fraud rules
    PROVIDER = "provider"


@dataclass(frozen=True, slots=True)
class IntentView:
    """A payment as the provider shows it. `captured` is what was actually taken; `fee` is known once the money has been booked.

    `card` is the provider's fingerprint of the card that was used, or that was declined last; `risk_level` its own judgement, and
    `is_flagged` whether it wants somebody to look. `charged_at`: when the buyer's confirmation, with whatever the bank asked, reached the
    provider's charge.
    """

    ref: str
    fact: Fact
    amount: Money
    captured: Money
    livemode: bool
    metadata: Mapping[str, str]
    client_secret: str | None = field(default=None, repr=False)
    decline_ref: str | None = None
    decline_kind: DeclineKind | None = None
    charged_at: datetime | None = None
    method: Method | None = None
    fee: Money | None = None
    decline_code: str | None = None
    card: str | None = None
    risk_level: str | None = None
    is_flagged: bool = False


@dataclass(frozen=True, slots=True)
class RefundView:
    """A refund as the provider shows it. `waits_for` says why a pending one is pending."""

    ref: str
    intent_ref: str | None
    fact: RefundTrigger
    amount: Money
    metadata: Mapping[str, str]
    created_at: datetime
    waits_for: Waiting | None = None
    failure_code: str | None = None
    fee: Money | None = None


@dataclass(frozen=True, slots=True)
class Movement:
    """A booking in the provider's own books, as they sign it: below zero it left us. `fee` is what was kept beside it."""

    ref: str
    amount: Money
    fee: Money


@dataclass(frozen=True, slots=True)
class DisputeView:
    """A dispute as the provider shows it, with what it has moved so far. `is_withdrawn`: more left us than came back."""

    ref: str
    intent_ref: str | None
    fact: DisputeFact
    amount: Money
    reason: str
    livemode: bool
    created_at: datetime
    respond_by: datetime | None
    is_withdrawn: bool
    movements: tuple[Movement, ...]


@dataclass(frozen=True, slots=True)
class Minimum:
    """The least that can be charged, in minor units, as the provider's documentation said on a date."""

    amount_minor: int
    as_of: date


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a provider can do."""

    manual_capture: bool
    partial_refund: bool
    currencies: frozenset[str]
    minimums: Mapping[str, Minimum]


@dataclass(frozen=True, slots=True)
class WebhookEvent:
    """A verified webhook. `intent`, `refund` or `dispute` shows its object as it was then; `object_ref` is the id to ask for now."""

    id: str
    type: str
    object_ref: str | None
    account: str | None = None
    intent_ref: str | None = None
    intent: IntentView | None = None
    refund: RefundView | None = None
    dispute: DisputeView | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked for: ids for the metadata, the amount, and the attempt whose id is the idempotency key."""

    attempt_id: UUID
    payment_id: UUID
    booking_id: UUID
    amount: Money


@dataclass(frozen=True, slots=True)
class RefundOrder(Order):
    """The same for a refund of `intent_ref`."""

    refund_id: UUID
    intent_ref: str


class Gateway(Protocol):
    """The port. Every method raises one of GatewayError, except `parse_webhook`, which raises BadWebhook."""

    name: str
    livemode: bool
    publishable_key: str
    capabilities: Capabilities

    async def authorize(self, order: Order) -> IntentView:
        """Opens a payment that the buyer confirms in the browser with the view's client secret."""
        ...

    async def fetch(self, ref: str) -> IntentView:
        """The payment as it is now."""
        ...

    async def find(self, payment_id: UUID) -> IntentView | None:
        """The payment that carries our id. None is no proof of absence until schedule.ABSENCE_PROVEN_AFTER has passed."""
        ...

    async def capture(self, ref: str, key: UUID) -> IntentView:
        """Takes the whole authorized amount."""
        ...

    async def void(self, ref: str, key: UUID) -> IntentView:
        """Cancels, and so releases what was authorized."""
        ...

    async def refund(self, order: RefundOrder) -> RefundView:
        """Gives an amount back."""
        ...

    async def fetch_refund(self, ref: str) -> RefundView:
        """The refund as it is now."""
        ...

    async def find_refund(self, intent_ref: str, attempt_id: UUID) -> RefundView | None:
        """The refund that carries the attempt's id."""
        ...

    async def list_refunds(self, since: datetime) -> list[RefundView]:
        """All refunds that were made since then, newest first, whoever made them."""
        ...

    async def fetch_dispute(self, ref: str) -> DisputeView:
        """The dispute as it is now."""
        ...

    async def list_disputes(self, since: datetime) -> list[DisputeView]:
        """All disputes that were opened since then, newest first."""
        ...

    async def disputes_of(self, intent_ref: str) -> list[DisputeView]:
        """The disputes of one payment."""
        ...

    async def balance(self) -> tuple[Money, ...]:
        """What is available now, one amount for each enabled currency."""
        ...

    def parse_webhook(self, body: bytes, signature: str | None, now: datetime) -> WebhookEvent:
        """Verifies and reads a webhook."""
        ...

    def read_event(self, body: bytes) -> WebhookEvent:
        """Reads a webhook that was verified when it was received."""
        ...

    async def close(self) -> None:
        """Closes its connections."""
        ...
