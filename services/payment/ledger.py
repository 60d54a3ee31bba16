"""Double-entry postings: each sums to zero per currency. Positive amounts are what an account has or has spent, negative what it owes.

provider:<CUR>       what the provider holds for us
revenue              what buyers have paid
refunds              what went back to them
provider_fees        what the provider kept
disputes             what banks took back from us for buyers
paid_outside         what was given to buyers another way than by the provider
overpayments         what went to a buyer another way and by the provider as well
clearing:<id>        what one payment or refund has in flight; zero once it has ended
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from chassis.db import Transaction, table
from chassis.sql import Part, columns_of, insert_rows
from contracts.money import Money

from payment.gateways import Movement
from payment.models import LedgerEntry, Payment, Refund

REVENUE = "revenue"
REFUNDS = "refunds"
FEES = "provider_fees"
DISPUTES = "disputes"
PAID_OUTSIDE = "paid_outside"
OVERPAYMENTS = "overpayments"


@dataclass(frozen=True, slots=True)
class Posting:
    """Entries that belong together. `kind` and `source` (an attempt, or the provider's object) say what they are about: that is posted
    once.
    """

    kind: str
    source: str
    entries: tuple[tuple[str, Money], ...]


def provider(currency: str) -> str:
    """The account of what the provider holds in `currency`."""
    return f"provider:{currency}"


def clearing(identifier: UUID) -> str:
    """The account of what is in flight for one payment or refund."""
    return f"clearing:{identifier}"


def capture_started(payment: Payment, attempt_id: UUID) -> Posting:
    """The amount is on its way from the buyer."""
    amount = payment.amount
    return Posting("capture_started", str(attempt_id), ((clearing(payment.id), amount), (REVENUE, -amount)))


def capture_released(payment: Payment, source: str) -> Posting:
    """It will not come."""
    amount = payment.amount
    return Posting("capture_released", source, ((clearing(payment.id), -amount), (REVENUE, amount)))


def captured(payment: Payment, intent_ref: str, amount: Money) -> Posting:
    """It is with the provider. A method that cannot be authorized first was not on its way before."""
    other_side = clearing(payment.id) if payment.clearing_minor else REVENUE
    return Posting("captured", intent_ref, ((provider(amount.currency), amount), (other_side, -amount)))


def fee(source: str, amount: Money) -> Posting:
    """What the provider kept, in the currency that it settles in."""
    return Posting("fee", source, ((FEES, amount), (provider(amount.currency), -amount)))


def refund_started(refund: Refund, attempt_id: UUID) -> Posting:
    """The amount is on its way back to the buyer."""
    return Posting("refund_started", str(attempt_id), ((REFUNDS, refund.amount), (clearing(refund.id), -refund.amount)))


def refund_released(refund: Refund, source: str) -> Posting:
    """It did not leave."""
    return Posting("refund_released", source, ((REFUNDS, -refund.amount), (clearing(refund.id), refund.amount)))


def refunded(refund: Refund, refund_ref: str) -> Posting:
    """It has left the provider."""
    amount = refund.amount
    return Posting("refunded", refund_ref, ((clearing(refund.id), amount), (provider(amount.currency), -amount)))


def refund_reversed(refund: Refund, refund_ref: str) -> Posting:
    """It came back from the bank."""
    amount = refund.amount
    return Posting("refund_reversed", refund_ref, ((provider(amount.currency), amount), (REFUNDS, -amount)))


def settled(refund: Refund, source: str, *, is_reserved: bool) -> Posting:
    """The buyer got it another way: what was on its way, or what was owed again after a failure."""
    other_side = clearing(refund.id) if is_reserved else REFUNDS
    return Posting("refund_settled", source, ((other_side, refund.amount), (PAID_OUTSIDE, -refund.amount)))


def settled_twice(refund: Refund, source: str) -> Posting:
    """The buyer got it another way after the provider had sent it."""
    return Posting("refund_settled", source, ((OVERPAYMENTS, refund.amount), (PAID_OUTSIDE, -refund.amount)))


def overpaid(refund: Refund, refund_ref: str) -> Posting:
    """The provider has sent what the buyer had got another way."""
    amount = refund.amount
    return Posting("refund_overpaid", refund_ref, ((OVERPAYMENTS, amount), (provider(amount.currency), -amount)))


def overpayment_returned(refund: Refund, refund_ref: str) -> Posting:
    """What had been sent twice came back from the bank."""
    amount = refund.amount
    return Posting("overpayment_returned", refund_ref, ((provider(amount.currency), amount), (OVERPAYMENTS, -amount)))


def dispute_moved(movement: Movement) -> list[Posting]:
    """A bank took the amount, or returned it; and the provider's fee for it, which may come back as well."""
    amount, postings = movement.amount, []
    if amount:
        kind = "dispute_withdrawn" if amount.amount_minor < 0 else "dispute_reinstated"
        sides = ((provider(amount.currency), amount), (DISPUTES, -amount))
        postings.append(Posting(kind, movement.ref, sides))
    if movement.fee:
        postings.append(fee(movement.ref, movement.fee))
    return postings


def entries(tx: Transaction, payment_id: UUID, *postings: Posting, refund_id: UUID | None = None) -> Part:
    """The statement that writes postings, which may be none; PostgreSQL refuses the commit where one does not sum to zero."""
    rows: list[dict[str, Any]] = []
    for posting in postings:
        transaction_id = tx.new_id()
        rows += [
            {
                "transaction_id": transaction_id,
                "kind": posting.kind,
                "source": posting.source,
                "account": account,
                "amount_minor": amount.amount_minor,
                "currency": amount.currency,
                "payment_id": payment_id,
                "refund_id": refund_id,
                "created_at": tx.now,
            }
            for account, amount in posting.entries
        ]
    return Part(_WRITE, columns_of(_WRITTEN, rows))


_WRITTEN = tuple(each.name for each in table(LedgerEntry).c if each.name != "id")
_WRITE = insert_rows(table(LedgerEntry), _WRITTEN)
