"""3-D Secure: the challenge page, by browser form or by script (docs.stripe.com/payments/3d-secure/authentication-flow)."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import stripe

from tests.sandbox.stripe.conftest import Standin

BACK = "http://localhost/back?order=7"


async def challenged(standin: Standin, token: str, **params: Any) -> stripe.PaymentIntent:
    intent = await standin.authorised(payment_method=token, **({"return_url": BACK} | params))
    assert intent.status == "requires_action"
    return intent


async def answered(standin: Standin, intent: stripe.PaymentIntent, outcome: str) -> tuple[int, dict[str, list[str]]]:
    assert intent.next_action
    assert intent.next_action.redirect_to_url
    url = str(intent.next_action.redirect_to_url.url)
    async with standin.session.post(url, data={"outcome": outcome}, allow_redirects=False) as answer:
        return answer.status, parse_qs(urlsplit(answer.headers.get("Location", "")).query)


@pytest.mark.parametrize(
    "token",
    ["pm_card_threeDSecure2Required", "pm_card_authenticationRequired", "pm_card_authenticationRequiredOnSetup"],
)
async def test_a_passed_challenge_authorises(standin: Standin, token: str) -> None:
    """The browser returns with the intent, its secret and `succeeded`; the charge says that the customer was authenticated."""
    intent = await challenged(standin, token)
    status, query = await answered(standin, intent, "complete")
    assert status == 303
    assert query == {
        "order": ["7"],
        "payment_intent": [intent.id],
        "payment_intent_client_secret": [intent.client_secret],
        "redirect_status": ["succeeded"],
    }
    assert (await answered(standin, intent, "complete"))[0] == 404
    intent = await standin.client.v1.payment_intents.retrieve_async(intent.id, {"expand": ["latest_charge"]})
    charge: Any = intent.latest_charge
    assert (intent.status, intent.next_action) == ("requires_capture", None)
    assert charge.payment_method_details.card.three_d_secure.result == "authenticated"
    assert (await standin.events())[1] == "payment_intent.requires_action"


async def test_a_challenge_cannot_be_guessed(standin: Standin) -> None:
    """Its address carries a secret of its own."""
    intent = await challenged(standin, "pm_card_threeDSecure2Required")
    guess = f"{standin.url}/3ds/{intent.id}/guess"
    async with standin.session.post(guess, data={"outcome": "complete"}) as answer:
        assert answer.status == 404
    assert (await standin.client.v1.payment_intents.retrieve_async(intent.id)).status == "requires_action"


async def test_a_failed_challenge_leaves_the_intent_payable(standin: Standin) -> None:
    """No charge is made, the error is on the intent, and another card pays it."""
    intent = await challenged(standin, "pm_card_threeDSecure2Required")
    status, query = await answered(standin, intent, "fail")
    assert (status, query["redirect_status"]) == (303, ["failed"])
    failed: Any = await standin.client.v1.payment_intents.retrieve_async(intent.id)
    assert (failed.status, failed.latest_charge) == ("requires_payment_method", None)
    assert failed.last_payment_error.code == "payment_intent_authentication_failure"
    assert (await standin.events())[-1] == "payment_intent.payment_failed"
    paid = await standin.client.v1.payment_intents.confirm_async(
        intent.id, {"payment_method": "pm_card_visa", "return_url": BACK}
    )
    assert paid.status == "requires_capture"


@pytest.mark.parametrize(
    ("token", "decline_code"),
    [
        ("pm_card_threeDSecureRequiredChargeDeclined", "generic_decline"),
        ("pm_card_authenticationRequiredChargeDeclinedInsufficientFunds", "insufficient_funds"),
    ],
)
async def test_a_card_may_be_declined_after_its_challenge(standin: Standin, token: str, decline_code: str) -> None:
    """Passing the challenge does not make the card good."""
    intent = await challenged(standin, token)
    _, query = await answered(standin, intent, "complete")
    assert query["redirect_status"] == ["failed"]
    declined: Any = await standin.client.v1.payment_intents.retrieve_async(intent.id)
    assert (declined.status, declined.last_payment_error.decline_code) == ("requires_payment_method", decline_code)


async def test_optional_authentication_is_asked_for_only_on_request(standin: Standin) -> None:
    """Card 3055 passes without a challenge unless the merchant wants one."""
    assert (await standin.authorised(payment_method="pm_card_threeDSecureOptional")).status == "requires_capture"
    await challenged(
        standin,
        "pm_card_threeDSecureOptional",
        payment_method_options={"card": {"request_three_d_secure": "any"}},
    )


async def test_the_page_is_a_plain_accessible_form(standin: Standin) -> None:
    """Two labelled buttons in a language-marked page; any other answer is refused and changes nothing."""
    intent = await challenged(standin, "pm_card_threeDSecure2Required", amount=1234, currency="usd")
    assert intent.next_action
    assert intent.next_action.redirect_to_url
    url = str(intent.next_action.redirect_to_url.url)
    async with standin.session.get(url) as answer:
        page = await answer.text()
    assert '<html lang="en">' in page
    assert "12.34 USD" in page
    assert page.count("<button") == 2
    assert (await answered(standin, intent, "perhaps"))[0] == 422
    assert (await standin.client.v1.payment_intents.retrieve_async(intent.id)).status == "requires_action"


async def test_without_a_return_address_stripe_js_gets_the_page(standin: Standin) -> None:
    """`use_stripe_sdk`: the page's address is for Stripe.js, and the answer ends on a notice."""
    intent = await standin.authorised(
        payment_method="pm_card_threeDSecure2Required",
        use_stripe_sdk=True,
    )
    assert intent.next_action
    action = intent.next_action.to_dict()
    assert action["type"] == "use_stripe_sdk"
    async with standin.session.post(
        action["use_stripe_sdk"]["stripe_js"], data={"outcome": "complete"}, allow_redirects=False
    ) as answer:
        assert answer.status == 303
    assert (await standin.client.v1.payment_intents.retrieve_async(intent.id)).status == "requires_capture"


async def test_off_session_payments_cannot_be_challenged(standin: Standin) -> None:
    """Nobody is there to answer: the card is declined with `authentication_required`."""
    with pytest.raises(stripe.CardError) as refused:
        await standin.authorised(payment_method="pm_card_authenticationRequired", off_session=True)
    assert refused.value.code == "authentication_required"


async def test_an_abandoned_challenge_can_be_cancelled(standin: Standin) -> None:
    """The intent waits; once it is cancelled the page takes no answer."""
    intent = await challenged(standin, "pm_card_threeDSecure2Required")
    await standin.client.v1.payment_intents.cancel_async(intent.id)
    assert (await answered(standin, intent, "complete"))[0] == 404
