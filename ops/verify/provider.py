"""P1 to P4 and M5: our payments and refunds against the provider's, matched by the ids in its metadata."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from payment.dispute_states import DisputeFact, dispute_status
from payment.domain import Fact, Status
from payment.gateways.stripe_objects import DISPUTE_FACTS, FACTS, REFUND_FACTS
from payment.models import MADE_OUTSIDE
from payment.refund_states import RefundStatus, RefundTrigger

from ops.verify.records import (
    Dispute,
    Dossier,
    Entry,
    Intent,
    Movement,
    Payment,
    PaymentRefund,
    Provider,
    ProviderDispute,
    ProviderRefund,
    Receipt,
    Terms,
)
from ops.verify.report import Difference, Kind

LOOK_AGAIN = "set payment's next_check_at to now: it asks the provider and records what it shows"
OPEN_CASE = "open a case: a person compares both sides and refunds what was taken too much"
UNSEEN = timedelta(minutes=2)
"""How long the provider may show what we have not seen."""

EXPECTED: dict[Status, frozenset[Fact]] = {
    Status.CREATED: frozenset(),
    Status.REQUIRES_PAYMENT_METHOD: frozenset({Fact.METHOD_NEEDED}),
    Status.REQUIRES_ACTION: frozenset({Fact.ACTION_NEEDED}),
    Status.PROCESSING: frozenset({Fact.PROCESSING}),
    Status.AUTHORIZED: frozenset({Fact.AUTHORIZED}),
    Status.CAPTURING: frozenset({Fact.AUTHORIZED, Fact.CAPTURED}),
    Status.SUCCEEDED: frozenset({Fact.CAPTURED}),
    Status.VOIDED: frozenset({Fact.CANCELED}),
    Status.FAILED: frozenset({Fact.CANCELED}),
    Status.UNKNOWN: frozenset(Fact),
    Status.IN_REVIEW: frozenset(Fact),
}
"""What the provider may say of a payment in each status."""

EXPECTED_OF_REFUND: dict[RefundStatus, frozenset[RefundTrigger]] = {
    RefundStatus.SUBMITTED: frozenset(RefundTrigger),
    RefundStatus.PENDING: frozenset({RefundTrigger.PENDING}),
    RefundStatus.UNKNOWN: frozenset(RefundTrigger),
    RefundStatus.SUCCEEDED: frozenset({RefundTrigger.SUCCEEDED}),
    RefundStatus.FAILED: frozenset({RefundTrigger.FAILED}),
    RefundStatus.BLOCKED: frozenset(),
    RefundStatus.SETTLED: frozenset({RefundTrigger.PENDING, RefundTrigger.FAILED}),
    RefundStatus.OVERPAID: frozenset({RefundTrigger.SUCCEEDED}),
}
MOVING = frozenset({Fact.METHOD_NEEDED, Fact.ACTION_NEEDED, Fact.PROCESSING})
"""A buyer is at it: live, our look may be some seconds behind."""

TYPES = {
    "captured": "charge",
    "refunded": "refund",
    "refund_overpaid": "refund",
    "refund_reversed": "refund_failure",
    "overpayment_returned": "refund_failure",
    "dispute_withdrawn": "adjustment",
    "dispute_reinstated": "adjustment",
    "fee": "fee",
}
"""Kinds of postings on the provider's account, and what the provider calls them."""


