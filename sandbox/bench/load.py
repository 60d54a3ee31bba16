"""Ways to let buyers come: as many at once as keep the system busy, at a fixed rate, or all in one moment."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Generic, TypeVar

import aiohttp

from sandbox.bench.buyer import Refused

T = TypeVar("T")
Act = Callable[[int], Awaitable[T]]
"""What one buyer does, given a number of its own."""

FAILURES = (Refused, TimeoutError, aiohttp.ClientError)


@dataclass
class Outcome(Generic[T]):
    """What came of the buyers of one run: results, refusals by their sentence, and the seconds until the last was done."""

    seconds: float = 0.0
    results: list[T] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)

    @property
    def rate(self) -> float:
        """Successes a second."""
        return len(self.results) / self.seconds if self.seconds else 0.0


async def closed_loop(act: Act[T], *, buyers: int, seconds: float, first: int = 0) -> Outcome[T]:
    """`buyers` at a time, each followed by the next, for `seconds`; those who have begun then are waited for, and so is their time."""
    outcome: Outcome[T] = Outcome()
    numbers = iter(range(first, first + 10**9))
    began = perf_counter()

    async def come() -> None:
        while perf_counter() - began < seconds:
            await _one(act, next(numbers), outcome)

    await asyncio.gather(*(come() for _ in range(buyers)))
    outcome.seconds = perf_counter() - began
    return outcome


async def open_loop(act: Act[T], *, rate: float, seconds: float, first: int = 0) -> Outcome[T]:
    """A buyer every 1/`rate` seconds, whether or not those before are done: what waits shows as latency."""
    outcome: Outcome[T] = Outcome()
    began = perf_counter()
    running = []
    for number in range(max(1, round(rate * seconds))):
        await asyncio.sleep(max(0.0, began + number / rate - perf_counter()))  # noqa: TID251  # real arrivals
        running.append(asyncio.create_task(_one(act, first + number, outcome)))
    await asyncio.gather(*running)
    outcome.seconds = perf_counter() - began
    return outcome


async def rush(act: Act[T], *, buyers: int) -> Outcome[T]:
    """All in one moment."""
    outcome: Outcome[T] = Outcome()
    began = perf_counter()
    await asyncio.gather(*(_one(act, number, outcome) for number in range(buyers)))
    outcome.seconds = perf_counter() - began
    return outcome


async def _one(act: Act[T], number: int, outcome: Outcome[T]) -> None:
    try:
        outcome.results.append(await act(number))
    except FAILURES as error:
        outcome.failures[str(error) or type(error).__name__] += 1


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """p50, p95, p99 and the largest, in milliseconds: the nearest rank, so each is a value that occurred."""
    if not seconds:
        return {}
    ordered = sorted(seconds)
    ranks = {f"p{share}": math.ceil(share / 100 * len(ordered)) - 1 for share in (50, 95, 99)}
    return {name: round(ordered[rank] * 1000, 1) for name, rank in (ranks | {"max": -1}).items()}
