"""Every ending of a refund after it was asked for, by the provider's test cards and its control API."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from contracts.money import Money
from contracts.payment import (
    BalanceRead,
    PaymentRefunded,
    PaymentRefundedOutside,
    PaymentRefundFailed,
    PaymentRefundPending,
    PaymentRefundRejected,
)
from payment import metrics
from payment.models import Payment

from tests.payment.shop import Shop
from tests.payment.test_refunds import approved, paid_with
from tests.support.service import eventually

DAY = 24 * 3600


async def asked_of_refunds(shop: Shop) -> dict[str, int]:
    return {name: count for name, count in (await shop.requests()).items() if name.startswith("refunds.")}


async def paid(shop: Shop, amount: int = 5000) -> Payment:
    """With nothing happening by itself."""
    payment = await shop.authorized(amount)
    await shop.secure_seats(payment)
    return await shop.advance(payment)


async def test_a_refund_costs_one_call_and_at_most_one_more(shop: Shop) -> None:
    """Of each refund's webhooks, all tell nothing new, or one of them is looked at."""
    at_once = await shop.captured(5000)
    later = await paid_with(shop, "pm_card_pendingRefund")
    before = await asked_of_refunds(shop)
    first, second = await shop.approve_refund(at_once, 1000), await shop.approve_refund(later, 1000)
    await shop.refund_in_status(first, "succeeded")
    await shop.refund_in_status(second, "pending")
    await shop.refund_in_status(second, "succeeded")
    deliveries = len(shop.inlet.deliveries)

    async def quiet() -> bool:
        rows = await shop.standin.control("GET", "/deliveries?state=pending")
        return not rows and len(shop.inlet.deliveries) >= deliveries

    await eventually(quiet)
    after = await asked_of_refunds(shop)
    made = {name: count - before.get(name, 0) for name, count in after.items()}
    assert made["refunds.create 200"] == 2
    assert sum(made.values()) <= 2 * 2, made


async def test_pending_is_told_once_with_what_it_waits_for(shop: Shop) -> None:
    payment = await paid_with(shop, "pm_card_pendingRefund")
    refund_id = await shop.approve_refund(payment, 1000)
    await shop.refund_in_status(refund_id, "pending")
    payment = await shop.payment(payment.booking_id)
    assert (payment.refunded_minor, payment.reserved_minor) == (0, 1000)
    refund = await shop.refund_in_status(refund_id, "succeeded", at_most_s=30)
    assert refund.waits_for is None
    assert [event.why for event in await shop.told(payment, PaymentRefundPending)] == ["provider"]
    assert (await shop.balances(payment)).get(f"clearing:{refund_id}") is None


async def test_an_empty_balance_is_waited_for(shop: Shop) -> None:
    """It is told, the balance is read ten seconds later, and a top-up lets the refund go on: one refund, not two."""
    payment = await shop.captured(5000)
    await shop.standin.control("PUT", "/balance", {"currency": "eur", "available": 0})
    refund_id = await shop.approve_refund(payment, 1000)
    refund = await shop.refund_in_status(refund_id, "pending")
    assert refund.waits_for == "balance"
    assert [event.why for event in await shop.told(payment, PaymentRefundPending)] == ["balance"]
    account = await shop.account()
    assert account.next_balance_at - refund.updated_at <= timedelta(seconds=10)
    await shop.standin.control("PUT", "/balance", {"currency": "eur", "available": 4000})
    await shop.refund_in_status(refund_id, "succeeded")
    assert len((await shop.made("refund_id", refund_id))["refund"]) == 1


@pytest.mark.parametrize("ending", ["succeeded", "failed"])
async def test_the_buyer_must_act(shop: Shop, ending: str) -> None:
    payment = await shop.captured(5000)
    await shop.standin.control("PUT", "/refund-course", {"course": "requires_action"})
    refund_id = await shop.approve_refund(payment, 1000)
    refund = await shop.refund_in_status(refund_id, "pending")
    assert [event.why for event in await shop.told(payment, PaymentRefundPending)] == ["customer_action"]
    if ending == "failed":
        await shop.standin.client.v1.refunds.cancel_async(str(refund.provider_ref))
    else:
        await shop.standin.control("POST", f"/refunds/{refund.provider_ref}", {"status": "succeeded"})
    refund = await shop.refund_in_status(refund_id, ending)
    payment = await shop.payment(payment.booking_id)
    assert (payment.refunded_minor, payment.reserved_minor) == (1000 if ending == "succeeded" else 0, 0)
    assert refund.failure_code == (None if ending == "succeeded" else "canceled")


