"""A booking is paid, captured, let go and refunded, against the provider over HTTP."""

from __future__ import annotations

from contracts.payment import (
    PaymentAttemptFailed,
    PaymentAuthorized,
    PaymentFailed,
    PaymentSucceeded,
    PaymentVoided,
)

from tests.payment.shop import Shop
from tests.support.service import eventually


async def test_paid_seated_and_captured(shop: Shop) -> None:
    """From the booking to the captured amount: three events, three calls, and books that balance."""
    before = await shop.requests()
    payment = await shop.captured(5000)
    events = await shop.events_of(payment)
    assert [type(event) for event in events] == [PaymentAuthorized, PaymentSucceeded]
    assert [event.version for event in events] == [1, 2]
    succeeded = events[1]
    assert isinstance(succeeded, PaymentSucceeded)
    assert succeeded.amount.amount_minor == 5000
    assert succeeded.method is not None
    assert (succeeded.method.kind, succeeded.method.brand, succeeded.method.last4) == ("card", "visa", "4242")
    assert payment.captured_minor == 5000
    balances = await shop.balances(payment)
    fees = balances["provider_fees"]
    assert balances == {"provider:EUR": 5000 - fees, "revenue": -5000, "provider_fees": fees}
    assert fees > 0
    assert [attempt.outcome for attempt in await shop.attempts(payment)] == ["done", "done"]
    print(before, await shop.requests())


async def test_expired_untouched(shop: Shop) -> None:
    booking_id = await shop.book()
    await shop.expire(booking_id)
    payment = await shop.payment(booking_id)
    assert payment.status == "voided"
    [voided] = await shop.events_of(payment)
    assert isinstance(voided, PaymentVoided)
    assert (voided.reason, voided.was_authorized) == ("booking_expired", False)


async def test_refund(shop: Shop) -> None:
    payment = await shop.captured(5000)
    refund_id = await shop.approve_refund(payment, 2000)
    await shop.refund_in_status(refund_id, "succeeded")
    payment = await shop.payment(payment.booking_id)
    assert (payment.refunded_minor, payment.reserved_minor) == (2000, 0)
