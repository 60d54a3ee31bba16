"""What looks odd and is right must not be told: the checks as pure functions over a dossier."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from chassis.ids import SystemIds

from ops.verify import messages, money, people, provider, trust
from ops.verify.reading import Consumption
from ops.verify.records import (
    Booking,
    Dispute,
    Dossier,
    Entry,
    EventMove,
    EventRow,
    Intent,
    MailBooking,
    Message,
    Payment,
    PaymentRefund,
    Provider,
    ProviderDispute,
    ProviderRefund,
    Refund,
    RefundBooking,
    Terms,
    Told,
)
from ops.verify.report import Difference
from ops.verify.run import kept_since

NOW = datetime(2027, 1, 31, 12, tzinfo=UTC)
SETTLED = Terms(NOW, settled=True, kept_since=kept_since(NOW, timedelta(days=30)))
LIVE = replace(SETTLED, settled=False)
A_MINUTE_AGO = NOW - timedelta(minutes=1)


def new_id(at: datetime = A_MINUTE_AGO) -> UUID:
    return SystemIds().uuid7(at)


def told(*types: str) -> list[Told]:
    return [Told(number, kind, None) for number, kind in enumerate(types, start=1)]


def paid() -> Dossier:
    """Confirmed and captured, nothing refunded."""
    booking_id, payment_id = new_id(), new_id()
    booking = Booking(
        id=booking_id, event_id=new_id(), status="confirmed", version=3, currency="EUR", total_minor=5000, refund_policy={"tiers": []},
        placed_at=A_MINUTE_AGO, hold_expires_at=NOW, payment_id=payment_id, payment_version=2, paid_at=A_MINUTE_AGO,
        confirmed_at=A_MINUTE_AGO, cancelled_by=None, received_at=None, unavailable_reason=None, refunded_minor=0, tickets=1,
        tickets_minor=5000, told=told("booking.placed.v1", "booking.seats-secured.v1", "booking.confirmed.v1"),
    )  # fmt: skip
    payment = Payment(
        id=payment_id, booking_id=booking_id, amount_minor=5000, currency="EUR", status="succeeded", version=2, wish="capture",
        release_reason=None, provider_ref="pi_1", captured_minor=5000, reserved_minor=0, refunded_minor=0, clearing_minor=0,
        fee_known=False, next_check_at=None, updated_at=A_MINUTE_AGO, told=told("payment.authorized.v1", "payment.succeeded.v1"),
    )  # fmt: skip
    dossier = Dossier(booking_id, booking, payment, mail_booking=MailBooking(booking_id, 3))
    post(dossier, "capture_started", (f"clearing:{payment_id}", 5000), ("revenue", -5000))
    post(dossier, "captured", ("provider:EUR", 5000), (f"clearing:{payment_id}", -5000))
    return dossier


def post(dossier: Dossier, kind: str, *entries: tuple[str, int], refund_id: UUID | None = None) -> None:
    assert dossier.payment is not None
    transaction = new_id()
    dossier.entries += [
        Entry(len(dossier.entries), transaction, kind, kind, account, amount, "EUR", dossier.payment.id, refund_id, dossier.booking_id)
        for account, amount in entries
    ]  # fmt: skip


def refunding(dossier: Dossier, status: str) -> PaymentRefund:
    """A refund of 2000 that is under way."""
    assert dossier.payment is not None
    refund = PaymentRefund(
        new_id(), dossier.payment.id, dossier.booking_id, 2000, "EUR", "other", status, "re_1", A_MINUTE_AGO
    )
    dossier.payment_refunds.append(refund)
    post(dossier, "refund_started", ("refunds", 2000), (f"clearing:{refund.id}", -2000), refund_id=refund.id)
    dossier.payment = replace(dossier.payment, reserved_minor=2000)
    return refund


def in_money(dossier: Dossier, terms: Terms, *checks: str) -> Iterator[Difference]:
    for check in checks or money.CHECKS:
        yield from money.CHECKS[check](dossier, terms)


def shown(dossier: Dossier, status: str = "succeeded", *refunds: ProviderRefund) -> Provider:
    assert dossier.payment is not None
    taken = 5000 if status == "succeeded" else 0
    intent = Intent(
        "pi_1",
        str(dossier.payment.id),
        str(dossier.booking_id),
        status,
        5000,
        taken,
        "EUR",
        livemode=False,
        charge="ch_1",
    )
    return Provider(livemode=False, intents=[intent], refunds=list(refunds))


def test_money_in_flight_is_no_difference_for_a_while() -> None:
    dossier = paid()
    refunding(dossier, "submitted")
    assert list(in_money(dossier, LIVE, "M1", "M2", "M4", "M5")) == []
    much_later = replace(LIVE, now=NOW + timedelta(hours=1))
    assert [found.kind for found in in_money(dossier, much_later, "M2")] == ["STUCK"]


@pytest.mark.parametrize(("status", "found"), [("pending", []), ("succeeded", ["STATE"])])
def test_settled_a_refund_may_be_pending_while_the_provider_says_so(status: str, found: list[str]) -> None:
    dossier = paid()
    refund = refunding(dossier, "pending")
    at_provider = ProviderRefund("re_1", "pi_1", str(refund.id), str(new_id()), status, 2000, "EUR")
    compared = provider.Compared(shown(dossier, "succeeded", at_provider))
    assert [difference.kind for difference in compared.dossier(dossier, SETTLED)] == found


def test_a_refund_that_failed_and_was_made_anew_is_one_effect() -> None:
    dossier = paid()
    refund = replace(refunding(dossier, "succeeded"), provider_ref="re_2")
    dossier.payment_refunds = [refund]
    tries = [
        ProviderRefund("re_1", "pi_1", str(refund.id), str(new_id()), "failed", 2000, "EUR"),
        ProviderRefund("re_2", "pi_1", str(refund.id), str(new_id()), "succeeded", 2000, "EUR"),
    ]
    compared = provider.Compared(shown(dossier, "succeeded", *tries))
    assert list(compared.dossier(dossier, SETTLED)) == []


def test_a_cancelled_intent_beside_its_successor_is_one_effect() -> None:
    dossier = paid()
    at_provider = shown(dossier)
    at_provider.intents.append(replace(at_provider.intents[0], ref="pi_0", status="canceled", received_minor=0))
    compared = provider.Compared(at_provider)
    assert list(compared.dossier(dossier, SETTLED)) == []


def test_a_fee_that_is_not_booked_yet_is_left_out() -> None:
    dossier = paid()
    at_provider = shown(dossier)
    at_provider.movements.append(provider.Movement("txn_1", "charge", "ch_1", 5000, 175, "EUR", converted=False))
    compared = provider.Compared(at_provider)
    assert list(compared.dossier(dossier, SETTLED)) == []
    assert list(compared.rest()) == []


def test_what_is_settled_in_another_currency_is_left_to_the_providers_books() -> None:
    dossier = paid()
    at_provider = shown(dossier)
    at_provider.movements.append(provider.Movement("txn_1", "charge", "ch_1", 4300, 0, "GBP", converted=True))
    compared = provider.Compared(at_provider)
    list(compared.dossier(dossier, SETTLED))
    assert list(compared.rest()) == []


def test_events_that_were_pruned_are_no_gap() -> None:
    long_ago = NOW - timedelta(days=90)
    dossier = paid()
    assert dossier.booking is not None
    assert dossier.payment is not None
    dossier.booking = replace(dossier.booking, id=new_id(long_ago), told=[])
    dossier.payment = replace(dossier.payment, id=new_id(long_ago), told=[Told(2, "payment.succeeded.v1", None)])
    assert list(messages.versions(dossier, LIVE)) == []


def test_an_event_on_its_way_through_retries_is_no_difference_yet() -> None:
    event = EventRow(new_id(), "payment", "payment.voided.v1", new_id(), 1, A_MINUTE_AGO, A_MINUTE_AGO)
    row = Consumption(event.id, [event], [])
    assert list(messages.consumed(row, LIVE)) == []
    assert [found.check for found in messages.consumed(row, SETTLED)] == ["Q2"]


def test_an_event_that_a_person_discarded_is_named_and_no_difference() -> None:
    """Nor is a forged one that nobody has published; that a consumer had it would be."""
    event = EventRow(new_id(), "payment", "payment.voided.v1", new_id(), 1, A_MINUTE_AGO, A_MINUTE_AGO)
    row = Consumption(event.id, [event], [], ["notification.payment-voided"])
    assert list(messages.consumed(row, SETTLED)) == []
    assert list(messages.discarded(row)) == [
        f"notification.payment-voided/{event.id}: payment.voided.v1 of {event.subject}"
    ]
    forged = Consumption(event.id, [], [], ["notification.payment-voided"])
    assert list(messages.consumed(forged, SETTLED)) == []
    assert list(messages.discarded(forged)) == [f"notification.payment-voided/{event.id}: no event of ours"]
    had = Consumption(event.id, [], ["notification.payment-voided"])
    assert [found.check for found in messages.consumed(had, SETTLED)] == ["Q3"]


def test_a_mail_that_staff_sent_again_needs_no_transition() -> None:
    dossier = paid()
    cause = f"booking/{dossier.booking_id}/3"
    first = Message(
        new_id(), dossier.booking_id, "confirmation", cause, {}, "sent", "<1@x.example>", 1, A_MINUTE_AGO, None
    )
    dossier.messages = [first, replace(first, id=new_id(), cause=f"resend/{first.id}/{new_id()}")]
    assert list(people.mails(dossier, SETTLED)) == []


@pytest.mark.parametrize(
    ("template", "is_refunded", "found"),
    [("survey_event", False, []), ("survey_refund", False, ["V2"]), ("survey_refund", True, [])],
)
def test_a_survey_asks_about_what_there_was(template: str, found: list[str], *, is_refunded: bool) -> None:
    """Whether it has come yet is no matter of theirs: only that nobody is asked about a refund that was none."""
    dossier = paid()
    confirmation = Message(
        new_id(), dossier.booking_id, "confirmation", f"booking/{dossier.booking_id}/3", {}, "sent", "<1@x.example>", 1,
        A_MINUTE_AGO, None,
    )  # fmt: skip
    dossier.messages = [confirmation, replace(confirmation, id=new_id(), template=template, cause=f"survey/{new_id()}")]
    if is_refunded:
        facts = (new_id(), dossier.booking_id, new_id(), "succeeded", 2000, "EUR", "staff", "{}", 2, A_MINUTE_AGO)
        refund = Refund(*facts, [Told(2, "refund.completed.v1", None)])
        dossier.refunds.append(refund)
        dossier.messages.append(
            replace(confirmation, id=new_id(), template="refund_sent", cause=f"refund/{refund.id}/2")
        )
    assert [each.check for each in people.mails(dossier, SETTLED)] == found


def test_an_expiry_has_a_mail_only_after_a_failed_attempt() -> None:
    dossier = paid()
    assert dossier.booking is not None
    assert dossier.payment is not None
    dossier.booking = replace(dossier.booking, status="expired", told=told("booking.placed.v1", "booking.expired.v1"))
    assert people.expected_mails(dossier) == (set(), set())
    dossier.payment = replace(dossier.payment, told=told("payment.attempt-failed.v1"))
    key = ("hold_expired", f"booking/{dossier.booking_id}/2")
    assert people.expected_mails(dossier) == ({key}, set())
    # A late payment took the seats again: which came first decides whether the mail went out.
    dossier.booking = replace(dossier.booking, told=[*dossier.booking.told, Told(3, "booking.confirmed.v1", None)])
    must, may = people.expected_mails(dossier)
    assert key in may - must


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("nothing to see", None),
        ("0192f7a0-4242-7424-8242-424242424242", None),
        ("jo@example.com", "an e-mail address"),
        ("4242 4242 4242 4242", "a secret or card number"),
        ("whsec_0123456789abcdef", "a secret or card number"),
        ('"client_secret": "pi_3Q_secret_9x"', "a payment's client secret"),
        ("-----BEGIN PRIVATE KEY-----", "a private key"),
    ],
)
def test_what_a_text_shows_in_clear(text: str, what: str | None) -> None:
    assert trust.kind_of_leak(text) == what


def test_a_move_is_owed_to_whoever_was_confirmed_before_it_and_still_is() -> None:
    dossier = paid()
    assert dossier.booking is not None
    event_id, hour = dossier.booking.event_id, timedelta(hours=1)
    dossier.booking = replace(dossier.booking, confirmed_at=NOW - hour)
    moves = [EventMove(event_id, 1, NOW - 2 * hour), EventMove(event_id, 2, NOW - hour / 2)]
    first, second = (("event_moved", f"booking/{event_id}/{version}") for version in (1, 2))
    must, may = people.expected_mails(dossier, moves)
    assert (first in may, first in must, second in must) == (True, False, True)
    must, may = people.expected_mails(dossier, moves[:1])  # it bought for the old time, or for the new: we do not know
    assert (first in may, first in must) == (True, False)
    dossier.booking = replace(dossier.booking, status="cancelled")
    must, may = people.expected_mails(dossier, moves)
    assert (second in may, second in must) == (True, False)


def test_a_refund_that_fails_owes_a_mail_to_the_buyer_and_one_to_staff() -> None:
    dossier = paid()
    assert dossier.payment is not None
    dossier.payment = replace(dossier.payment, told=[Told(1, "payment.dispute-opened.v1", None)])
    must, _ = people.expected_mails(dossier)
    assert ("staff_dispute_opened", f"payment/{dossier.payment.id}/1") in must
    assert {template for template, _ in must} == {"confirmation", "staff_dispute_opened"}


def disputed(dossier: Dossier, status: str = "open", refunded: int = 0) -> Dispute:
    """The bank has taken all of it, after some of it had been refunded."""
    assert dossier.payment is not None
    dispute = Dispute(new_id(), dossier.payment.id, dossier.booking_id, "du_1", status, 5000, "EUR", 5000, A_MINUTE_AGO)
    dossier.disputes.append(dispute)
    post(dossier, "dispute_withdrawn", ("disputes", 5000), ("provider:EUR", -5000))
    dossier.payment = replace(dossier.payment, withdrawn_minor=5000, refunded_minor=refunded)
    return dispute


def test_a_refund_that_a_dispute_blocks_may_stay_so() -> None:
    dossier = paid()
    disputed(dossier)
    refund = replace(refunding(dossier, "blocked"), provider_ref=None)
    dossier.payment_refunds = [refund]
    assert list(in_money(dossier, SETTLED, "M1", "M2", "M4", "M5", "M7")) == []
    compared = provider.Compared(shown(dossier))
    compared.shown.disputes.append(ProviderDispute("du_1", "pi_1", "needs_response", 5000, "EUR", is_withdrawn=True))
    compared = provider.Compared(compared.shown)
    assert list(compared.dossier(dossier, SETTLED)) == []


@pytest.mark.parametrize(("said", "found"), [(2000, []), (0, ["M7"])])
def test_what_went_back_twice_is_no_difference_once_it_is_said(said: int, found: list[str]) -> None:
    dossier = paid()
    refund = replace(refunding(dossier, "succeeded"), provider_ref="re_1")
    dossier.payment_refunds = [refund]
    post(dossier, "refunded", (f"clearing:{refund.id}", 2000), ("provider:EUR", -2000), refund_id=refund.id)
    disputed(dossier, refunded=2000)
    assert dossier.payment is not None
    dossier.payment = replace(dossier.payment, reserved_minor=0, double_return_minor=said)
    assert [each.check for each in in_money(dossier, SETTLED, "M1", "M2", "M4", "M7")] == found


def test_what_staff_settled_is_given_back_without_the_provider() -> None:
    dossier = paid()
    refund = replace(refunding(dossier, "settled"), provider_ref=None)
    dossier.payment_refunds = [refund]
    post(dossier, "refund_settled", (f"clearing:{refund.id}", 2000), ("paid_outside", -2000), refund_id=refund.id)
    assert dossier.payment is not None
    dossier.payment = replace(dossier.payment, reserved_minor=0, refunded_minor=2000)
    assert list(in_money(dossier, SETTLED, "M1", "M2", "M4", "M7")) == []
    assert list(provider.Compared(shown(dossier)).dossier(dossier, SETTLED)) == []


@pytest.mark.parametrize(("refunded_minor", "found"), [(2000, []), (0, ["AMOUNT"])])
def test_a_booking_shows_what_staff_settled_as_given_back(refunded_minor: int, found: list[str]) -> None:
    dossier = paid()
    ours = replace(refunding(dossier, "settled"), provider_ref=None)
    dossier.payment_refunds = [ours]
    facts = (ours.id, dossier.booking_id, ours.payment_id, "settled_manually", 2000, "EUR", "staff", "{}", 2)
    dossier.refunds.append(Refund(*facts, NOW - timedelta(hours=1), []))
    assert dossier.booking is not None
    dossier.booking = replace(dossier.booking, refunded_minor=refunded_minor)
    assert [each.kind for each in in_money(dossier, LIVE, "M3")] == found


def reviewed(status: str, booking_status: str = "expired", **facts: object) -> Dossier:
    """A payment that a person looked at; nothing was captured."""
    dossier = paid()
    assert dossier.booking is not None
    assert dossier.payment is not None
    dossier.entries = []
    dossier.booking = replace(dossier.booking, status=booking_status, told=told("booking.placed.v1"), confirmed_at=None)
    values = {"status": status, "captured_minor": 0, "told": told("payment.held-for-review.v1")} | facts
    dossier.payment = replace(dossier.payment, **values)
    known = (dossier.booking_id, A_MINUTE_AGO, 5000, "EUR", {"tiers": []}, [], None, None, None, None, None, None)
    dossier.refund_booking = RefundBooking(*known, promised_minor=0, unavailable_minor=0)
    return dossier


@pytest.mark.parametrize("booking_status", ["expired", "payment_authorized", "pending_payment"])
def test_a_payment_may_be_in_review_for_as_long_as_a_person_takes(booking_status: str) -> None:
    dossier = reviewed("in_review", booking_status)
    assert list(in_money(dossier, SETTLED, "M1", "M2", "M3", "M4", "M5")) == []
    assert list(provider.Compared(shown(dossier, "requires_capture")).dossier(dossier, SETTLED)) == []
    assert dossier.payment is not None
    must, _ = people.expected_mails(dossier)
    assert must == {("staff_payment_review", f"payment/{dossier.payment.id}/1")}
    dossier.payment = replace(dossier.payment, status="authorized")
    assert [each.kind for each in in_money(dossier, SETTLED, "M3")] == ["STUCK"]


@pytest.mark.parametrize(("back", "found"), [(5000, []), (0, ["AMOUNT"])])
def test_what_was_captured_of_a_rejected_payment_goes_back_without_a_decision_of_refund(
    back: int, found: list[str]
) -> None:
    told_of_it = [Told(1, "payment.held-for-review.v1", None), Told(2, "payment.failed.v1", "rejected_in_review")]
    dossier = reviewed(
        "succeeded", captured_minor=5000, refunded_minor=back, release_reason="review_rejected", told=told_of_it
    )
    assert dossier.payment is not None
    refund = PaymentRefund(
        new_id(),
        dossier.payment.id,
        dossier.booking_id,
        5000,
        "EUR",
        "review_rejected",
        "succeeded",
        "re_1",
        A_MINUTE_AGO,
    )
    post(dossier, "captured", ("provider:EUR", 5000), ("revenue", -5000))
    dossier.payment_refunds = [refund]
    if back:
        post(dossier, "refund_started", ("refunds", 5000), (f"clearing:{refund.id}", -5000), refund_id=refund.id)
        post(dossier, "refunded", (f"clearing:{refund.id}", 5000), ("provider:EUR", -5000), refund_id=refund.id)
    assert [each.kind for each in in_money(dossier, SETTLED, "M3")] == found
    at_provider = ProviderRefund("re_1", "pi_1", str(refund.id), str(new_id()), "succeeded", 5000, "EUR")
    assert list(provider.Compared(shown(dossier, "succeeded", at_provider)).dossier(dossier, SETTLED)) == []
    must, _ = people.expected_mails(dossier)
    assert ("payment_rejected", f"payment/{dossier.payment.id}/2") in must
