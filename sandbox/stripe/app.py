"""The stand-in as an ASGI application, and the server that runs it on the loopback address."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from sandbox.stripe import control, due, stripe_js
from sandbox.stripe.api import Sandbox, v1
from sandbox.stripe.clock import Clock
from sandbox.stripe.faults import ABORT
from sandbox.stripe.idempotency import Keys
from sandbox.stripe.settings import Settings
from sandbox.stripe.store import Store
from sandbox.stripe.webhooks import RETRY_SECONDS, Deliveries

HOST = "127.0.0.1"
DUE_EVERY_SECONDS = 0.2
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


@dataclass(frozen=True)
class Options:
    """How one stand-in is run. Raises ValueError for keys that are not test keys."""

    port: int
    state: Path
    api_key: str = "sk_test_standin000000000000"
    publishable_key: str = "pk_test_standin000000000000"
    webhook_retry_seconds: tuple[float, ...] = RETRY_SECONDS
    host: str = HOST
    """Another one only in a container, which nobody reaches but by the ports that are published."""
    browser_url: str | None = None
    """Where browsers find it, when that is not where it listens."""

    def __post_init__(self) -> None:
        if not self.api_key.startswith(("sk_test_", "rk_test_")):
            raise ValueError("--api-key: the stand-in takes test keys only, sk_test_… or rk_test_…")
        if not self.publishable_key.startswith("pk_test_"):
            raise ValueError("--publishable-key: the stand-in takes test keys only, pk_test_…")

    @property
    def public_url(self) -> str:
        return self.browser_url or f"http://{self.host}:{self.port}"


async def healthz(_request: Request) -> Response:
    return JSONResponse({"status": "ok"})


async def _run_due(sandbox: Sandbox) -> None:
    while True:
        work = sandbox.work()
        with sandbox.store.transaction():
            done = due.run(work)
        if done:
            sandbox.deliveries.wake()
        await asyncio.sleep(0 if done else DUE_EVERY_SECONDS)  # noqa: TID251  # the stand-in's own time passes with the real one


def create_app(options: Options) -> Starlette:
    """The application; its state folder is opened when it starts and closed when it ends."""

    @asynccontextmanager
    async def opened(app: Starlette) -> AsyncIterator[None]:
        options.state.mkdir(parents=True, exist_ok=True)
        store = Store(options.state / "stripe.sqlite3")
        settings = Settings.stored(store)
        clock = Clock(settings.clock_offset_seconds, store.newest())
        sandbox = Sandbox(
            store=store,
            clock=clock,
            settings=settings,
            deliveries=Deliveries(store, clock, settings, options.webhook_retry_seconds),
            keys=Keys(store),
            api_key=options.api_key,
            publishable_key=options.publishable_key,
            public_url=options.public_url,
        )
        sandbox.keys.prune(clock.now())
        app.state.sandbox = sandbox
        tasks = [asyncio.create_task(sandbox.deliveries.run()), asyncio.create_task(_run_due(sandbox))]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            for task in tasks:
                with suppress(asyncio.CancelledError):
                    await task
            store.close()

    return Starlette(
        routes=[
            Route("/v1/{path:path}", v1, methods=METHODS),
            Route("/v2/{path:path}", v1, methods=METHODS),
            Route("/healthz", healthz),
            *stripe_js.ROUTES,
            *control.ROUTES,
        ],
        lifespan=opened,
    )


class AbortableProtocol(HttpToolsProtocol):
    """Gives each request a way to close its connection without an answer, for faults."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {ABORT: self.transport.abort}  # type: ignore[dict-item]  # an extension of our own


def server(options: Options) -> uvicorn.Server:
    """Ready to `serve`; on the loopback address only."""
    return uvicorn.Server(
        uvicorn.Config(
            create_app(options),
            host=options.host,
            port=options.port,
            loop="uvloop",
            http=AbortableProtocol,
            ws="none",
            access_log=False,
            log_level="warning",
            timeout_graceful_shutdown=2,
        )
    )
