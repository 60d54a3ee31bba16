"""PaymentIntents from creation to capture, cancellation or decline (docs.stripe.com/payments/paymentintents/lifecycle)."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from sandbox.stripe.charges import AUTHORISED_SECONDS
from tests.sandbox.stripe.conftest import PUBLISHABLE_KEY, Standin, eventually

BACK = "http://localhost/back"


async def test_an_authorised_payment_is_captured_once(standin: Standin) -> None:
    """Manual capture: nothing is received before the capture, everything after it, and a second capture is refused."""
    v1 = standin.client.v1
    intent = await v1.payment_intents.create_async(
        {
            "amount": 5000,
            "currency": "eur",
            "capture_method": "manual",
            "automatic_payment_methods": {"enabled": True},
            "metadata": {"payment_id": "p-1", "booking_id": "b-1"},
            "receipt_email": "buyer@example.com",
            "description": "Two seats",
        }
    )
    assert (intent.status, intent.amount_received, intent.latest_charge) == ("requires_payment_method", 0, None)
    intent = await v1.payment_intents.confirm_async(intent.id, {"payment_method": "pm_card_visa", "return_url": BACK})
    assert (intent.status, intent.amount_capturable, intent.amount_received) == ("requires_capture", 5000, 0)
    intent = await v1.payment_intents.capture_async(intent.id, {"expand": ["latest_charge.balance_transaction"]})
    assert (intent.status, intent.amount_capturable, intent.amount_received) == ("succeeded", 0, 5000)
    charge: Any = intent.latest_charge
    assert (charge.captured, charge.amount_captured, charge.metadata.to_dict()) == (
        True,
        5000,
        {"payment_id": "p-1", "booking_id": "b-1"},
    )
    assert (charge.balance_transaction.fee, charge.balance_transaction.net) == (175, 4825)
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await v1.payment_intents.capture_async(intent.id)
    assert refused.value.code == "payment_intent_unexpected_state"
    assert await standin.events() == [
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.amount_capturable_updated",
        "charge.captured",
        "payment_intent.succeeded",
    ]


async def test_a_part_is_captured_and_the_rest_released(standin: Standin) -> None:
    """`amount_to_capture` below the authorised amount; what was released cannot be refunded."""
    intent = await standin.authorised(5000)
    with pytest.raises(stripe.InvalidRequestError, match="amount to capture"):
        await standin.client.v1.payment_intents.capture_async(intent.id, {"amount_to_capture": 5001})
    intent = await standin.client.v1.payment_intents.capture_async(intent.id, {"amount_to_capture": 3000})
    assert (intent.status, intent.amount_received) == ("succeeded", 3000)
    with pytest.raises(stripe.InvalidRequestError, match="greater than unrefunded amount"):
        await standin.client.v1.refunds.create_async({"payment_intent": intent.id, "amount": 3001})
    refund = await standin.client.v1.refunds.create_async({"payment_intent": intent.id})
    assert refund.amount == 3000


async def test_cancelling_releases_the_authorisation(standin: Standin) -> None:
    """A void charges nothing, marks the uncaptured charge refunded, and is final."""
    intent = await standin.authorised()
    intent = await standin.client.v1.payment_intents.cancel_async(intent.id, {"cancellation_reason": "abandoned"})
    assert (intent.status, intent.amount_received, intent.cancellation_reason) == ("canceled", 0, "abandoned")
    charge = await standin.client.v1.charges.retrieve_async(str(intent.latest_charge))
    assert (charge.captured, charge.refunded, charge.balance_transaction) == (False, True, None)
    assert (await standin.events())[-2:] == ["charge.refunded", "payment_intent.canceled"]
    for call in (standin.client.v1.payment_intents.capture_async, standin.client.v1.payment_intents.cancel_async):
        with pytest.raises(stripe.InvalidRequestError, match="status of canceled"):
            await call(intent.id)


async def test_an_authorisation_lapses_after_seven_days(standin: Standin) -> None:
    """What nobody captured is cancelled automatically, not a moment earlier."""
    intent = await standin.authorised()
    await standin.control("POST", "/clock", {"advance_seconds": AUTHORISED_SECONDS - 60})
    assert (await standin.client.v1.payment_intents.retrieve_async(intent.id)).status == "requires_capture"
    await standin.control("POST", "/clock", {"advance_seconds": 60})
    lapsed = await standin.client.v1.payment_intents.retrieve_async(intent.id)
    assert (lapsed.status, lapsed.cancellation_reason) == ("canceled", "automatic")
    assert (await standin.events())[-2:] == ["charge.expired", "payment_intent.canceled"]


async def test_asynchronous_capture_brings_the_balance_transaction_later(standin: Standin) -> None:
    """Without a capture method the charge succeeds first and `charge.updated` adds its balance transaction."""
    intent = await standin.paid(capture_method="automatic_async")
    assert intent.status == "succeeded"
    charge = await standin.client.v1.charges.retrieve_async(str(intent.latest_charge))
    assert charge.balance_transaction is None
    await standin.control("POST", "/clock", {"advance_seconds": 2})
    charge = await standin.client.v1.charges.retrieve_async(str(intent.latest_charge))
    assert charge.balance_transaction is not None
    event = (await standin.client.v1.events.list_async({"type": "charge.updated"})).data[0]
    assert event.data.to_dict()["previous_attributes"] == {"balance_transaction": None}


@pytest.mark.parametrize(
    ("token", "number", "code", "decline_code"),
    [
        ("pm_card_visa_chargeDeclined", "4000000000000002", "card_declined", "generic_decline"),
        ("pm_card_chargeDeclinedInsufficientFunds", "4000000000009995", "card_declined", "insufficient_funds"),
        ("pm_card_visa_chargeDeclinedLostCard", "4000000000009987", "card_declined", "lost_card"),
        ("pm_card_visa_chargeDeclinedStolenCard", "4000000000009979", "card_declined", "stolen_card"),
        ("pm_card_chargeDeclinedExpiredCard", "4000000000000069", "expired_card", None),
        ("pm_card_chargeDeclinedIncorrectCvc", "4000000000000127", "incorrect_cvc", None),
        ("pm_card_chargeDeclinedProcessingError", "4000000000000119", "processing_error", None),
        (
            "pm_card_visa_chargeDeclinedVelocityLimitExceeded",
            "4000000000006975",
            "card_declined",
            "card_velocity_exceeded",
        ),
        ("pm_card_chargeCustomerFail", "4000000000000341", "card_declined", "generic_decline"),
    ],
)
async def test_declines(standin: Standin, token: str, number: str, code: str, decline_code: str | None) -> None:
    """By token and by number: a card error with its codes, a failed charge, and an intent that can be paid by another card."""
    with pytest.raises(stripe.CardError) as by_token:
        await standin.authorised(payment_method=token)
    error: Any = by_token.value.error
    assert (error.code, error.to_dict().get("decline_code"), by_token.value.http_status) == (code, decline_code, 402)
    assert error.payment_intent.status == "requires_payment_method"
    assert error.payment_intent.last_payment_error.code == code
    intent = error.payment_intent
    status, body = await standin.browser(
        "POST",
        f"/v1/payment_intents/{intent.id}/confirm",
        {
            "client_secret": intent.client_secret,
            "payment_method_data[type]": "card",
            "payment_method_data[card][number]": number,
            "payment_method_data[card][exp_month]": "12",
            "payment_method_data[card][exp_year]": "40",
            "payment_method_data[card][cvc]": "123",
            "return_url": BACK,
        },
    )
    assert (status, body["error"]["code"], body["error"].get("decline_code")) == (402, code, decline_code)
    charge = await standin.client.v1.charges.retrieve_async(str(intent.latest_charge))
    assert (charge.status, charge.paid, charge.failure_code) == ("failed", False, code)
    paid = await standin.client.v1.payment_intents.confirm_async(
        intent.id, {"payment_method": "pm_card_visa", "return_url": BACK}
    )
    assert (paid.status, paid.last_payment_error) == ("requires_capture", None)
    assert (await standin.events())[:3] == ["payment_intent.created", "charge.failed", "payment_intent.payment_failed"]


async def test_the_browser_sees_and_confirms_its_own_intent_only(standin: Standin) -> None:
    """The publishable key needs the client secret, and sees no metadata and no charge."""
    intent = await standin.client.v1.payment_intents.create_async(
        {"amount": 5000, "currency": "eur", "capture_method": "manual", "metadata": {"booking_id": "b"}}
    )
    path, secret = f"/v1/payment_intents/{intent.id}", str(intent.client_secret)
    assert (await standin.browser("GET", path, {}))[0] == 400
    assert (await standin.browser("GET", path, {"client_secret": secret + "x"}))[0] == 400
    status, body = await standin.browser("GET", path, {"client_secret": secret})
    assert (status, body["status"]) == (200, "requires_payment_method")
    assert not {"metadata", "latest_charge", "customer"} & body.keys()
    method = {
        "type": "card",
        "card[number]": "4242 4242 4242 4242",
        "card[exp_month]": "1",
        "card[exp_year]": "2042",
        "card[cvc]": "123",
    }
    status, body = await standin.browser("POST", "/v1/payment_methods", method)
    assert (status, body["card"]["last4"]) == (200, "4242")
    form = {"client_secret": secret, "payment_method": body["id"], "return_url": BACK}
    status, body = await standin.browser("POST", f"{path}/confirm", form)
    assert (status, body["status"]) == (200, "requires_capture")
    for method_name, forbidden in (
        ("POST", f"{path}/capture"),
        ("GET", "/v1/refunds"),
        ("POST", "/v1/payment_intents"),
    ):
        status, body = await standin.browser(method_name, forbidden, {})
        assert (status, body["error"]["code"]) == (401, "secret_key_required")


async def test_card_numbers_are_not_kept(standin: Standin) -> None:
    """The state holds a card's name and last digits, never its number or security code."""
    method = await standin.client.v1.payment_methods.create_async(
        {"type": "card", "card": {"number": "4000056655665556", "exp_month": 1, "exp_year": 2042, "cvc": "7316"}}
    )
    assert method.card
    assert method.card.last4 == "5556"
    kept = b"".join(file.read_bytes() for file in standin.state.iterdir())
    assert method.id.encode() in kept
    assert b"4000056655665556" not in kept
    assert b"7316" not in kept


