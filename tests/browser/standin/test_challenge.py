"""3-D Secure with Stripe.js: in a dialog over the page, or away from it and back."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.async_api import expect

from tests.browser.standin.conftest import Shop

SECURE = "4000002500003155"
SECURE_THEN_DECLINED = "4000008400001629"
UNABLE = "We are unable to authenticate your payment method. Please choose a different payment method and try again."


async def challenged(shop: Shop, number: str = SECURE) -> None:
    await shop.fill(number)
    await shop.pay()
    await expect(shop.challenge.get_by_text("50.00 EUR")).to_be_visible()


async def test_a_passed_challenge_pays(shop: Shop) -> None:
    """The page stays, the dialog closes, `{paymentIntent}`; while it is open the intent waits for Stripe.js."""
    intent = await shop.open()
    await challenged(shop)
    waiting = await shop.standin.client.v1.payment_intents.retrieve_async(intent.id)
    assert waiting.next_action
    assert (waiting.status, waiting.next_action.type) == ("requires_action", "use_stripe_sdk")
    await shop.challenge.get_by_role("button", name="Complete authentication").click()
    assert (await shop.result())["paymentIntent"]["status"] == "requires_capture"
    await expect(shop.page.locator("dialog")).to_have_count(0)
    assert await shop.status(intent) == "requires_capture"


@pytest.mark.parametrize(
    ("number", "button", "code", "message"),
    [
        (SECURE, "Fail authentication", "payment_intent_authentication_failure", UNABLE),
        (SECURE_THEN_DECLINED, "Complete authentication", "card_declined", "Your card was declined."),
    ],
)
async def test_a_challenge_may_end_without_money(shop: Shop, number: str, button: str, code: str, message: str) -> None:
    """`{error}` with the intent payable again; the next card pays."""
    intent = await shop.open()
    await challenged(shop, number)
    await shop.challenge.get_by_role("button", name=button).click()
    error = (await shop.result())["error"]
    assert (error["code"], error["message"]) == (code, message)
    assert error["type"] == ("card_error" if code == "card_declined" else "invalid_request_error")
    assert error["payment_intent"]["status"] == "requires_payment_method"
    await shop.element.get_by_role("button", name="Fill in 4242").click()
    await shop.pay()
    await expect(shop.page.locator("#result")).to_contain_text('"paymentIntent"')
    assert await shop.status(intent) == "requires_capture"


@pytest.mark.parametrize("way", ["escape in the frame", "escape on the button", "button"])
async def test_an_abandoned_challenge_leaves_the_intent_waiting(shop: Shop, way: str) -> None:
    """`{error}` of a failed authentication, the intent still `requires_action`; handleNextAction opens the challenge again."""
    intent = await shop.open()
    await challenged(shop)
    cancel = shop.page.get_by_role("button", name="Cancel authentication")
    if way == "escape in the frame":
        await expect(shop.challenge.get_by_role("button", name="Complete authentication")).to_be_focused()
    else:
        await cancel.focus()
    await shop.page.keyboard.press("Enter" if way == "button" else "Escape")
    error = (await shop.result())["error"]
    assert (error["type"], error["code"]) == ("invalid_request_error", "payment_intent_authentication_failure")
    assert error["payment_intent"]["status"] == await shop.status(intent) == "requires_action"
    await expect(shop.page.get_by_role("button", name="Pay now")).to_be_focused()
    await shop.page.evaluate("void stripe.handleNextAction({clientSecret: secret}).then(show)")
    await shop.challenge.get_by_role("button", name="Complete authentication").click()
    await expect(shop.page.locator("#result")).to_contain_text('"paymentIntent"')
    assert await shop.status(intent) == "requires_capture"


async def test_the_page_behind_a_challenge_is_out_of_reach(shop: Shop) -> None:
    """Tab stays within the dialog, which is named in the page's language."""
    await shop.open(locale="de")
    await challenged(shop)
    await expect(shop.page.get_by_role("dialog", name="3-D-Secure-Bestätigung")).to_be_visible()
    await expect(shop.challenge.get_by_role("button", name="Zahlung bestätigen")).to_be_focused()
    for key in ("Tab", "Tab", "Tab", "Tab", "Shift+Tab", "Shift+Tab", "Shift+Tab", "Shift+Tab", "Shift+Tab"):
        await shop.page.keyboard.press(key)
        assert await shop.page.evaluate("document.activeElement.closest('dialog') !== null"), key


@pytest.mark.parametrize(
    ("button", "redirect_status", "status"),
    [
        ("Complete authentication", "succeeded", "requires_capture"),
        ("Fail authentication", "failed", "requires_payment_method"),
    ],
)
async def test_a_challenge_away_from_the_page(shop: Shop, button: str, redirect_status: str, status: str) -> None:
    """`redirect_to_url`: the browser goes to the challenge and comes back to `return_url` with what happened in its query."""
    await shop.standin.control("PUT", "/challenge-flow", {"flow": "redirect"})
    intent = await shop.open()
    await shop.fill(SECURE)
    await shop.pay()
    await shop.page.get_by_role("button", name=button).click()
    await shop.page.wait_for_url("**/back?**")
    query = parse_qs(urlsplit(shop.page.url).query)
    assert query == {
        "payment_intent": [intent.id],
        "payment_intent_client_secret": [intent.client_secret],
        "redirect_status": [redirect_status],
    }
    assert await shop.status(intent) == status


async def test_without_if_required_a_payment_leads_to_the_return_address(shop: Shop) -> None:
    """docs.stripe.com/js/payment_intents/confirm_payment, `redirect: "always"`."""
    intent = await shop.open(redirect="always")
    await shop.fill("4242424242424242")
    await shop.pay()
    await shop.page.wait_for_url(f"**/back?payment_intent={intent.id}&**&redirect_status=succeeded")
