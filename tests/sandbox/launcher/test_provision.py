"""deploy/postgres/provision.sql on a server of its own: it makes roles that the whole server knows."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from sandbox.launcher import postgres
from sandbox.launcher.credentials import DATABASE_ROLES, SERVICES
from sandbox.launcher.ports import reserve
from sandbox.launcher.programs import spawn
from sandbox.launcher.stack import DEPLOY

PASSWORDS = {role: f"of-{role}" for role in DATABASE_ROLES}


@pytest.fixture(scope="module")
def server() -> Iterator[postgres.Server]:
    block = reserve()
    with tempfile.TemporaryDirectory(prefix="boxoffice-test-", dir="/var/tmp") as name:
        folder = Path(name)
        folder.chmod(0o711)
        running = postgres.Server(folder / "pg", postgres.enterable_binaries(folder), block["postgres"], "secret")
        running.prepare()
        process = spawn(running.program(), folder / "log")
        deadline = time.monotonic() + 30
        while not running.answers():
            assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.05)
        for _ in range(2):  # a second run changes nothing and does not fail
            variables = {f"{role}_password": password for role, password in PASSWORDS.items()}
            running.run_script(DEPLOY / "postgres" / "provision.sql", variables)
        yield running
        process.send_signal(running.program().stop)
        process.wait(20)
    block.lock.close()


async def connect(server: postgres.Server, database: str, role: str) -> asyncpg.Connection:
    return await asyncpg.connect(server.url(database, role, PASSWORDS[role]))


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_enters_its_own_database_only(server: postgres.Server, service: str) -> None:
    for database in SERVICES:
        if database == service:
            await (await connect(server, database, service)).close()
        else:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connect(server, database, service)


async def test_the_owner_defines_the_service_does_not_and_the_verifier_reads(server: postgres.Server) -> None:
    owner = await connect(server, "booking", "booking_owner")
    await owner.execute(
        "CREATE TABLE thing (id int); CREATE TABLE book (id bigserial); REVOKE UPDATE, DELETE ON book FROM booking"
    )
    service = await connect(server, "booking", "booking")
    for allowed in (
        "INSERT INTO thing VALUES (0)",
        "DELETE FROM thing",
        "INSERT INTO thing VALUES (1)",
        "INSERT INTO book DEFAULT VALUES",
    ):
        await service.execute(allowed)
    for forbidden in (
        "CREATE TABLE other (id int)",
        "DROP TABLE thing",
        "TRUNCATE thing",
        "DELETE FROM book",
        "UPDATE book SET id = 0",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await service.execute(forbidden)
    verify = await connect(server, "booking", "booking_verify")
    assert await verify.fetchval("SELECT count(*) FROM thing") == 1
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        await verify.execute("INSERT INTO thing VALUES (2)")
    for connection in (owner, service, verify):
        await connection.close()


async def test_nothing_is_answered_before_it_is_on_disk(server: postgres.Server) -> None:
    connection = await asyncpg.connect(server.url())
    for setting in ("fsync", "synchronous_commit", "full_page_writes"):
        assert await connection.fetchval(f"SHOW {setting}") == "on"
    await connection.close()


async def test_a_wrong_password_is_refused(server: postgres.Server) -> None:
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(server.url("booking", "booking", "guess"))
