from __future__ import annotations

import asyncio

from sandbox.bench.buyer import Refused
from sandbox.bench.load import closed_loop, open_loop, percentiles, rush


async def test_a_closed_loop_keeps_its_buyers_busy_and_no_more() -> None:
    inside, most, came = 0, 0, set()

    async def act(number: int) -> None:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        came.add(number)
        await asyncio.sleep(0.01)
        inside -= 1

    outcome = await closed_loop(act, buyers=3, seconds=0.2, first=100)
    assert most == 3
    assert inside == 0
    assert came == set(range(100, 100 + len(outcome.results)))
    assert outcome.seconds >= 0.2
    assert outcome.rate == len(outcome.results) / outcome.seconds


async def test_an_open_loop_does_not_wait_for_those_before() -> None:
    gate = asyncio.Event()

    async def act(number: int) -> None:
        if number == 9:
            gate.set()
        await gate.wait()

    async with asyncio.timeout(5):
        outcome = await open_loop(act, rate=100, seconds=0.1)
    assert len(outcome.results) == 10


async def test_refusals_are_counted_by_what_they_say_and_bugs_are_not_swallowed() -> None:
    async def act(number: int) -> int:
        if number % 2:
            raise Refused("book answered 409")
        return number

    outcome = await rush(act, buyers=10)
    assert sorted(outcome.results) == [0, 2, 4, 6, 8]
    assert outcome.failures == {"book answered 409": 5}


def test_percentiles_are_values_that_occurred() -> None:
    times = [number / 1000 for number in range(1, 201)]
    assert percentiles(times) == {"p50": 100.0, "p95": 190.0, "p99": 198.0, "max": 200.0}
    assert percentiles([0.5]) == {"p50": 500.0, "p95": 500.0, "p99": 500.0, "max": 500.0}
    assert percentiles([]) == {}
