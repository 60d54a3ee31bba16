"""Refunds: never more than was captured, whoever asks at once, and honest about those that fail late."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest
from contracts.booking import BookingExpired
from contracts.money import Money
from contracts.payment import PaymentRefunded, PaymentRefundFailed, PaymentRefundRejected
from contracts.refund import RefundApproved
from payment.models import Payment

from tests.payment.shop import NOW, Shop


def approved(payment: Payment, amount: int, currency: str = "EUR", **facts: object) -> RefundApproved:
    fields = {
        "version": 1,
        "occurred_at": NOW,
        "refund_id": uuid4(),
        "booking_id": payment.booking_id,
        "payment_id": payment.id,
        "amount": Money(amount, currency),
        "reason": "goodwill",
    }
    return RefundApproved.model_validate(fields | facts)


async def paid_with(shop: Shop, card: str, amount: int = 5000) -> Payment:
    payment = await shop.started(amount)
    await shop.confirm(payment, card)
    await shop.sync(payment)
    await shop.secure_seats(payment)
    return await shop.in_status(payment, "succeeded")


async def test_part_of_it_then_the_rest(shop: Shop) -> None:
    payment = await shop.captured(5000)
    first = await shop.approve_refund(payment, 2001)
    second = await shop.approve_refund(payment, 2999)
    await shop.refund_in_status(first, "succeeded")
    await shop.refund_in_status(second, "succeeded")
    payment = await shop.payment(payment.booking_id)
    assert (payment.refunded_minor, payment.reserved_minor) == (5000, 0)
    events = [event for event in await shop.events_of(payment) if isinstance(event, PaymentRefunded)]
    assert sorted(event.amount.amount_minor for event in events) == [2001, 2999]
    assert [event.version for event in await shop.events_of(payment)] == [1, 2, 3, 4]
    balances = await shop.balances(payment)
    assert balances["refunds"] == 5000
    assert balances["provider:EUR"] == -balances["provider_fees"]
    third = approved(payment, 1)
    await shop.tell(third)
    rejected = (await shop.events_of(payment))[-1]
    assert isinstance(rejected, PaymentRefundRejected)
    assert (rejected.refund_id, rejected.remaining) == (third.refund_id, Money(0, "EUR"))
    assert not await shop.made("refund_id", third.refund_id)


async def test_two_at_once_never_take_more_than_there_is(shop: Shop) -> None:
    """Ten of 60 % at the same time: exactly one goes through, and the others are told what is left."""
    payment = await shop.captured(5000)
    events = [approved(payment, 3000) for _ in range(10)]
    await asyncio.gather(*(shop.tell(event) for event in events))
    told = [event for event in await shop.events_of(payment) if isinstance(event, PaymentRefundRejected)]
    assert len(told) == 9
    assert {event.remaining for event in told} == {Money(2000, "EUR")}
    [winner] = {event.refund_id for event in events} - {event.refund_id for event in told}
    await shop.refund_in_status(winner, "succeeded")
    assert (await shop.payment(payment.booking_id)).refunded_minor == 3000


async def test_the_same_refund_approved_twice_is_made_once(shop: Shop) -> None:
    payment = await shop.captured(5000)
    event = approved(payment, 1000)
    await asyncio.gather(shop.tell(event), shop.tell(event), shop.tell(event.model_copy(update={"version": 2})))
    await shop.refund_in_status(event.refund_id, "succeeded")
    assert len((await shop.made("refund_id", event.refund_id))["refund"]) == 1
    payment = await shop.payment(payment.booking_id)
    assert (payment.refunded_minor, payment.reserved_minor) == (1000, 0)


@pytest.mark.parametrize("what", ["other currency", "other booking", "nothing", "negative", "too much"])
async def test_what_cannot_be_refunded_is_rejected(shop: Shop, what: str) -> None:
    payment = await shop.captured(5000)
    event = {
        "other currency": approved(payment, 100, "USD"),
        "other booking": approved(payment, 100, booking_id=uuid4()),
        "nothing": approved(payment, 0),
        "negative": approved(payment, -100),
        "too much": approved(payment, 5001),
    }[what]
    await shop.tell(event)
    assert isinstance((await shop.events_of(payment))[-1], PaymentRefundRejected)
    payment = await shop.payment(payment.booking_id)
    assert (payment.refunded_minor, payment.reserved_minor) == (0, 0)


async def test_before_it_is_captured_there_is_nothing_to_refund(shop: Shop) -> None:
    payment = await shop.authorized(5000)
    await shop.tell(approved(payment, 1))
    rejected = (await shop.events_of(payment))[-1]
    assert isinstance(rejected, PaymentRefundRejected)
    assert rejected.remaining == Money(0, "EUR")


async def test_a_failed_refund_approved_once_more(shop: Shop) -> None:
    """The same refund, a new attempt with a new key; the old one's late news do not touch it."""
    payment = await paid_with(shop, "pm_card_refundFail")
    refund_id = await shop.approve_refund(payment, 1000)
    await shop.refund_in_status(refund_id, "failed", at_most_s=30)
    await shop.approve_refund(payment, 1000, refund_id, version=2)
    await shop.refund_in_status(refund_id, "failed", at_most_s=30)
    made = (await shop.made("refund_id", refund_id))["refund"]
    assert [refund["status"] for refund in made] == ["failed", "failed"]
    told = [type(event).__name__ for event in await shop.events_of(payment)][2:]
    assert told == ["PaymentRefunded", "PaymentRefundFailed"] * 2
    payment = await shop.payment(payment.booking_id)
    assert payment.refundable_minor == 5000


async def test_a_definitive_refusal_frees_the_reserve(shop: Shop) -> None:
    """Refunded in full at the provider by hand while we were not told: its refusal ends ours."""
    payment = await shop.captured(5000)
    await shop.standin.control("PUT", "/webhooks", {"on": False})
    await shop.standin.control("POST", "/refunds", {"payment_intent": payment.provider_ref, "amount": 5000})
    refund_id = await shop.approve_refund(payment, 1000)
    refund = await shop.refund_in_status(refund_id, "failed")
    assert refund.failure_code == "charge_already_refunded"
    payment = await shop.payment(payment.booking_id)
    assert payment.reserved_minor == 0
    failed = (await shop.events_of(payment))[-1]
    assert isinstance(failed, PaymentRefundFailed)
    assert not failed.had_succeeded


async def test_letting_go_of_what_is_captured_changes_nothing_here(shop: Shop) -> None:
    """Whether money goes back is refund's decision."""
    payment = await shop.captured(5000)
    await shop.cancel(payment.booking_id, version=3, was="confirmed")
    await shop.refuse_seats(payment, version=4)
    await shop.tell(BookingExpired(version=5, occurred_at=NOW, booking_id=payment.booking_id))
    after = await shop.payment(payment.booking_id)
    assert (after.status, after.captured_minor, after.refundable_minor) == ("succeeded", 5000, 5000)
    assert len(await shop.events_of(payment)) == 2
