"""Background loops of a process. One that ends by itself has a bug, and ends the process."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager

import structlog

from chassis.db import DATABASE_ERRORS, reason
from chassis.relay import wait

log = structlog.get_logger(__name__)


async def repeat(do: Callable[[], Awaitable[object]], every_s: float, otherwise: str) -> None:
    """Does it for ever. An outage of the database is waited out; `otherwise` is what the log says of it."""
    while True:
        try:
            await do()
        except DATABASE_ERRORS as error:
            log.warning(otherwise, error=reason(error))
        await wait(asyncio.Event(), every_s)


@asynccontextmanager
async def running(loops: Sequence[Coroutine[None, None, None]]) -> AsyncIterator[None]:
    """Runs loops as tasks until the block ends. One that ends by itself ends the process, for a supervisor to restart.

    Whether by an error, by a cancellation that nobody here asked for, or by a return.
    """
    tasks = [asyncio.create_task(loop) for loop in loops]
    for task in tasks:
        task.add_done_callback(_ended)
    try:
        yield
    finally:
        for task in tasks:
            task.remove_done_callback(_ended)
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _ended(task: asyncio.Task[None]) -> None:
    error = None if task.cancelled() else task.exception()
    log.critical("background loop ended", loop=repr(task.get_coro()), exc_info=error)
    signal.raise_signal(signal.SIGTERM)
