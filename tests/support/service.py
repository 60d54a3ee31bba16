"""A service as it runs in production, for a test: a fresh migrated database, a virtual host with the declared topology, and tokens.

async with running_service("booking", postgres_url, broker_vhost) as booking:
    answer = await booking.client.get("/events", headers=booking.staff("viewer"))
    await booking.deliver(PaymentAuthorized(...))
    await eventually(lambda: booking.outbox_of(SeatsSecured))
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID, uuid4

import asyncpg
import httpx2
import jwt
from asgi_lifespan import LifespanManager
from chassis import broker as amqp
from chassis.auth import BookingTokens, new_token_keys
from chassis.broker import publish
from chassis.clock import SystemClock
from chassis.crypto import Sealer, new_index_key, new_keyset
from chassis.db import Database, table
from chassis.ids import SystemIds
from chassis.inbox import InboxRow
from chassis.migrate import migrate
from chassis.outbox import OutboxRow
from chassis.topology import declare, events_exchange, parked_queue, topology
from contracts.catalogue import EVENTS, queue_name
from contracts.event import Event
from cryptography.hazmat.primitives.asymmetric import ed25519
from fastapi import FastAPI
from faststream.rabbit import RabbitBroker
from sqlalchemy import func, select

from tests.conftest import Vhost

T = TypeVar("T")
E = TypeVar("E", bound=Event)

RETRY_DELAYS_MS = (50, 100)
KEYSET, INDEX_KEY = new_keyset(), new_index_key()
SIGNING_KEY, PUBLIC_KEYS = new_token_keys("test")
ROLE_PASSWORD = "test"
_STAFF_KEY = ed25519.Ed25519PrivateKey.generate()


async def eventually(condition: Callable[[], Awaitable[T]], at_most_s: float = 15.0) -> T:
    """The first truthy result of `condition`. Fails with the last one when there is none in time."""
    deadline = asyncio.get_running_loop().time() + at_most_s
    while not (found := await condition()):
        assert asyncio.get_running_loop().time() < deadline, f"not within {at_most_s} s; last: {found!r}"
        await asyncio.sleep(0.02)
    return found


@dataclass
class Running:
    """A running service and what a test asks of it."""

    name: str
    app: FastAPI
    client: httpx2.AsyncClient
    database: Database
    sealer: Sealer
    admin: RabbitBroker
    vhost: Vhost
    url: str
    issuer: str
    versions: dict[UUID, int] = field(default_factory=dict)

    def staff(self, role: str, subject: str = "staff-1") -> dict[str, str]:
        """Headers of a signed-in member of staff: viewer, refunder or manager."""
        now = datetime.now(UTC)
        claims = {"iss": self.issuer, "aud": "boxoffice", "sub": subject, "roles": [role], "iat": now, "nbf": now}
        token = jwt.encode(
            {**claims, "exp": now + timedelta(minutes=15)}, _STAFF_KEY, "EdDSA", {"kid": "staff", "typ": "at+jwt"}
        )
        return {"Authorization": f"Bearer {token}"}

    def holder(self, booking_id: UUID | str) -> dict[str, str]:
        """Headers of the holder of a booking's token."""
        tokens = BookingTokens(PUBLIC_KEYS, SystemClock(), SIGNING_KEY)
        return {"Authorization": f"Bearer {tokens.sign(UUID(str(booking_id)), datetime.now(UTC))}"}

    def next_version(self, subject: UUID) -> int:
        """1, 2, 3 … for an aggregate of another service."""
        self.versions[subject] = self.versions.get(subject, 0) + 1
        return self.versions[subject]

    async def deliver(self, event: Event, event_id: UUID | None = None) -> UUID:
        """Publishes `event` as its publisher would. Given the same id again, it is the same event again."""
        event_id = event_id or uuid4()
        await self.deliver_raw(event.type, event.model_dump_json().encode(), event_id, event.version)
        return event_id

    async def deliver_raw(self, event_type: str, body: bytes, event_id: UUID, version: int = 1) -> None:
        """Publishes any bytes as an event of `event_type`; again, as a relay does, when a loaded broker is late to confirm."""

        async def confirmed() -> bool:
            try:
                await publish(
                    self.admin,
                    body,
                    exchange=events_exchange(event_type.partition(".")[0]),
                    routing_key=event_type,
                    message_id=event_id,
                    type=event_type,
                    headers={"ce-id": str(event_id), "ce-type": event_type, "version": version},
                )
            except TimeoutError:
                return False
            return True

        await eventually(confirmed, 30)

    async def consumed(self, event_id: UUID) -> int:
        """How many of this service's consumers have had the event."""
        inbox = table(InboxRow)
        async with self.database.transaction() as tx:
            counted = await tx.execute(select(func.count()).where(inbox.c.event_id == event_id))
            return counted.scalar_one()

    async def deliver_and_wait(self, event: Event) -> UUID:
        """Publishes `event` and returns when it is consumed."""
        event_id = await self.deliver(event)
        await eventually(lambda: self.consumed(event_id))
        return event_id

    async def outbox(self) -> list[Event]:
        """Every event that the service has written, oldest first."""
        rows = table(OutboxRow)
        async with self.database.transaction() as tx:
            found = (await tx.execute(select(rows.c.type, rows.c.body).order_by(rows.c.seq))).all()
        return [EVENTS[row.type].model_validate_json(row.body) for row in found]

    async def outbox_of(self, event: type[E]) -> list[E]:
        """Every `event` that the service has written, oldest first."""
        return [found for found in await self.outbox() if isinstance(found, event)]

    async def parked(self, event: type[Event]) -> int:
        """How many messages of `event` this service has parked."""
        connection = await self.admin.connect()
        async with connection.channel() as channel:
            queue = await channel.declare_queue(parked_queue(queue_name(self.name, event)), passive=True)
            return queue.declaration_result.message_count or 0

    def seal(self, value: object, field_name: str) -> str:
        """A sealed JSON value, as another service would send it."""
        return self.sealer.seal(json.dumps(value), field_name)


