"""Planted personal data and secrets are nowhere but where they belong: sealed, at the provider, in the mailbox."""

from __future__ import annotations

import asyncio
import base64
import json
import mmap
import os
import secrets
import subprocess
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import httpx2
import pytest

from sandbox.launcher import postgres
from sandbox.launcher.credentials import SERVICES
from sandbox.story.shop import CARD_WITH_3DS, Bought, Json
from tests.e2e import tokens
from tests.e2e.collector import Collector
from tests.e2e.stack import Stack, order, until

pytestmark = pytest.mark.timeout(300)

OUTSIDE = ("credentials.json", "env", "stripe", "stripe-webhook.json", "world", "postgres/superuser")
"""What is the outside world, or tells the services their secrets. Everything else in the state folder is looked through."""

Planted = Mapping[str, str]


def forms(text: str) -> set[bytes]:
    """As it is, in a URL, in hex and in base64, wherever it begins there."""
    plain = text.encode()
    found = {plain, quote(text, safe="").encode(), plain.hex().encode()}
    for offset in range(3):
        # The characters at the ends mix with what stands around.
        found.add(base64.b64encode(b"\0" * offset + plain)[4 if offset else 0 : -4])
    return found


def leaks(place: str, haystack: bytes | mmap.mmap, planted: Planted) -> Iterator[str]:
    """What stands there, in words."""
    for what, text in planted.items():
        if any(haystack.find(form) >= 0 for form in forms(text)):
            yield f"{place}: {what}"


def in_files(folder: Path, planted: Planted) -> Iterator[str]:
    """Looks through every file below: logs, queues on disk, the databases' pages and their write-ahead log."""
    for path in sorted(folder.rglob("*")):
        within = path.relative_to(folder).as_posix()
        if path.is_symlink() or not path.is_file() or within.startswith(OUTSIDE) or path.stat().st_size == 0:
            continue
        try:
            with path.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as content:
                yield from leaks(within, content, planted)
        except FileNotFoundError:
            continue  # a server has removed it meanwhile


async def in_dumps(stack: Stack, planted: Planted) -> list[str]:
    """Looks through what pg_dump writes of each database: every row of every table, compressed values unpacked."""

    def dump(url: str) -> bytes:
        return subprocess.run([postgres.wheel_binaries() / "pg_dump", url], capture_output=True, check=True).stdout

    dumps = await asyncio.gather(*(asyncio.to_thread(dump, stack.status["databases"][name]) for name in SERVICES))
    return [
        found for name, each in zip(SERVICES, dumps, strict=True) for found in leaks(f"dump of {name}", each, planted)
    ]


async def in_queues(stack: Stack, planted: Planted) -> list[str]:
    """Looks through the headers and bodies of what waits in any queue, parked ones included. It stays there."""
    rabbit = stack.status["rabbitmq"]
    address = f"{rabbit['management']}/api/queues/{rabbit['vhost']}"
    asked = {"count": 1000, "ackmode": "ack_requeue_true", "encoding": "base64"}
    found: list[str] = []
    async with httpx2.AsyncClient(auth=(rabbit["user"], rabbit["password"]), timeout=20, trust_env=False) as api:
        for queue in (await api.get(address)).json():
            for message in (await api.post(f"{address}/{queue['name']}/get", json=asked)).json():
                content = base64.b64decode(message["payload"]) + json.dumps(message["properties"]).encode()
                found += leaks(f"queue {queue['name']}", content, planted)
    return found


async def in_metrics(stack: Stack, planted: Planted) -> list[str]:
    """Looks through what Prometheus reads."""
    pages = {name: process["metrics"] for name, process in stack.status["processes"].items() if process["metrics"]}
    assert set(SERVICES) <= set(pages)
    answers = [(name, await stack.http.get(url)) for name, url in pages.items()]
    return [found for name, answer in answers for found in leaks(f"metrics of {name}", answer.content, planted)]


async def in_spans(collector: Collector, planted: Planted) -> list[str]:
    """Looks through the traces, once each service has sent some."""

    async def sent() -> bytes:
        spans = b"".join(collector.spans)
        return spans if all(name.encode() in spans for name in SERVICES) else b""

    if "TEST_STACK_HOME" in os.environ:
        return []  # a stack that was there before sends its spans elsewhere, or none
    return list(leaks("spans", await until(sent, "not every service has sent spans", 30), planted))


