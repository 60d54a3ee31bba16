from __future__ import annotations

import asyncio
import secrets
import shutil
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import httpx2
import pytest

from sandbox.story.shop import Bought, Json
from tests.e2e.stack import Stack, contact, order

pytestmark = pytest.mark.timeout(600)

BOOKINGS = 40
PACE_S = 0.2
"""Forty bookings take eight seconds, and most of them meet the outage."""


async def outage_of_rabbitmq(stack: Stack) -> None:
    """Stopped in order; it comes back when the last booking has been sent."""
    await stack.stop("rabbitmq")


async def crash_of_rabbitmq(stack: Stack) -> None:
    """Kill -9; the supervisor starts it again."""
    stack.kill("rabbitmq")


async def restart_of_postgres(stack: Stack) -> None:
    """In order, with all connections cut."""
    await stack.restart("postgres")


async def crash_of_postgres(stack: Stack) -> None:
    """Kill -9; it recovers from its log."""
    stack.kill("postgres")


Fault = Callable[[Stack], Awaitable[None]]


async def paid(stack: Stack, bought: Bought) -> None:
    """Pays as soon as that is possible, and waits for the confirmation."""
    await stack.pay(bought)
    await stack.with_status(bought, "confirmed", 240)


async def book_during(stack: Stack, fault: Fault, book: Callable[[Json, str], Awaitable[Bought]]) -> Json:
    """Books forty times at an even pace while the fault happens after the tenth, pays all, and returns the event."""
    event = await stack.shop.create_event("Outage", timedelta(days=3), capacity=1000)
    under_way: list[asyncio.Task[Bought]] = []
    trouble: asyncio.Task[None] | None = None
    for number in range(BOOKINGS):
        under_way.append(asyncio.create_task(book(event, secrets.token_hex(16))))
        if number == BOOKINGS // 4:
            trouble = asyncio.ensure_future(fault(stack))
        await asyncio.sleep(PACE_S)
    placed = await asyncio.gather(*under_way)
    assert trouble is not None
    await trouble
    for process in ("postgres", "rabbitmq"):
        await stack.start(process)
    await asyncio.gather(*(paid(stack, bought) for bought in placed))
    assert len({bought.id for bought in placed}) == BOOKINGS
    return event


async def nothing_half(stack: Stack, event: Json) -> None:
    """As many bookings and sold seats as were paid, and nothing differs."""
    counted = await stack.rows(
        "booking", "SELECT status, count(*) FROM bookings WHERE event_id = $1 GROUP BY status", UUID(event["id"])
    )
    assert [tuple(row.values()) for row in counted] == [("confirmed", BOOKINGS)]
    await stack.verify()


@pytest.mark.parametrize("fault", [outage_of_rabbitmq, crash_of_rabbitmq])
async def test_bookings_are_answered_without_rabbitmq_and_settle_after_it(whole: Stack, fault: Fault) -> None:
    """Every booking request is answered 201 at once while the broker is away; all are paid and confirmed after it, without help."""
    codes: Counter[int] = Counter()

    async def book(event: Json, key: str) -> Bought:
        answer = await whole.http.post(
            whole.url("/api/bookings"), json=order(event), headers={"Idempotency-Key": key}, timeout=15
        )
        codes[answer.status_code] += 1
        return Bought(answer.json()["booking"], answer.json()["access_token"])

    event = await book_during(whole, fault, book)
    assert codes == {201: BOOKINGS}
    await nothing_half(whole, event)


@pytest.mark.parametrize("fault", [restart_of_postgres, crash_of_postgres])
async def test_bookings_survive_a_restart_of_postgresql(whole: Stack, fault: Fault) -> None:
    """While the database is away a request may be answered 503, and sent again with its key makes one booking; all settle after it."""
    codes: Counter[int] = Counter()

    async def note(answer: httpx2.Response) -> None:
        if answer.request.url.path == "/api/bookings":
            codes[answer.status_code] += 1

    async def book(event: Json, key: str) -> Bought:
        return await whole.shop.book(event, 1, contact(), key)

    with whole.heard(note):
        event = await book_during(whole, fault, book)
    assert codes[201] == BOOKINGS
    assert codes.keys() <= {201, 503}
    await nothing_half(whole, event)


async def test_a_wiped_broker_gets_everything_back(whole: Stack) -> None:
    """RabbitMQ's data folder is lost with events in it: declared anew and republished, every consumer has every event once."""
    event = await whole.shop.create_event("Wiped", timedelta(hours=30), capacity=50)
    await asyncio.gather(*(whole.stop(service) for service in ("notification", "refund")))
    placed = [await whole.shop.book(event, 1, contact()) for _ in range(5)]
    await asyncio.gather(*(whole.buy(bought) for bought in placed))
    await whole.shop.cancel(placed[0])
    await whole.stop("rabbitmq")
    assert not await whole.count("booking", "SELECT count(*) FROM outbox WHERE published_at IS NULL")
    shutil.rmtree(Path(whole.status["rabbitmq"]["data"]))
    await whole.start("rabbitmq")
    await whole.boxoffice("migrate")
    await whole.boxoffice("republish", "--all")
    for service in ("notification", "refund"):
        await whole.start(service)
    await whole.verify()
    refunded = await whole.shop.read(placed[0])
    assert (refunded["refund_state"], refunded["refunded_minor"]) == ("partially_refunded", 1250)
    assert len(await whole.shop.mails(placed[1].id)) == 1
