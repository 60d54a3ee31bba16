"""M1 to M7: the ledger, and paid means ticket or money back. Amounts are minor units of the charged currency."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import timedelta
from itertools import groupby

from booking.domain import Status as BookingStatus
from payment.domain import Status as PaymentStatus
from payment.models import DECIDED_HERE, REVIEW_REJECTED
from payment.refund_states import GIVEN_BACK, IN_RESERVE
from payment.refund_states import RefundStatus as PaymentRefundStatus
from pydantic import ValidationError
from refund.domain import ENDS_BOOKING, GIVES_NOTHING, PAID_BACK, Decision, Ground, decide
from refund.domain import Status as RefundStatus
from refund.reads import TRACE

from ops.verify.records import Booking, Dossier, Entry, Payment, PaymentRefund, Refund, Terms
from ops.verify.report import Difference, Kind

MONEY_IN_FLIGHT = timedelta(minutes=10)
"""How long money may be on its way before it counts as stuck."""

PASSING_ON = timedelta(minutes=2)
"""How long one service may take to hear of another."""

AT_REST = frozenset({PaymentStatus.SUCCEEDED, PaymentStatus.VOIDED, PaymentStatus.FAILED, PaymentStatus.IN_REVIEW})
ENDED = {
    PaymentRefundStatus.SUCCEEDED: RefundStatus.SUCCEEDED,
    PaymentRefundStatus.FAILED: RefundStatus.FAILED,
    PaymentRefundStatus.SETTLED: RefundStatus.SETTLED_MANUALLY,
    PaymentRefundStatus.OVERPAID: RefundStatus.SETTLED_MANUALLY,
}
"""What a refund is in the refund service once it has ended in payment."""
EXECUTED_BY_NOBODY = frozenset(
    {RefundStatus.REQUESTED, RefundStatus.AWAITING_APPROVAL, RefundStatus.DECLINED, RefundStatus.FAILED}
)
"""Payment need not have heard of these."""
WAITS = frozenset({PaymentRefundStatus.PENDING, PaymentRefundStatus.BLOCKED})
"""The bank takes its time, or a dispute does: P1 compares what the provider says."""
ASK_PROVIDER = "compare with the provider's object and post what is missing; no entry is ever changed"
OPEN_CASE = "open a case: staff compare with the provider and refund or settle by hand"


def captured(entries: Iterable[Entry]) -> int:
    """What the ledger says was taken."""
    return sum(e.amount_minor for e in entries if e.kind == "captured" and e.account.startswith("provider:"))


def given_back(entries: Iterable[Entry]) -> int:
    """What the ledger says went back or is on its way back."""
    return sum(e.amount_minor for e in entries if e.account == "refunds")


def balance(entries: Iterable[Entry], account: str) -> int:
    """Sum of an account's entries."""
    return sum(e.amount_minor for e in entries if e.account == account)


def zero_sum(dossier: Dossier, _terms: Terms) -> Iterator[Difference]:
    """M1."""
    sums: Counter[tuple[object, str]] = Counter()
    for entry in dossier.entries:
        sums[entry.transaction_id, entry.currency] += entry.amount_minor
    for (transaction, currency), total in sums.items():
        if total:
            yield Difference(
                "M1",
                Kind.UNBALANCED,
                f"ledger/{transaction}",
                f"a sum of 0 {currency}",
                f"{total} {currency}, {dossier.name}",
                ASK_PROVIDER,
            )
    if len({entry.payment_id for entry in dossier.entries}) > 1:
        yield _amount("M1", dossier, "entries of one payment", "entries of several", ASK_PROVIDER)


