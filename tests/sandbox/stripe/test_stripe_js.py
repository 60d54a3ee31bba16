"""What a browser gets from the stand-in besides the API: the script, its frames, and how they fail on demand."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest
import stripe
from yarl import URL

from sandbox.stripe import stripe_js
from sandbox.stripe.cards import BY_NUMBER
from tests.sandbox.stripe import oracle
from tests.sandbox.stripe.conftest import PUBLISHABLE_KEY, Standin

BACK = "http://localhost/back"
STATIC = Path(stripe_js.__file__).parent / "static"
WORST_CONTRAST = 4.5
"""WCAG 2.2, 1.4.3."""


async def test_the_script_and_its_frame_bring_their_own_policies(standin: Standin) -> None:
    """The script may be loaded by any page; its frame runs nothing inline; what is no part of them is not served."""
    async with standin.session.get(f"{standin.url}/stripe.js") as answer:
        assert (answer.status, answer.content_type) == (200, "text/javascript")
        assert (await answer.text()).startswith('(() => {\n"use strict";\n')
        assert (answer.headers["Cache-Control"], answer.headers["Access-Control-Allow-Origin"]) == ("no-cache", "*")
    for path in ("/js/payment-element", "/3ds/pi_1/guess"):
        async with standin.session.get(f"{standin.url}{path}") as answer:
            policy, page = answer.headers["Content-Security-Policy"], await answer.text()
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert not re.search(r"<style|<script>|\sstyle=|\son\w+=", page)
    for path in ("/js/stripe.js", "/js/payment_element.html", "/js/..%2fapp.py", "/js/challenge.css/x"):
        async with standin.session.get(URL(f"{standin.url}{path}", encoded=True)) as answer:
            assert answer.status == 404, path


def test_the_script_is_of_the_train_of_the_api() -> None:
    """`@stripe/stripe-js` warns when they differ; and nothing in it makes code of text."""
    script = (STATIC / "page" / "stripe.js").read_text()
    assert f'const VERSION = "{stripe.api_version.rpartition(".")[2]}"' in script
    for path in STATIC.rglob("*.js"):
        assert not re.search(r"\beval\(|new Function|innerHTML|insertAdjacentHTML", path.read_text()), path


def test_offered_test_cards_are_known_and_complete() -> None:
    """Each number of the frame's buttons is a published one, and its effect has a text in both languages."""
    script = (STATIC / "frame" / "payment_element.js").read_text()
    texts = (STATIC / "frame" / "texts.js").read_text()
    offered = re.findall(r'\["(\d{15,16})", "(\w+)"\]', script)
    assert len(offered) > 5
    for number, effect in offered:
        assert number in BY_NUMBER
        assert len(re.findall(rf"^ +{effect}: ", texts, re.MULTILINE)) == 2, effect


def test_both_languages_have_the_same_texts() -> None:
    """Of the frame; the page's script has German for what the API says in English."""
    texts = (STATIC / "frame" / "texts.js").read_text()
    blocks = re.findall(r"^  (?:en|de): \{(.*?)^  \},", texts, re.MULTILINE | re.DOTALL)
    english, german = (re.findall(r"^    (\w+): ", block, re.MULTILINE) for block in blocks)
    assert english == german
    assert len(english) > 20


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def themes() -> Iterator[dict[str, str]]:
    light: dict[str, str] = {}
    for block in re.findall(r":root[^{]*\{([^}]*)\}", (STATIC / "frame" / "payment_element.css").read_text()):
        light = light or dict(re.findall(r"--(\S+): (#\w{6});", block))
        yield light | dict(re.findall(r"--(\S+): (#\w{6});", block))


@pytest.mark.parametrize("theme", list(themes()))
def test_every_text_can_be_read(theme: dict[str, str]) -> None:
    """Texts and outlines against what they stand on, by the formula of WCAG 2.2."""
    pairs = [(name, "background") for name in ("text", "placeholder", "danger", "primary")] + [
        ("note-text", "note-background")
    ]
    for front, behind in pairs:
        low, high = sorted((luminance(theme[front]), luminance(theme[behind])))
        assert (high + 0.05) / (low + 0.05) >= WORST_CONTRAST, (front, behind)


