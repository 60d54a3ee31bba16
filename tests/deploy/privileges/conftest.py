"""A PostgreSQL server as production has it: provisioned by deploy/postgres, migrated by each schema's owner."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest
from chassis.migrate import migrate

from ops.privileges import roles
from ops.settings import SERVICES
from sandbox.launcher import postgres
from sandbox.launcher.ports import reserve
from sandbox.launcher.programs import spawn
from sandbox.launcher.stack import DEPLOY

PASSWORDS = {role: f"of-{role}" for role in roles()}


@dataclass(frozen=True)
class Provisioned:
    """A server with the four databases."""

    server: postgres.Server

    def url(self, database: str, role: str, driver: str = "") -> str:
        """Address of a database for a role."""
        return self.server.url(database, role, PASSWORDS[role]).replace("postgresql:", f"postgresql{driver}:", 1)

    @asynccontextmanager
    async def session(self, database: str, role: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
        """A connection of a role."""
        connection = await asyncpg.connect(self.url(database, role))
        try:
            yield connection
        finally:
            await connection.close()


@pytest.fixture(scope="session")
def provisioned() -> Iterator[Provisioned]:
    block = reserve()
    with tempfile.TemporaryDirectory(prefix="boxoffice-test-", dir="/var/tmp") as name:
        folder = Path(name)
        folder.chmod(0o711)
        server = postgres.Server(
            folder / "pg", postgres.enterable_binaries(folder), block["postgres"], "secret", fast=True
        )
        server.prepare()
        process = spawn(server.program(), folder / "log")
        deadline = time.monotonic() + 30
        while not server.answers():
            assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.05)
        try:
            passwords = {f"{role}_password": password for role, password in PASSWORDS.items()}
            server.run_script(DEPLOY / "postgres" / "provision.sql", passwords)
            yield Provisioned(server)
        finally:
            process.send_signal(server.program().stop)
            process.wait(20)
    block.lock.close()


@pytest.fixture(scope="session")
async def migrated(provisioned: Provisioned) -> Provisioned:
    for service in SERVICES:
        await asyncio.to_thread(migrate, service, provisioned.url(service, f"{service}_owner", "+asyncpg"))
    return provisioned
