"""Every secret is replaced while buyers come, who ask once and never again: none of their requests fails."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import httpx2
import pytest

from sandbox.launcher.credentials import write_private
from sandbox.launcher.home import Home
from sandbox.story.shop import Json
from tests.e2e.replicas import Replica, Replicas
from tests.e2e.stack import Stack, until
from tests.e2e.test_replicas import Visitors
from tests.support.stack import BOXOFFICE

pytestmark = pytest.mark.timeout(600)

drill = pytest.mark.skipif("DRILLS" not in os.environ, reason="minutes of restarts; `make drills` takes them")

CHECK_TOKENS = ("booking", "payment", "refund")
SEAL_FOR_EACH_OTHER = ("booking", "notification")
"""The other two open only what they have sealed themselves: for them a replica of each is a pair like this one."""


class Pair(Replicas):
    """Two processes of some services, in place of the stack's own, which are told anew one after the other."""

    def __init__(self, stack: Stack, services: Iterable[str]) -> None:
        super().__init__(stack)
        home = Home(stack.running.home)
        self.first = {service: Replica(service, home) for service in services}
        self.second = {service: Replica(service, home) for service in services}

    def urls(self, service: str) -> list[str]:
        return [self.first[service].url, self.second[service].url]

    async def begin(self) -> None:
        for replica in (*self.first.values(), *self.second.values()):
            replica.start()
        await self.until_ready(*(url for service in self.first for url in self.urls(service)))
        await self.ask({service: self.urls(service) for service in self.first})
        await asyncio.gather(*(self.stack.stop(service) for service in self.first))

    async def roll(self, *services: str, **changed: str) -> None:
        """Tells the replicas of some services something else, one after the other, as an orchestrator does."""
        for told, other in ((self.first, self.second), (self.second, self.first)):
            await self.ask({service: [other[service].url] for service in self.first})
            for service in services:
                told[service].changed |= changed
            await asyncio.gather(*(told[service].stop() for service in services))
            for service in services:
                told[service].start()
            await self.until_ready(*(told[service].url for service in services))
            await self.ask({service: self.urls(service) for service in self.first})

    async def end(self) -> None:
        """The stack's own processes take over."""
        await asyncio.gather(*(self.stack.start(service) for service in self.first))
        await self.restore()
        await asyncio.gather(*(replica.stop() for replica in (*self.first.values(), *self.second.values())))


@asynccontextmanager
async def while_buyers_come(stack: Stack, *services: str) -> AsyncIterator[tuple[Pair, Visitors]]:
    """Afterwards no request has failed, everybody has tickets, and verify finds no difference."""
    event = await stack.shop.create_event("Rotation", timedelta(days=3), capacity=5000)
    pair, visitors = Pair(stack, services), Visitors(stack, event)
    coming: list[asyncio.Task[None]] = []
    try:
        await pair.begin()
        coming = [asyncio.create_task(visitors.come()) for _ in range(3)]
        yield pair, visitors
        visitors.over.set()
        await asyncio.gather(*coming)
        assert visitors.failures == []
        await asyncio.gather(*(stack.with_status(bought, "confirmed") for bought in visitors.bought))
    finally:
        visitors.over.set()
        await asyncio.gather(*coming, return_exceptions=True)
        await pair.end()
    assert len(visitors.bought) > 3
    await stack.verify()


async def some_more(visitors: Visitors, count: int = 3) -> None:
    """Until that many have bought since now."""
    wanted = len(visitors.bought) + count

    async def came() -> bool:
        return len(visitors.bought) >= wanted

    await until(came, f"no {count} buyers came; {visitors.failures[:3]}", 60)


def variables(stack: Stack) -> dict[str, str]:
    return Home(stack.running.home).operator_variables()


def told(stack: Stack, folder: Path, *command: str, **changed: str) -> dict[str, str]:
    """The variables that `boxoffice keys` writes."""
    environment = {**stack.running.environment, **changed}
    ended = stack.running.__class__(stack.running.home, environment, {}).run(
        BOXOFFICE, "keys", *command, "--into", folder
    )
    assert ended.returncode == 0, ended.stderr
    files = {file.name.upper(): file for file in folder.iterdir()}
    assert all(file.stat().st_mode & 0o777 == 0o600 for file in files.values())
    assert not any(file.read_text() in ended.stdout for file in files.values())
    return {name: file.read_text() for name, file in files.items()}


async def test_the_webhook_secret(whole: Stack) -> None:
    """A second endpoint at the provider with the same address: both secrets are accepted, then the first endpoint goes."""
    stack, kept = whole, whole.running.home / "stripe-webhook.json"
    before = json.loads(kept.read_text())
    async with while_buyers_come(stack, "payment") as (pair, visitors):
        listed = await stack.shop.provider("GET", "/v1/webhook_endpoints")
        old = next(each for each in listed["data"] if each["id"] == before["id"])
        form = {"url": old["url"], **{f"enabled_events[{at}]": name for at, name in enumerate(old["enabled_events"])}}
        new = await stack.shop.provider("POST", "/v1/webhook_endpoints", data=form)
        await pair.roll("payment", PAYMENT_STRIPE_WEBHOOK_SECRETS=f"{before['secret']},{new['secret']}")
        await stack.shop.provider("DELETE", f"/v1/webhook_endpoints/{before['id']}")
        await pair.roll("payment", PAYMENT_STRIPE_WEBHOOK_SECRETS=new["secret"])
        since = await stack.count("payment", "SELECT count(*) FROM receipts")
        await some_more(visitors)

        async def received() -> bool:
            return await stack.count("payment", "SELECT count(*) FROM receipts") > since

        await until(received, "no webhook is accepted with the new secret", 30)
        write_private(kept, json.dumps({"id": new["id"], "secret": new["secret"]}))


