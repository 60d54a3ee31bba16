"""What breaks is told: by Prometheus and Alertmanager as they run in the sandbox, to a receiver, in plain words."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import aio_pika
import pytest
from chassis.topology import parked_queue

from sandbox.launcher import monitoring
from sandbox.story.shop import Json, ShopError
from tests.e2e.stack import Stack, contact, until

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(not monitoring.installed(), reason="the sandbox goes on without Prometheus, and tells nobody"),
]

QUEUE = "booking.payment-authorized"
DECLINED = "4000000000000002"
PAID_LATELY = "SELECT count(*) FROM bookings WHERE confirmed_at > now() - interval '10 minutes'"
SILENCE_S = 7
"""A capture that is less than 5 s after the last webhook tells of no silence."""
TOLD_WITHIN_S = 120.0


@asynccontextmanager
async def parked(stack: Stack) -> AsyncIterator[None]:
    """A message that nobody can read, in the queue of a consumer; afterwards it is gone."""
    async with await aio_pika.connect(stack.status["rabbitmq"]["amqp"]) as connection, connection.channel() as channel:
        await channel.default_exchange.publish(
            aio_pika.Message(b"no event", message_id="00000000-0000-7000-8000-000000000000"), QUEUE
        )
        try:
            yield
        finally:
            await (await channel.get_queue(parked_queue(QUEUE))).purge()


async def decline(stack: Stack, event: Json, cards: int) -> None:
    """So many cards, each on a booking of its own."""

    async def one() -> None:
        bought = await stack.shop.book(event, 1, contact())
        opened = await stack.shop.open_payment(bought)
        with pytest.raises(ShopError, match="402"):
            await stack.shop.enter_card(opened, DECLINED)
        await stack.shop.sync(opened, bought)

    await asyncio.gather(*(one() for _ in range(cards)))


async def told(stack: Stack, name: str, since: str, **labels: str) -> Json:
    """The alert at the receiver."""

    async def look() -> Json | None:
        answer = await stack.http.get(f"{stack.status['alerts']}/api/alerts", params={"name": name, "status": "firing"})
        found = [
            alert
            for alert in answer.json()
            if alert["received_at"] > since and labels.items() <= alert["labels"].items()
        ]
        return found[0] if found else None

    return await until(look, f"{name} is not told", TOLD_WITHIN_S)


async def test_four_faults_arrive_within_two_minutes_and_their_consequences_do_not(whole: Stack) -> None:
    """A stopped service, a parked message, declined cards, silent webhooks. The stopped service reads no queue, which is not news."""
    await whole.scraped()
    began = time.monotonic()
    newest = (await whole.http.get(f"{whole.status['alerts']}/api/alerts")).json()
    since = newest[0]["received_at"] if newest else ""
    event = await whole.shop.create_event("Alerts", timedelta(days=3), capacity=500)
    # Declines are news where they outnumber what was paid in these minutes, by other tests too.
    cards = 20 + 2 * await whole.count("booking", PAID_LATELY)
    async with whole.without_webhooks(), parked(whole):
        silent = time.monotonic()
        await whole.stop("notification")
        await decline(whole, event, cards)
        await whole.buy(await whole.shop.book(event, 1, contact()))
        if (at_once := SILENCE_S - (time.monotonic() - silent)) > 0:
            await asyncio.sleep(at_once)  # silence takes its time
            await whole.buy(await whole.shop.book(event, 1, contact()))
        alerts = await asyncio.gather(
            told(whole, "ServiceDown", since, service="notification"),
            told(whole, "MessagesParked", since, queue=parked_queue(QUEUE)),
            told(whole, "PaymentsDeclined", since),
            told(whole, "WebhooksSilent", since),
        )
    assert time.monotonic() - began < TOLD_WITHIN_S
    for alert in alerts:
        assert "<" not in alert["summary"], "a template that found no value"
        page = await whole.http.get(alert["runbook"])
        assert page.text.startswith(f"# {alert['name']}\n")
    assert {alert["receiver"] for alert in alerts[:3]} == {"calls"}
    assert alerts[3]["receiver"] == "tickets"
    everything = (await whole.http.get(f"{whole.status['alerts']}/api/alerts", params={"status": "firing"})).json()
    names = {alert["name"] for alert in everything if alert["received_at"] > since}
    assert not names & {"NoConsumers", "NoPayments", "CanaryFails", "ObjectiveBurnsFast"}
