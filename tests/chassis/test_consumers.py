"""Each event has its effect once; a failing one is retried, then parked, and holds nobody up."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from aio_pika.robust_queue import RobustQueue
from chassis import broker as amqp
from chassis.clock import SystemClock
from chassis.consumers import Consumers, _undecoded
from chassis.db import Transaction
from chassis.link import BrokerLink
from chassis.metrics import REGISTRY
from chassis.topology import declare, topology
from contracts.booking import BookingPlaced
from contracts.catalogue import queue_name
from contracts.event import Event
from contracts.money import Money
from contracts.payment import PaymentSucceeded
from faststream.rabbit import RabbitMessage, RabbitQueue

from tests.chassis.conftest import Specimen
from tests.conftest import Vhost
from tests.support.service import RETRY_DELAYS_MS, eventually


def succeeded() -> PaymentSucceeded:
    return PaymentSucceeded(
        version=1, occurred_at=SystemClock().now(), payment_id=uuid4(), booking_id=uuid4(), amount=Money(500, "EUR")
    )


async def test_the_same_event_twenty_times_has_one_effect(specimen: Specimen) -> None:
    """Copies that arrive together, as after a broker's restart, are handled once."""
    event, event_id = succeeded(), uuid4()
    await asyncio.gather(*(specimen.running.deliver(event, event_id) for _ in range(20)))
    last = await specimen.running.deliver(succeeded())
    await eventually(lambda: specimen.running.consumed(last))
    assert specimen.seen.count(event) == 1


async def test_the_way_from_what_happened_to_its_effect_is_timed(specimen: Specimen) -> None:
    """Whoever had waited for the broker or a retry has waited: the time begins when it happened. A duplicate has no effect to time."""
    late = {"type": "payment.succeeded.v1", "le": "30.0"}
    before = REGISTRY.get_sample_value("event_lag_seconds_bucket", late) or 0.0
    old = succeeded().model_copy(update={"occurred_at": SystemClock().now() - timedelta(seconds=20)})
    event_id = await specimen.running.deliver_and_wait(old)
    await specimen.running.deliver(old, event_id)
    await specimen.running.deliver_and_wait(succeeded())

    async def timed() -> bool:
        return REGISTRY.get_sample_value("event_lag_seconds_bucket", late) == before + 2

    await eventually(timed)
    quick = REGISTRY.get_sample_value("event_lag_seconds_bucket", {**late, "le": "10.0"}) or 0.0
    assert quick < before + 2


async def test_a_rolled_back_effect_leaves_no_inbox_row_and_is_retried(specimen: Specimen) -> None:
    """The inbox row and the effect are one transaction: failing after the effect undoes both."""
    tries = 0

    async def fail_once(event: Event, tx: Transaction) -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise RuntimeError("the first try fails")

    specimen.handle = fail_once
    await specimen.running.deliver_and_wait(succeeded())
    assert tries == 2
    assert len(specimen.seen) == 1


async def test_a_poison_message_is_parked_and_good_ones_pass_it(specimen: Specimen) -> None:
    """After its retries the message waits for a person with its error; the others were consumed meanwhile."""
    poison = succeeded()

    async def refuse(event: Event, tx: Transaction) -> None:
        if event == poison:
            raise RuntimeError("poison")

    specimen.handle = refuse
    before = await specimen.running.parked(PaymentSucceeded)
    await specimen.running.deliver(poison)
    await specimen.running.deliver_and_wait(succeeded())

    async def one_more() -> bool:
        return await specimen.running.parked(PaymentSucceeded) == before + 1

    await eventually(one_more)
    assert poison not in specimen.seen


async def test_a_message_is_not_given_up_while_the_database_is_away(specimen: Specimen) -> None:
    """An outage that outlasts every retry parks nothing: as soon as the database is back the effect happens."""
    tries = 0

    async def away(event: Event, tx: Transaction) -> None:
        nonlocal tries
        tries += 1
        if tries <= 6:
            raise ConnectionRefusedError("the database is away")

    specimen.handle = away
    before = await specimen.running.parked(PaymentSucceeded)
    await specimen.running.deliver_and_wait(succeeded())
    assert tries == 7
    assert await specimen.running.parked(PaymentSucceeded) == before


async def test_bytes_that_are_no_event_are_parked_at_once(specimen: Specimen) -> None:
    """What cannot be read will not be readable later."""
    before = await specimen.running.parked(PaymentSucceeded)
    await specimen.running.deliver_raw("payment.succeeded.v1", b"\x00\xff{", uuid4())

    async def one_more() -> bool:
        return await specimen.running.parked(PaymentSucceeded) == before + 1

    await eventually(one_more)


async def test_a_field_that_is_not_known_yet_is_ignored(specimen: Specimen) -> None:
    """A newer publisher does not break an older consumer."""
    event = succeeded()
    body = event.model_dump_json().replace("{", '{"added_later":1,', 1).encode()
    event_id = uuid4()
    await specimen.running.deliver_raw("payment.succeeded.v1", body, event_id)
    await eventually(lambda: specimen.running.consumed(event_id))
    assert specimen.seen == [event]


async def test_a_message_that_waited_is_had_while_its_consumer_starts(
    broker_vhost: Vhost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker sends what waits before a busy client has read that its subscription stands. It must not be left unacknowledged."""
    await declare(broker_vhost.url(), topology(RETRY_DELAYS_MS))
    queue = queue_name("notification", BookingPlaced)
    admin = amqp.connect("test", broker_vhost.url(), prefetch=1)
    await admin.start()
    await amqp.publish(admin, b"{}", exchange="", routing_key=queue, message_id=uuid4(), type="any", headers={})
    broker = amqp.connect("notification", broker_vhost.url("notification"), prefetch=1)
    arrived = asyncio.Event()

    @broker.subscriber(RabbitQueue(queue, declare=False), decoder=_undecoded)
    async def receive(_: RabbitMessage) -> None:
        arrived.set()

    consume = RobustQueue.consume

    async def consume_slowly(*arguments: Any, **options: Any) -> Any:
        tag = await consume(*arguments, **options)
        await asyncio.wait_for(arrived.wait(), 5)
        return tag

    monkeypatch.setattr(RobustQueue, "consume", consume_slowly)
    link = BrokerLink(broker, [queue])
    assert await link._start()
    await link.close()
    await admin.stop()


def test_a_service_handles_only_what_the_contracts_give_it() -> None:
    """The table of consumers is the truth: notification is not told of captures."""
    consumers = Consumers("payment")
    with pytest.raises(ValueError, match="does not let payment consume PaymentSucceeded"):
        consumers.on(PaymentSucceeded)
    assert "BookingPlaced" in consumers.missing()
    assert BookingPlaced.type == "booking.placed.v1"
