"""`boxoffice watch` and `boxoffice canary` at the command line."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable

import httpx2
from chassis.clock import SystemClock
from prometheus_client import start_http_server

from ops.watch import expiry, gateway, metrics
from ops.watch.canary import Canary, CanaryFailed
from ops.watch.settings import WatchSettings
from ops.watch.verifying import verify_once

EXPIRY_EVERY_S = 3600
GATEWAY_EVERY_S = 5
Say = Callable[[str], None]


def watch(settings: WatchSettings, say: Say) -> None:
    """Looks on schedule, and shows what was found, until SIGTERM or SIGINT."""
    asyncio.run(_watch(settings, say))


def canary_once(settings: WatchSettings, say: Say) -> int:
    """One run; 0 where it went through to its refund, 1 where not."""

    async def once() -> int:
        async with _client() as http:
            return await _fly(Canary(settings, http), say)

    return asyncio.run(once())


async def _watch(settings: WatchSettings, say: Say) -> None:
    now = SystemClock().now().timestamp()
    metrics.VERIFY_EVERY_S.set(settings.verify_every_s)
    metrics.CANARY_EVERY_S.set(settings.canary_every_s)
    metrics.VERIFIED_AT.set(now)  # whether one is overdue is counted from our start
    metrics.CANARY_PASSED_AT.set(now)
    server, _ = start_http_server(settings.port, settings.host, metrics.REGISTRY)
    over = asyncio.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(sign, over.set)
    async with _client() as http:
        loops = [_every(EXPIRY_EVERY_S, lambda: expiry.look(settings), at_once=True)]
        if address := settings.gateway_url:
            loops.append(_every(GATEWAY_EVERY_S, lambda: gateway.look(address, http), at_once=True))
        if settings.verify_every_s:
            loops.append(_every(settings.verify_every_s, verify_once))
        if settings.canary_every_s:
            canary = Canary(settings, http)
            loops.append(_every(settings.canary_every_s, lambda: _fly(canary, say)))
        tasks = [asyncio.create_task(loop) for loop in loops]
        say(f"watching, http://{settings.host}:{settings.port}/metrics")
        ended = asyncio.create_task(_told(over))
        done, _ = await asyncio.wait([*tasks, ended], return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    server.shutdown()
    for task in done - {ended}:
        task.result()  # a loop ends by an error only


async def _told(over: asyncio.Event) -> None:
    await over.wait()


async def _fly(canary: Canary, say: Say) -> int:
    try:
        took_s = await canary.run()
    except CanaryFailed as error:
        say(f"the canary failed at {error}")
        return 1
    say(f"booked, paid, cancelled and refunded in {took_s:.1f} s")
    return 0


async def _every(seconds: float, look: Callable[[], Awaitable[object]], *, at_once: bool = False) -> None:
    if at_once:
        await look()
    while True:
        await asyncio.sleep(seconds)  # noqa: TID251  # the pace of looking, not work that falls due
        await look()


def _client() -> httpx2.AsyncClient:
    return httpx2.AsyncClient(timeout=20, trust_env=False)