class Compared:
    """Takes dossiers one after the other, and keeps what the sums at the end need."""

    def __init__(self, shown: Provider) -> None:
        self.shown = shown
        self._intents: dict[str, list[Intent]] = defaultdict(list)
        for intent in shown.intents:
            self._intents[intent.payment_id].append(intent)
        self._refunds: dict[str, list[ProviderRefund]] = defaultdict(list)
        for refund in shown.refunds:
            self._refunds[refund.intent_ref].append(refund)
        self._disputes: dict[str, list[ProviderDispute]] = defaultdict(list)
        for dispute in shown.disputes:
            self._disputes[dispute.intent_ref].append(dispute)
        self._sums: Counter[tuple[str, str]] = Counter()
        self._without_fee: set[str] = set()

    def dossier(self, dossier: Dossier, terms: Terms) -> Iterator[Difference]:
        """P1 and P3 of one booking."""
        if (payment := dossier.payment) is None:
            return
        intents = self._intents.pop(str(payment.id), [])
        yield from same_payment(payment, intents, terms, self.shown.livemode)
        refunds = [refund for intent in intents for refund in self._refunds.pop(intent.ref, [])]
        yield from same_refunds(dossier.payment_refunds, refunds, terms, payment.updated_at)
        disputes = [dispute for intent in intents for dispute in self._disputes.pop(intent.ref, [])]
        yield from same_disputes(dossier.disputes, disputes, terms, payment.updated_at)
        if not payment.fee_known:
            self._without_fee.update(intent.charge for intent in intents if intent.charge)
        self._add(dossier.entries)

    def rest(self) -> Iterator[Difference]:
        """What the provider shows beyond all dossiers, and the sums."""
        for intents in self._intents.values():
            for intent in intents:
                yield _nobodys(intent, "a payment row", f"none, payment/{intent.payment_id}", OPEN_CASE)
        for refunds in self._refunds.values():
            for refund in refunds:
                yield _nobodys(refund, "a refund row", f"none, {refund.intent_ref}", OPEN_CASE)
        for disputes in self._disputes.values():
            for dispute in disputes:
                yield _nobodys(dispute, "a dispute row", f"none, {dispute.intent_ref}", OPEN_CASE)
        yield from one_payment(self.shown.intents)
        yield from same_sums(self._sums, self.shown, self._without_fee)

    def _add(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            if entry.account.startswith("provider:") and entry.kind in TYPES:
                self._sums[TYPES[entry.kind], entry.currency] += entry.amount_minor


def _nobodys(thing: Intent | ProviderRefund | ProviderDispute, expected: str, found: str, repair: str) -> Difference:
    return Difference("P1", Kind.MISSING_LOCAL, thing.ref, expected, found, repair)


def same_payment(payment: Payment, intents: list[Intent], terms: Terms, livemode: bool) -> Iterator[Difference]:  # noqa: FBT001  # the provider's own word
    """P1 for a payment and the intents that carry its id; P3 that at most one of them can take money."""
    subject = f"payment/{payment.id}"
    alive = [intent for intent in intents if FACTS.get(intent.status) is not Fact.CANCELED]
    if len(alive) > 1:
        refs = ", ".join(intent.ref for intent in alive)
        yield Difference("P3", Kind.DUPLICATE, subject, "one intent that can take money", refs, OPEN_CASE)
    intent = next((each for each in intents if each.ref == payment.provider_ref), None)
    if intent is None:
        if payment.provider_ref is not None:
            yield Difference(
                "P1", Kind.MISSING_PROVIDER, subject, payment.provider_ref, "no such intent with our id", OPEN_CASE
            )
        elif alive and payment.status != Status.UNKNOWN and terms.due(payment.updated_at, UNSEEN):
            yield Difference("P1", Kind.MISSING_LOCAL, subject, f"{alive[0].ref} in the row", "no intent", LOOK_AGAIN)
        elif payment.status == Status.SUCCEEDED:
            yield Difference("P1", Kind.MISSING_PROVIDER, subject, "an intent", "none while it succeeded", OPEN_CASE)
        return
    facts = (payment.amount_minor, payment.currency, str(payment.booking_id))
    shown = (intent.amount_minor, intent.currency, intent.booking_id)
    if facts != shown:
        yield Difference("P1", Kind.AMOUNT, subject, f"{shown}, at the provider", str(facts), OPEN_CASE)
    if payment.captured_minor != intent.received_minor and payment.status in {
        Status.SUCCEEDED,
        Status.VOIDED,
        Status.FAILED,
    }:
        expected = f"{intent.received_minor} captured, at the provider"
        yield Difference("P1", Kind.AMOUNT, subject, expected, str(payment.captured_minor), LOOK_AGAIN)
    if intent.livemode is not livemode:
        yield Difference("P1", Kind.STATE, subject, f"livemode {livemode}", f"livemode {intent.livemode}", OPEN_CASE)
    fact = FACTS.get(intent.status, Fact.UNRECOGNISED)
    behind = not terms.due(payment.updated_at, UNSEEN) and fact in MOVING
    if fact not in EXPECTED[Status(payment.status)] and not behind:
        expected = f"{intent.status}, at the provider"
        yield Difference("P1", Kind.STATE, subject, expected, payment.status, LOOK_AGAIN, payment.updated_at)


def same_refunds(
    ours: Iterable[PaymentRefund], shown: list[ProviderRefund], terms: Terms, since: datetime
) -> Iterator[Difference]:
    """P1 for the refunds of one payment; P3 that each id had one effect."""
    by_ref = {refund.ref: refund for refund in shown}
    by_id: dict[str | None, list[ProviderRefund]] = defaultdict(list)
    for refund in shown:
        by_id[refund.refund_id].append(refund)
    for row in ours:
        found = by_ref.get(row.provider_ref or "")
        by_ref.pop(row.provider_ref or "", None)
        yield from same_refund(row, found, terms)
        same_id = [] if row.reason == MADE_OUTSIDE else by_id[str(row.id)]
        effective = [refund for refund in same_id if REFUND_FACTS.get(refund.status) is not RefundTrigger.FAILED]
        if len(effective) > 1 or _twice(refund.attempt_id for refund in same_id):
            refs = ", ".join(refund.ref for refund in same_id)
            yield Difference("P3", Kind.DUPLICATE, f"refund/{row.id}", "one effect", refs, OPEN_CASE)
        for refund in same_id:
            by_ref.pop(refund.ref, None)
    for left in by_ref.values():
        if REFUND_FACTS.get(left.status) is not RefundTrigger.FAILED and terms.due(since, UNSEEN):
            yield _nobodys(left, "a refund row", f"none, refund_id {left.refund_id}", LOOK_AGAIN)


def _twice(ids: Iterable[str | None]) -> bool:
    counted = Counter(each for each in ids if each is not None)
    return any(count > 1 for count in counted.values())


def same_refund(row: PaymentRefund, shown: ProviderRefund | None, terms: Terms) -> Iterator[Difference]:
    """P1 for one refund."""
    subject = f"refund/{row.id}"
    if shown is None:
        if row.provider_ref is not None:
            yield Difference(
                "P1", Kind.MISSING_PROVIDER, subject, row.provider_ref, "no such refund of this payment", OPEN_CASE
            )
        elif row.status == RefundStatus.SUCCEEDED:
            yield Difference("P1", Kind.MISSING_PROVIDER, subject, "a refund", "none while it succeeded", OPEN_CASE)
        return
    if (row.amount_minor, row.currency) != (shown.amount_minor, shown.currency):
        expected = f"{shown.amount_minor} {shown.currency}, at the provider"
        yield Difference("P1", Kind.AMOUNT, subject, expected, f"{row.amount_minor} {row.currency}", OPEN_CASE)
    if row.reason != MADE_OUTSIDE and shown.refund_id != str(row.id):
        yield Difference(
            "P1", Kind.STATE, subject, f"refund_id {row.id} at the provider", str(shown.refund_id), OPEN_CASE
        )
    fact = REFUND_FACTS.get(shown.status, RefundTrigger.PENDING)
    if fact not in EXPECTED_OF_REFUND[RefundStatus(row.status)] and terms.due(row.updated_at, UNSEEN):
        yield Difference(
            "P1", Kind.STATE, subject, f"{shown.status}, at the provider", row.status, LOOK_AGAIN, row.updated_at
        )


def same_disputes(
    ours: Iterable[Dispute], shown: list[ProviderDispute], terms: Terms, since: datetime
) -> Iterator[Difference]:
    """P1 for the disputes of one payment."""
    by_ref = {dispute.ref: dispute for dispute in shown}
    for row in ours:
        subject = f"dispute/{row.id}"
        found = by_ref.pop(row.provider_ref, None)
        if found is None:
            yield Difference(
                "P1", Kind.MISSING_PROVIDER, subject, row.provider_ref, "no such dispute of this payment", OPEN_CASE
            )
            continue
        if (row.amount_minor, row.currency) != (found.amount_minor, found.currency):
            expected = f"{found.amount_minor} {found.currency}, at the provider"
            yield Difference("P1", Kind.AMOUNT, subject, expected, f"{row.amount_minor} {row.currency}", LOOK_AGAIN)
        status = dispute_status(DISPUTE_FACTS.get(found.status, DisputeFact.OPEN), is_withdrawn=found.is_withdrawn)
        if row.status != status and terms.due(row.updated_at, UNSEEN):
            expected = f"{found.status}, at the provider"
            yield Difference("P1", Kind.STATE, subject, expected, row.status, LOOK_AGAIN, row.updated_at)
    for left in by_ref.values():
        if terms.due(since, UNSEEN):
            yield _nobodys(left, "a dispute row", f"none, {left.intent_ref}", LOOK_AGAIN)


def one_payment(intents: Iterable[Intent]) -> Iterator[Difference]:
    """M5 at the provider: one booking, one intent that took money."""
    taken: dict[str, list[str]] = defaultdict(list)
    for intent in intents:
        if intent.received_minor:
            taken[intent.booking_id].append(intent.ref)
    for booking_id, refs in taken.items():
        if len(refs) > 1:
            found = f"{len(refs)}: {', '.join(refs)}"
            yield Difference(
                "M5", Kind.DUPLICATE, f"booking/{booking_id}", "one intent that took money", found, OPEN_CASE
            )


def same_sums(ledger: Counter[tuple[str, str]], shown: Provider, without_fee: set[str]) -> Iterator[Difference]:
    """P2: per type and currency. What is settled in another currency than it was charged in is left to the provider's own books."""
    ours = {intent.charge for intent in shown.intents if intent.charge} | {refund.ref for refund in shown.refunds}
    ours |= {dispute.ref for dispute in shown.disputes}
    movements = [movement for movement in shown.movements if movement.source in ours]
    converted = {movement.currency for movement in movements if movement.converted}
    sums = sum_up(movements, without_fee)
    for key in sorted(ledger.keys() | sums.keys()):
        kind, currency = key
        if ledger[key] != sums[key] and not (converted and kind != "fee"):
            subject = f"provider:{currency}/{kind}"
            yield Difference("P2", Kind.AMOUNT, subject, f"{sums[key]}, at the provider", str(ledger[key]), LOOK_AGAIN)


def sum_up(movements: Iterable[Movement], without_fee: set[str]) -> Counter[tuple[str, str]]:
    """The provider's movements as the ledger signs them: what it keeps is negative. A fee that we do not know yet is left out."""
    sums: Counter[tuple[str, str]] = Counter()
    for movement in movements:
        sums[movement.type, movement.currency] += movement.amount_minor
        if movement.fee_minor and movement.source not in without_fee:
            sums["fee", movement.currency] -= movement.fee_minor
    return sums


def webhooks(receipts: Iterable[Receipt], shown: Provider, terms: Terms) -> Iterator[Difference]:
    """P4. A webhook that never came is no difference where the object was compared: the poller got there first."""
    for receipt in receipts:
        if receipt.event_id not in shown.events:
            yield Difference(
                "P4",
                Kind.UNKNOWN_EVENT,
                receipt.event_id,
                "an event of the provider",
                "none there",
                "look who could sign it",
            )
        if receipt.outcome is None and terms.due(receipt.received_at, UNSEEN):
            yield Difference(
                "P4", Kind.STUCK, receipt.event_id, "applied", "still waiting", "see payment's log", receipt.received_at
            )
