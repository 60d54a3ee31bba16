"""doctor and audit verify on real servers: what they say when something is missing."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from chassis import audit
from chassis.clock import SystemClock
from chassis.db import Database
from chassis.ids import SystemIds
from sqlalchemy import text

from ops.audit import verify as verify_chains
from ops.doctor import Finding, examine
from ops.settings import Settings, Shared
from tests.ops.conftest import Execute
from tests.sandbox.stripe.conftest import SECRET_KEY, running
from tests.support.service import RETRY_DELAYS_MS

SHARED = Shared(retry_delays_ms=RETRY_DELAYS_MS)


async def wrong(settings: Settings, shared: Shared = SHARED) -> dict[str, Finding]:
    """What is wrong, but for the durability of the tests' own server."""
    findings = await examine(settings, shared)
    return {each.what: each for each in findings if each.wrong is not None and "durable" not in each.what}


async def test_a_whole_installation_is_well(settings: Settings) -> None:
    found = await wrong(settings)
    # The tests' virtual hosts give rights in their own name.
    assert found == {}


async def test_what_is_missing_is_named_with_what_to_do(settings: Settings, execute: Execute) -> None:
    await execute("payment", "GRANT UPDATE ON ledger_entries TO payment")
    ((current,),) = await execute("booking", "SELECT version_num FROM booking_schema")
    await execute("booking", "UPDATE booking_schema SET version_num = 'booking_0000'")
    found = await wrong(settings, Shared(retry_delays_ms=(*RETRY_DELAYS_MS, 777)))
    await execute("payment", "REVOKE UPDATE ON ledger_entries FROM payment")
    await execute("booking", "UPDATE booking_schema SET version_num = $1", current)
    assert {what: each.todo for what, each in found.items()} == {
        "payment database gives the declared rights": "as payment_owner, GRANT or REVOKE what differs",
        "booking database has the schema of this booking": "Run boxoffice migrate",
        next(what for what in found if what.startswith("broker has all")): "Run boxoffice migrate",
    }
    assert "ledger_entries" in found["payment database gives the declared rights"].line


async def test_a_database_that_is_away_is_named_without_its_password(settings: Settings) -> None:
    nowhere = "postgresql+asyncpg://refund_owner:pass-in-url@127.0.0.1:1/refund"
    found = await wrong(Settings(**{**settings.model_dump(), "refund_database_url": nowhere}))
    line = found["refund database answers"].line
    assert "OPS_REFUND_DATABASE_URL" in line
    assert "pass-in-url" not in line


async def test_the_provider_is_asked_for_its_webhooks(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(tmp_path) as standin:
        monkeypatch.setenv("PAYMENT_STRIPE_API_KEY", SECRET_KEY)
        monkeypatch.setenv("PAYMENT_STRIPE_API_BASE", standin.url)
        found = await wrong(settings)
        assert "no enabled endpoint" in str(found["provider tells us by webhook"].wrong)

        url = "http://127.0.0.1:9/webhooks/stripe"
        endpoint = {"url": url, "enabled_events": ["payment_intent.succeeded"]}
        made = await standin.client.v1.webhook_endpoints.create_async(endpoint)
        found = await wrong(settings)
        assert "payment_intent.canceled" in str(found["provider tells us by webhook"].wrong)

        await standin.client.v1.webhook_endpoints.update_async(made.id, {"enabled_events": ["*"]})
        assert await wrong(settings) == {}

        monkeypatch.setenv("PAYMENT_STRIPE_API_KEY", "sk_test_of_nobody")
        found = await wrong(settings)
        assert "AuthenticationError" in str(found["provider takes our key"].wrong)


async def test_an_unreachable_service_and_mail_server_are_named(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFICATION_SMTP_HOST", "127.0.0.1")
    monkeypatch.setenv("NOTIFICATION_SMTP_PORT", "1")
    found = await wrong(Settings(**{**settings.model_dump(), "refund_url": "http://127.0.0.1:1"}))
    assert set(found) == {"mail server answers", "refund is ready"}


def test_chains_are_whole_changed_cut_and_unreadable(settings: Settings, tmp_path: Path) -> None:
    anchor = tmp_path / "heads.json"
    said: list[str] = []

    async def record(count: int) -> None:
        database = Database(settings.database_url("refund"), SystemClock(), SystemIds(), pool=1)
        for _ in range(count):
            async with database.transaction() as tx:
                await audit.record(tx, actor="staff-1", action="refund.create", subject="refund/1")
        await database.close()

    async def sql(statement: str) -> None:
        database = Database(settings.database_url("refund"), SystemClock(), SystemIds(), pool=1)
        async with database.transaction() as tx:
            await tx.execute(text(statement))
        await database.close()

    asyncio.run(record(3))
    assert verify_chains(settings, anchor, said.append) == 0
    assert json.loads(anchor.read_text())["refund"]["seq"] == 3

    asyncio.run(sql("DELETE FROM audit WHERE seq = 3"))
    assert verify_chains(settings, None, said.append) == 0  # a tail that was cut stays unseen without the anchor
    assert verify_chains(settings, anchor, said.append) == 1
    assert "anchored and is gone" in said[-2]

    asyncio.run(sql("UPDATE audit SET actor = 'another' WHERE seq = 1"))
    assert verify_chains(settings, None, said.append) == 1
    assert any("row 1 was changed" in line for line in said)
    nowhere = "postgresql+asyncpg://refund_owner:x@127.0.0.1:1/refund"
    assert verify_chains(Settings(**{**settings.model_dump(), "refund_database_url": nowhere}), None, said.append) == 2


def test_a_finding_that_could_not_be_looked_at_says_why() -> None:
    assert Finding("x", skipped="it is not set").line == "-      x: not looked at, it is not set"