async def test_a_refund_that_fails_at_once(still_shop: Shop) -> None:
    """The amount is owed again, and nobody is told that it had been sent."""
    payment = await paid(still_shop)
    await still_shop.standin.control("PUT", "/refund-course", {"course": "fails_at_once"})
    refund_id = await still_shop.approve_refund(payment, 1000)
    refund = await still_shop.advance_refund(refund_id)
    assert (refund.status, refund.failure_code) == ("failed", "declined")
    [failed] = await still_shop.told(payment, PaymentRefundFailed)
    assert (failed.reason, failed.had_succeeded) == ("declined", False)
    assert (await still_shop.payment(payment.booking_id)).refundable_minor == 5000
    assert not await still_shop.told(payment, PaymentRefunded)


async def test_a_refund_that_fails_ten_days_after_it_succeeded(still_shop: Shop) -> None:
    """The books are turned back, the amount can be refunded again under a new key, and older approvals do nothing."""
    payment = await paid(still_shop)
    control = still_shop.standin.control
    await control("PUT", "/refund-course", {"course": "fails_later", "after_seconds": 10 * DAY})
    refund_id = await still_shop.approve_refund(payment, 5000)
    refund = await still_shop.advance_refund(refund_id)
    assert refund.status == "succeeded"
    await control("POST", "/clock", {"advance_seconds": 10 * DAY})
    refund = await still_shop.advance_refund(refund_id)
    assert (refund.status, refund.failure_code) == ("failed", "expired_or_canceled_card")
    [failed] = await still_shop.told(payment, PaymentRefundFailed)
    assert (failed.had_succeeded, failed.amount) == (True, Money(5000, "EUR"))
    balances = await still_shop.balances(payment)
    assert "refunds" not in balances
    assert balances["provider:EUR"] + balances["provider_fees"] == 5000
    await still_shop.tell(approved(payment, 5000, refund_id=refund_id, version=1))
    assert (await still_shop.refund(refund_id)).status == "failed"
    await control("PUT", "/refund-course", {"course": None})
    await still_shop.approve_refund(payment, 5000, refund_id, version=2)
    assert (await still_shop.advance_refund(refund_id)).status == "succeeded"
    attempts = [attempt.id for attempt in await still_shop.attempts(payment) if attempt.refund_id == refund_id]
    made = (await still_shop.made("refund_id", refund_id))["refund"]
    assert len(set(attempts)) == 2
    assert sorted(refund["status"] for refund in made) == ["failed", "succeeded"]


async def imported(shop: Shop, payment: Payment) -> bool:
    return (await shop.payment(payment.booking_id)).refunded_minor == 1500


@pytest.mark.parametrize("way", ["webhook", "list"])
async def test_a_refund_made_by_hand_is_taken_over_once(shop: Shop, way: str) -> None:
    """By webhook or by the list alone; it takes its part, is told with an id of ours, and may fail later like any other."""
    payment = await shop.captured(5000)
    if way == "list":
        await shop.standin.control("PUT", "/webhooks", {"on": False})
    by_hand = {"payment_intent": payment.provider_ref, "amount": 1500}
    made = await shop.standin.control("POST", "/refunds", by_hand)
    if way == "list":
        await shop.list_account()
    else:
        await eventually(lambda: imported(shop, payment))
    await shop.list_account()
    [told] = await shop.told(payment, PaymentRefundedOutside)
    assert told.amount == Money(1500, "EUR")
    assert (await shop.refund(told.refund_id)).provider_ref == made["id"]
    assert not await shop.told(payment, PaymentRefunded)
    await shop.tell(approved(payment, 4000))
    [rejected] = await shop.told(payment, PaymentRefundRejected)
    assert rejected.remaining == Money(3500, "EUR")
    await shop.standin.control("POST", f"/refunds/{made['id']}", {"status": "failed"})
    if way == "list":
        await shop.advance_refund(told.refund_id)
    await shop.refund_in_status(told.refund_id, "failed")
    [failed] = await shop.told(payment, PaymentRefundFailed)
    assert (failed.refund_id, failed.had_succeeded) == (told.refund_id, True)


async def test_one_made_by_hand_that_finds_the_money_promised_waits_for_it(still_shop: Shop) -> None:
    """Ours is refused, since the provider has given it back already; then the other is taken over."""
    payment = await paid(still_shop)
    refund_id = await still_shop.approve_refund(payment, 5000)
    await still_shop.standin.control("POST", "/refunds", {"payment_intent": payment.provider_ref, "amount": 1500})
    await still_shop.list_account()
    assert not await still_shop.told(payment, PaymentRefundedOutside)
    assert (await still_shop.advance_refund(refund_id)).status == "failed"
    await still_shop.list_account()
    [told] = await still_shop.told(payment, PaymentRefundedOutside)
    assert (await still_shop.payment(payment.booking_id)).refunded_minor == told.amount.amount_minor == 1500


def twice(how: str) -> float:
    return metrics.OVERPAYMENTS.labels(how)._value.get()  # the client shows a counter in no other way


