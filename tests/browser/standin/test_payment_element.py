"""The Payment Element: cards are typed in its frame, paid, declined and checked there, and the page never sees their digits."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import expect

from tests.browser.standin.conftest import Shop

GOOD = "4242424242424242"


async def test_a_card_pays_and_its_digits_stay_in_the_frame(shop: Shop) -> None:
    """`{paymentIntent}` as the API has it for a browser; no message to the page and no text of it has the number, the date or the code."""
    intent = await shop.open()
    await shop.fill(GOOD, "0239", "987")
    await shop.pay()
    result = await shop.result()
    assert result["paymentIntent"]["id"] == intent.id
    assert await shop.status(intent) == result["paymentIntent"]["status"] == "requires_capture"
    assert not {"metadata", "latest_charge", "customer"} & result["paymentIntent"].keys()
    received = await shop.page.evaluate("received.join()")
    assert '"type":"answer"' in received
    for seen in (received, await shop.page.content()):
        assert not any(digits in seen.replace(" ", "") for digits in (GOOD, "424242", '"987"', "02/39"))


async def test_what_the_element_tells_its_page(shop: Shop) -> None:
    """loaderstart, ready, focus, change when it becomes complete, escape, blur; each names its element."""
    await shop.open()
    await shop.fill(GOOD)
    await shop.page.keyboard.press("Escape")
    await shop.page.get_by_role("button", name="Pay now").focus()
    await shop.page.locator("body[data-blurred]").wait_for()
    changes = await shop.happened("change")
    assert [(change["empty"], change["complete"]) for change in changes] == [(False, False), (False, True)]
    assert changes[-1]["value"] == {"type": "card"}
    for name in ("loaderstart", "ready", "focus", "escape", "blur"):
        assert await shop.happened(name) == [{"elementType": "payment"}], name


@pytest.mark.parametrize(
    ("number", "locale", "error"),
    [
        ("4000000000000002", "en", ("card_declined", "generic_decline", "Your card was declined.")),
        (
            "4000000000009995",
            "de",
            ("card_declined", "insufficient_funds", "Ihre Karte ist nicht ausreichend gedeckt."),
        ),
        ("4000000000000127", "en", ("incorrect_cvc", None, "Your card's security code is incorrect.")),
    ],
)
async def test_a_declined_card_is_an_error_and_another_one_pays(
    shop: Shop, number: str, locale: str, error: tuple[str, str | None, str]
) -> None:
    """docs.stripe.com/js/payment_intents/confirm_payment: `{error}` with its codes and the intent, in the page's language."""
    intent = await shop.open(locale=locale)
    await shop.fill(number)
    await shop.pay()
    declined = (await shop.result())["error"]
    assert (declined["code"], declined.get("decline_code"), declined["message"]) == error
    assert (declined["type"], declined["payment_intent"]["status"]) == ("card_error", "requires_payment_method")
    assert not {"metadata", "latest_charge"} & declined["payment_intent"].keys()
    if error[0] == "incorrect_cvc":
        await expect(shop.element.locator("#cvc-error")).to_have_text(error[2])
    await shop.element.locator("[name=number]").fill(GOOD)
    await shop.pay()
    await expect(shop.page.locator("#result")).to_contain_text('"paymentIntent"')
    assert await shop.status(intent) == "requires_capture"


WRONG = [
    (("424242424242", "1239", "123"), "incomplete_number"),
    (("4242424242424241", "1239", "123"), "invalid_number"),
    ((GOOD, "12", "123"), "incomplete_expiry"),
    ((GOOD, "1224", "123"), "invalid_expiry_year_past"),
    ((GOOD, "1399", "123"), "invalid_expiry_month"),
    ((GOOD, "1299", "123"), "invalid_expiry_year"),
    ((GOOD, "1239", "12"), "incomplete_cvc"),
    (("378282246310005", "1239", "123"), "incomplete_cvc"),
]


