"""A cancelled event gives everybody everything back, once, whatever dies meanwhile.

CHAOS_BOOKINGS and CHAOS_KILLS make it the large run (`make chaos`).
"""

from __future__ import annotations

import asyncio
import csv
import io
import json
import os
import re
import secrets
import time
from collections import Counter
from datetime import timedelta
from itertools import pairwise
from statistics import mean, median
from time import perf_counter
from uuid import UUID

import aiohttp
import httpx2
import pytest

from sandbox.bench.buyer import Sale, buy
from sandbox.bench.load import open_loop
from sandbox.story.shop import Json
from tests.e2e.stack import Stack, until

BOOKINGS = int(os.environ.get("CHAOS_BOOKINGS", "25"))
KILLS = int(os.environ.get("CHAOS_KILLS", "1"))
"""Of each process."""
VICTIMS = ("refund", "payment", "rabbitmq")
BUYERS_PER_S = 10.0
STRIPE_PER_S = 25
"""What Stripe's test mode takes (docs.stripe.com/rate-limits)."""
PRICE_MINOR = 2500
MOST_TICKETS = 3
FINISHED_WITHIN_S = 120 + BOOKINGS / 2
WATCH_EVERY_S = 0.2
BOOKING = re.compile(r"Booking ([0-9a-f-]{36})")

pytestmark = pytest.mark.timeout(300 + BOOKINGS * 2)


async def sold(stack: Stack, name: str, bookings: int, per_s: float = BUYERS_PER_S) -> UUID:
    """An event with that many paid bookings, of one, two or three tickets in turn."""
    event = await stack.shop.create_event(name, timedelta(days=60), MOST_TICKETS * bookings, PRICE_MINOR)
    seat = (str(event["id"]), str(event["ticket_types"][0]["id"]))
    status = stack.status
    sale = Sale(status["gateway"], status["stripe_sandbox"], status["stripe_publishable_key"], (seat,))
    async with aiohttp.ClientSession() as session:

        async def come(number: int) -> object:
            return await buy(session, sale, number, quantity=1 + number % MOST_TICKETS)

        outcome = await open_loop(come, rate=per_s, seconds=bookings / per_s)
    assert outcome.failures == Counter()
    assert len(outcome.results) == bookings
    return UUID(event["id"])


async def cancel(stack: Stack, event_id: UUID) -> Json:
    """Staff cancel the event; each call with a key of its own."""
    return await stack.shop.ask("booking", "POST", f"/api/events/{event_id}/cancel", headers=await stack.shop.staff())


async def watch(stack: Stack, event_id: UUID, seen: list[Json]) -> None:
    """Everything that the campaign shows of itself until it has finished. Nothing is shown while refund is away."""
    url, deadline = stack.url(f"/api/refund-campaigns/{event_id}"), perf_counter() + FINISHED_WITHIN_S
    while not seen or seen[-1]["state"] != "finished":
        assert perf_counter() < deadline, f"not finished after {FINISHED_WITHIN_S:.0f} s: {seen[-1:]}"
        try:
            answer = await stack.http.get(url, headers=await stack.shop.staff())
        except httpx2.TransportError:
            continue
        if answer.status_code == 200:
            seen.append(answer.json())
        await asyncio.sleep(WATCH_EVERY_S)


async def provider_refunds(stack: Stack) -> int:
    counted = await stack.provider_control("GET", "/stats")
    return int(counted["objects"].get("refund", 0))


