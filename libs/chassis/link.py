"""Keeps a service connected to RabbitMQ, whatever the broker does meanwhile, so that requests are answered without it."""

from __future__ import annotations

import asyncio

import structlog
from faststream.rabbit import RabbitBroker, RabbitQueue

from chassis.broker import BROKER_ERRORS

log = structlog.get_logger(__name__)

CHECK_S = 2.0
FAILURES_BEFORE_RESTART = 3


class BrokerLink:
    """`run` it as a task. It connects when the broker is there, and starts anew when a queue has lost its consumer."""

    def __init__(self, broker: RabbitBroker, queues: list[str]) -> None:
        self.broker = broker
        self.queues = queues
        self.up = False

    async def run(self) -> None:
        """Connects and watches for ever."""
        while True:
            if await self._start():
                await self._watch()
            await asyncio.sleep(1)  # noqa: TID251  # the pace of reconnecting, not work that falls due

    async def connected(self) -> bool:
        """Whether the broker answers."""
        return self.up and await self.broker.ping(timeout=1)

    async def consuming(self) -> bool:
        """Whether every queue has a consumer."""
        async with asyncio.timeout(2):
            for queue in self.queues:
                declared = await self.broker.declare_queue(RabbitQueue(queue, declare=False))
                if not declared.declaration_result.consumer_count:
                    return False
        return True

    async def _start(self) -> bool:
        try:
            async with asyncio.timeout(15):
                await self.broker.start()
        except BROKER_ERRORS as error:
            log.warning("broker does not answer", error=type(error).__name__)
            await self.close()
            return False
        self.up = True
        log.info("broker connected", queues=len(self.queues))
        return True

    async def _watch(self) -> None:
        failures = 0
        while failures < FAILURES_BEFORE_RESTART:
            await asyncio.sleep(CHECK_S)  # noqa: TID251  # the pace of watching, not work that falls due
            try:
                failures = 0 if await self.connected() else failures + 1
            except BROKER_ERRORS:
                failures += 1
        log.warning("broker lost, connecting anew")
        await self.close()

    async def close(self) -> None:
        """Stops consuming, lets running handlers end, and disconnects."""
        self.up = False
        try:
            async with asyncio.timeout(15):
                await self.broker.stop()
        except BROKER_ERRORS as error:
            log.warning("broker connection did not close", error=type(error).__name__)
