"""What a service does when an event arrives. An effect and its inbox row are one transaction; the message is acknowledged after it.

A handler that fails puts the message into a retry queue, with growing delays; after the last one it is parked with its error, and the
messages behind it were never held up.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any, TypeVar
from uuid import UUID

import structlog
from contracts.catalogue import consumed_by, queue_name
from contracts.event import Event
from faststream import AckPolicy
from faststream.exceptions import RejectMessage
from faststream.rabbit import Channel, RabbitBroker, RabbitMessage, RabbitQueue
from pydantic import ValidationError

from chassis import broker as amqp
from chassis import inbox, metrics, tracing
from chassis.db import Database, Transaction, is_outage, reason
from chassis.topology import parked_exchange, retry_exchange

log = structlog.get_logger(__name__)

E = TypeVar("E", bound=Event)
Handler = Callable[[E, Transaction], Awaitable[None]]

LONGEST_ERROR = 500


@dataclass(frozen=True)
class Subscription:
    """A queue, the event that its messages are, and what is done with it."""

    queue: str
    event: type[Event]
    handler: Handler[Any]


class Consumers:
    """The events of one service: `@consumers.on(PaymentSucceeded)` on an `async def (event, tx) -> None`."""

    def __init__(self, service: str) -> None:
        self.service = service
        self.subscriptions: dict[str, Subscription] = {}

    def on(self, event: type[E]) -> Callable[[Handler[E]], Handler[E]]:
        """Handles `event`. Raises ValueError where the contracts' table does not name this service as its consumer."""
        if event not in consumed_by(self.service):
            raise ValueError(f"contracts.catalogue does not let {self.service} consume {event.__name__}")

        def register(handler: Handler[E]) -> Handler[E]:
            queue = queue_name(self.service, event)
            self.subscriptions[queue] = Subscription(queue, event, handler)
            return handler

        return register

    def missing(self) -> list[str]:
        """Events that the contracts' table gives this service and that nothing handles."""
        handled = {subscription.event for subscription in self.subscriptions.values()}
        return [event.__name__ for event in consumed_by(self.service) if event not in handled]


