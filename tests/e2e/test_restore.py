"""Payment's database is restored from a backup that is older than what was bought and refunded since."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import httpx2
import pytest

from sandbox.launcher.home import Home
from sandbox.launcher.postgres import enterable_binaries
from sandbox.story.shop import Bought, Json, Shop
from tests.e2e.stack import SETTLED_WITHIN_S, Stack, contact
from tests.support.stack import BOXOFFICE, running_stack

pytestmark = pytest.mark.timeout(600)

NOT_RECOVERABLE = {"Q3", "Q4"}
"""What others had heard of payment stands in no outbox any more, and what it tells anew has numbers of its own."""


@pytest.fixture
async def own(tmp_path: Path) -> AsyncIterator[Stack]:
    """A stack of its own: what a backup has lost stays lost."""
    with running_stack(tmp_path / "home", WATCH_VERIFY_EVERY_S="0") as running:
        async with Shop(running.status) as shop, httpx2.AsyncClient(timeout=60, trust_env=False) as http:
            yield Stack(running, shop, http)


def postgresql(stack: Stack, program: str, *arguments: str) -> None:
    """One of PostgreSQL's own programs."""
    binaries = enterable_binaries(Home(stack.running.home).room())
    done = subprocess.run([binaries / program, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def report(stack: Stack, *arguments: str) -> Json:
    file = stack.running.home / "report.json"
    done = stack.running.run(BOXOFFICE, "verify", "--json", str(file), *arguments)
    assert done.returncode in {0, 1}, done.stdout + done.stderr
    found: Json = json.loads(file.read_text())
    assert found["unread"] == {}
    return found


async def refunds_at_the_provider(stack: Stack) -> Counter[str]:
    listed = await stack.shop.provider("GET", "/v1/refunds?limit=100")
    return Counter(each["metadata"]["refund_id"] for each in listed["data"])


async def test_what_a_backup_lost_is_named_and_taken_over_from_the_provider(own: Stack, tmp_path: Path) -> None:
    stack, dump = own, str(tmp_path / "payment.dump")
    event = await stack.shop.create_event("Restored", timedelta(days=5), capacity=20)
    early = [await stack.shop.book(event, 1, contact()) for _ in range(2)]
    for bought in early:
        await stack.buy(bought)
    await stack.verify()
    server = stack.status["postgres"]["url"]
    postgresql(stack, "pg_dump", "--format=custom", f"--file={dump}", stack.status["databases"]["payment"])

    late = [await stack.shop.book(event, 1, contact()) for _ in range(3)]
    for bought in late:
        await stack.buy(bought)
    await stack.shop.cancel(late[0])
    asked = {"booking_id": early[0].id, "amount_minor": 300, "reason": "goodwill"}
    await stack.shop.ask("refund", "POST", "/api/refunds", json=asked, headers=await stack.shop.staff())
    await stack.verify()
    refs = {row["provider_ref"] for row in await paid(stack, late)}
    refunds = await refunds_at_the_provider(stack)
    assert len(refs) == 3
    assert len(refunds) == 2

    await stack.stop("payment")
    postgresql(stack, "pg_restore", "--clean", "--if-exists", "--create", f"--dbname={server}", dump)
    assert await paid(stack, late) == []
    named = json.dumps(report(stack, "--mode", "settled")["differences"])
    for lost in (*refs, *refunds, *(bought.id for bought in late)):
        assert lost in named, lost

    said = await stack.boxoffice("verify", "--repair")
    assert said.count("captured, taken over") == 3
    assert said.count("EUR, taken over") == 2
    assert "taken over" not in await stack.boxoffice("verify", "--repair")
    await stack.start("payment")
    for service in ("booking", "refund"):
        await stack.boxoffice("republish", "--service", service, "--all")
    after = report(stack, "--wait", str(SETTLED_WITHIN_S))["differences"]
    assert [found for found in after if found["check"] not in NOT_RECOVERABLE] == []
    assert {row["provider_ref"] for row in await paid(stack, late)} == refs
    assert await refunds_at_the_provider(stack) == refunds

    await stack.shop.cancel(late[1])
    await stack.shop.cancel(early[1])
    again = report(stack, "--wait", str(SETTLED_WITHIN_S))["differences"]
    assert [found for found in again if found["check"] not in NOT_RECOVERABLE] == []
    for bought in (late[1], early[1]):
        assert (await stack.shop.read(bought))["refund_state"] == "refunded"


async def paid(stack: Stack, bookings: list[Bought]) -> list[Json]:
    sql = "SELECT provider_ref FROM payments WHERE booking_id::text = ANY($1) AND captured_minor = 2500"
    return await stack.rows("payment", sql, [bought.id for bought in bookings])
