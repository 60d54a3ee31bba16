"""Two processes of each service on one machine: they share the work, lose and double nothing, and can be replaced one after the other."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
from datetime import timedelta

import httpx2
import pytest

from sandbox.launcher.credentials import SERVICES
from sandbox.story.shop import Bought, Json
from tests.e2e.replicas import Replicas, two_of_each
from tests.e2e.stack import Stack, contact, order

pytestmark = pytest.mark.timeout(600)

BOOKINGS = int(os.environ.get("REPLICA_BOOKINGS", "24"))
AT_ONCE = 12


async def count(stack: Stack, url: str, metric: str) -> float:
    """The sum of a metric's samples."""
    text = (await stack.http.get(f"{url}/metrics")).text
    return sum(float(value) for value in re.findall(rf"^{metric}(?:\{{.*\}})? (\S+)$", text, re.MULTILINE))


async def test_two_of_each_lose_and_double_nothing(whole: Stack) -> None:
    """Many buyers, a third of whom cancel: everybody has tickets or the money back, once, and each process had its part in it."""
    stack, turns = whole, asyncio.Semaphore(AT_ONCE)
    event = await stack.shop.create_event("Two of each", timedelta(days=3), capacity=BOOKINGS)

    async def visit(number: int) -> None:
        async with turns:
            bought = await stack.shop.book(event, 1, contact())
            await stack.buy(bought)
            if number % 3 == 0:
                await stack.shop.cancel(bought)

    async with two_of_each(stack) as replicas:
        before = {
            url: await count(stack, url, "http_requests_total") for each in SERVICES for url in replicas.urls(each)
        }
        await asyncio.gather(*(visit(number) for number in range(BOOKINGS)))
        await stack.verify()
        for service in SERVICES:
            consumed = [await count(stack, url, "events_consumed_total") for url in replicas.urls(service)]
            assert all(consumed), f"{service}: {consumed}"
        for service in ("booking", "payment"):
            for url in replicas.urls(service):
                assert await count(stack, url, "http_requests_total") > before[url], url
    await stack.verify()
    cancelled = len(range(0, BOOKINGS, 3))
    refunded = """SELECT count(*) FROM refunds JOIN bookings USING (booking_id)
        WHERE refunds.status = 'succeeded' AND event_id = $1"""
    assert await stack.count("refund", refunded, event["id"]) == cancelled
    sold = "SELECT sold FROM ticket_types WHERE event_id = $1"
    assert await stack.count("booking", sold, event["id"]) == BOOKINGS - cancelled


class Visitors:
    """Requests without another try, until they are told to stop; each answer that is no success is kept."""

    def __init__(self, stack: Stack, event: Json) -> None:
        self.stack = stack
        self.event = event
        self.bought: list[Bought] = []
        self.answers = 0
        self.failures: list[str] = []
        self.over = asyncio.Event()

    async def come(self) -> None:
        while not self.over.is_set():
            headers = {"Idempotency-Key": secrets.token_hex(16)}
            placed = await self._ask("POST", "/api/bookings", headers, order(self.event))
            if placed is None:
                continue
            bought = Bought(placed["booking"], placed["access_token"])
            opened = await self._ask("POST", "/api/payments", {**headers, **bought.headers}, {"booking_id": bought.id})
            if opened is None:
                continue
            await self.stack.shop.enter_card(opened)
            await self._ask("POST", f"/api/payments/{opened['payment']['id']}/sync", {**headers, **bought.headers})
            await self._ask("GET", f"/api/bookings/{bought.id}", dict(bought.headers))
            self.bought.append(bought)

    async def _ask(self, method: str, path: str, headers: dict[str, str], body: Json | None = None) -> Json | None:
        while True:
            try:
                answer = await self.stack.http.request(method, self.stack.url(path), headers=headers, json=body)
            except httpx2.TransportError as error:
                self.failures.append(f"{method} {path}: {type(error).__name__}")
                return None
            self.answers += 1
            # An event that is still on its way between two services is no failure: 409 says when to ask again.
            if answer.status_code != httpx2.codes.CONFLICT or "Retry-After" not in answer.headers:
                break
        if not answer.is_success:
            self.failures.append(f"{method} {path}: {answer.status_code} {answer.text[:200]}")
            return None
        found: Json = answer.json()
        return found


async def restart_one_after_the_other(stack: Stack, replicas: Replicas) -> None:
    """As an orchestrator does: out of the gateway's list, ended in order, started, ready, back in the list."""
    first = {service: [replicas.urls(service)[1]] for service in SERVICES}
    second = {service: [replicas.urls(service)[0]] for service in SERVICES}
    both = {service: replicas.urls(service) for service in SERVICES}
    await replicas.ask(first)
    await asyncio.gather(*(stack.restart(service) for service in SERVICES))
    await replicas.until_ready(*(urls[0] for urls in both.values()))
    await replicas.ask(both)
    await replicas.ask(second)
    await asyncio.gather(*(replica.stop() for replica in replicas.second.values()))
    for replica in replicas.second.values():
        replica.start()
    await replicas.until_ready(*(urls[1] for urls in both.values()))
    await replicas.ask(both)


async def test_each_of_two_is_restarted_without_a_failed_request(whole: Stack) -> None:
    """Buyers who ask once and never again notice nothing, and everything that they paid for is there."""
    event = await whole.shop.create_event("Rolling", timedelta(days=3), capacity=5000)
    visitors = Visitors(whole, event)
    async with two_of_each(whole) as replicas:
        coming = [asyncio.create_task(visitors.come()) for _ in range(4)]
        await restart_one_after_the_other(whole, replicas)
        visitors.over.set()
        await asyncio.gather(*coming)
        assert visitors.failures == []
        assert visitors.answers > 40
        await asyncio.gather(*(whole.with_status(bought, "confirmed") for bought in visitors.bought))
        await whole.verify()