def clearing(dossier: Dossier, terms: Terms) -> Iterator[Difference]:
    """M2: what is in flight is what the rows say, and nothing once they have ended."""
    if (payment := dossier.payment) is not None:
        due_minor = 0 if payment.status in AT_REST - {PaymentStatus.IN_REVIEW} else payment.clearing_minor
        yield from _clearing(dossier, payment, due_minor, terms)
    for refund in dossier.payment_refunds:
        yield from _clearing(dossier, refund, -refund.amount_minor if refund.status in IN_RESERVE else 0, terms)
    known = {f"clearing:{row.id}" for row in (dossier.payment, *dossier.payment_refunds) if row is not None}
    for account in {e.account for e in dossier.entries if e.account.startswith("clearing:")} - known:
        yield Difference(
            "M2",
            Kind.MISSING_LOCAL,
            account,
            "a payment or refund that it belongs to",
            f"none, in {dossier.name}",
            ASK_PROVIDER,
        )


def _clearing(dossier: Dossier, row: Payment | PaymentRefund, due_minor: int, terms: Terms) -> Iterator[Difference]:
    account = f"clearing:{row.id}"
    found = balance(dossier.entries, account)
    if found != due_minor:
        yield Difference(
            "M2",
            Kind.UNBALANCED,
            account,
            f"{due_minor} {row.currency} while {row.status}",
            f"{found}, {dossier.name}",
            ASK_PROVIDER,
            row.updated_at,
        )
    elif found and not terms.settled and row.status not in WAITS and terms.now - row.updated_at > MONEY_IN_FLIGHT:
        yield Difference(
            "M2",
            Kind.STUCK,
            account,
            f"nothing in flight after {MONEY_IN_FLIGHT}",
            f"{found} {row.currency} while {row.status}, {dossier.name}",
            "see whether payment's sweeps run and whether the provider answers",
            row.updated_at,
        )


def never_negative(dossier: Dossier, _terms: Terms) -> Iterator[Difference]:
    """M4: at every prefix of the ledger, and in the row, 0 <= refunded + reserved <= captured."""
    prefix: list[Entry] = []
    for transaction, group in groupby(dossier.entries, key=lambda entry: entry.transaction_id):
        prefix += group
        cap, back = captured(prefix), given_back(prefix)
        if not 0 <= back <= cap:
            yield Difference(
                "M4",
                Kind.AMOUNT,
                f"ledger/{transaction}",
                f"between 0 and {cap} given back",
                f"{back}, {dossier.name}",
                OPEN_CASE,
            )
            break
    if (payment := dossier.payment) is not None:
        yield from _columns(payment, dossier)


def _columns(payment: Payment, dossier: Dossier) -> Iterator[Difference]:
    refunds, entries = dossier.payment_refunds, dossier.entries
    succeeded = sum(r.amount_minor for r in refunds if r.status in GIVEN_BACK)
    reserved = sum(r.amount_minor for r in refunds if r.status in IN_RESERVE)
    withdrawn = sum(dispute.withdrawn_minor for dispute in dossier.disputes)
    promised = payment.refunded_minor + payment.reserved_minor
    for what, ours, theirs in (
        ("captured_minor, by the ledger", payment.captured_minor, captured(entries)),
        ("refunded_minor and reserved_minor, by the ledger", promised, given_back(entries)),
        ("refunded_minor, by the refunds", payment.refunded_minor, succeeded),
        ("reserved_minor, by the refunds", payment.reserved_minor, reserved),
        ("withdrawn_minor, by the disputes", payment.withdrawn_minor, withdrawn),
    ):
        if ours != theirs:
            expected = f"{theirs} as {what}"
            yield Difference("M4", Kind.AMOUNT, f"payment/{payment.id}", expected, str(ours), ASK_PROVIDER)


def double_return(dossier: Dossier, terms: Terms) -> Iterator[Difference]:
    """M7: what refunds and disputes gave back together is no more than was captured, or the row says by how much it is more."""
    payment = dossier.payment
    if payment is None:
        return
    disputed = {entry.currency for entry in dossier.entries if entry.account == "disputes"}
    taken = balance(dossier.entries, "disputes") if disputed <= {payment.currency} else payment.withdrawn_minor
    twice = max(0, payment.refunded_minor + taken - captured(dossier.entries))
    if twice != payment.double_return_minor and terms.due(payment.updated_at, PASSING_ON):
        found = f"{payment.double_return_minor} in payment/{payment.id}"
        yield _amount("M7", dossier, f"{twice} {payment.currency} said to be given back twice", found)
    overpaid = sum(r.amount_minor for r in dossier.payment_refunds if r.status == PaymentRefundStatus.OVERPAID)
    if overpaid != (booked := balance(dossier.entries, "overpayments")):
        yield _amount("M7", dossier, f"{overpaid} {payment.currency} of overpayments, by the refunds", str(booked))


