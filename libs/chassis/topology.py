"""Exchanges and queues of RabbitMQ, as data. `boxoffice migrate` declares them; a service never does.

<service>.events            topic; what the service publishes. Only its own user may write here, so the exchange vouches for the sender.
<service>.<event>           quorum queue; one for each event that the service consumes
<service>.retry.<n>ms       fanout exchange and quorum queue: a failed message waits n ms here and goes back to its own queue
<service>.parked            direct exchange: to `<queue>.parked`, where a message waits for a person
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from aio_pika import ExchangeType, connect
from aio_pika.abc import AbstractChannel
from contracts.catalogue import PUBLISHERS, consumed_by, queue_name

DELIVERY_LIMIT = 20
"""Deliveries after which a message that kills its consumer is parked by the broker itself (RabbitMQ 4's default; 3.x has none)."""

Argument = str | int


@dataclass(frozen=True)
class Exchange:
    """A durable exchange."""

    name: str
    kind: ExchangeType


@dataclass(frozen=True)
class Queue:
    """A quorum queue and the (exchange, routing key) pairs that fill it."""

    name: str
    bindings: tuple[tuple[str, str], ...]
    arguments: dict[str, Argument] = field(default_factory=dict)


@dataclass(frozen=True)
class Topology:
    """Everything that the broker holds."""

    exchanges: tuple[Exchange, ...]
    queues: tuple[Queue, ...]


def events_exchange(service: str) -> str:
    """Where `service` publishes."""
    return f"{service}.events"


def retry_exchange(service: str, delay_ms: int) -> str:
    """Where a message waits `delay_ms` before it goes back to the queue that its routing key names."""
    return f"{service}.retry.{delay_ms}ms"


def parked_exchange(service: str) -> str:
    """Where a message is given up; the routing key names the queue that it came from."""
    return f"{service}.parked"


def parked_queue(queue: str) -> str:
    """Where messages of `queue` wait for a person."""
    return f"{queue}.parked"


def topology(retry_delays_ms: Sequence[int]) -> Topology:
    """What the contracts' table of consumers asks for."""
    exchanges = [Exchange(events_exchange(service), ExchangeType.TOPIC) for service in PUBLISHERS]
    queues: list[Queue] = []
    for service in PUBLISHERS:
        exchanges.append(Exchange(parked_exchange(service), ExchangeType.DIRECT))
        for delay_ms in retry_delays_ms:
            name = retry_exchange(service, delay_ms)
            exchanges.append(Exchange(name, ExchangeType.FANOUT))
            queues.append(
                Queue(
                    name, ((name, ""),), {"x-message-ttl": delay_ms, "x-dead-letter-exchange": "", **_SAFE_DEAD_LETTERS}
                )
            )
        queues += [
            queue
            for event in consumed_by(service)
            for queue in _work_queues(service, queue_name(service, event), event.type)
        ]
    return Topology(tuple(exchanges), tuple(queues))


_SAFE_DEAD_LETTERS: dict[str, Argument] = {"x-dead-letter-strategy": "at-least-once", "x-overflow": "reject-publish"}


def _work_queues(service: str, name: str, event_type: str) -> tuple[Queue, Queue]:
    publisher = event_type.partition(".")[0]
    work = Queue(
        name,
        ((events_exchange(publisher), event_type),),
        {
            "x-delivery-limit": DELIVERY_LIMIT,
            "x-dead-letter-exchange": parked_exchange(service),
            "x-dead-letter-routing-key": name,
            **_SAFE_DEAD_LETTERS,
        },
    )
    return work, Queue(parked_queue(name), ((parked_exchange(service), name),))


async def declare(broker_url: str, wanted: Topology) -> None:
    """Declares what is missing. Needs a user that may configure; raises aio_pika's ChannelPreconditionFailed where something differs."""
    async with await connect(broker_url, timeout=10) as connection, connection.channel() as channel:
        async with asyncio.timeout(120):
            for exchange in wanted.exchanges:
                await channel.declare_exchange(exchange.name, exchange.kind, durable=True)
            await asyncio.gather(*(_declare_queue(channel, queue) for queue in wanted.queues))


async def _declare_queue(channel: AbstractChannel, wanted: Queue) -> None:
    queue = await channel.declare_queue(
        wanted.name, durable=True, arguments={"x-queue-type": "quorum", **wanted.arguments}
    )
    for exchange, routing_key in wanted.bindings:
        await queue.bind(exchange, routing_key)