@drill
async def test_the_keys_of_tokens(whole: Stack, tmp_path: Path) -> None:
    """The new key is published to all before it signs; tokens of the old one go on."""
    async with while_buyers_come(whole, *CHECK_TOKENS) as (pair, visitors):
        new = told(whole, tmp_path, "token")
        await some_more(visitors)
        earlier = visitors.bought[-1]
        await pair.roll(*CHECK_TOKENS, BOXOFFICE_TOKEN_PUBLIC_KEYS=new["BOXOFFICE_TOKEN_PUBLIC_KEYS"])
        await pair.roll("booking", BOOKING_TOKEN_SIGNING_KEY=new["BOOKING_TOKEN_SIGNING_KEY"])
        await some_more(visitors)
        kid = json.loads(new["BOOKING_TOKEN_SIGNING_KEY"])["kid"]
        assert [key_of(bought.token) == kid for bought in (earlier, visitors.bought[-1])] == [False, True]
        for bought in (earlier, visitors.bought[-1]):
            assert (await whole.shop.quote(bought))["booking_id"] == bought.id


def key_of(token: str) -> str:
    import jwt  # noqa: PLC0415  # only this looks into tokens

    return str(jwt.get_unverified_header(token)["kid"])


@drill
async def test_the_data_keys(whole: Stack, tmp_path: Path) -> None:
    """A key is added, seals, and at last everything is sealed anew with one alone. At the end it is the first one again."""
    name = "BOXOFFICE_SEAL_KEYSET"
    first = variables(whole)[name]
    async with while_buyers_come(whole, *SEAL_FOR_EACH_OTHER) as (pair, visitors):
        added = told(whole, tmp_path, "add")
        await pair.roll(*SEAL_FOR_EACH_OTHER, **added)
        promoted = told(whole, tmp_path, "promote", **added)
        assert primary(promoted[name]) != primary(first)
        await pair.roll(*SEAL_FOR_EACH_OTHER, **promoted)
        await some_more(visitors)
        late = visitors.bought[-1]
        assert (await whole.shop.read(late))["contact"]["email"].endswith("@example.org")
        await pair.roll(*SEAL_FOR_EACH_OTHER, **added)  # back again, which is the same with the other key
        environment = {**whole.running.environment, **added}
        ended = whole.running.__class__(whole.running.home, environment, {}).run(BOXOFFICE, "reseal")
        assert ended.returncode == 0, ended.stdout + ended.stderr
        retired = told(whole, tmp_path, "retire", **added)
        assert primary(retired[name]) == primary(first)
        assert len(json.loads(retired[name])["key"]) == 1
    assert (await whole.shop.read(late))["contact"]["email"].endswith("@example.org")


def primary(keyset: str) -> int:
    return int(json.loads(keyset)["primaryKeyId"])


@drill
async def test_the_password_of_a_database(whole: Stack) -> None:
    """A second role stands in for the first while the password of that one is changed."""
    known = json.loads((whole.running.home / "credentials.json").read_text())["database_passwords"]
    url = variables(whole)["BOOKING_DATABASE_URL"]
    connection = await asyncpg.connect(whole.status["postgres"]["url"])
    try:
        async with while_buyers_come(whole, "booking") as (pair, visitors):
            await connection.execute("CREATE ROLE booking_next LOGIN PASSWORD 'for-an-hour' IN ROLE booking")
            await pair.roll("booking", BOOKING_DATABASE_URL=as_user(url, "booking_next", "for-an-hour"))
            await connection.execute("ALTER ROLE booking PASSWORD 'a-new-one'")
            await some_more(visitors)
            await pair.roll("booking", BOOKING_DATABASE_URL=as_user(url, "booking", "a-new-one"))
            await connection.execute("DROP ROLE booking_next")
            await some_more(visitors)
            await connection.execute(f"ALTER ROLE booking PASSWORD '{known['booking']}'")  # for the stack's own process
    finally:
        await connection.execute(f"ALTER ROLE booking PASSWORD '{known['booking']}'")
        await connection.execute("DROP ROLE IF EXISTS booking_next")
        await connection.close()


@drill
async def test_the_password_of_a_broker_user(whole: Stack) -> None:
    """Who is connected stays connected; whoever starts takes the new one."""
    known = json.loads((whole.running.home / "credentials.json").read_text())["broker_passwords"]
    url = variables(whole)["PAYMENT_BROKER_URL"]

    async def change(password: str) -> None:
        address = f"{whole.status['rabbitmq']['management']}/api/users/payment"
        body: Json = {"password": password, "tags": ""}
        async with httpx2.AsyncClient(auth=("admin", known["admin"]), trust_env=False) as management:
            (await management.put(address, json=body)).raise_for_status()

    try:
        async with while_buyers_come(whole, "payment") as (pair, visitors):
            await change("a-new-one")
            await some_more(visitors)
            await pair.roll("payment", PAYMENT_BROKER_URL=as_user(url, "payment", "a-new-one"))
            await some_more(visitors)
            await change(known["payment"])
    finally:
        await change(known["payment"])


def netloc(url: str, user: str, password: str) -> str:
    parts = urlsplit(url)
    return f"{user}:{password}@{parts.hostname}:{parts.port}"


def as_user(url: str, user: str, password: str) -> str:
    return url.replace(urlsplit(url).netloc, netloc(url, user, password))
