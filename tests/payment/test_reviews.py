"""A payment that a person must look at: what holds it, what a decision does, and that nobody is charged whom it rejects."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx2
import pytest
from chassis.audit import AuditRow
from chassis.db import table
from contracts.money import Money
from contracts.payment import (
    PaymentAuthorized,
    PaymentFailed,
    PaymentHeldForReview,
    PaymentRefunded,
    PaymentSucceeded,
    PaymentVoided,
)
from payment.changes import Change
from payment.fraud import DECLINES_WITHIN, Rule, Rules, Signs, rules_met
from payment.gateways.stripe_objects import intent_view
from payment.holds import apply_look
from payment.models import Decline, Payment, Refund, Review, locked_payment
from sqlalchemy import select, update

from tests.payment.shop import Shop

EUR = Money(5000, "EUR")
EVERY_PAYMENT = Rules({"EUR": 0})


@pytest.mark.parametrize(
    ("signs", "met"),
    [
        (Signs(EUR), ()),
        (Signs(Money(50_000, "EUR")), ()),
        (Signs(Money(50_001, "EUR")), (Rule.AMOUNT,)),
        (Signs(Money(9_000_000, "JPY")), ()),
        (Signs(EUR, declines_of_card=2), ()),
        (Signs(EUR, declines_of_card=3), (Rule.DECLINES_OF_CARD,)),
        (Signs(EUR, declines_of_booking=3), (Rule.DECLINES_OF_BOOKING,)),
        (Signs(EUR, risk_level="elevated"), ()),
        (Signs(EUR, risk_level="highest"), (Rule.RISK,)),
        (Signs(EUR, is_flagged=True), (Rule.RISK,)),
        (Signs(Money(60_000, "EUR"), 3, 4, "highest", is_flagged=True), tuple(Rule)),
    ],
)
def test_what_holds_a_payment(signs: Signs, met: tuple[Rule, ...]) -> None:
    """The limit belongs to the buyer, a currency without one has none, and all that is met is named."""
    assert rules_met(Rules({"EUR": 50_000}, declines=3), signs) == met


def test_the_default_holds_no_amount() -> None:
    assert rules_met(Rules(), Signs(Money(99_999_999, "EUR"), declines_of_card=4)) == ()
    assert rules_met(Rules(), Signs(EUR, declines_of_card=5)) == (Rule.DECLINES_OF_CARD,)


def _intent(**charge: Any) -> dict[str, Any]:
    card = {"type": "card", "card": {"brand": "visa", "last4": "4242", "fingerprint": "Xt5EWLLDS7FJjR1c"}}
    return {
        "id": "pi_1",
        "amount": 5000,
        "currency": "eur",
        "status": "requires_capture",
        "livemode": False,
        "metadata": {},
        "latest_charge": {"payment_method_details": card, **charge},
    }


def test_what_the_provider_thinks_is_read_from_its_charge() -> None:
    view = intent_view(_intent(outcome={"risk_level": "highest"}, review="prv_1"))
    assert (view.card, view.risk_level, view.is_flagged) == ("Xt5EWLLDS7FJjR1c", "highest", True)
    plain = intent_view(_intent(outcome=None, review=None))
    assert (plain.risk_level, plain.is_flagged, plain.decline_code) == (None, False, None)
    declined = intent_view(
        {
            **_intent(),
            "latest_charge": "ch_1",
            "status": "requires_payment_method",
            "last_payment_error": {
                "code": "card_declined",
                "decline_code": "lost_card",
                "payment_method": {"id": "pm_1", "card": {"fingerprint": "Q" * 16}},
            },
        }
    )
    assert (declined.card, declined.decline_code) == ("Q" * 16, "lost_card")


async def looked_at(shop: Shop, payment: Payment, rules: Rules) -> Payment:
    """What the provider shows, applied by other rules than the running service's."""
    assert payment.provider_ref is not None
    view = await shop.gateway.fetch(payment.provider_ref)
    async with shop.service.database.transaction() as tx:
        held = await locked_payment(tx, payment.id)
        assert held is not None
        change = Change(tx, held)
        await apply_look(change, view, shop.gateway, rules)
        await change.save()
    return await shop.payment(payment.booking_id)


async def held(shop: Shop, rules: Rules = EVERY_PAYMENT) -> Payment:
    """One whose buyer has confirmed, and that a rule holds."""
    payment = await shop.started()
    await shop.confirm(payment)
    payment = await looked_at(shop, payment, rules)
    assert payment.status == "in_review"
    return payment


async def decide(shop: Shop, payment: Payment, word: str, role: str = "refunder", **body: str) -> httpx2.Response:
    """Of the payment's newest review, unless another is named."""
    path = f"/payment-reviews/{payment.id}/{word}"
    body = {"review_id": (await reviews_of(shop, payment))[0]["id"]} | body
    return await shop.service.client.post(path, json=body, headers=shop.service.staff(role, "staff-7"))


async def reviews_of(shop: Shop, payment: Payment, **query: str) -> list[dict[str, Any]]:
    answer = await shop.service.client.get("/payment-reviews", params=query, headers=shop.service.staff("viewer"))
    assert answer.status_code == 200, answer.text
    return [item for item in answer.json()["items"] if item["payment_id"] == str(payment.id)]