@pytest.mark.parametrize(
    ("card", "code"),
    [
        ({"number": "4242424242424241", "exp_month": 1, "exp_year": 2042}, "incorrect_number"),
        ({"number": "4111111111111111", "exp_month": 1, "exp_year": 2042}, "card_declined"),
        ({"number": "4242424242424242", "exp_month": 1, "exp_year": 2020}, "invalid_expiry_year"),
        ({"number": "4242424242424242", "exp_month": 1, "exp_year": 2042, "cvc": "1"}, "invalid_cvc"),
    ],
)
async def test_wrong_cards(standin: Standin, card: Any, code: str) -> None:
    """A number that is no test card's, an expiry in the past, a short security code: refused, without repeating the number."""
    with pytest.raises(stripe.CardError) as refused:
        await standin.client.v1.payment_methods.create_async({"type": "card", "card": card})
    assert refused.value.code == code
    assert card["number"] not in str(refused.value.json_body)


async def test_the_number_of_a_publishable_key_is_in_the_form(standin: Standin) -> None:
    """A wrong publishable key is refused like a wrong secret key."""
    async with standin.session.get(
        f"{standin.url}/v1/payment_intents/pi_1", params={"key": PUBLISHABLE_KEY + "x"}
    ) as answer:
        assert answer.status == 401


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"amount": 49, "currency": "eur"}, "amount_too_small"),
        ({"amount": 0, "currency": "eur"}, "parameter_invalid_integer"),
        ({"amount": 5050, "currency": "isk"}, None),
        ({"amount": 5000, "currency": "xxx"}, None),
        ({"amount": 5000, "currency": "eur", "customer": "cus_missing"}, "resource_missing"),
        ({"amount": 5000, "currency": "eur", "confirm": True}, "payment_intent_unexpected_state"),
        ({"amount": 5000, "currency": "eur", "confirm": True, "payment_method": "pm_card_visa"}, None),
    ],
)
async def test_refused_creations(standin: Standin, params: Any, code: str | None) -> None:
    """Amounts below the minimum, unknown currencies and customers, a confirmation without a card or a way back."""
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await standin.client.v1.payment_intents.create_async(params)
    assert refused.value.code == code
    assert (await standin.client.v1.payment_intents.list_async()).data == []
    assert await standin.events() == []


