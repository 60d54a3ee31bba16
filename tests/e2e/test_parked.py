"""A message that its consumer cannot handle, on a running stack, and what an operator does about it."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from http import HTTPStatus
from uuid import UUID

import pytest

from sandbox.story.shop import Bought, Json
from tests.e2e.stack import Stack, contact, until
from tests.support.stack import BOXOFFICE

pytestmark = pytest.mark.timeout(300)

QUEUE = "booking.payment-authorized"
PASSED_WITHIN_S = 2.0
BUG = """
    CREATE FUNCTION planted_bug() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'a bug in booking'; END $$;
    CREATE TRIGGER planted_bug BEFORE UPDATE ON bookings FOR EACH ROW WHEN (NEW.id = '{id}') EXECUTE FUNCTION planted_bug()"""
FIX = "DROP TRIGGER IF EXISTS planted_bug ON bookings; DROP FUNCTION IF EXISTS planted_bug()"
BALANCES = "refund.payment-balance-read"
BALANCE_BUG = """
    CREATE FUNCTION planted_bug() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'a bug in refund'; END $$;
    CREATE TRIGGER planted_bug BEFORE INSERT ON balances FOR EACH ROW EXECUTE FUNCTION planted_bug()"""
BALANCE_FIX = "DROP TRIGGER planted_bug ON balances; DROP FUNCTION planted_bug()"
CHANGED_BALANCE = "UPDATE provider_accounts SET available = '{}', next_balance_at = now()"
AUTHORIZED = """SELECT id, occurred_at FROM outbox
    WHERE type = 'payment.authorized.v1' AND body::jsonb ->> 'booking_id' = ANY($1::text[])"""
DISCARDED = """SELECT subject, reason FROM audit
    WHERE action = 'parked.discard' AND subject = ANY($1::text[]) ORDER BY array_position($1::text[], subject::text)"""
CONSUMED = "SELECT event_id, consumed_at FROM inbox WHERE consumer = $1 AND event_id = ANY($2)"


@asynccontextmanager
async def bug(stack: Stack, bought: Bought) -> AsyncIterator[None]:
    """As long as this lasts, booking fails whenever it changes that booking."""
    async with stack.database("booking") as database:
        await database.execute(BUG.format(id=UUID(bought.id)))
        try:
            yield
        finally:
            await database.execute(FIX)


async def slowest_s(stack: Stack, passing: list[Bought]) -> float:
    """Seconds between an authorization and its effect on the booking, at most."""
    events = await stack.rows("payment", AUTHORIZED, [each.id for each in passing])
    happened = {row["id"]: row["occurred_at"] for row in events}
    consumed = await stack.rows("booking", CONSUMED, QUEUE, list(happened))
    assert len(consumed) == len(happened) == len(passing)
    waits: list[timedelta] = [row["consumed_at"] - happened[row["event_id"]] for row in consumed]
    return max(waits).total_seconds()


async def parked(stack: Stack) -> list[Json]:
    """What `boxoffice parked list` prints."""
    told = stack.running.run(BOXOFFICE, "parked", "list", "--json")
    found: list[Json] = json.loads(told.stdout)
    assert told.returncode == (1 if found else 0), told.stderr
    return found


async def test_a_poison_message_is_parked_and_runs_after_the_fix(stack: Stack) -> None:
    """It is retried and parked while good ones pass it; an operator looks at it, rehearses it, and sends it back after the fix."""
    event = await stack.shop.create_event("Poison", timedelta(days=3), capacity=50)
    poisoned = await stack.shop.book(event, 1, contact("Planted Name"))
    async with bug(stack, poisoned):
        await stack.pay(poisoned)
        passing: list[Bought] = []
        given_up_by = time.monotonic() + 60
        for _ in range(3):
            passing.append(await stack.shop.book(event, 1, contact()))
            await stack.buy(passing[-1])
        while not (found := await parked(stack)):
            assert time.monotonic() < given_up_by, "the poison message is not parked"
        assert await slowest_s(stack, passing) < PASSED_WITHIN_S

        (message,) = found
        assert (message["queue"], message["type"]) == (QUEUE, "payment.authorized.v1")
        assert message["tried"] == 6, "once, and after each of the five delays"
        assert "a bug in booking" in message["error"]
        shown = await stack.boxoffice("parked", "show", QUEUE, message["message_id"])
        assert poisoned.id in shown
        assert "Planted Name" not in shown
        rehearsed = stack.running.run(BOXOFFICE, "parked", "retry", QUEUE, "--dry-run")
        assert rehearsed.returncode == 1
        assert "would fail" in rehearsed.stdout
    assert "would be done" in await stack.boxoffice("parked", "retry", QUEUE, message["message_id"], "--dry-run")
    assert (await stack.shop.read(poisoned))["status"] == "pending_payment"

    assert "1 sent back" in await stack.boxoffice("parked", "retry", QUEUE, message["message_id"])
    await stack.with_status(poisoned, "confirmed")

    async def none_left() -> bool:
        return not await parked(stack)

    await until(none_left, "the message is still parked", 10)
    await stack.verify()


async def test_a_manager_discards_what_is_not_wanted_any_more(stack: Stack) -> None:
    """Through the gateway, by the service: looked at, tried, discarded with a reason. Verify names it, and finds no difference.

    What is lost is a balance: the next one that is read takes its place.
    """
    at, staff = stack.url(f"/api/parked/refund/{BALANCES}"), await stack.shop.staff()

    async def parked_now() -> list[Json]:
        answer = await stack.http.get(stack.url("/api/parked/refund"), headers=staff)
        assert answer.status_code == 200, answer.text
        return [message for message in answer.json()["items"] if message["queue"] == BALANCES]

    async with stack.database("refund") as database:
        await database.execute(BALANCE_BUG)
        try:
            async with stack.database("payment") as provider:
                await provider.execute(CHANGED_BALANCE)
            messages = await until(parked_now, "no balance is parked", 60)
        finally:
            await database.execute(BALANCE_FIX)

    for message in messages:
        url = f"{at}/{message['message_id']}"
        shown = (await stack.http.get(url, headers=staff)).json()
        assert json.loads(shown["body"])["provider"] == "stripe"
        rehearsed = await stack.http.post(f"{url}/rehearse", headers=staff)
        assert rehearsed.json()["outcome"] == "would be done"
        refused = await stack.http.post(f"{url}/discard", headers=staff, json={"reason": " "})
        assert refused.status_code == HTTPStatus.UNPROCESSABLE_ENTITY
        done = await stack.http.post(f"{url}/discard", headers=staff, json={"reason": "superseded"})
        assert done.status_code == HTTPStatus.NO_CONTENT, done.text
        again = await stack.http.post(f"{url}/retry", headers=staff)
        assert again.status_code == HTTPStatus.NOT_FOUND
    for service in ("booking", "payment", "notification"):
        answer = await stack.http.get(stack.url(f"/api/parked/{service}"), headers=staff)
        assert answer.json() == {"items": [], "total": 0}
    assert await parked(stack) == []
    subjects = [f"{BALANCES}/{message['message_id']}" for message in messages]
    audited = await stack.rows("refund", DISCARDED, subjects)
    assert [(row["subject"], row["reason"]) for row in audited] == [(subject, "superseded") for subject in subjects]
    await stack.verify()
    report = json.loads((stack.running.home / "verify.json").read_text())
    assert set(subjects) <= {named.partition(":")[0] for named in report["discarded"]}