async def kinds_of(shop: Shop, payment: Payment) -> list[str]:
    return [type(event).__name__ for event in await shop.events_of(payment)]


async def test_booking_hears_of_a_held_payment_when_a_person_lets_it_go_on(still_shop: Shop) -> None:
    """Held before PaymentAuthorized; approved, it goes the way of every authorization."""
    payment = await held(still_shop)
    assert await kinds_of(still_shop, payment) == ["PaymentHeldForReview"]
    [told] = await still_shop.told(payment, PaymentHeldForReview)
    assert (told.kind, told.reasons, told.amount) == ("held", ("amount",), EUR)
    assert (await still_shop.sync(payment))["status"] == "in_review"
    [shown] = await reviews_of(still_shop, payment, status="open")
    assert (shown["reason"], shown["detail"]["above_minor"], shown["amount"]["amount_minor"]) == ("amount", 0, 5000)
    assert shown["method"]["last4"] == "4242"
    answer = await decide(still_shop, payment, "approve", note="Called the buyer ada@example.com")
    assert answer.status_code == 200, answer.text
    assert (answer.json()["status"], answer.json()["decided_by"]) == ("approved", "staff-7")
    assert await kinds_of(still_shop, payment) == ["PaymentHeldForReview", "PaymentAuthorized"]
    await still_shop.secure_seats(payment)
    payment = await still_shop.advance(payment)
    assert (payment.status, payment.captured_minor) == ("succeeded", 5000)
    assert (await decide(still_shop, payment, "reject")).status_code == 409
    assert await reviews_of(still_shop, payment, status="open") == []


async def test_a_rejected_payment_is_voided_and_ends_its_booking(still_shop: Shop) -> None:
    payment = await held(still_shop)
    assert (await decide(still_shop, payment, "reject")).json()["status"] == "rejected"
    payment = await still_shop.advance(payment)
    assert (payment.status, payment.captured_minor, payment.next_check_at) == ("failed", 0, None)
    assert await kinds_of(still_shop, payment) == ["PaymentHeldForReview", "PaymentFailed"]
    [failed] = await still_shop.told(payment, PaymentFailed)
    assert failed.rejected_in_review
    view = await still_shop.gateway.fetch(str(payment.provider_ref))
    assert (view.fact, view.captured.amount_minor) == ("canceled", 0)
    assert await still_shop.balances(payment) == {}


async def test_who_may_decide_and_what_is_kept_of_it(still_shop: Shop) -> None:
    """Refunders and managers; once; in the audit with who and what, and the note sealed."""
    payment = await held(still_shop)
    assert (await decide(still_shop, payment, "approve", role="viewer")).status_code == 403
    client = still_shop.service.client
    assert (
        await client.get("/payment-reviews", headers=still_shop.service.holder(payment.booking_id))
    ).status_code == 403
    [open_one] = await reviews_of(still_shop, payment, status="open")
    other = await held(still_shop)
    for payment_id, review_id in [
        (payment.booking_id, open_one["id"]),
        (other.id, open_one["id"]),
        (payment.id, other.id),
    ]:
        unknown = await client.post(
            f"/payment-reviews/{payment_id}/approve",
            json={"review_id": str(review_id)},
            headers=still_shop.service.staff("manager"),
        )
        assert unknown.status_code == 404
    nameless = await client.post(
        f"/payment-reviews/{payment.id}/approve", json={}, headers=still_shop.service.staff("manager")
    )
    assert (nameless.status_code, "review_id" in nameless.text) == (422, True)
    assert (await decide(still_shop, payment, "approve", nonsense="x")).status_code == 422
    assert (await decide(still_shop, payment, "approve", note="Ada is known")).status_code == 200
    assert (await decide(still_shop, payment, "approve")).json()["state"] == "approved"
    async with still_shop.service.database.transaction() as tx:
        audits = table(AuditRow)
        rows = (await tx.execute(select(audits).where(audits.c.subject == f"payment/{payment.id}"))).all()
        review = (await tx.scalars(select(Review).where(table(Review).c.payment_id == payment.id))).one()
    assert [(row.actor, row.action, row.reason) for row in rows] == [("staff-7", "payment_review.approve", "amount")]
    assert review.note is not None
    assert "Ada" not in review.note
    [shown] = await reviews_of(still_shop, payment, status="approved")
    assert shown["note"] == "Ada is known"


async def test_a_hold_that_ends_meanwhile_is_no_end_of_the_review(still_shop: Shop) -> None:
    """Booking is asked once more whether there are seats, as by every late authorization."""
    payment = await held(still_shop)
    await still_shop.expire(payment.booking_id, version=2)
    assert (await still_shop.payment(payment.booking_id)).status == "in_review"
    await decide(still_shop, payment, "approve")
    assert len(await still_shop.told(payment, PaymentAuthorized)) == 1
    await still_shop.refuse_seats(payment, version=3)
    payment = await still_shop.advance(payment)
    assert (payment.status, payment.captured_minor) == ("voided", 0)