def one_payment(dossier: Dossier, _terms: Terms) -> Iterator[Difference]:
    """M5: money was taken once."""
    taken = [e for e in dossier.entries if e.kind == "captured" and e.account.startswith("provider:")]
    if len(taken) > 1:
        sources = ", ".join(entry.source for entry in taken)
        yield Difference("M5", Kind.DUPLICATE, dossier.name, "one capture", f"{len(taken)}: {sources}", OPEN_CASE)


def ticket_or_money_back(dossier: Dossier, terms: Terms) -> Iterator[Difference]:
    """M3."""
    booking, payment = dossier.booking, dossier.payment
    if booking is None:
        if payment or dossier.refunds or dossier.payment_refunds:
            yield Difference(
                "M3", Kind.MISSING_LOCAL, dossier.name, "a booking", "a payment or refund without one", OPEN_CASE
            )
        return
    yield from _same_terms(dossier, booking, terms)
    yield from _told_to_refund(dossier, booking, terms)
    yield from _same_refunds(dossier, terms)
    match booking.status:
        case BookingStatus.CONFIRMED:
            yield from _confirmed(dossier, booking)
        case BookingStatus.EXPIRED | BookingStatus.CANCELLED:
            yield from _over(dossier, booking, terms)
        case _ if terms.settled and (payment is None or payment.status != PaymentStatus.IN_REVIEW):
            yield _stuck(dossier, booking.status, "wait until the hold ends, or the payment")
            return
    if terms.settled and payment is not None and payment.status not in AT_REST:
        yield _stuck(dossier, f"payment {payment.status}", "see whether the provider answers")


def _stuck(dossier: Dossier, found: str, repair: str) -> Difference:
    return Difference("M3", Kind.STUCK, dossier.name, "settled", found, repair)


def _amount(check: str, dossier: Dossier, expected: str, found: str, repair: str = OPEN_CASE) -> Difference:
    return Difference(check, Kind.AMOUNT, dossier.name, expected, found, repair)


def _same_terms(dossier: Dossier, booking: Booking, terms: Terms) -> Iterator[Difference]:
    """What other services were told of the booking is what it is."""
    price = (booking.total_minor, booking.currency)
    if (payment := dossier.payment) is not None:
        if (payment.amount_minor, payment.currency) != price:
            yield _amount("M3", dossier, f"a payment of {price}", f"{(payment.amount_minor, payment.currency)}")
        if booking.payment_id not in {None, payment.id}:
            yield Difference(
                "M3", Kind.STATE, dossier.name, f"payment {payment.id}", f"payment {booking.payment_id}", OPEN_CASE
            )
    elif booking.payment_id is not None:
        yield Difference("M3", Kind.MISSING_LOCAL, dossier.name, f"payment {booking.payment_id}", "none", OPEN_CASE)
    elif booking.total_minor and terms.due(booking.placed_at, PASSING_ON):
        yield Difference(
            "M3",
            Kind.MISSING_LOCAL,
            dossier.name,
            "a payment that is owed",
            "none",
            "boxoffice republish",
            booking.placed_at,
        )


def _told_to_refund(dossier: Dossier, booking: Booking, terms: Terms) -> Iterator[Difference]:
    price = (booking.total_minor, booking.currency)
    if booking.tickets_minor != booking.total_minor or not booking.tickets:
        yield _amount(
            "M3", dossier, f"tickets worth {booking.total_minor}", f"{booking.tickets} of {booking.tickets_minor}"
        )
    if (told := dossier.refund_booking) is not None and told.placed_at is not None:
        if (told.total_minor, told.currency) != price:
            yield _amount("M3", dossier, f"{price} in refund", f"{(told.total_minor, told.currency)}")
        if told.policy != booking.refund_policy:
            yield Difference("M3", Kind.STATE, dossier.name, "the frozen policy in refund", "another", OPEN_CASE)
    elif terms.due(booking.placed_at, PASSING_ON):
        yield Difference(
            "M3",
            Kind.MISSING_LOCAL,
            dossier.name,
            "the booking in refund",
            "none",
            "boxoffice republish",
            booking.placed_at,
        )


