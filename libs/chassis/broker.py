"""The connection to RabbitMQ, with the defaults that lose messages turned off, and the one way to publish."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from uuid import UUID

from aio_pika.exceptions import AMQPError
from faststream.exceptions import IncorrectState
from faststream.rabbit import Channel, RabbitBroker, RabbitExchange

PUBLISH_TIMEOUT_S = 5.0

BROKER_ERRORS = (AMQPError, IncorrectState, OSError, TimeoutError, RuntimeError)
"""What a publish raises while the broker is away. aio_pika reports a closed channel as RuntimeError (ChannelInvalidStateError), FastStream
one that was never open as IncorrectState."""


def connect(service: str, url: str, *, prefetch: int) -> RabbitBroker:
    """A broker that is not connected yet.

    `apply_types`: a handler gets the message and asks for nothing else, so its arguments need not be resolved for each message.
    `on_return_raises`: an unroutable message is an error, not a value that nobody reads. `timeout`: without it a reconnect to a silent
    peer hangs for ever.
    """
    return RabbitBroker(
        url,
        default_channel=Channel(prefetch_count=prefetch, on_return_raises=True),
        graceful_timeout=10,
        timeout=5,
        reconnect_interval=1,
        app_id=service,
        logger=None,
        apply_types=False,
    )


@contextmanager
def failing_when_cut_off() -> Iterator[None]:
    """Turns a CancelledError that nobody asked for into a ConnectionError.

    aiormq cancels what waits for the broker when its link is closed. Nothing would tell that from the end of the waiting task, which
    would end without a word, and with it a relay.
    """
    try:
        yield
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise ConnectionError("the link to the broker was closed") from None


async def publish(
    broker: RabbitBroker,
    body: bytes | str,
    *,
    exchange: str,
    routing_key: str,
    message_id: UUID | str,
    type: str,  # noqa: A002  # the property's name in AMQP
    headers: Mapping[str, str | int],
    timestamp: datetime | None = None,
) -> None:
    """Publishes a persistent message and returns when the broker has confirmed it.

    Raises one of BROKER_ERRORS when it is unroutable, refused, or not confirmed within PUBLISH_TIMEOUT_S. The limit is ours, since
    FastStream drops its own `timeout`.
    """
    with failing_when_cut_off():
        async with asyncio.timeout(PUBLISH_TIMEOUT_S):
            await broker.publish(
                body.encode() if isinstance(body, str) else body,
                exchange=RabbitExchange(exchange, declare=False),
                routing_key=routing_key,
                message_id=str(message_id),
                message_type=type,
                content_type="application/json",
                headers=dict(headers),
                timestamp=timestamp,
                persist=True,
                mandatory=True,
            )