async def test_a_booking_that_is_cancelled_needs_no_decision_any_more(still_shop: Shop) -> None:
    payment = await held(still_shop)
    await still_shop.cancel(payment.booking_id)
    payment = await still_shop.advance(payment)
    assert payment.status == "voided"
    [voided] = await still_shop.told(payment, PaymentVoided)
    assert (voided.reason, voided.was_authorized) == ("booking_cancelled", True)
    [shown] = await reviews_of(still_shop, payment)
    assert (shown["status"], shown["decided_by"]) == ("rejected", "booking")
    assert (await decide(still_shop, payment, "approve")).status_code == 409


async def test_declines_of_the_card_or_for_the_booking_hold_it(still_shop: Shop) -> None:
    """Those of the last hour count: of any booking for the card, of any card for the booking."""
    payment = await still_shop.started()
    for _ in range(2):
        await still_shop.confirm(payment, "pm_card_visa_chargeDeclined")
        await still_shop.sync(payment)
    declines = table(Decline)
    async with still_shop.service.database.transaction() as tx:
        rows = (await tx.execute(select(declines).where(declines.c.payment_id == payment.id))).all()
    assert [row.code for row in rows] == ["generic_decline"] * 2
    await still_shop.confirm(payment)
    card = (await still_shop.gateway.fetch(str(payment.provider_ref))).card
    assert card is not None
    assert card != rows[0].card
    other = await held(still_shop, Rules({"EUR": 0}))  # another booking, paid by the same card

    async def move(**values: object) -> None:
        async with still_shop.service.database.transaction() as tx:
            await tx.execute(update(declines).where(declines.c.payment_id == payment.id).values(values))

    await move(at=rows[0].at - DECLINES_WITHIN - timedelta(minutes=1))
    late = await still_shop.started()
    await still_shop.confirm(late)
    await move(card=card)
    assert (await looked_at(still_shop, late, Rules(declines=2))).status == "authorized", "it was longer ago"
    await move(at=rows[0].at)
    again = await still_shop.started()
    await still_shop.confirm(again)
    again = await looked_at(still_shop, again, Rules(declines=2))
    assert (again.status, again.review_reason) == ("in_review", "declines_of_card")
    await move(card=None)
    payment = await looked_at(still_shop, payment, Rules(declines=2))
    assert (payment.status, payment.review_reason) == ("in_review", "declines_of_booking")
    for each in (payment, again, other):
        await decide(still_shop, each, "reject")
        assert (await still_shop.advance(each)).status == "failed"


async def doubted(shop: Shop, **replace: object) -> Payment:
    """Captured at the provider, whose answer is not as it was asked for."""
    payment = await shop.authorized()
    await shop.secure_seats(payment)
    await shop.standin.fault("payment_intents.capture", "mutate", replace=replace)
    payment = await shop.advance(payment)
    assert payment.status == "in_review"
    return payment


async def test_a_doubt_about_metadata_may_be_accepted(still_shop: Shop) -> None:
    """Then the provider is looked at anew: captured is captured."""
    payment = await doubted(still_shop, metadata={})
    [shown] = await reviews_of(still_shop, payment, status="open")
    assert (shown["kind"], shown["reason"]) == ("doubted", "system, payment_id, booking_id")
    assert (await decide(still_shop, payment, "approve")).status_code == 200
    payment = await still_shop.advance(payment)
    assert (payment.status, payment.captured_minor, len(await still_shop.told(payment, PaymentSucceeded))) == (
        "succeeded",
        5000,
        1,
    )


async def test_what_was_captured_of_a_rejected_payment_goes_back_in_full(still_shop: Shop) -> None:
    """The books show what came and what went; only that the payment is over is told."""
    payment = await doubted(still_shop, amount_received=4000)
    refused = await decide(still_shop, payment, "approve")
    assert (refused.status_code, "captured" in refused.json()["detail"]) == (409, True)
    assert (await decide(still_shop, payment, "reject")).status_code == 200
    payment = await still_shop.advance(payment)
    async with still_shop.service.database.transaction() as tx:
        refund = (await tx.scalars(select(Refund).where(table(Refund).c.payment_id == payment.id))).one()
    assert (refund.reason, refund.amount_minor, payment.reserved_minor) == ("review_rejected", 5000, 5000)
    refund = await still_shop.advance_refund(refund.id)
    payment = await still_shop.payment(payment.booking_id)
    assert (refund.status, payment.captured_minor, payment.refunded_minor) == ("succeeded", 5000, 5000)
    balances = await still_shop.balances(payment)
    assert (balances["revenue"], balances["refunds"]) == (-5000, 5000)
    assert balances["provider:EUR"] + balances.get("provider_fees", 0) == 0
    assert await still_shop.told(payment, PaymentSucceeded, PaymentRefunded) == []
    [failed] = await still_shop.told(payment, PaymentFailed)
    assert failed.rejected_in_review
    [sent] = (await still_shop.made("payment_id", payment.id))["refund"]
    assert (sent["amount"], sent["status"]) == (5000, "succeeded")
    assert payment.clearing_minor == 0
