"""A stand-in in this process on a free loopback port, the official SDK as its client, and a receiver for its webhooks."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import stripe
from aiohttp import web

from sandbox.stripe.app import Options, server
from tests.sandbox.stripe import oracle

SECRET_KEY = "sk_test_0123456789abcdef"
PUBLISHABLE_KEY = "pk_test_0123456789abcdef"


async def eventually(condition: Callable[[], Awaitable[Any]], seconds: float = 10) -> Any:
    """The first truthy value of the condition, asked again until the deadline."""
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        if value := await condition():
            return value
        assert asyncio.get_running_loop().time() < deadline, f"not within {seconds} s"
        await asyncio.sleep(0.02)  # polls a condition with a deadline


class Witness(stripe.AIOHTTPClient):
    """The SDK's own HTTP client; every request and every answer that passes is put before the oracle."""

    def __init__(self) -> None:
        super().__init__(timeout=10)
        self.headers: Mapping[str, str] = {}
        self.answers = 0

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: Any = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        problems = oracle.request_violations(method, url, post_data)
        body, status, self.headers = await super().request_async(method, url, headers, post_data)
        if self.headers["Content-Type"] == "application/json":
            value = json.loads(body)
            problems += oracle.answer_violations(value) if status == 200 else oracle.error_violations(value)
        assert not problems, problems
        self.answers += 1
        return body, status, self.headers


@dataclass
class Standin:
    """A running stand-in: the SDK with the secret key, a plain session for everything else."""

    url: str
    client: stripe.StripeClient
    witness: Witness
    session: aiohttp.ClientSession
    state: Path

    async def control(self, method: str, path: str, body: Any = None) -> Any:
        async with self.session.request(method, f"{self.url}/_control{path}", json=body) as answer:
            value = await answer.json()
            assert answer.status == 200, value
            return value

    async def fault(self, operation: str, kind: str, **facts: Any) -> None:
        await self.control("POST", "/faults", {"operation": operation, "kind": kind, "count": 1} | facts)

    async def browser(self, method: str, path: str, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """What Stripe.js would send: the publishable key in the form."""
        form = form | {"key": PUBLISHABLE_KEY}
        where = {"params": form} if method == "GET" else {"data": form}
        async with self.session.request(method, f"{self.url}{path}", **where) as answer:
            return answer.status, await answer.json()

    async def events(self) -> list[str]:
        """Types of all events so far, oldest first."""
        page = await self.client.v1.events.list_async({"limit": 100})
        return [event.type for event in reversed(page.data)]

    async def authorised(self, amount: int = 5000, **params: Any) -> stripe.PaymentIntent:
        return await self.client.v1.payment_intents.create_async(
            {
                "amount": amount,
                "currency": "eur",
                "capture_method": "manual",
                "confirm": True,
                "payment_method": "pm_card_visa",
                "return_url": "http://localhost/back",
                **params,
            }
        )

    async def paid(self, amount: int = 5000, **params: Any) -> stripe.PaymentIntent:
        return await self.authorised(amount, **({"capture_method": "automatic"} | params))


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@asynccontextmanager
async def listening(app: web.Application) -> AsyncIterator[str]:
    """Serves the application on a free loopback port and gives its address."""
    # A request that arrives at the end is otherwise waited for until its sender gives up.
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def running(state: Path, **options: Any) -> AsyncIterator[Standin]:
    """A stand-in on this state folder, stopped in order at the end."""
    port = free_port()
    serving = server(Options(port, state, SECRET_KEY, PUBLISHABLE_KEY, **options))
    task = asyncio.create_task(serving.serve())

    async def started() -> bool:
        return serving.started or task.done()

    await eventually(started)
    url = f"http://127.0.0.1:{port}"
    witness = Witness()
    client = stripe.StripeClient(SECRET_KEY, base_addresses={"api": url}, http_client=witness, max_network_retries=0)
    async with aiohttp.ClientSession() as session:
        yield Standin(url, client, witness, session, state)
    await witness.close_async()
    serving.should_exit = True
    await task


@pytest.fixture
async def standin(tmp_path: Path) -> AsyncIterator[Standin]:
    async with running(tmp_path / "stripe", webhook_retry_seconds=(0.05, 0.1, 0.2)) as started:
        yield started


@dataclass
class Receiver:
    """A webhook endpoint: what arrived, in order, and what it answers next (200 when nothing is planned)."""

    url: str = ""
    bodies: list[bytes] = field(default_factory=list)
    signatures: list[str] = field(default_factory=list)
    plan: list[web.Response] = field(default_factory=list)

    async def receive(self, request: web.Request) -> web.Response:
        self.bodies.append(await request.read())
        self.signatures.append(request.headers["Stripe-Signature"])
        return self.plan.pop(0) if self.plan else web.Response()

    @property
    def types(self) -> list[str]:
        return [json.loads(body)["type"] for body in self.bodies]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    received = Receiver()
    app = web.Application()
    app.router.add_post("/hook", received.receive)
    async with listening(app) as url:
        received.url = f"{url}/hook"
        yield received