async def test_what_staff_paid_another_way_counts_as_given_back(still_shop: Shop) -> None:
    """After a failure, or after a rejection that payment had no row of; the provider is not called for it."""
    payment = await paid(still_shop)
    await still_shop.standin.control("PUT", "/refund-course", {"course": "fails_at_once"})
    refund_id = await still_shop.approve_refund(payment, 2000)
    await still_shop.advance_refund(refund_id)
    await still_shop.settle(payment, 2000, refund_id, version=2)
    await still_shop.settle(payment, 1000, uuid4(), version=2)
    payment = await still_shop.payment(payment.booking_id)
    assert (payment.refunded_minor, payment.reserved_minor, payment.refundable_minor) == (3000, 0, 2000)
    refund = await still_shop.refund(refund_id)
    assert refund.status == "settled"
    balances = await still_shop.balances(payment)
    assert (balances["refunds"], balances["paid_outside"]) == (3000, -3000)
    assert balances["provider:EUR"] + balances["provider_fees"] == 5000
    await still_shop.tell(approved(payment, 2001))
    [rejected] = await still_shop.told(payment, PaymentRefundRejected)
    assert rejected.remaining == Money(2000, "EUR")


@pytest.mark.parametrize("first", ["settled", "sent"])
async def test_what_reaches_the_buyer_twice_raises_an_alarm(still_shop: Shop, first: str) -> None:
    """Settled while it was pending, or after it was sent: the overpayment is counted, stands in the ledger, and may come back."""
    payment = await paid(still_shop)
    course = "succeeds_later" if first == "settled" else "succeeds"
    await still_shop.standin.control("PUT", "/refund-course", {"course": course, "after_seconds": DAY})
    refund_id = await still_shop.approve_refund(payment, 2000)
    await still_shop.advance_refund(refund_id)
    before = twice("settled_and_sent")
    await still_shop.settle(payment, 2000, refund_id, version=2)
    await still_shop.standin.control("POST", "/clock", {"advance_seconds": DAY})
    refund = await still_shop.advance_refund(refund_id)
    assert refund.status == "overpaid"
    assert twice("settled_and_sent") == before + 1
    balances = await still_shop.balances(payment)
    assert (balances["refunds"], balances["overpayments"], balances["paid_outside"]) == (2000, 2000, -2000)
    assert f"clearing:{refund_id}" not in balances
    await still_shop.standin.control("POST", f"/refunds/{refund.provider_ref}", {"status": "failed"})
    refund = await still_shop.advance_refund(refund_id)
    assert refund.status == "settled"
    assert "overpayments" not in await still_shop.balances(payment)
    assert (await still_shop.payment(payment.booking_id)).refunded_minor == 2000


async def test_a_refund_settled_before_it_is_sent_is_not_sent(still_shop: Shop) -> None:
    payment = await paid(still_shop)
    refund_id = await still_shop.approve_refund(payment, 2000)
    await still_shop.settle(payment, 2000, refund_id, version=2)
    assert (await still_shop.advance_refund(refund_id)).status == "settled"
    await still_shop.age_attempts(payment, timedelta(minutes=5))
    assert (await still_shop.advance_refund(refund_id)).status == "settled"
    assert not await still_shop.made("refund_id", refund_id)
    assert (await still_shop.attempts(payment))[-1].outcome == "absent"


async def test_more_than_was_captured_cannot_be_settled_unseen(still_shop: Shop) -> None:
    payment = await paid(still_shop)
    before = twice("settled_beyond_captured")
    await still_shop.settle(payment, 5001, uuid4(), version=1)
    assert twice("settled_beyond_captured") == before + 1
    assert (await still_shop.payment(payment.booking_id)).refunded_minor == 0


async def test_the_balance_is_told_when_it_has_changed(still_shop: Shop) -> None:
    await still_shop.read_balance()
    account = await still_shop.account()
    await still_shop.read_balance()
    assert (await still_shop.account()).version == account.version
    await still_shop.standin.control("PUT", "/balance", {"currency": "eur", "available": -1234})
    await still_shop.read_balance()
    told = [event for event in await still_shop.service.outbox() if isinstance(event, BalanceRead)]
    assert [event.version for event in told] == list(range(1, account.version + 2))
    assert told[-1].account_id == account.id
    assert Money(-1234, "EUR") in told[-1].available


async def refunds_of(shop: Shop, payment: Payment, role: str | None) -> list[UUID] | None:
    headers = shop.service.staff(role) if role else shop.service.holder(payment.booking_id)
    answer = await shop.service.client.get(f"/payments/{payment.id}", headers=headers)
    assert answer.status_code == 200, answer.text
    shown = answer.json()["refunds"]
    return None if shown is None else [UUID(refund["id"]) for refund in shown]


async def test_staff_see_the_refunds_of_a_payment(still_shop: Shop) -> None:
    payment = await paid(still_shop)
    refund_id = await still_shop.approve_refund(payment, 2000)
    assert await refunds_of(still_shop, payment, "viewer") == [refund_id]
    assert await refunds_of(still_shop, payment, None) is None
