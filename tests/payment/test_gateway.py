"""What Stripe's objects and errors mean, read from the shapes that its API writes."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
import stripe
from contracts.money import EXPONENTS, InvalidMoney, Money
from payment.domain import Fact
from payment.gateways import Gateway, Method, NotRun, Order, Refused, Unanswered
from payment.gateways.stripe import StripeGateway, _failure
from payment.gateways.stripe_objects import FACTS, REFUND_FACTS, intent_view, refund_view
from payment.refund_states import RefundTrigger

from tests.payment.shop import Shop

INTENT: dict[str, Any] = {
    "id": "pi_1",
    "amount": 1999,
    "amount_received": 0,
    "currency": "eur",
    "status": "requires_payment_method",
    "livemode": False,
    "metadata": {"system": "boxoffice"},
    "client_secret": "pi_1_secret_x",
    "latest_charge": None,
    "last_payment_error": None,
}
REFUND: dict[str, Any] = {
    "id": "re_1",
    "amount": 100,
    "currency": "eur",
    "status": "succeeded",
    "payment_intent": "pi_1",
    "created": 1_800_000_000,
    "metadata": {},
}


@pytest.mark.parametrize(("status", "fact"), FACTS.items())
def test_what_a_status_means(status: str, fact: Fact) -> None:
    assert intent_view(INTENT | {"status": status}).fact is fact


def test_every_status_of_the_sdk_is_known() -> None:
    """A status that a new API version brings must be decided upon."""
    declared = stripe.PaymentIntent.__annotations__["status"]
    for status in ("requires_payment_method", "requires_confirmation", "requires_capture"):
        assert status in str(declared)
    named = {word for word in str(declared).replace("'", '"').split('"') if word.isidentifier() and "_" in word}
    assert named <= set(FACTS) | {"Literal_str"}


def test_a_status_that_is_not_known() -> None:
    assert intent_view(INTENT | {"status": "new"}).fact is Fact.UNRECOGNISED
    assert refund_view(REFUND | {"status": "new"}).fact is RefundTrigger.PENDING


@pytest.mark.parametrize(("status", "fact"), REFUND_FACTS.items())
def test_what_a_refund_status_means(status: str, fact: RefundTrigger) -> None:
    assert refund_view(REFUND | {"status": status}).fact is fact


@pytest.mark.parametrize("field", ["id", "amount", "currency", "status", "livemode", "metadata"])
def test_what_lacks_a_field_is_no_intent(field: str) -> None:
    with pytest.raises(KeyError):
        intent_view({name: value for name, value in INTENT.items() if name != field})


@pytest.mark.parametrize(
    "replace", [{"amount": 19.99}, {"amount": "1999"}, {"currency": "xxx"}, {"amount_received": 1.5}]
)
def test_what_is_no_money_is_refused(replace: dict[str, Any]) -> None:
    with pytest.raises(InvalidMoney):
        intent_view(INTENT | replace)


def test_no_secret_in_the_text_of_a_view() -> None:
    view = intent_view(INTENT)
    assert view.client_secret == "pi_1_secret_x"
    assert "secret_x" not in repr(view)


@pytest.mark.parametrize(
    ("error", "ref"),
    [
        (None, None),
        ({"charge": "ch_1", "code": "card_declined", "payment_method": {"id": "pm_1"}}, "ch_1"),
        ({"code": "payment_intent_authentication_failure", "payment_method": {"id": "pm_1"}}, "pm_1"),
        ({"code": "something"}, "something"),
    ],
)
def test_one_decline_is_told_from_the_next(error: dict[str, Any] | None, ref: str | None) -> None:
    assert intent_view(INTENT | {"last_payment_error": error}).decline_ref == ref


def test_the_method_and_the_fee_of_a_charge() -> None:
    charge = {
        "payment_method_details": {"type": "card", "card": {"brand": "visa", "last4": "4242"}},
        "balance_transaction": {"fee": 58, "currency": "eur"},
    }
    view = intent_view(INTENT | {"latest_charge": charge})
    assert (view.method, view.fee) == (Method("card", "visa", "4242"), Money(58, "EUR"))
    other = {"payment_method_details": {"type": "link"}, "balance_transaction": {"fee": 58, "currency": "mxn"}}
    view = intent_view(INTENT | {"latest_charge": other})
    assert (view.method, view.fee) == (Method("link", None, None), None)
    assert intent_view(INTENT | {"latest_charge": "ch_1"}).fee is None


def failure(status: int | None, code: str | None = None, **headers: str) -> object:
    return _failure(stripe.APIError("x", http_status=status, code=code, headers=headers))


def test_what_an_error_leaves_open() -> None:
    """4xx are definitive, but 409 and 429 are not; 5xx and silence never are."""
    assert isinstance(failure(None), Unanswered)
    for status in (409, 500, 502, 503, 504, 302):
        assert isinstance(failure(status), Unanswered)
    for status in (400, 402, 404):
        refused = failure(status, "why")
        assert isinstance(refused, Refused)
        assert refused.code == "why"
    for status in (401, 403, 429):
        assert isinstance(failure(status), NotRun)
    limited = failure(429, **{"retry-after": "7"})
    assert isinstance(limited, NotRun)
    assert limited.retry_after_s == 7


def test_the_minimums_are_of_enabled_currencies() -> None:
    assert set(StripeGateway.capabilities.minimums) <= set(EXPONENTS)
    assert StripeGateway.capabilities.currencies == set(EXPONENTS)


async def test_the_same_order_twice_makes_one_intent(still_shop: Shop) -> None:
    gateway: Gateway = still_shop.gateway
    order = Order(uuid4(), uuid4(), uuid4(), Money(5000, "EUR"))
    first, second = await gateway.authorize(order), await gateway.authorize(order)
    assert first.ref == second.ref
    assert first.metadata == {
        "system": "boxoffice",
        "payment_id": str(order.payment_id),
        "booking_id": str(order.booking_id),
    }
    found = await gateway.find(order.payment_id)
    assert found is not None
    assert found.ref == first.ref
    assert await gateway.find(uuid4()) is None


async def test_the_same_key_for_another_amount_is_refused(still_shop: Shop) -> None:
    gateway = still_shop.gateway
    order = Order(uuid4(), uuid4(), uuid4(), Money(5000, "EUR"))
    await gateway.authorize(order)
    with pytest.raises(Refused):
        await gateway.authorize(Order(order.attempt_id, order.payment_id, order.booking_id, Money(5001, "EUR")))


async def test_a_silent_provider_is_given_up_after_ten_seconds(still_shop: Shop) -> None:
    """The SDK's own limit is 80 seconds."""
    await still_shop.standin.fault("payment_intents.retrieve", "delay_before", seconds=30)
    with pytest.raises(Unanswered):
        await still_shop.gateway.fetch("pi_1")


async def test_a_wrong_api_key_runs_nothing(still_shop: Shop) -> None:
    gateway = StripeGateway("sk_test_wrong", "pk_test_x", ("whsec_x",), still_shop.standin.url)
    try:
        with pytest.raises(NotRun):
            await gateway.fetch("pi_1")
    finally:
        await gateway.close()


async def test_nobody_listens(still_shop: Shop) -> None:
    gateway = StripeGateway("sk_test_x", "pk_test_x", ("whsec_x",), "http://127.0.0.1:1")
    try:
        with pytest.raises(Unanswered):
            await gateway.fetch("pi_1")
    finally:
        await gateway.close()