def _same_refunds(dossier: Dossier, terms: Terms) -> Iterator[Difference]:
    """Each refund is the same in both services that keep it, and the booking shows what went back."""
    executed = {refund.id: refund for refund in dossier.payment_refunds}
    for refund in dossier.refunds:
        ours = executed.pop(refund.id, None)
        yield from _same_refund(refund, ours, terms)
    for left in executed.values():
        if left.reason not in DECIDED_HERE:
            yield Difference(
                "M3",
                Kind.MISSING_LOCAL,
                f"refund/{left.id}",
                "a decision in refund",
                f"none, {dossier.name}",
                OPEN_CASE,
            )
    booking = dossier.booking
    if booking is None:
        return
    came_back = sum(refund.amount_minor for refund in dossier.refunds if refund.status in PAID_BACK)
    if booking.refunded_minor != came_back and all(terms.due(r.updated_at, PASSING_ON) for r in dossier.refunds):
        yield _amount(
            "M3", dossier, f"refunded_minor {came_back} in booking", str(booking.refunded_minor), "boxoffice republish"
        )


def _same_refund(refund: Refund, ours: PaymentRefund | None, terms: Terms) -> Iterator[Difference]:
    subject = f"refund/{refund.id}"
    expects_none = refund.status in EXECUTED_BY_NOBODY
    if ours is None:
        if not expects_none and terms.due(refund.updated_at, PASSING_ON):
            found = f"none while {refund.status}"
            yield Difference("M3", Kind.MISSING_LOCAL, subject, "the refund in payment", found, "boxoffice republish")
        return
    facts = (refund.amount_minor, refund.currency, refund.booking_id, refund.payment_id)
    if facts != (ours.amount_minor, ours.currency, ours.booking_id, ours.payment_id):
        found = f"{ours.amount_minor} {ours.currency} in payment"
        yield Difference("M3", Kind.AMOUNT, subject, f"{refund.amount_minor} {refund.currency}", found, OPEN_CASE)
    expected = ENDED.get(PaymentRefundStatus(ours.status))
    if expected is None and terms.settled and ours.status not in WAITS:
        yield Difference("M3", Kind.STUCK, subject, "settled", ours.status, "see whether the provider answers")
    elif expected is not None and refund.status != expected and terms.due(ours.updated_at, PASSING_ON):
        yield Difference(
            "M3",
            Kind.STATE,
            subject,
            f"{expected}, as in payment",
            refund.status,
            "boxoffice republish",
            ours.updated_at,
        )
    elif expected is None and refund.status in {RefundStatus.SUCCEEDED, RefundStatus.DECLINED}:
        yield Difference("M3", Kind.STATE, subject, f"{ours.status}, as in payment", refund.status, OPEN_CASE)


def _confirmed(dossier: Dossier, booking: Booking) -> Iterator[Difference]:
    cap = captured(dossier.entries)
    if cap != booking.total_minor:
        yield _amount("M3", dossier, f"{booking.total_minor} {booking.currency} captured, as it is confirmed", str(cap))
    if booking.total_minor and (dossier.payment is None or dossier.payment.status != PaymentStatus.SUCCEEDED):
        found = dossier.payment.status if dossier.payment else "none"
        yield Difference("M3", Kind.STATE, dossier.name, "a payment that succeeded", found, OPEN_CASE)