class Receiver:
    """Connects the consumers of a service to its queues."""

    def __init__(
        self, consumers: Consumers, broker: RabbitBroker, database: Database, retry_delays_ms: tuple[int, ...]
    ) -> None:
        self.consumers = consumers
        self.broker = broker
        self.database = database
        self.retry_delays_ms = retry_delays_ms

    def subscribe(self, prefetch: int) -> None:
        """Registers a subscriber for each queue. The queues must exist: they are declared by `boxoffice migrate`."""
        for subscription in self.consumers.subscriptions.values():
            self.broker.subscriber(
                RabbitQueue(subscription.queue, declare=False),
                ack_policy=AckPolicy.REJECT_ON_ERROR,
                channel=Channel(prefetch_count=prefetch, on_return_raises=True),
                decoder=_undecoded,
                title=subscription.event.type,
            )(self._handler(subscription))

    def _handler(self, subscription: Subscription) -> Callable[[RabbitMessage], Awaitable[None]]:
        span = f"process {subscription.queue}"

        async def receive(message: RabbitMessage) -> None:
            with (
                tracing.continued(_text(message.headers.get("traceparent")), span),
                structlog.contextvars.bound_contextvars(event_id=message.message_id),
            ):
                await self.receive(subscription, message)

        return receive

    async def receive(self, subscription: Subscription, message: RabbitMessage) -> None:
        """Has the effect of one message, or sends it to retry or to park. Returns when the message may be acknowledged.

        Raises RejectMessage(requeue) when it could neither be handled nor moved: the broker keeps it. It counts rejects, and only
        rejects on RabbitMQ from 4.3 on, towards the delivery limit.
        """
        try:
            event = subscription.event.model_validate_json(message.body)
            event_id = UUID(message.message_id)
        except (ValidationError, ValueError) as error:
            log.error("event parked", queue=subscription.queue, error=f"cannot be read: {_reason(error)}")  # noqa: TRY400  # a trace would show the body
            await self._park(subscription, message, f"cannot be read: {_reason(error)}")
            return
        try:
            began = perf_counter()
            try:
                outcome = await self.handle(subscription, event, event_id)
            finally:
                took_s = perf_counter() - began
                metrics.EVENT_SECONDS.labels(subscription.event.type).observe(took_s, tracing.exemplar())
        except Exception as error:  # noqa: BLE001  # whatever a handler raises becomes a retry, logged and counted there
            await self._retry(subscription, message, error)
            return
        metrics.EVENTS_CONSUMED.labels(subscription.event.type, outcome).inc()
        if outcome == "done":
            lag_s = (self.database.clock.now() - event.occurred_at).total_seconds()
            metrics.EVENT_LAG_SECONDS.labels(subscription.event.type).observe(max(0.0, lag_s), tracing.exemplar())

    async def handle(self, subscription: Subscription, event: Event, event_id: UUID) -> str:
        """The effect of an event, once: `done`, or `duplicate` when it had it before."""
        async with self.database.transaction() as tx:
            if not await inbox.first_time(tx, subscription.queue, event_id):
                return "duplicate"
            await subscription.handler(event, tx)
        return "done"

    async def _retry(self, subscription: Subscription, message: RabbitMessage, error: Exception) -> None:
        tried = _number(message.headers.get("x-tried"))
        if is_outage(error):
            await self._wait_out(subscription, message, tried, error)
            return
        if tried >= len(self.retry_delays_ms):
            log.error("event parked", queue=subscription.queue, tried=tried + 1, exc_info=error)
            await self._park(subscription, message, _reason(error))
            return
        delay_ms = self.retry_delays_ms[tried]
        log.warning("event retried", queue=subscription.queue, tried=tried + 1, delay_ms=delay_ms, exc_info=error)
        await self._move(
            subscription, message, retry_exchange(self.consumers.service, delay_ms), tried + 1, _reason(error)
        )
        metrics.EVENTS_CONSUMED.labels(subscription.event.type, "retried").inc()

    async def _wait_out(self, subscription: Subscription, message: RabbitMessage, tried: int, error: Exception) -> None:
        """Puts the message back without counting the try: nothing is wrong with it while the database is away."""
        delay_ms = self.retry_delays_ms[:2][-1]
        log.warning("event waits for the database", queue=subscription.queue, delay_ms=delay_ms, error=reason(error))
        await self._move(subscription, message, retry_exchange(self.consumers.service, delay_ms), tried, _reason(error))
        metrics.EVENTS_CONSUMED.labels(subscription.event.type, "retried").inc()

    async def _park(self, subscription: Subscription, message: RabbitMessage, why: str) -> None:
        tried = _number(message.headers.get("x-tried")) + 1
        await self._move(subscription, message, parked_exchange(self.consumers.service), tried, why)
        metrics.EVENTS_CONSUMED.labels(subscription.event.type, "parked").inc()

    async def _move(
        self, subscription: Subscription, message: RabbitMessage, exchange: str, tried: int, why: str
    ) -> None:
        kept = {
            key: value
            for key, value in message.headers.items()
            if isinstance(value, str | int) and not key.startswith("x-")
        }
        try:
            await amqp.publish(
                self.broker,
                message.body,
                exchange=exchange,
                routing_key=subscription.queue,
                message_id=message.message_id,
                type=subscription.event.type,
                headers={**kept, "x-tried": tried, "x-error": why},
            )
        except amqp.BROKER_ERRORS as error:
            raise RejectMessage(requeue=True) from error


async def _undecoded(message: RabbitMessage) -> RabbitMessage:
    return message  # the contract reads the body, and its id and headers are needed as well


def _reason(error: Exception) -> str:
    """Class and sentence of an error, for the parked message's header. A validation error names its fields, never their values."""
    if isinstance(error, ValidationError):
        text = "; ".join(
            f"{'.'.join(str(part) for part in found['loc'])}: {found['msg']}"
            for found in error.errors(include_input=False)
        )
    else:
        text = str(error)
    return f"{type(error).__name__}: {text}"[:LONGEST_ERROR]


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
