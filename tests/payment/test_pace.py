"""A mass refund keeps below the provider's rate limit, and finishes."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable

import pytest
from payment.pace import Pace

from tests.conftest import Vhost
from tests.payment.conftest import opened
from tests.payment.shop import Shop
from tests.support.service import eventually

PER_S, LIMIT = 10, 12
"""What we ask for at most, and what the provider allows: 20 and 25 by default, halved so that any machine can be too fast."""
REFUNDS = int(os.environ.get("BOXOFFICE_TEST_REFUNDS", "60"))
"""1,000 is an event's cancellation; the rate shows with fewer."""

pytestmark = pytest.mark.timeout(120 + 3 * REFUNDS / PER_S)


@pytest.fixture(scope="module")
async def quiet_shop(
    postgres_url: str, new_vhost: Callable[[str], Vhost], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Shop]:
    """A shop of its own: what others ask of the provider does not count here."""
    every = {
        "PAYMENT_BALANCE_EVERY_S": "3600",
        "PAYMENT_PROVIDER_LISTING_EVERY_S": "3600",
        "PAYMENT_PROVIDER_REFUNDS_PER_S": str(PER_S),
    }
    async with opened(postgres_url, new_vhost("pace"), tmp_path_factory.mktemp("stripe"), **every) as found:
        yield found


async def test_a_mass_refund_stays_within_the_limit_and_finishes(quiet_shop: Shop) -> None:
    """With so many requests a second allowed, never more than a tenth above is tried, and each refund is one request."""
    shop = quiet_shop
    payments = [await shop.captured(5000) for _ in range(-(-REFUNDS // 10))]
    await shop.standin.control("PUT", "/limits", {"requests_per_second": LIMIT})
    before = (await shop.standin.control("GET", "/rate"))[-1]["second"]
    asked = [shop.approve_refund(payments[number // 10], 100) for number in range(REFUNDS)]
    refund_ids = await asyncio.gather(*asked)

    async def done() -> bool:
        rows = [await shop.payment(payment.booking_id) for payment in payments]
        return sum(row.refunded_minor for row in rows) == REFUNDS * 100

    await eventually(done, at_most_s=30 + REFUNDS / PER_S)
    for refund_id in refund_ids[:5]:
        assert len((await shop.made("refund_id", refund_id))["refund"]) == 1
    seconds = [each for each in await shop.standin.control("GET", "/rate") if each["second"] > before]
    tried = [each["ran"] + each["refused"] for each in seconds]
    assert max(tried) <= LIMIT * 1.1, tried
    assert max(tried) >= LIMIT / 3, "it is not paced, but slow"
    made = {name: count for name, count in (await shop.requests()).items() if name.startswith("refunds.")}
    assert made["refunds.create 200"] == REFUNDS
    assert sum(made.values()) <= REFUNDS * 1.1, made


async def test_what_is_refused_for_the_rate_is_asked_again_until_it_is_done(quiet_shop: Shop) -> None:
    """The provider allows less than we ask for: nothing is lost, nothing is done twice, and nothing is looked for in vain."""
    shop = quiet_shop
    await shop.standin.control("PUT", "/limits", {"requests_per_second": 0})
    payment = await shop.captured(5000)
    before = await shop.requests()
    await shop.standin.control("PUT", "/limits", {"requests_per_second": 4})
    refund_ids = await asyncio.gather(*(shop.approve_refund(payment, 100) for _ in range(12)))

    async def done() -> bool:
        return (await shop.payment(payment.booking_id)).refunded_minor == 1200

    await eventually(done, at_most_s=60)
    for refund_id in refund_ids:
        assert len((await shop.made("refund_id", refund_id))["refund"]) == 1
    after = await shop.requests()
    assert after["refused 429"] > before.get("refused 429", 0), "the limit was never met"
    assert after.get("refunds.list 200", 0) == before.get("refunds.list 200", 0)


async def test_replicas_share_the_pace(quiet_shop: Shop) -> None:
    """Two of them together get no more turns than one would."""
    database = quiet_shop.service.database
    clock = asyncio.get_running_loop().time
    began = clock()
    await asyncio.gather(*(Pace(database, 20).turn() for _ in range(20)))
    assert 0.8 <= clock() - began < 5