def _over(dossier: Dossier, booking: Booking, terms: Terms) -> Iterator[Difference]:
    """The booking is not the buyer's: what was taken went back, but for what a decision lets us keep."""
    cap = captured(dossier.entries)
    if not cap:
        return
    rejected = [refund for refund in dossier.payment_refunds if refund.reason == REVIEW_REJECTED]
    if rejected:  # nobody decides anew what a person has rejected
        if (back := given_back(dossier.entries)) < cap:
            yield _amount("M3", dossier, f"{cap} {booking.currency} given back, as its review rejected it", str(back))
        return
    decision = next((refund for refund in dossier.refunds if refund.ground in ENDS_BOOKING), None)
    since = max(
        booking.received_at or booking.placed_at, dossier.payment.updated_at if dossier.payment else booking.placed_at
    )
    if decision is None:
        if terms.due(since, PASSING_ON):
            expected = f"a decision about {cap} {booking.currency}"
            yield Difference("M3", Kind.MISSING_LOCAL, dossier.name, expected, "none", "boxoffice republish", since)
        return
    owed = sum(refund.amount_minor for refund in dossier.refunds if refund.status == RefundStatus.FAILED)
    back = given_back(dossier.entries)
    disputed = dossier.payment.disputed_minor if dossier.payment else 0
    if back + owed + disputed < decision.amount_minor and terms.due(decision.updated_at, PASSING_ON):
        yield _amount("M3", dossier, f"{decision.amount_minor} {booking.currency} given back, as decided", str(back))


def decided(dossier: Dossier, _terms: Terms) -> Iterator[Difference]:
    """M6: the decision's trace makes the same amount again, and it rests on what booking froze."""
    for refund in dossier.refunds:
        subject = f"refund/{refund.id}"
        try:
            decision = TRACE.validate_json(refund.trace)
            again = decide(decision.case).amount_minor
        except (ValidationError, ValueError) as error:
            found = f"a trace that cannot be read ({type(error).__name__})"
            yield Difference("M6", Kind.STATE, subject, "a decision that can be made again", found, OPEN_CASE)
            continue
        if not again == decision.amount_minor == refund.amount_minor:
            found = f"{refund.amount_minor}, and {decision.amount_minor} in the trace"
            yield Difference("M6", Kind.AMOUNT, subject, f"{again} {refund.currency}", found, OPEN_CASE)
        yield from _rests_on(decision, refund, dossier)
    grounds = [refund for refund in dossier.refunds if refund.ground in ENDS_BOOKING]
    if len(grounds) > 1:
        yield Difference("M6", Kind.DUPLICATE, dossier.name, "one decision", str(len(grounds)), OPEN_CASE)
    told = dossier.refund_booking
    promised = sum(r.amount_minor for r in dossier.refunds if r.status not in GIVES_NOTHING)
    if told is not None and told.promised_minor != promised:
        yield _amount("M6", dossier, f"promised_minor {promised}, the sum of its refunds", str(told.promised_minor))


def _rests_on(decision: Decision, refund: Refund, dossier: Dossier) -> Iterator[Difference]:
    booking, case = dossier.booking, decision.case
    if booking is None:
        return
    frozen = {
        "tiers": [[tier["hours_before"], tier["percent"]] for tier in booking.refund_policy["tiers"]],
        "fee_minor": booking.refund_policy.get("fee_minor", 0),
        "price": booking.total_minor,
        "currency": booking.currency,
    }
    used = {
        "tiers": [[tier.hours_before, tier.percent] for tier in case.policy.tiers],
        "fee_minor": case.policy.fee_minor,
        "price": sum(line.gross_minor for line in case.lines),
        "currency": case.currency,
    }
    if case.ground in ENDS_BOOKING - {Ground.SEATS_UNAVAILABLE} and booking.received_at is not None:
        frozen["received_at"], used["received_at"] = booking.received_at, case.received_at
    for name, value in frozen.items():
        if used[name] != value:
            yield Difference(
                "M6", Kind.AMOUNT, f"refund/{refund.id}", f"{name} {value}, as frozen", str(used[name]), OPEN_CASE
            )


CHECKS = {
    "M1": zero_sum,
    "M2": clearing,
    "M3": ticket_or_money_back,
    "M4": never_negative,
    "M5": one_payment,
    "M6": decided,
    "M7": double_return,
}