@asynccontextmanager
async def running_service(
    name: str,
    postgres_url: str,
    vhost: Vhost,
    create_app: Callable[[], FastAPI] | None = None,
    **variables: str,
) -> AsyncIterator[Running]:
    """Starts a service with a database of its own. `variables` are added to its environment.

    `create_app` builds another application than the service's own, under its name.

    Every wait of the test and the service's own loops run in the running event loop.
    """
    url = await fresh_database(name, postgres_url)
    await asyncio.to_thread(migrate, name, as_role(url, f"{name}_owner"))
    await declare(vhost.url(), topology(RETRY_DELAYS_MS))
    with _issuer() as issuer:
        with _environment(environment(name, url, vhost, issuer) | variables):
            app: FastAPI = (create_app or importlib.import_module(f"{name}.app").create_app)()
        admin = amqp.connect("test", vhost.url(), prefetch=10)
        database = Database(as_role(url, name), SystemClock(), SystemIds(), pool=5)
        sealer = Sealer.from_settings(KEYSET, INDEX_KEY)
        async with LifespanManager(app, startup_timeout=30, shutdown_timeout=30) as manager:
            await admin.start()
            transport = httpx2.ASGITransport(manager.app, raise_app_exceptions=False)
            async with httpx2.AsyncClient(transport=transport, base_url="http://service", timeout=30) as client:
                await eventually(lambda: _ready(client))
                yield Running(name, app, client, database, sealer, admin, vhost, url, issuer)
        await admin.stop()
        await database.close()


def environment(name: str, url: str, vhost: Vhost, issuer: str) -> dict[str, str]:
    """The variables that a service needs to start, besides its own."""
    prefix = name.upper()
    return {
        "BOXOFFICE_MODE": "sandbox",
        "BOXOFFICE_SEAL_KEYSET": KEYSET,
        "BOXOFFICE_BLIND_INDEX_KEY": INDEX_KEY,
        "BOXOFFICE_OIDC_ISSUER": issuer,
        "BOXOFFICE_OIDC_JWKS_URL": f"{issuer}/jwks.json",
        "BOXOFFICE_TOKEN_PUBLIC_KEYS": PUBLIC_KEYS,
        "BOXOFFICE_RETRY_DELAYS_MS": ",".join(str(delay) for delay in RETRY_DELAYS_MS),
        f"{prefix}_DATABASE_URL": as_role(url, name),
        f"{prefix}_BROKER_URL": vhost.url(name),
        "BOOKING_TOKEN_SIGNING_KEY": SIGNING_KEY,
    }


async def fresh_database(name: str, postgres_url: str) -> str:
    """A database with the roles of service `name` and their rights, as deploy/postgres/provision.sql gives them. Returns its address."""
    database = f"{name}_{uuid4().hex[:12]}"
    server = await asyncpg.connect(postgres_url)
    await server.execute("SELECT pg_advisory_lock(1)")  # roles belong to the whole server, which other tests share
    for role in (f"{name}_owner", name, f"{name}_verify"):
        if not await server.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role):
            await server.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{ROLE_PASSWORD}'")
    await server.execute("SELECT pg_advisory_unlock(1)")
    await server.execute(f"CREATE DATABASE {database} OWNER {name}_owner")
    await server.close()
    url = urlunsplit(urlsplit(postgres_url)._replace(path=f"/{database}"))
    inside = await asyncpg.connect(url)
    await inside.execute(f"""
        REVOKE ALL ON DATABASE {database} FROM PUBLIC;
        GRANT CONNECT ON DATABASE {database} TO {name}, {name}_verify;
        ALTER SCHEMA public OWNER TO {name}_owner;
        GRANT USAGE ON SCHEMA public TO {name}, {name}_verify;
        ALTER DEFAULT PRIVILEGES FOR ROLE {name}_owner GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {name};
        ALTER DEFAULT PRIVILEGES FOR ROLE {name}_owner GRANT USAGE ON SEQUENCES TO {name};
        ALTER DEFAULT PRIVILEGES FOR ROLE {name}_owner GRANT SELECT ON TABLES TO {name}_verify;
    """)
    await inside.close()
    return url


def as_role(url: str, role: str) -> str:
    """The same database for another role, with the driver's name that SQLAlchemy wants."""
    parts = urlsplit(url)
    return urlunsplit(
        parts._replace(scheme="postgresql+asyncpg", netloc=f"{role}:{ROLE_PASSWORD}@{parts.hostname}:{parts.port}")
    )


async def _ready(client: httpx2.AsyncClient) -> bool:
    return (await client.get("/readyz")).status_code == 200


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _issuer() -> Iterator[str]:
    """A sign-in issuer with one key, over real HTTP."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Keys)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Keys(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        public: dict[str, Any] = jwt.algorithms.OKPAlgorithm.to_jwk(_STAFF_KEY.public_key(), as_dict=True)
        body = json.dumps({"keys": [{**public, "kid": "staff", "alg": "EdDSA", "use": "sig"}]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing."""
