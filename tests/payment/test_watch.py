"""What has no outcome is counted, with the age of the oldest, so that an alert can be raised."""

from __future__ import annotations

from datetime import timedelta

from chassis.db import table
from payment import metrics
from payment.models import Decline, Payment
from payment.watch import measure
from sqlalchemy import insert, update

from tests.payment.shop import Shop


async def test_an_open_outcome_is_seen_until_it_is_known(still_shop: Shop) -> None:
    payment = await still_shop.authorized()
    await still_shop.secure_seats(payment)
    await still_shop.standin.fault("payment_intents.capture", "drop_after")
    payment = await still_shop.advance(payment)
    payments = table(Payment)
    async with still_shop.service.database.transaction() as tx:
        ago = tx.now - timedelta(minutes=11)
        await tx.execute(update(payments).where(payments.c.id == payment.id).values(status_since=ago))
    async with still_shop.service.database.transaction() as tx:
        await measure(tx)
    assert metrics.OPEN.labels("payment", "unknown")._value.get() == 1
    assert metrics.OPEN_OLDEST_SECONDS.labels("payment", "unknown")._value.get() >= 660
    assert metrics.STUCK_MONEY._value.get() == 1
    assert (await still_shop.advance(payment)).status == "succeeded"
    async with still_shop.service.database.transaction() as tx:
        await measure(tx)
    assert metrics.OPEN.labels("payment", "unknown")._value.get() == 0
    assert metrics.STUCK_MONEY._value.get() == 0


async def test_the_card_that_is_declined_most_is_counted_and_not_named(still_shop: Shop) -> None:
    """Over all bookings; what is older than an hour, and what has no card, does not count."""
    payment = await still_shop.authorized()
    async with still_shop.service.database.transaction() as tx:
        rows = [
            {"id": tx.new_id(), "payment_id": payment.id, "code": "card_declined", "card": card, "at": tx.now - ago}
            for card, ago, times in (
                ("tried", timedelta(minutes=5), 7),
                ("other", timedelta(minutes=5), 2),
                ("old", timedelta(minutes=61), 9),
                (None, timedelta(minutes=5), 9),
            )
            for _ in range(times)
        ]
        await tx.execute(insert(table(Decline)).values(rows))
    async with still_shop.service.database.transaction() as tx:
        await measure(tx)
    assert metrics.CARD_DECLINES._value.get() == 7
