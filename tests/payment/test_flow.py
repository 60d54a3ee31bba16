"""From the booking to captured money or to none, whatever booking says and in whatever order."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from contracts.booking import SeatsSecured
from contracts.money import Money
from contracts.payment import (
    PaymentAttemptFailed,
    PaymentAuthorized,
    PaymentFailed,
    PaymentSucceeded,
    PaymentVoided,
)

from tests.payment.shop import NOW, Shop, booking_placed
from tests.support.service import eventually
from tests.support.statements import statements_of

RELAY = ("FROM outbox", "UPDATE outbox", "UPDATE receipts")
"""Words of what runs by itself: the relay, and the settling of webhooks."""


async def names(shop: Shop, payment: object) -> list[str]:
    return [type(event).__name__ for event in await shop.events_of(payment)]  # type: ignore[arg-type]  # any row


async def test_paid_seated_and_captured(still_shop: Shop) -> None:
    """Two events, three calls of the provider, and books that balance."""
    payment = await still_shop.started(5000)
    await still_shop.confirm(payment)
    before = await still_shop.requests()
    await still_shop.sync(payment)
    await still_shop.secure_seats(payment)
    payment = await still_shop.advance(payment)
    after = await still_shop.requests()
    assert {name: after[name] - before.get(name, 0) for name in after if after[name] != before.get(name)} == {
        "payment_intents.retrieve 200": 1,
        "payment_intents.capture 200": 1,
    }
    events = await still_shop.events_of(payment)
    assert [type(event) for event in events] == [PaymentAuthorized, PaymentSucceeded]
    assert [event.version for event in events] == [1, 2]
    succeeded = events[1]
    assert isinstance(succeeded, PaymentSucceeded)
    assert succeeded.amount == Money(5000, "EUR")
    assert succeeded.method is not None
    assert (succeeded.method.kind, succeeded.method.brand, succeeded.method.last4) == ("card", "visa", "4242")
    assert (payment.status, payment.captured_minor, payment.next_check_at) == ("succeeded", 5000, None)
    balances = await still_shop.balances(payment)
    fees = balances["provider_fees"]
    assert balances == {"provider:EUR": 5000 - fees, "revenue": -5000, "provider_fees": fees}
    assert fees > 0
    assert [attempt.outcome for attempt in await still_shop.attempts(payment)] == ["done", "done"]


async def test_a_currency_without_minor_units(shop: Shop) -> None:
    payment = await shop.captured(5000, "JPY")
    intent = (await shop.made("payment_id", payment.id))["payment_intent"][0]
    assert (intent["amount"], intent["currency"]) == (5000, "jpy")


async def test_the_capture_happens_by_itself(shop: Shop) -> None:
    payment = await shop.captured()
    assert await names(shop, payment) == ["PaymentAuthorized", "PaymentSucceeded"]


async def test_a_free_booking_has_no_payment(shop: Shop) -> None:
    placed = booking_placed(Money(0, "EUR"))
    await shop.tell(placed)
    answer = await shop.start(placed.booking_id)
    assert (answer.status_code, answer.json()["state"]) == (409, "free")
    await shop.expire(placed.booking_id)
    await shop.cancel(placed.booking_id, version=3)
    assert not [
        event for event in await shop.service.outbox() if getattr(event, "booking_id", None) == placed.booking_id
    ]


async def test_an_untouched_booking_that_expires_costs_no_call(still_shop: Shop) -> None:
    before = await still_shop.requests()
    booking_id = await still_shop.book()
    await still_shop.expire(booking_id)
    payment = await still_shop.payment(booking_id)
    assert (payment.status, payment.next_check_at) == ("voided", None)
    [voided] = await still_shop.events_of(payment)
    assert isinstance(voided, PaymentVoided)
    assert (voided.reason, voided.was_authorized) == ("booking_expired", False)
    assert await still_shop.requests() == before
    answer = await still_shop.start(booking_id)
    assert (answer.status_code, answer.json()["state"]) == (409, "voided")


async def test_an_opened_payment_is_canceled_when_its_hold_ends(shop: Shop) -> None:
    """So that it cannot be paid later."""
    payment = await shop.started()
    await shop.expire(payment.booking_id)
    payment = await shop.in_status(payment, "voided")
    [intent] = (await shop.made("payment_id", payment.id))["payment_intent"]
    assert intent["status"] == "canceled"
    [voided] = await shop.events_of(payment)
    assert isinstance(voided, PaymentVoided)
    assert not voided.was_authorized


async def test_paid_in_the_last_second_asks_booking_once_more(still_shop: Shop) -> None:
    """The hold ended, but the provider shows an authorization that we had not seen: booking may still have seats."""
    payment = await still_shop.started()
    await still_shop.confirm(payment)
    await still_shop.expire(payment.booking_id)
    payment = await still_shop.advance(payment)
    assert (payment.status, payment.wish) == ("authorized", "collect")
    assert await names(still_shop, payment) == ["PaymentAuthorized"]
    await still_shop.secure_seats(payment, version=3)
    payment = await still_shop.advance(payment)
    assert payment.status == "succeeded"


async def test_an_authorized_payment_outlives_the_hold(still_shop: Shop) -> None:
    payment = await still_shop.authorized()
    await still_shop.expire(payment.booking_id)
    payment = await still_shop.payment(payment.booking_id)
    assert (payment.status, payment.wish) == ("authorized", "collect")


@pytest.mark.parametrize("why", ["seats_unavailable", "booking_cancelled"])
async def test_an_authorization_without_seats_is_released(shop: Shop, why: str) -> None:
    payment = await shop.authorized()
    if why == "seats_unavailable":
        await shop.refuse_seats(payment)
    else:
        await shop.cancel(payment.booking_id, was="payment_authorized")
    payment = await shop.in_status(payment, "voided")
    voided = (await shop.events_of(payment))[-1]
    assert isinstance(voided, PaymentVoided)
    assert (voided.was_authorized, voided.reason, voided.amount) == (True, why, Money(5000, "EUR"))
    assert await shop.balances(payment) == {}


async def test_canceled_while_the_buyer_pays(still_shop: Shop) -> None:
    """The booking is gone: an authorization that comes after it is released, not offered to booking."""
    payment = await still_shop.started()
    await still_shop.cancel(payment.booking_id)
    await still_shop.standin.browser(
        "POST",
        f"/v1/payment_intents/{payment.provider_ref}/confirm",
        {
            "payment_method": "pm_card_visa",
            "client_secret": (await still_shop.gateway.fetch(payment.provider_ref or "")).client_secret or "",
            "return_url": "http://localhost/back",
        },
    )
    payment = await still_shop.advance(payment)
    assert payment.status == "voided"
    assert await names(still_shop, payment) == ["PaymentVoided"]


async def test_older_news_of_the_booking_change_nothing(still_shop: Shop) -> None:
    """The seats are secured again after the hold had ended; the news of its end come last."""
    payment = await still_shop.authorized()
    await still_shop.secure_seats(payment, version=4)
    await still_shop.expire(payment.booking_id, version=2)
    await still_shop.refuse_seats(payment, version=3)
    payment = await still_shop.payment(payment.booking_id)
    assert (payment.status, payment.wish, payment.booking_version) == ("capturing", "capture", 4)
    assert (await still_shop.advance(payment)).status == "succeeded"


async def test_cancelled_between_the_seats_and_the_capture(still_shop: Shop) -> None:
    """Not captured yet: the buyer is not charged, and nothing stays on its way in the books."""
    payment = await still_shop.authorized()
    await still_shop.secure_seats(payment)
    await still_shop.cancel(payment.booking_id, version=3, was="payment_authorized")
    payment = await still_shop.advance(payment)
    assert payment.status == "voided"
    assert await still_shop.balances(payment) == {}
    assert [attempt.outcome for attempt in await still_shop.attempts(payment)] == ["done", "moot", "done"]


async def test_news_before_the_booking_is_known_wait_for_it(shop: Shop) -> None:
    placed = booking_placed(Money(5000, "EUR"))
    early = await shop.service.deliver(
        SeatsSecured(version=2, occurred_at=NOW, booking_id=placed.booking_id, payment_id=placed.booking_id)
    )
    await shop.tell(placed)
    await eventually(lambda: shop.service.consumed(early))
    assert (await shop.payment(placed.booking_id)).wish == "capture"


@pytest.mark.parametrize("card", ["pm_card_chargeDeclined", "pm_card_chargeDeclinedInsufficientFunds"])
async def test_a_decline_leaves_the_booking_payable(shop: Shop, card: str) -> None:
    payment = await shop.started()
    status, answer = await shop.confirm(payment, card)
    assert (status, answer["error"]["type"]) == (402, "card_error")
    await shop.sync(payment)
    [failed] = await shop.events_of(payment)
    assert isinstance(failed, PaymentAttemptFailed)
    assert failed.attempts_left == 4
    assert (await shop.sync(payment))["attempts_left"] == 4
    await shop.confirm(payment)
    assert (await shop.sync(payment))["status"] in {"authorized", "capturing"}
    assert await names(shop, payment) == ["PaymentAttemptFailed", "PaymentAuthorized"]


async def test_five_declines_are_enough(shop: Shop) -> None:
    payment = await shop.started()
    for left in (4, 3, 2, 1):
        await shop.confirm(payment, "pm_card_chargeDeclined")
        assert (await shop.sync(payment))["attempts_left"] == left
    await shop.confirm(payment, "pm_card_chargeDeclined")
    await shop.sync(payment)
    payment = await shop.in_status(payment, "failed")
    failed = (await shop.events_of(payment))[-1]
    assert isinstance(failed, PaymentFailed)
    assert failed.reason == "too_many_declines"
    assert await names(shop, payment) == ["PaymentAttemptFailed"] * 5 + ["PaymentFailed"]
    assert (await shop.start(payment.booking_id)).status_code == 409


async def test_canceled_by_the_provider(shop: Shop) -> None:
    payment = await shop.started()
    assert payment.provider_ref is not None
    await shop.standin.client.v1.payment_intents.cancel_async(payment.provider_ref)
    payment = await shop.in_status(payment, "failed")
    [failed] = await shop.events_of(payment)
    assert isinstance(failed, PaymentFailed)
    assert failed.reason == "canceled_by_provider"


async def test_a_challenge_is_waited_for(shop: Shop) -> None:
    payment = await shop.started()
    await shop.confirm(payment, "pm_card_threeDSecure2Required")
    assert (await shop.sync(payment))["status"] == "requires_action"
    await shop.expire(payment.booking_id)
    await shop.in_status(payment, "voided")


async def test_two_forms_at_once_open_one_payment(shop: Shop) -> None:
    """Impatient clicks: every answer shows the same intent."""
    booking_id = await shop.book()
    answers = await asyncio.gather(*(shop.start(booking_id) for _ in range(8)))
    opened = [answer for answer in answers if answer.status_code == 201]
    assert opened
    assert {answer.status_code for answer in answers} <= {201, 503}
    assert len({answer.json()["client_secret"] for answer in opened}) == 1
    payment = await shop.payment(booking_id)
    assert len((await shop.made("payment_id", payment.id))["payment_intent"]) == 1


async def test_a_hold_that_is_over_opens_nothing(still_shop: Shop) -> None:
    booking_id = await still_shop.book(hold=timedelta(seconds=-1))
    answer = await still_shop.start(booking_id)
    assert (answer.status_code, answer.json()["state"]) == (409, "hold_ended")


async def test_a_buyer_faster_than_the_event_is_waited_for(shop: Shop) -> None:
    placed = booking_placed(Money(5000, "EUR"))
    with statements_of(shop.service.app.state.database, *RELAY) as statements:
        waiting = asyncio.create_task(shop.start(placed.booking_id))

        async def looked() -> bool:
            return any("free_bookings" in statement for _, statement in statements)

        await eventually(looked)
        await shop.tell(placed)
        assert (await waiting).status_code == 201


async def test_what_each_step_costs(still_shop: Shop) -> None:
    """A message is at most four statements, the inbox included."""
    booking_id, database = await still_shop.book(), still_shop.service.app.state.database
    await still_shop.start(booking_id)
    payment = await still_shop.payment(booking_id)
    await still_shop.confirm(payment)
    with statements_of(database, *RELAY) as statements:
        await still_shop.sync(payment)
    assert len(statements) == 4, statements  # one of them looks at the declines of the hour before
    with statements_of(database, *RELAY) as statements:
        await still_shop.secure_seats(payment)
    assert len(statements) == 3, statements
    payment = await still_shop.advance(payment)
    with statements_of(database, *RELAY) as statements:
        await still_shop.approve_refund(payment, 100)
    assert len(statements) == 3, statements
    with statements_of(database, *RELAY) as statements:
        await still_shop.book()
    assert len(statements) == 2, statements
    with statements_of(database, *RELAY) as statements:
        await still_shop.approve_refund(payment, 999_999)
    assert len(statements) == 5, statements
