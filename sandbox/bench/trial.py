"""The trials of one run, in their order, and what each of them found."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import aiohttp

from sandbox.bench.buyer import Bought, Sale, buy, hold, on_sale
from sandbox.bench.load import Outcome, closed_loop, open_loop, percentiles, rush
from sandbox.bench.meter import Meter, Reading
from sandbox.bench.statements import statement_log

SETTLED_WITHIN_S = 120.0
LOOK_AGAIN_S = 0.1
SHARE_FOR_LATENCY = 0.6
RUSH_BUYERS, RUSH_SEATS = 200, 50
SOLD_OUT = "book answered 409"


@dataclass(frozen=True)
class Sizes:
    """How long and how wide. Seconds of each loop; buyers at once in the closed ones; bookings whose statements are counted."""

    warm_up_s: float
    created_s: float
    closed_s: float
    open_s: float
    buyers: int
    counted: int
    events: int


FULL = Sizes(warm_up_s=3, created_s=5, closed_s=15, open_s=15, buyers=16, counted=20, events=20)
SMOKE = Sizes(warm_up_s=0.5, created_s=1, closed_s=3, open_s=2, buyers=4, counted=3, events=3)


def resized(sizes: Sizes, *, seconds: float | None, buyers: int | None) -> Sizes:
    """The same with other lengths of the loops and another number of buyers at once, where they are given."""
    return replace(
        sizes,
        closed_s=seconds or sizes.closed_s,
        open_s=seconds or sizes.open_s,
        buyers=buyers or sizes.buyers,
    )


@dataclass
class Report:
    """What was found; every figure with its unit in its name."""

    figures: dict[str, Any] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    """Sentences that tell why the figures do not count."""


class Trial:
    """One run against a stack, as `boxoffice status --json` describes it."""

    def __init__(
        self,
        stack: Mapping[str, Any],
        session: aiohttp.ClientSession,
        sizes: Sizes,
        say: Callable[[str], None],
    ) -> None:
        self._stack = stack
        self._session = session
        self._sizes = sizes
        self._say = say
        self._meter = Meter(stack, session)
        self.report = Report()

    async def run(self, staff_token: str) -> Report:
        """Everything. A trial that fails is a fault in the report."""
        sizes = self._sizes
        new_sale = partial(on_sale, self._session, self._stack, staff_token)
        sale = await new_sale(events=sizes.events, capacity=100_000)
        buying = partial(buy, self._session, sale)
        self._say(f"warming up for {sizes.warm_up_s} s")
        await closed_loop(buying, buyers=sizes.buyers, seconds=sizes.warm_up_s)
        await self._settle()
        capacity = await self._capacity(sale)
        await self._latency(sale, capacity.rate * SHARE_FOR_LATENCY)
        await self._cost(sale)
        await self._creation(sale)
        await self._rush(await new_sale(events=1, capacity=RUSH_SEATS))
        await self._verify()
        return self.report

    async def _capacity(self, sale: Sale) -> Outcome[Bought]:
        """Closed loop; the clock stops when the last mail of the last booking is out."""
        self._say(f"closed loop: {self._sizes.buyers} buyers at once for {self._sizes.closed_s} s")
        before = await self._meter.read()
        outcome = await closed_loop(
            partial(buy, self._session, sale), buyers=self._sizes.buyers, seconds=self._sizes.closed_s, first=100_000
        )
        settled_s = await self._settle()
        used = (await self._meter.read()).since(before)
        bought = len(outcome.results)
        self._count_failures("closed loop", outcome)
        self.report.figures["closed_loop"] = {
            "buyers": self._sizes.buyers,
            "confirmed": bought,
            "confirmed_per_s": round(outcome.rate, 1),
            "settled_after_s": round(settled_s, 1),
            "drained_per_s": round(bought / (outcome.seconds + settled_s), 1),
            "post_ms": percentiles([each.posted_s for each in outcome.results]),
            "confirmed_ms": percentiles([each.confirmed_s for each in outcome.results]),
            "per_booking": _per_booking(used, bought),
            "rss_mb": {name: round(rss / 2**20, 1) for name, rss in used.rss.items()},
        }
        return outcome

    async def _latency(self, sale: Sale, rate: float) -> None:
        if rate <= 0:
            return
        self._say(f"open loop: {rate:.1f} buyers a second for {self._sizes.open_s} s")
        outcome = await open_loop(
            partial(buy, self._session, sale), rate=rate, seconds=self._sizes.open_s, first=200_000
        )
        await self._settle()
        self._count_failures("open loop", outcome)
        self.report.figures["open_loop"] = {
            "arrivals_per_s": round(rate, 1),
            "confirmed": len(outcome.results),
            "post_ms": percentiles([each.posted_s for each in outcome.results]),
            "confirmed_ms": percentiles([each.confirmed_s for each in outcome.results]),
        }

    async def _creation(self, sale: Sale) -> None:
        """Bookings that nobody pays: what a rush on the shop makes of `POST /bookings` alone."""
        self._say(f"bookings alone: {self._sizes.buyers} buyers at once for {self._sizes.created_s} s")
        outcome = await closed_loop(
            partial(hold, self._session, sale), buyers=self._sizes.buyers, seconds=self._sizes.created_s, first=300_000
        )
        settled_s = await self._settle()
        self._count_failures("bookings alone", outcome)
        self.report.figures["created"] = {
            "created": len(outcome.results),
            "created_per_s": round(outcome.rate, 1),
            "settled_after_s": round(settled_s, 1),
            "post_ms": percentiles([each.posted_s for each in outcome.results]),
        }

    async def _cost(self, sale: Sale) -> None:
        """Statements of a few bookings, one after the other, so that nothing is shared between two of them."""
        self._say(f"counting the statements of {self._sizes.counted} bookings")
        await self._settle()
        before = await self._meter.read()
        async with statement_log(
            self._stack["postgres"]["url"], Path(self._stack["processes"]["postgres"]["log"])
        ) as log:
            for number in range(self._sizes.counted):
                await buy(self._session, sale, 400_000 + number)
            await self._settle()
        used = (await self._meter.read()).since(before)
        ran, booked = log.own, self._sizes.counted
        self.report.figures["cost"] = {
            "bookings": booked,
            "transactions": _share(Counter(each.service for each in ran), booked),
            "statements": _share(Counter(each.service for each in ran for _ in each.statements), booked),
            "messages": _share(used.messages, booked),
            "provider_calls": round(used.provider_calls / booked, 2),
        }

    async def _rush(self, sale: Sale) -> None:
        """More buyers than seats: each seat is sold, none twice, and everybody is answered."""
        self._say(f"rush: {RUSH_BUYERS} buyers at once for {RUSH_SEATS} seats")
        outcome = await rush(partial(hold, self._session, sale, quantity=1), buyers=RUSH_BUYERS)
        sold = len(outcome.results)
        expected = Counter({SOLD_OUT: RUSH_BUYERS - RUSH_SEATS})
        if sold != RUSH_SEATS or outcome.failures != expected:
            self.report.faults.append(f"rush: {sold} of {RUSH_SEATS} seats sold, {dict(outcome.failures)}")
        self.report.figures["rush"] = {
            "buyers": RUSH_BUYERS,
            "seats": RUSH_SEATS,
            "sold": sold,
            "all_answered_s": round(outcome.seconds, 2),
            "answers_per_s": round(RUSH_BUYERS / outcome.seconds, 1),
        }

    async def _settle(self) -> float:
        """Waits until nothing is left to publish, consume, mail or deliver. Returns the seconds that took; too many are a fault."""
        began = perf_counter()
        while left := await self._meter.backlog():
            if perf_counter() - began > SETTLED_WITHIN_S:
                self.report.faults.append(f"not settled within {SETTLED_WITHIN_S:.0f} s: {left}")
                break
            await asyncio.sleep(LOOK_AGAIN_S)  # noqa: TID251  # looking is real time
        return perf_counter() - began

    async def _verify(self) -> None:
        await self._settle()
        self._say("boxoffice verify")
        boxoffice = Path(sys.executable).with_name("boxoffice")
        process = await asyncio.create_subprocess_exec(
            boxoffice, "verify", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        said, _ = await process.communicate()
        self.report.figures["verify"] = {"exit_status": process.returncode}
        if process.returncode != 0:
            self.report.faults.append(f"boxoffice verify: {' '.join(said.decode(errors='replace').split())[-500:]}")

    def _count_failures(self, trial: str, outcome: Outcome[Any]) -> None:
        self.report.faults += [f"{trial}: {count} x {failure}" for failure, count in outcome.failures.items()]


def _per_booking(used: Reading, bought: int) -> dict[str, Any]:
    """CPU in milliseconds; transactions and messages as the servers count them, those shared by many bookings included."""
    if not bought:
        return {}
    return {
        "cpu_ms": {name: round(cpu_s * 1000 / bought, 2) for name, cpu_s in used.cpu_s.items()},
        "transactions": _share(used.transactions, bought),
        "messages": _share(used.messages, bought),
        "provider_calls": round(used.provider_calls / bought, 2),
    }


def _share(counts: Mapping[str, int], bookings: int) -> dict[str, float]:
    return {name: round(count / bookings, 2) for name, count in counts.items()} | {
        "all": round(sum(counts.values()) / bookings, 2)
    }