async def at_rest(stack: Stack, planted: Planted) -> list[str]:
    """Files, queues and databases."""
    rooms = {stack.running.home, Path(stack.status["postgres"]["data"]).parents[1]}
    files = await asyncio.to_thread(lambda: [found for room in rooms for found in in_files(room, planted)])
    return [*files, *await in_queues(stack, planted), *await in_dumps(stack, planted)]


async def clumsy(stack: Stack, bought: Bought, contact: Json, event: Json) -> None:
    """What people do to a form, an address and a header that they should not; no answer repeats it."""
    url, key = stack.url, {"Idempotency-Key": secrets.token_hex(16)}
    crooked = {**order(event), "contact": {**contact, "email": f"{contact['email']}@@"}, "card": CARD_WITH_3DS}
    lost = {"booking_id": contact["email"], "card": CARD_WITH_3DS}
    answers = [
        await stack.http.post(url("/api/bookings"), json=crooked, headers=key),
        await stack.http.post(url("/api/bookings"), content=json.dumps(crooked)[:-1], headers=key),
        await stack.http.post(url("/api/payments"), json=lost, headers=bought.headers),
        await stack.http.post(url("/webhooks/stripe"), json={"card": CARD_WITH_3DS, **contact}),
        await stack.http.get(url(f"/api/bookings/{bought.id}"), headers={"Authorization": f"Bearer {bought.token}x"}),
        await stack.http.get(url(f"/api/events/{quote(contact['email'])}"), params={"token": bought.token}),
    ]
    assert {answer.status_code for answer in answers} <= {400, 401, 404, 422}
    for answer in answers:
        assert list(leaks(answer.request.url.path, answer.content, {**contact, "card": CARD_WITH_3DS})) == []
    found = await stack.http.get(
        url("/api/bookings"), params={"email": contact["email"]}, headers=await stack.shop.staff()
    )
    assert [each["id"] for each in found.json()["items"]] == [bought.id]


async def buy_and_refund(stack: Stack, event: Json, contact: Json) -> tuple[Bought, Json]:
    """The whole way, with everything that a buyer and staff could type."""
    bought = await stack.shop.book(event, 2, contact)
    opened = await stack.shop.open_payment(bought)
    await stack.shop.pass_3d_secure(await stack.shop.enter_card(opened, CARD_WITH_3DS))
    await stack.shop.sync(opened, bought)
    await stack.with_status(bought, "confirmed")
    await clumsy(stack, bought, contact, event)
    said = f"{contact['name']} wrote from {contact['email']}"
    note = {"booking_id": bought.id, "reason": "goodwill", "note": said, "override": True}
    await stack.shop.ask("refund", "POST", "/api/refunds", json=note, headers=await stack.shop.staff())

    async def refunded() -> bool:
        return bool((await stack.shop.read(bought))["refund_state"] == "refunded")

    await until(refunded, "the refund does not end", 60)
    return bought, opened


async def test_planted_secrets_are_found_nowhere(stack: Stack, collector: Collector) -> None:
    """Not in logs, queues, databases, their files, metrics and traces, after a booking, its refund and some clumsy requests."""
    mark = secrets.token_hex(6)
    contact = {"name": f"Zdenka Planted{mark}", "email": f"planted-{mark}@example.org"}
    event = await stack.shop.create_event(f"Open{mark}", timedelta(hours=30), capacity=10)
    bought, opened = await buy_and_refund(stack, event, contact)
    planted = {
        "e-mail address": contact["email"],
        "name": f"Planted{mark}",
        "card number": CARD_WITH_3DS,
        "client secret": opened["client_secret"],
        "provider's key": stack.status["stripe_api_key"],
        "webhooks' secret": json.loads((stack.running.home / "stripe-webhook.json").read_text())["secret"],
        "booking's token": bought.token.rpartition(".")[2],
        "staff's token": (await stack.shop.staff())["Authorization"].rpartition(".")[2],
        "signing key": tokens.booking_key(stack.running.home)["d"],
    }
    found = [*await in_metrics(stack, planted), *await in_spans(collector, planted)]
    await stack.stop("notification")  # what it is told meanwhile stays in its queues
    try:
        await stack.shop.cancel(await stack.shop.book(event, 1, contact))
        public = {"name of the event": event["name"]}
        await until(lambda: in_queues(stack, public), "no message waits", 30)
        searched = await at_rest(stack, public)
        found += await at_rest(stack, planted)
    finally:
        await stack.start("notification")
    assert found == []
    # A search that does not find what lies open there would prove nothing.
    assert any("/postgres/data/" in f"/{each}" for each in searched)
    assert {"queue notification.booking-placed: name of the event", "dump of booking: name of the event"} <= set(
        searched
    )
