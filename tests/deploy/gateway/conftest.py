"""A real nginx with the project's configuration, before four upstreams that say what reached them."""

from __future__ import annotations

import asyncio
import base64
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from sandbox.launcher.ports import Block, reserve

GATEWAY = Path(__file__).parents[3] / "deploy" / "gateway"
SERVICES = ("booking", "payment", "refund", "notification")
PAGE_POLICY = "default-src 'none'; style-src 'sha256-0'; form-action 'self'"
SANDBOX_RATES = {
    "RATE_BOOKINGS": "10000r/s",
    "RATE_BOOKINGS_BURST": "10000",
    "RATE_PAYMENTS": "10000r/s",
    "RATE_PAYMENTS_BURST": "10000",
}

PAGES = {
    "STRIPE_JS": "https://js.stripe.example/v1/stripe.js",
    "STRIPE_SCRIPT_SRC": "https://js.stripe.example",
    "STRIPE_FRAME_SRC": "https://js.stripe.example https://hooks.stripe.example",
    "STRIPE_CONNECT_SRC": "https://api.stripe.example",
    "OIDC_ISSUER": "https://sign-in.example/realm",
    "OIDC_ORIGIN": "https://sign-in.example",
    "OIDC_CLIENT_ID": "boxoffice-pages",
    "MODE": "production",
}


def production_rates() -> dict[str, str]:
    lines = (GATEWAY / "production.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


@dataclass(frozen=True)
class Gateway:
    url: str
    folder: Path

    @property
    def logs(self) -> str:
        return (self.folder / "access.log").read_text() + (self.folder / "stderr.log").read_text()


class Upstreams:
    """Answers for all four services; `release` lets the second half of a stream go."""

    def __init__(self, ports: Block) -> None:
        self.names = {ports[name]: name for name in SERVICES}
        self.release = asyncio.Event()
        paths = {
            "/bookings/{id}/stream": self.stream,
            "/refund-campaigns/{id}/stream": self.stream,
            "/refunds/status.html": self.page,
            "/bookings/own-headers": self.own_headers,
            "/bookings/never": self.never,
        }
        self.app = Starlette(routes=[Route(path, endpoint) for path, endpoint in paths.items()])
        self.app.router.default = self.echo  # no route's pattern matches a line break

    async def echo(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        answer = JSONResponse(
            {
                "service": self.names[request.scope["server"][1]],
                "path": request.scope["raw_path"].decode(),
                "query": request.url.query,
                "headers": dict(request.headers),
                "body": base64.b64encode(await request.body()).decode(),
            }
        )
        await answer(scope, receive, send)

    async def own_headers(self, _: Request) -> Response:
        headers = {
            "X-Request-ID": "of-the-service",
            "X-Frame-Options": "ALLOW",
            "Retry-After": "77",
            "Server": "uvicorn",
        }
        return Response(status_code=503, headers=headers)

    async def page(self, _: Request) -> Response:
        return Response(media_type="text/html", headers={"Content-Security-Policy": PAGE_POLICY})

    async def never(self, _: Request) -> Response:
        await self.release.wait()
        return Response()

    async def stream(self, _: Request) -> StreamingResponse:
        async def halves() -> AsyncIterator[bytes]:
            yield b"data: first\n\n"
            await self.release.wait()
            yield b"data: second\n\n"

        return StreamingResponse(halves(), media_type="text/event-stream")


@pytest.fixture(scope="session")
def ports() -> Iterator[Block]:
    block = reserve()
    yield block
    block.lock.close()


@pytest.fixture(scope="session")
async def upstreams(ports: Block) -> AsyncIterator[Upstreams]:
    upstreams = Upstreams(ports)
    servers = [
        uvicorn.Server(uvicorn.Config(upstreams.app, port=port, log_level="warning", lifespan="off"))
        for port in upstreams.names
    ]
    running = [asyncio.create_task(server._serve()) for server in servers]
    yield upstreams
    for server in servers:
        server.should_exit = True
    await asyncio.gather(*running)


@contextmanager
def nginx(
    folder: Path, ports: Block, rates: Mapping[str, str], *, listen: str = "gateway", patience: str = "15s"
) -> Iterator[Gateway]:
    """nginx on the port called `listen`, which waits as long as `patience` for an answer. A folder is one gateway's."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    assert program, "nginx is not installed: apt-get install nginx-light"
    pages = Path(tempfile.mkdtemp(prefix="boxoffice-pages-"))  # where nginx's workers, who are nobody, may look
    values = {**rates, "LISTEN_PORT": str(ports[listen]), "STATE_DIR": str(folder)}
    values |= {f"{name.upper()}_PORT": str(ports[name]) for name in SERVICES}
    values |= PAGES | {"PAGES_DIR": str(pages)}
    template = (GATEWAY / "nginx.conf.template").read_text()
    assert "proxy_read_timeout 15s;" in template
    template = template.replace("proxy_read_timeout 15s;", f"proxy_read_timeout {patience};")
    (folder / "nginx.conf").write_text(re.sub(r"\$\{([A-Z_]+)\}", lambda found: values[found[1]], template))
    _write_pages(pages)
    with (folder / "stderr.log").open("wb") as log:
        process = subprocess.Popen([program, "-e", "stderr", "-p", folder, "-c", "nginx.conf"], stderr=log)
    gateway = Gateway(f"http://127.0.0.1:{ports[listen]}", folder)
    try:
        _wait_until_it_answers(gateway, process)
        yield gateway
    finally:
        process.terminate()
        process.wait(10)
        shutil.rmtree(pages)


def _write_pages(folder: Path) -> None:
    folder.chmod(0o755)
    (folder / "assets").mkdir()
    (folder / "index.html").write_text('<meta name="nonce" content="__NONCE__">')
    (folder / "assets" / "index-1.js").write_text("// " + "x" * 5000)


def _wait_until_it_answers(gateway: Gateway, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            httpx2.get(gateway.url, trust_env=False)
        except httpx2.TransportError:
            assert process.poll() is None, (gateway.folder / "stderr.log").read_text()
            assert time.monotonic() < deadline, "nginx did not answer within 10 s"
            time.sleep(0.02)
        else:
            return


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory, ports: Block, upstreams: Upstreams) -> Iterator[Gateway]:
    with nginx(tmp_path_factory.mktemp("gateway"), ports, SANDBOX_RATES) as running:
        yield running


@pytest.fixture(scope="session")
async def client(gateway: Gateway) -> AsyncIterator[httpx2.AsyncClient]:
    limits = httpx2.Limits(max_connections=300)
    async with httpx2.AsyncClient(base_url=gateway.url, trust_env=False, timeout=20, limits=limits) as client:
        yield client
