"""What the stack's processes use: CPU and memory of each with its children, transactions, messages and provider calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import aiohttp
import asyncpg
import psutil

BY_BROWSERS = "payment_intents.confirm "
"""The stand-in counts requests by `operation status`."""


@dataclass(frozen=True)
class Reading:
    """Counters at one moment. CPU in seconds and memory in bytes by process; transactions and messages by service."""

    cpu_s: Mapping[str, float]
    rss: Mapping[str, int]
    transactions: Mapping[str, int]
    messages: Mapping[str, int]
    provider_calls: int

    def since(self, before: Self) -> Reading:
        """What was used between `before` and this one; memory as it is now."""
        return Reading(
            {name: used - before.cpu_s.get(name, 0.0) for name, used in self.cpu_s.items()},
            self.rss,
            {name: count - before.transactions[name] for name, count in self.transactions.items()},
            {name: count - before.messages[name] for name, count in self.messages.items()},
            self.provider_calls - before.provider_calls,
        )


class Meter:
    """Reads the counters of one stack, as `boxoffice status --json` describes it."""

    def __init__(self, stack: Mapping[str, Any], session: aiohttp.ClientSession) -> None:
        self._stack = stack
        self._session = session

    async def read(self) -> Reading:
        """All counters now, those of the load generator among them, under `bench`."""
        pids = {name: process["pid"] for name, process in self._stack["processes"].items() if process["pid"]}
        families = {name: _family(pid) for name, pid in pids.items()} | {"bench": [psutil.Process()]}
        transactions, messages = {}, {}
        for service, url in self._stack["databases"].items():
            connection = await asyncpg.connect(url)
            try:
                transactions[service] = await connection.fetchval(
                    "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"
                )
                messages[service] = await connection.fetchval("SELECT count(*) FROM outbox")
            finally:
                await connection.close()
        return Reading(
            {name: sum(_cpu_s(process) for process in family) for name, family in families.items()},
            {name: sum(_rss(process) for process in family) for name, family in families.items()},
            transactions,
            messages,
            await self._provider_calls(),
        )

    async def _provider_calls(self) -> int:
        """Requests that the stand-in got, without those that buyers' browsers make."""
        requests = (await self._stand_in())["requests"]
        return sum(count for request, count in requests.items() if not request.startswith(BY_BROWSERS))

    async def _stand_in(self) -> Mapping[str, Any]:
        async with self._session.get(f"{self._stack['stripe_sandbox']}/_control/stats") as answer:
            answer.raise_for_status()
            stats: Mapping[str, Any] = await answer.json()
            return stats

    async def backlog(self) -> dict[str, int]:
        """What is not done yet: events to publish, events to consume, mails to send, webhooks of the stand-in to deliver."""
        left = {"webhooks": (await self._stand_in())["deliveries"].get("pending", 0)}
        for service, url in self._stack["databases"].items():
            connection = await asyncpg.connect(url)
            try:
                left[f"{service} events"] = await connection.fetchval(
                    "SELECT count(*) FROM outbox WHERE published_at IS NULL"
                )
                if service == "notification":
                    left["mails"] = await connection.fetchval("SELECT count(*) FROM messages WHERE status = 'queued'")
            finally:
                await connection.close()
        return {name: count for name, count in left.items() if count} | await self._queued()

    async def _queued(self) -> dict[str, int]:
        """Messages that wait in queues, asked of the broker itself: the management page lags by seconds."""
        broker = self._stack["rabbitmq"]
        async with self._session.get(
            f"{broker['management']}/api/queues/{broker['vhost']}?disable_stats=true&enable_queue_totals=true",
            headers={"Authorization": aiohttp.encode_basic_auth(broker["user"], broker["password"])},
        ) as answer:
            answer.raise_for_status()
            queues = await answer.json()
        waiting = {queue["name"]: queue.get("messages", 0) for queue in queues}
        return {name: count for name, count in waiting.items() if count and not name.endswith(".parked")}


def _family(pid: int) -> list[psutil.Process]:
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _cpu_s(process: psutil.Process) -> float:
    """Its own, and that of children that have ended."""
    try:
        used = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(used.user + used.system + used.children_user + used.children_system)


def _rss(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0