async def test_what_cannot_be_right_is_said_at_its_field(shop: Shop) -> None:
    """A validation_error from elements.submit; the field is marked, described by the sentence, and focused; nothing is sent."""
    intent = await shop.open()
    for typed, code in WRONG:
        await shop.page.evaluate("payment.clear()")
        await expect(shop.element.locator("[name=cvc]")).to_have_value("")
        await shop.fill(*typed)
        await shop.pay()
        await expect(shop.page.locator("#result")).to_contain_text(code)
        error = (await shop.result())["error"]
        assert (error["type"], error["code"]) == ("validation_error", code)
        field = shop.element.locator("[aria-invalid=true]")
        # Not `to_be_focused`: that asks also whether this window has the focus, which no window has while another test's browser does.
        assert await field.evaluate("field => field === document.activeElement")
        await expect(field).to_have_accessible_description(error["message"])
    assert await shop.status(intent) == "requires_payment_method"
    assert not await standin_requests(shop, "payment_intents.confirm")


async def standin_requests(shop: Shop, operation: str) -> dict[str, int]:
    asked: dict[str, int] = (await shop.standin.control("GET", "/stats"))["requests"]
    return {name: count for name, count in asked.items() if name.startswith(operation)}


async def test_typing_is_put_in_order(shop: Shop) -> None:
    """Groups of digits, a month's zero, a pasted date with a century; deleting goes through the separators."""
    await shop.open()
    number, expiry = shop.element.locator("[name=number]"), shop.element.locator("[name=expiry]")
    for typed, shown in (("4242x4242-42", "4242 4242 42"), ("3782822463100059", "3782 822463 10005")):
        await number.fill("")
        await number.press_sequentially(typed)
        await expect(number).to_have_value(shown)
    await number.fill("4242 4242")
    await number.press("Home")
    await number.press_sequentially("55")
    await expect(number).to_have_value("5542 4242 42")
    for typed, shown in (("5", "05 / "), ("1/30", "01 / 30"), ("1230", "12 / 30")):
        await expiry.fill("")
        await expiry.press_sequentially(typed)
        await expect(expiry).to_have_value(shown)
    await expiry.fill("01/2031")
    await expect(expiry).to_have_value("01 / 31")
    for _ in range(3):
        await expiry.press("Backspace")
    await expect(expiry).to_have_value("0")


async def test_fields_have_names_for_people_and_programs(shop: Shop) -> None:
    """Labels in the page's language, what a browser may fill in, which keyboard a phone shows, a title for the frame."""
    await shop.open(locale="de")
    frame = shop.page.locator("iframe[name^=__privateStripeFrame]")
    await expect(frame).to_have_attribute("title", "Sicherer Rahmen für Zahlungsdaten")
    for label, purpose in (("Kartennummer", "cc-number"), ("Ablaufdatum", "cc-exp"), ("Sicherheitscode", "cc-csc")):
        field = shop.element.get_by_label(label)
        await expect(field).to_have_attribute("autocomplete", purpose)
        await expect(field).to_have_attribute("inputmode", "numeric")
    assert await shop.element.locator("html").get_attribute("lang") == "de"


@pytest.mark.parametrize(("width", "locale"), [(320, "de"), (360, "en"), (1280, "en")])
async def test_nothing_moves_while_one_pays(shop: Shop, width: int, locale: str) -> None:
    """The frame has its height before it is loaded, which a page may keep free, and a first short error fits in."""
    await shop.page.set_viewport_size({"width": width, "height": 900})
    await shop.open(locale=locale)
    height = "300px"
    told = [each for each in await shop.page.evaluate("received.map(JSON.parse)") if each["type"] == "height"]
    assert [f"{each['pixels']}px" for each in told] == [height]
    await shop.element.locator("[name=number]").press_sequentially("4242")
    await shop.element.locator("[name=number]").press("Tab")
    await expect(shop.element.locator("#number-error")).not_to_be_empty()
    assert await shop.page.evaluate("document.querySelector('iframe').style.height") == height
    assert await shop.page.evaluate("shifted") == 0


async def test_the_element_takes_its_page_s_theme(shop: Shop) -> None:
    """`night` is light on dark; `elements.update` changes it while it is open."""
    await shop.open(theme="night")
    number = shop.element.locator("[name=number]")
    await expect(number).to_have_css("background-color", "rgb(31, 39, 51)")
    variables = {"colorBackground": "#fffff0", "borderRadius": "9px"}
    await shop.page.evaluate("variables => elements.update({appearance: {theme: 'stripe', variables}})", variables)
    await expect(number).to_have_css("background-color", "rgb(255, 255, 240)")
    await expect(number).to_have_css("border-radius", "9px")


