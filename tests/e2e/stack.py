"""What tests do to a whole stack from outside: as buyers, staff and operators, and as whatever breaks it."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

import asyncpg
import httpx2

from sandbox.launcher import control
from sandbox.launcher.credentials import SERVICES
from sandbox.story.shop import Bought, Json, Shop
from tests.support.stack import RunningStack

SETTLED_WITHIN_S = 120
T = TypeVar("T")


class Stack:
    """What `status` prints of a running one; `shop` plays buyers and staff, `http` asks once and never again."""

    def __init__(self, running: RunningStack, shop: Shop, http: httpx2.AsyncClient) -> None:
        self.running = running
        self.status: Json = running.status
        self.shop = shop
        self.http = http

    def url(self, path: str) -> str:
        """An address at the gateway."""
        return f"{self.status['gateway']}{path}"

    async def boxoffice(self, *arguments: str) -> str:
        """What a command of the operator prints. Fails where it does not end with 0."""
        return await asyncio.to_thread(self.running.boxoffice, *arguments)

    async def verify(self) -> None:
        """Nothing differs anywhere once all is settled."""
        report = self.running.home / "verify.json"
        await self.boxoffice("verify", "--json", str(report), "--wait", str(SETTLED_WITHIN_S))
        found = json.loads(report.read_text())
        assert (found["differences"], found["unread"], found["left_out"]) == ([], {}, {})

    def kill(self, process: str) -> None:
        """Kill -9, at once; the supervisor starts it again."""
        self._tell("kill", process)

    async def stop(self, process: str) -> None:
        """Ends it in order; it stays down."""
        await asyncio.to_thread(self._tell, "stop", process)

    async def start(self, process: str) -> None:
        """Starts it unless it runs, and waits until it is ready."""
        await asyncio.to_thread(self._tell, "start", process)

    async def restart(self, process: str) -> None:
        """Stops it in order and starts it again."""
        await asyncio.to_thread(self._tell, "restart", process)

    def _tell(self, command: str, process: str) -> None:
        control.ask(self.running.home, {"do": command, "process": process}, lambda _: None)

    @asynccontextmanager
    async def database(self, service: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
        """A connection with the rights of the schema's owner."""
        connection = await asyncpg.connect(self.status["databases"][service], timeout=20)
        try:
            yield connection
        finally:
            await connection.close()

    async def rows(self, service: str, sql: str, *arguments: object) -> list[dict[str, Any]]:
        """What a query finds in a service's database."""
        async with self.database(service) as connection:
            return [dict(row) for row in await connection.fetch(sql, *arguments)]

    async def count(self, service: str, sql: str, *arguments: object) -> int:
        """The number that a query finds in a service's database."""
        async with self.database(service) as connection:
            found: int = await connection.fetchval(sql, *arguments)
            return found

    @contextmanager
    def heard(self, note: Callable[[httpx2.Response], Awaitable[None]]) -> Iterator[None]:
        """Tells `note` every answer that the shop gets, those included that it asks again after."""
        hooks = self.shop._http.event_hooks
        self.shop._http.event_hooks = {**hooks, "response": [*hooks["response"], note]}
        try:
            yield
        finally:
            self.shop._http.event_hooks = hooks

    async def provider_control(self, method: str, path: str, body: Json | None = None) -> Any:
        """A switch of the Stripe stand-in."""
        answer = await self.http.request(method, f"{self.status['stripe_sandbox']}/_control{path}", json=body)
        answer.raise_for_status()
        return answer.json()

    @asynccontextmanager
    async def without_webhooks(self) -> AsyncIterator[None]:
        """The stand-in keeps its webhooks back, and sends them when the block ends."""
        await self.provider_control("PUT", "/webhooks", {"on": False})
        try:
            yield
        finally:
            await self.provider_control("PUT", "/webhooks", {"on": True})

    async def series(self, query: str) -> int:
        """How many Prometheus finds."""
        answer = await self.http.get(f"{self.status['prometheus']}/api/v1/query", params={"query": query})
        assert answer.is_success, f"{query}: {answer.text}"
        return len(answer.json()["data"]["result"])

    async def scraped(self) -> None:
        """Waits until every service was: what happens before is no increase to Prometheus."""

        async def all_are() -> bool:
            return await self.series('up{service!=""} == 1') == len(SERVICES)

        await until(all_are, "not every service is scraped", 60)

    async def with_status(self, bought: Bought, status: str, at_most_s: float = 120) -> Json:
        """The booking once it has that status."""

        async def look() -> Json | None:
            booking = await self.shop.read(bought)
            return booking if booking["status"] == status else None

        return await until(look, f"booking {bought.id} is not {status}", at_most_s)

    async def pay(self, bought: Bought, *, sync: bool = True) -> Json:
        """Enters a card that needs no more; returns the opened payment. Without `sync` the browser is gone after that."""
        opened = await self.shop.open_payment(bought)
        await self.shop.enter_card(opened)
        if sync:
            await self.shop.sync(opened, bought)
        return opened

    async def buy(self, bought: Bought) -> Json:
        """Pays, and waits for the confirmation."""
        await self.pay(bought)
        return await self.with_status(bought, "confirmed")


async def until(look: Callable[[], Awaitable[T | None]], otherwise: str, at_most_s: float = 120) -> T:
    """What `look` finds at last; fails with `otherwise` when it finds nothing in time."""
    deadline = asyncio.get_running_loop().time() + at_most_s
    while not (found := await look()):
        assert asyncio.get_running_loop().time() < deadline, f"{otherwise} after {at_most_s:.0f} s"
        await asyncio.sleep(0.1)
    return found


def contact(name: str = "Ada Lovelace") -> dict[str, str]:
    """A buyer of the tests."""
    return {"name": name, "email": f"buyer-{os.urandom(5).hex()}@example.org"}


def order(event: Json, quantity: int = 1) -> Json:
    """The body of a booking of the event's first ticket type."""
    items = [{"ticket_type_id": event["ticket_types"][0]["id"], "quantity": quantity}]
    return {"event_id": event["id"], "items": items, "contact": contact()}