async def test_the_element_opens_for_a_payable_intent_only(standin: Standin) -> None:
    """Key, secret and status are checked; the refusals have Stripe's shape."""

    async def opened(**query: str) -> tuple[int, str | None]:
        async with standin.session.get(f"{standin.url}/js/session", params=query) as answer:
            body = await answer.json()
            assert body == {} or oracle.error_violations(body) == []
            return answer.status, body.get("error", {}).get("code")

    intent = await standin.client.v1.payment_intents.create_async({"amount": 5000, "currency": "eur"})
    secret = str(intent.client_secret)
    assert await opened(key=PUBLISHABLE_KEY, client_secret=secret) == (200, None)
    assert await opened(key=PUBLISHABLE_KEY) == (200, None)
    assert await opened(key="pk_test_wrong", client_secret=secret) == (401, None)
    assert await opened(key=PUBLISHABLE_KEY, client_secret=secret + "x") == (400, "payment_intent_invalid_parameter")
    assert await opened(key=PUBLISHABLE_KEY, client_secret="pi_x_secret_x") == (404, "resource_missing")
    await standin.client.v1.payment_intents.cancel_async(intent.id)
    assert await opened(key=PUBLISHABLE_KEY, client_secret=secret) == (400, "payment_intent_unexpected_state")


async def test_a_decline_tells_a_browser_no_more_than_an_answer(standin: Standin) -> None:
    """The intent in an error has no metadata either, when the caller holds the publishable key."""
    intent = await standin.client.v1.payment_intents.create_async(
        {"amount": 5000, "currency": "eur", "metadata": {"booking_id": "b"}}
    )
    form = {"client_secret": str(intent.client_secret), "payment_method": "pm_card_chargeDeclined", "return_url": BACK}
    status, body = await standin.browser("POST", f"/v1/payment_intents/{intent.id}/confirm", form)
    assert (status, body["error"]["payment_intent"]["status"]) == (402, "requires_payment_method")
    assert not {"metadata", "latest_charge", "customer"} & body["error"]["payment_intent"].keys()


async def test_the_way_to_a_challenge_can_be_chosen(standin: Standin) -> None:
    """With `redirect` Stripe.js is sent away too, as far as there is an address to come back to; null is as usual."""

    async def way() -> str:
        intent = await standin.authorised(payment_method="pm_card_threeDSecure2Required", use_stripe_sdk=True)
        assert intent.next_action
        return str(intent.next_action.type)

    assert await way() == "use_stripe_sdk"
    await standin.control("PUT", "/challenge-flow", {"flow": "redirect"})
    assert await way() == "redirect_to_url"
    await standin.control("PUT", "/challenge-flow", {"flow": None})
    assert await way() == "use_stripe_sdk"


@pytest.mark.parametrize("query", ["", "?locale=de"])
async def test_the_challenge_speaks_the_customer_s_language(standin: Standin, query: str) -> None:
    """Stripe.js names it in the address; else the browser's header counts."""
    intent = await standin.authorised(payment_method="pm_card_threeDSecure2Required")
    assert intent.next_action
    assert intent.next_action.redirect_to_url
    url = f"{intent.next_action.redirect_to_url.url}{query}"
    headers = {} if query else {"Accept-Language": "de-AT,en;q=0.5"}
    async with standin.session.get(url, headers=headers) as answer:
        page = await answer.text()
    assert '<html lang="de">' in page
    assert "Zahlung bestätigen" in page


async def test_script_and_frame_fail_on_demand(standin: Standin) -> None:
    """Each has an operation of its own; a kind of fault that only the API can have lets them pass."""
    for path, operation in (("/stripe.js", "stripe_js.script"), ("/js/payment-element", "stripe_js.frame")):
        for kind, status in (("bad_gateway_before", 502), ("error_before", 500), ("rate_limit", 200)):
            await standin.fault(operation, kind)
            async with standin.session.get(f"{standin.url}{path}") as answer:
                assert answer.status == status, (path, kind)
        await standin.fault(operation, "drop_before", count=2)  # the client tries a second time by itself
        with pytest.raises(aiohttp.ClientError):
            await standin.session.get(f"{standin.url}{path}")
        async with standin.session.get(f"{standin.url}{path}") as answer:
            assert answer.status == 200