async def test_an_update_changes_what_may_still_change(standin: Standin) -> None:
    """Amount and metadata before the payment; afterwards the metadata only. An empty value unsets its key."""
    v1 = standin.client.v1
    intent = await v1.payment_intents.create_async(
        {"amount": 5000, "currency": "eur", "metadata": {"a": "1", "b": "2"}}
    )
    intent = await v1.payment_intents.update_async(intent.id, {"amount": 6000, "metadata": {"a": "", "c": "3"}})
    assert (intent.amount, intent.metadata.to_dict()) == (6000, {"b": "2", "c": "3"})
    paid = await standin.paid()
    with pytest.raises(stripe.InvalidRequestError, match="amount could not be updated"):
        await v1.payment_intents.update_async(paid.id, {"amount": 1000})
    paid = await v1.payment_intents.update_async(paid.id, {"metadata": {"seen": "yes"}})
    assert paid.metadata.to_dict() == {"seen": "yes"}


async def test_a_charge_of_an_intent_is_not_captured_directly(standin: Standin) -> None:
    """docs.stripe.com/api/charges/capture: capture the PaymentIntent instead."""
    intent = await standin.authorised()
    with pytest.raises(stripe.InvalidRequestError, match="capture the PaymentIntent"):
        await standin.client.v1.charges.capture_async(str(intent.latest_charge))

    async def unchanged() -> bool:
        return (await standin.client.v1.payment_intents.retrieve_async(intent.id)).status == "requires_capture"

    assert await eventually(unchanged)