async def test_without_a_mouse(shop: Shop) -> None:
    """From the page's beginning by Tab: a test card is filled in, 3-D Secure is passed, and the focus comes back to the button."""
    intent = await shop.open()
    press = shop.page.keyboard.press
    await press("Tab")
    await expect(shop.element.locator("[name=number]")).to_be_focused()
    for _ in range(4):
        await press("Tab")
    await expect(shop.element.get_by_role("button", name="Other test cards")).to_be_focused()
    await press("Enter")
    await press("Tab")
    await press("Tab")
    await expect(shop.element.get_by_role("button", name="3-D Secure 4000 0025 0000 3155")).to_be_focused()
    await press("Space")
    await expect(shop.element.get_by_role("status")).to_have_text("Filled in: 4000 0025 0000 3155")
    for _ in range(8):
        await press("Tab")
    await expect(shop.page.get_by_role("button", name="Pay now")).to_be_focused()
    await press("Enter")
    await expect(shop.challenge.get_by_role("button", name="Complete authentication")).to_be_focused()
    await press("Enter")
    assert (await shop.result())["paymentIntent"]["status"] == "requires_capture"
    await expect(shop.page.get_by_role("button", name="Pay now")).to_be_focused()
    assert await shop.status(intent) == "requires_capture"


async def test_a_payment_that_is_over_does_not_open(shop: Shop) -> None:
    """`loaderror` instead of `ready`, with the API's error."""
    intent = await shop.standin.authorised()
    await shop.visit(intent)
    await shop.page.locator("body[data-failed]").wait_for()
    error: Any = (await shop.happened("loaderror"))[0]["error"]
    assert (error["type"], error["code"]) == ("invalid_request_error", "payment_intent_unexpected_state")
    assert await shop.happened("ready") == []


async def test_other_windows_are_not_listened_to(shop: Shop) -> None:
    """Neither by the page, when the message is not from its frame, nor by a frame that was made for another origin."""
    await shop.open()
    before = await shop.page.evaluate("document.querySelector('iframe').style.height")
    await shop.page.evaluate("window.postMessage({standin: 'stripe', type: 'height', pixels: 9999}, '*')")
    await shop.page.evaluate(
        """origin => new Promise((resolve) => {
            const frame = document.createElement('iframe');
            frame.id = 'stolen';
            frame.src = `${origin}/js/payment-element#${encodeURIComponent('https://other.example')}`;
            frame.addEventListener('load', () => {
                const settings = {appearance: {}, language: 'en', key: 'pk_test_x'};
                frame.contentWindow.postMessage({standin: 'stripe', type: 'configure', settings}, '*');
                setTimeout(resolve, 200);
            });
            document.body.append(frame);
        })""",
        shop.standin.url,
    )
    assert await shop.page.evaluate("document.querySelector('iframe').style.height") == before
    await expect(shop.page.frame_locator("#stolen").locator("html:not([data-theme])")).to_have_count(1)


async def test_a_frame_that_does_not_load(shop: Shop) -> None:
    """`loaderror` of a lost connection, soon after the browser has shown an error in place of the frame."""
    await shop.standin.fault("stripe_js.frame", "error_before")
    await shop.visit(await shop.standin.client.v1.payment_intents.create_async({"amount": 5000, "currency": "eur"}))
    await shop.page.locator("body[data-failed]").wait_for()
    assert (await shop.happened("loaderror"))[0]["error"]["type"] == "api_connection_error"


async def test_an_answer_that_is_lost_is_not_a_decline(shop: Shop) -> None:
    """`api_connection_error`, though the card is authorised: asking for the intent tells."""
    intent = await shop.open()
    await shop.fill(GOOD)
    await shop.standin.fault("payment_intents.confirm", "drop_after", count=None)
    await shop.pay()
    assert (await shop.result())["error"]["type"] == "api_connection_error"
    asked = await shop.page.evaluate("stripe.retrievePaymentIntent(secret)")
    assert asked["paymentIntent"]["status"] == await shop.status(intent) == "requires_capture"