async def kill_in_between(stack: Stack, before: int) -> list[int]:
    """Kills one after the other, each when the provider has made its share of the refunds; how many it had made each time."""
    victims = VICTIMS * KILLS
    made_at: list[int] = []
    for number, victim in enumerate(victims):

        async def has_share(share: int = BOOKINGS * number // len(victims)) -> int | None:
            made = await provider_refunds(stack) - before
            return made + 1 if made >= share else None

        made_at.append(await until(has_share, f"kill {number}: no refunds", FINISHED_WITHIN_S) - 1)
        await stack.start(victim)  # it may still be on its way back from the last time
        stack.kill(victim)
    return made_at


def never_backwards(seen: list[Json]) -> None:
    for earlier, later in pairwise(seen):
        for count in ("done", "bookings"):
            assert later[count] >= earlier[count], (earlier, later)
        before, after = (
            sum(total["refunded"]["amount_minor"] for total in each["totals"]) for each in (earlier, later)
        )
        assert after >= before, (earlier, later)


async def everybody_has_everything(stack: Stack, event_id: UUID) -> int:
    """One refund of each booking's total at the provider, in refund, in payment's ledger and in the report; what all add up to."""
    bookings = await stack.rows(
        "booking", "SELECT id, total_minor, refunded_minor, status FROM bookings WHERE event_id = $1", event_id
    )
    assert len(bookings) == BOOKINGS
    owed = {booking["id"]: booking["total_minor"] for booking in bookings}
    assert {(row["status"], row["refunded_minor"] - row["total_minor"]) for row in bookings} == {("cancelled", 0)}
    refunds = await stack.rows(
        "refund",
        "SELECT id, booking_id, amount_minor, status FROM refunds WHERE booking_id = ANY($1)",
        list(owed),
    )
    assert len(refunds) == BOOKINGS
    assert {row["booking_id"]: row["amount_minor"] for row in refunds} == owed
    effects = await stack.provider_control("GET", "/effects?metadata=refund_id")
    for row in refunds:
        (made,) = effects[str(row["id"])]["refund"]
        assert (row["status"], made["status"], made["amount"]) == ("succeeded", "succeeded", row["amount_minor"])
    ledger = await stack.count(
        "payment",
        "SELECT sum(amount_minor)::bigint FROM ledger_entries WHERE account = 'refunds' AND refund_id = ANY($1)",
        [row["id"] for row in refunds],
    )
    answer = await stack.http.get(
        stack.url(f"/api/refund-campaigns/{event_id}/report.csv"), headers=await stack.shop.staff()
    )
    report = list(csv.DictReader(io.StringIO(answer.text)))
    assert {UUID(line["booking_id"]): int(line["amount_minor"]) for line in report} == owed
    assert {line["state"] for line in report} == {"succeeded"}
    assert ledger == sum(owed.values())
    return ledger


async def everybody_was_told_once(stack: Stack, event_id: UUID, name: str) -> None:
    bookings = await stack.rows("booking", "SELECT id FROM bookings WHERE event_id = $1", event_id)
    told = await stack.http.get(f"{stack.status['mail']}/api/messages", params={"subject": name})
    mails = Counter(
        (mail["subject"], found[1]) for mail in told.json() if (found := BOOKING.search(mail["text"])) is not None
    )
    for subject in (f"{name} has been cancelled", f"Your refund for {name} is on its way"):
        assert [mails[subject, str(row["id"])] for row in bookings] == [1] * BOOKINGS, subject
    assert Counter(mail["subject"] for mail in told.json() if mail["subject"].startswith("Refunds")) == {
        f"Refunds for {name} have started": 1,
        f"Refunds for {name} are finished": 1,
    }


async def test_a_cancelled_event_is_refunded_whatever_is_killed(whole: Stack) -> None:
    """Cancelled twice while refund, payment and RabbitMQ are killed in turn: one campaign, one refund and two mails for each booking."""
    name = f"Cancelled {secrets.token_hex(4)}"
    event_id = await sold(whole, name, BOOKINGS)
    before, began = await provider_refunds(whole), perf_counter()
    first, second = await asyncio.gather(cancel(whole, event_id), cancel(whole, event_id))
    assert first == second
    seen: list[Json] = []
    watching = asyncio.create_task(watch(whole, event_id, seen))
    made_at = await kill_in_between(whole, before)
    await watching
    took_s = perf_counter() - began
    assert max(made_at) < BOOKINGS, "each kill came in between"
    never_backwards(seen)

    await whole.verify()
    settled_s = perf_counter() - began
    assert await provider_refunds(whole) - before == BOOKINGS
    total = await everybody_has_everything(whole, event_id)
    assert [seen[-1]["done"], seen[-1]["bookings"]] == [BOOKINGS, BOOKINGS]
    assert seen[-1]["totals"][0]["refunded"] == {"amount_minor": total, "currency": "EUR"}
    await everybody_was_told_once(whole, event_id, name)
    report = (
        f"{BOOKINGS} bookings: finished {took_s:.1f} s, verified {settled_s:.1f} s after cancelling; kills at {made_at}"
    )
    print(report)  # noqa: T201  # `make chaos` shows it


@pytest.mark.skipif(BOOKINGS < 500, reason="a rate needs some time to show; `make chaos` takes it")
async def test_a_campaign_uses_what_the_provider_allows(stack: Stack) -> None:
    """Where the provider answers 429 beyond 25 requests a second, refunds come at nine tenths of that at least, and all of them come."""
    name = f"Paced {secrets.token_hex(4)}"
    event_id = await sold(stack, name, BOOKINGS)
    await stack.provider_control("PUT", "/limits", {"requests_per_second": STRIPE_PER_S})
    try:
        began = int(time.time())
        await cancel(stack, event_id)
        await watch(stack, event_id, [])
        counted = await stack.provider_control("GET", "/rate")
    finally:
        await stack.provider_control("PUT", "/limits", {})
    seconds = [each for each in counted if each["second"] >= began and each["ran"]][1:-1]
    ran = [each["ran"] for each in seconds]
    refused = sum(each["refused"] for each in seconds)
    report = f"{BOOKINGS} refunds: {mean(ran):.1f} a second, {median(ran)} in most; {refused} refused"
    print(report, ran)  # noqa: T201  # `make chaos` shows it
    # At first all bookings are ended and everybody is written to, which a small machine is busy with.
    assert median(ran) >= 0.9 * STRIPE_PER_S
    assert refused <= 0.1 * sum(ran)
    await everybody_has_everything(stack, event_id)
    await stack.verify()


async def test_a_campaign_that_waits_for_money_is_watched_through_the_gateway(stack: Stack) -> None:
    """The provider's balance is empty: the stream says so at once, stays open, and tells the end as soon as there is money."""
    event_id = await sold(stack, f"Watched {secrets.token_hex(4)}", 3)
    await stack.provider_control("PUT", "/balance", {"currency": "eur", "available": 0})
    try:
        await cancel(stack, event_id)
        url, headers = stack.url(f"/api/refund-campaigns/{event_id}"), await stack.shop.staff()

        async def waits() -> bool:
            answer = await stack.http.get(url, headers=headers)
            return answer.status_code == 200 and answer.json()["items"] == {"pending": 3}

        await until(waits, "no refund waits for the balance", 60)
        seen: list[Json] = []
        async with stack.http.stream("GET", f"{url}/stream", headers=headers) as stream:
            assert stream.headers["content-type"].startswith("text/event-stream")
            async for line in stream.aiter_lines():
                if line.startswith("data:"):
                    seen.append(json.loads(line.removeprefix("data:")))
                if len(seen) == 1:
                    await stack.provider_control("PUT", "/balance", {"currency": "eur", "available": None})
    finally:
        await stack.provider_control("PUT", "/balance", {"currency": "eur", "available": None})
    assert [seen[0][name] for name in ("state", "items", "done")] == ["running", {"pending": 3}, 0]
    assert [seen[-1][name] for name in ("state", "items", "done")] == ["finished", {"succeeded": 3}, 3]
    never_backwards(seen)
    await stack.verify()
