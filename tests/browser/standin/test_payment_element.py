from __future__ import annotations

from tests.browser.standin.conftest import Shop


async def test_a_card_pays(shop: Shop) -> None:
    intent = await shop.open()
    await shop.page.screenshot(path="/tmp/standin-1.png")
    await shop.fill("4242424242424242")
    await shop.page.screenshot(path="/tmp/standin-2.png")
    await shop.pay()
    result = await shop.result()
    assert result["paymentIntent"]["status"] == "requires_capture"
    assert await shop.status(intent) == "requires_capture"
