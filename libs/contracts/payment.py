"""What payment publishes, on the exchange `payment.events`. The aggregate is the payment."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from pydantic import AwareDatetime, Field

from contracts.event import Event, Fact
from contracts.money import Money


class PaymentMethod(Fact):
    """What may be shown of the method that was used."""

    kind: str = Field(description="the provider's word: card, link, …")
    brand: str | None = None
    last4: str | None = None


class PaymentAuthorized(Event, type="payment.authorized.v1", subject="payment_id"):
    """The amount is reserved on the buyer's card; nothing is charged yet."""

    payment_id: UUID
    booking_id: UUID
    amount: Money


class PaymentSucceeded(Event, type="payment.succeeded.v1", subject="payment_id"):
    """The amount is captured."""

    payment_id: UUID
    booking_id: UUID
    amount: Money
    method: PaymentMethod | None = None
    buyer_confirmed_at: AwareDatetime | None = Field(
        None,
        description="when the buyer's confirmation reached the provider, by its clock; how long a booking takes is counted from it",
    )


class PaymentAttemptFailed(Event, type="payment.attempt-failed.v1", subject="payment_id"):
    """One attempt was declined; the booking stays payable while attempts are left and its hold lasts."""

    payment_id: UUID
    booking_id: UUID
    attempts_left: int = Field(ge=0)


class PaymentFailed(Event, type="payment.failed.v1", subject="payment_id"):
    """The payment is closed without money having moved."""

    payment_id: UUID
    booking_id: UUID
    reason: Literal["too_many_declines", "canceled_by_provider", "amount_not_chargeable"]
    rejected_in_review: bool = Field(default=False, description="a person rejected it, and it was canceled for that")


class PaymentHeldForReview(Event, type="payment.held-for-review.v1", subject="payment_id"):
    """A person has to look at the payment before it goes on: nothing is captured meanwhile, and its booking's hold is not extended."""

    payment_id: UUID
    booking_id: UUID
    amount: Money
    kind: Literal["held", "doubted"] = Field(
        description="held: a rule wants it before booking hears of it; doubted: the provider's object is not as it was asked for"
    )
    reasons: tuple[str, ...] = Field(description="the rules, or what of the object is doubted")


class PaymentVoided(Event, type="payment.voided.v1", subject="payment_id"):
    """The authorization was released, or the intent canceled before any: the buyer was not charged."""

    payment_id: UUID
    booking_id: UUID
    amount: Money
    was_authorized: bool = Field(description="true when the buyer had authorized the amount")
    reason: Literal["seats_unavailable", "booking_expired", "booking_cancelled"]


class PaymentRefunded(Event, type="payment.refunded.v1", subject="payment_id"):
    """The provider accepted a refund; the bank's arrival follows in days."""

    payment_id: UUID
    booking_id: UUID
    refund_id: UUID
    amount: Money


class PaymentRefundFailed(Event, type="payment.refund-failed.v1", subject="payment_id"):
    """The provider refused a refund, at once or after it had succeeded; the amount is owed again."""

    payment_id: UUID
    booking_id: UUID
    refund_id: UUID
    amount: Money
    reason: str = Field(description="the provider's failure code")
    had_succeeded: bool


class PaymentRefundRejected(Event, type="payment.refund-rejected.v1", subject="payment_id"):
    """A refund was not started, since less than its amount is left to refund."""

    payment_id: UUID
    booking_id: UUID
    refund_id: UUID
    amount: Money
    remaining: Money


class PaymentRefundPending(Event, type="payment.refund-pending.v1", subject="payment_id"):
    """The provider has a refund, or will be asked again, and has not yet said that it succeeded."""

    payment_id: UUID
    booking_id: UUID
    refund_id: UUID
    amount: Money
    why: Literal["provider", "balance", "customer_action", "unknown"] = Field(
        description="provider: it is at work; balance: ours there is too low; customer_action: the buyer must act; unknown: no answer"
    )


class PaymentRefundBlocked(Event, type="payment.refund-blocked.v1", subject="payment_id"):
    """A refund waits, since its payment is disputed: the bank may take the same money back."""

    payment_id: UUID
    booking_id: UUID
    refund_id: UUID
    amount: Money
    dispute_id: UUID


class PaymentRefundedOutside(Event, type="payment.refunded-outside.v1", subject="payment_id"):
    """A refund was made at the provider by hand: it is imported, with an id of ours."""

    payment_id: UUID
    booking_id: UUID
    refund_id: UUID
    amount: Money


class DisputeOpened(Event, type="payment.dispute-opened.v1", subject="payment_id"):
    """The buyer's bank disputes the payment. Until it is closed, refunds of the payment wait."""

    payment_id: UUID
    booking_id: UUID
    dispute_id: UUID
    amount: Money
    reason: str = Field(description="the provider's word for why")
    respond_by: AwareDatetime | None = None
    rejected_in_review: bool = Field(
        default=False, description="of a payment that a person rejected: it never succeeded"
    )


class DisputeClosed(Event, type="payment.dispute-closed.v1", subject="payment_id"):
    """Won: refunds that waited go on. Lost: the bank has given the money back; of the refunds that waited, those that are more than is left
    are rejected.
    """

    payment_id: UUID
    booking_id: UUID
    dispute_id: UUID
    amount: Money
    outcome: Literal["won", "lost"]
    rejected_in_review: bool = Field(default=False, description="as in DisputeOpened")


class BalanceRead(Event, type="payment.balance-read.v1", subject="account_id"):
    """What the provider has available for refunds, when it has changed since it was last read."""

    account_id: UUID = Field(description="stands for the account at the provider; always the same")
    provider: str
    available: tuple[Money, ...] = Field(description="one amount for each currency of the account; may be negative")
