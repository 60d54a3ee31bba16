"""Keeps a service connected to RabbitMQ, whatever the broker does meanwhile, so that requests are answered without it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog
from faststream.rabbit import RabbitBroker

from chassis.broker import BROKER_ERRORS, failing_when_cut_off

log = structlog.get_logger(__name__)

CHECK_S = 3.0
LOST_CHECKS_BEFORE_RESTART = 3
UNANSWERED_CHECKS_BEFORE_RESTART = 20
"""More than a minute: where all are busy, connecting anew would only add to it. A dead link is found by its heartbeat."""
ANSWERED_WITHIN_S = 2.0


class BrokerLink:
    """`run` it as a task. It connects as soon as the broker is there.

    A lost connection comes back by itself. What does not always is a consumer whose queue was away meanwhile (a failover, a wiped
    broker): when the broker answers and a queue has no consumer of anybody's for a while, the link starts anew.
    """

    def __init__(self, broker: RabbitBroker, queues: Sequence[str]) -> None:
        self.broker = broker
        self.queues = queues
        self.started = False
        self._count: asyncio.Task[bool] | None = None

    async def run(self) -> None:
        """Connects and watches for ever."""
        while True:
            if await self._start():
                await self._watch()
            await asyncio.sleep(1)  # noqa: TID251  # the pace of reconnecting, not work that falls due

    async def connected(self) -> bool:
        """Whether the broker answers."""
        return self.started and await self.broker.ping(timeout=1)

    async def consuming(self) -> bool:
        """Whether every queue has a consumer. Raises one of BROKER_ERRORS when the broker does not answer or a queue is missing.

        A broker that is slow is not asked once more meanwhile, and the question is never cut off: its channel would be closed twice,
        for which the broker ends the whole connection, with all that is published and consumed on it.
        """
        if self._count is None or self._count.done():
            self._count = asyncio.create_task(self._all_consumed())
            self._count.add_done_callback(lambda count: count.cancelled() or count.exception())
        with failing_when_cut_off():
            async with asyncio.timeout(ANSWERED_WITHIN_S):
                return await asyncio.shield(self._count)

    async def _all_consumed(self) -> bool:
        connection = await self.broker.connect()
        async with connection.channel() as channel:
            for queue in self.queues:
                declared = await channel.declare_queue(queue, passive=True)
                if not declared.declaration_result.consumer_count:
                    return False
        return True

    async def close(self) -> None:
        """Stops consuming, lets running handlers end, and disconnects."""
        self.started = False
        try:
            with failing_when_cut_off():
                async with asyncio.timeout(15):
                    await self.broker.stop()
        except BROKER_ERRORS as error:
            log.warning("broker connection did not close", error=type(error).__name__)
        if self._count is not None:  # what it asks on is gone
            self._count.cancel()
            self._count = None

    async def _start(self) -> bool:
        # FastStream drops, unacknowledged, what arrives before it calls a subscriber running, which is after the broker began to send.
        for subscriber in self.broker.subscribers:
            subscriber.running = True
        try:
            with failing_when_cut_off():
                async with asyncio.timeout(15):
                    await self.broker.start()
        except BROKER_ERRORS as error:
            log.warning("broker does not answer", error=type(error).__name__)
            await self.close()
            return False
        self.started = True
        log.info("broker connected", queues=len(self.queues))
        return True

    async def _watch(self) -> None:
        lost = unanswered = 0
        while lost < LOST_CHECKS_BEFORE_RESTART and unanswered < UNANSWERED_CHECKS_BEFORE_RESTART:
            await asyncio.sleep(CHECK_S)  # noqa: TID251  # the pace of watching, not work that falls due
            try:
                lost = lost + 1 if await self._lost_consumers() else 0
                unanswered = 0
            except TimeoutError:
                unanswered += 1
                log.warning("broker is slow to say who consumes")
        log.warning("consumers lost, connecting anew")
        await self.close()

    async def _lost_consumers(self) -> bool:
        try:
            with failing_when_cut_off():
                return await self.connected() and not await self.consuming()
        except TimeoutError:
            raise
        except BROKER_ERRORS as error:
            log.warning("queues cannot be watched", error=type(error).__name__)
            return True
