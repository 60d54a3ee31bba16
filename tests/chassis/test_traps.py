"""Defaults of the stack that lose or hold up messages, each with the guard that turns it off. Without its guard a test fails."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from itertools import pairwise
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import pytest
from aio_pika import Message, connect
from aiormq.exceptions import ChannelAccessRefused, PublishError
from chassis import broker as amqp
from chassis.clock import SystemClock
from chassis.db import Transaction
from chassis.topology import declare, events_exchange, topology
from contracts.event import Event
from contracts.money import Money
from contracts.payment import PaymentSucceeded
from contracts.refund import RefundDeclined
from faststream.rabbit import RabbitBroker

from tests.chassis.conftest import Specimen
from tests.conftest import Vhost
from tests.support.proxy import Proxy, proxied
from tests.support.service import RETRY_DELAYS_MS, eventually


def declined() -> RefundDeclined:
    return RefundDeclined(
        version=1, occurred_at=SystemClock().now(), refund_id=uuid4(), booking_id=uuid4(), rule="test"
    )


def succeeded() -> PaymentSucceeded:
    return PaymentSucceeded(
        version=1, occurred_at=SystemClock().now(), payment_id=uuid4(), booking_id=uuid4(), amount=Money(500, "EUR")
    )


async def send(
    broker: RabbitBroker, exchange: str = "payment.events", routing_key: str = "payment.succeeded.v1"
) -> None:
    await amqp.publish(
        broker, b"{}", exchange=exchange, routing_key=routing_key, message_id=uuid4(), type="test", headers={}
    )


@pytest.fixture
async def link(broker_vhost: Vhost) -> AsyncIterator[tuple[RabbitBroker, Proxy]]:
    """A broker connection as a service has it, through a proxy that can stall."""
    await declare(broker_vhost.url(), topology(RETRY_DELAYS_MS))
    address = urlsplit(broker_vhost.url())
    async with proxied(str(address.hostname), int(address.port or 0)) as proxy:
        url = urlunsplit(address._replace(netloc=f"{address.username}:{address.password}@127.0.0.1:{proxy.port}"))
        broker = amqp.connect("test", f"{url}?heartbeat=10", prefetch=10)
        await broker.start()
        yield broker, proxy
        await broker.stop()


async def test_t1_messages_are_persistent_and_queues_replicated(
    broker_vhost: Vhost, link: tuple[RabbitBroker, Proxy]
) -> None:
    """FastStream publishes transient messages by default, which a durable classic queue loses with its broker."""
    connection = await connect(broker_vhost.url())
    async with connection, connection.channel() as channel:
        queue = await channel.declare_queue("t1", durable=True, arguments={"x-queue-type": "quorum"})
        await queue.bind("payment.events", "t1")
        await send(link[0], routing_key="t1")
        message = await queue.get()
        assert message.delivery_mode == 2
        await message.ack()
        await queue.delete(if_unused=False, if_empty=False)
    assert all(
        "x-message-ttl" in q.arguments or q.name.endswith("parked") or "x-delivery-limit" in q.arguments
        for q in topology([1]).queues
    )


async def test_t2_and_t5_a_failing_message_is_tried_a_few_times_at_a_pace_and_never_lost(specimen: Specimen) -> None:
    """By default the first failure discards the message, and a requeue spins thousands of times a second."""
    tries: list[float] = []
    poison = succeeded()

    async def refuse(event: Event, tx: Transaction) -> None:
        if event == poison:
            tries.append(time.monotonic())
            raise RuntimeError("poison")

    specimen.handle = refuse
    before = await specimen.running.parked(PaymentSucceeded)
    await specimen.running.deliver(poison)

    async def parked() -> bool:
        return await specimen.running.parked(PaymentSucceeded) == before + 1

    await eventually(parked)
    assert len(tries) == 1 + len(RETRY_DELAYS_MS)
    waited_ms = [(later - earlier) * 1000 for earlier, later in pairwise(tries)]
    assert all(waited >= delay * 0.9 for waited, delay in zip(waited_ms, RETRY_DELAYS_MS, strict=True))


async def test_t3_an_unroutable_message_is_an_error(link: tuple[RabbitBroker, Proxy]) -> None:
    """By default the broker's return is a value that nobody reads, and the outbox row would be stamped."""
    with pytest.raises(PublishError):
        await send(link[0], routing_key="nobody.listens.v1")


async def test_t4_a_publish_into_a_stalled_link_ends_in_time(link: tuple[RabbitBroker, Proxy]) -> None:
    """FastStream drops the timeout that it is given: a publish would wait for ever, then be cancelled by nobody."""
    broker, proxy = link
    await send(broker)
    proxy.stall()
    started = time.monotonic()
    with pytest.raises(TimeoutError):
        await send(broker)
    assert time.monotonic() - started < amqp.PUBLISH_TIMEOUT_S + 1
    proxy.flow()

    async def works() -> bool:
        try:
            await send(broker)
        except amqp.BROKER_ERRORS:
            return False
        return True

    await eventually(works, 30)


async def test_a_cut_link_comes_back_by_itself(link: tuple[RabbitBroker, Proxy]) -> None:
    """A publish meanwhile raises what the relay expects; afterwards it works, without a restart."""
    broker, proxy = link
    proxy.cut()

    async def works() -> bool:
        try:
            await send(broker)
        except amqp.BROKER_ERRORS:
            return False
        return True

    await eventually(works, 15)


async def test_only_a_service_itself_can_publish_as_that_service(broker_vhost: Vhost) -> None:
    """The exchange vouches for the sender: notification cannot forge a PaymentSucceeded."""
    await declare(broker_vhost.url(), topology(RETRY_DELAYS_MS))
    forger = await connect(broker_vhost.url("notification"))
    async with forger:
        channel = await forger.channel()
        exchange = await channel.get_exchange(events_exchange("payment"), ensure=False)
        with pytest.raises(ChannelAccessRefused):
            await exchange.publish(Message(b"{}"), "payment.succeeded.v1", timeout=5)
