import asyncio
from collections.abc import Mapping

import httpx2
import pytest
from chassis import health
from chassis.clock import SystemClock
from chassis.db import Database
from chassis.health import Check
from chassis.ids import SystemIds
from fastapi import FastAPI


async def well() -> bool:
    return True


async def ill() -> bool:
    return False


async def broken() -> bool:
    raise OSError("connection refused by amqp://booking:hunter2@127.0.0.1")


async def silent() -> bool:
    await asyncio.Event().wait()
    return True


async def get(path: str, checks: Mapping[str, Check]) -> httpx2.Response:
    app = FastAPI()
    app.include_router(health.router(checks))
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://booking.test") as client:
        return await client.get(path)


async def test_alive_needs_nothing() -> None:
    answer = await get("/healthz", {"database": broken})
    assert (answer.status_code, answer.json()) == (200, {"status": "alive"})


async def test_ready_names_each_check() -> None:
    answer = await get("/readyz", {"database": well, "broker": well, "consumers": well})
    assert answer.status_code == 200
    assert answer.json() == {"status": "ready", "checks": {"database": "ok", "broker": "ok", "consumers": "ok"}}


@pytest.mark.parametrize(("check", "outcome"), [(ill, "failed"), (broken, "failed"), (silent, "timed out")])
async def test_one_failing_check_makes_it_not_ready(
    monkeypatch: pytest.MonkeyPatch, check: Check, outcome: str
) -> None:
    monkeypatch.setattr(health, "CHECK_SECONDS_MAX", 0.05)
    answer = await get("/readyz", {"database": well, "broker": check})
    assert answer.status_code == 503
    assert answer.json() == {"status": "not ready", "checks": {"database": "ok", "broker": outcome}}
    assert "hunter2" not in answer.text


async def test_a_database_that_answers_is_ok(postgres_url: str) -> None:
    database = Database(postgres_url, SystemClock(), SystemIds())
    answer = await get("/readyz", {"database": database.answers})
    assert (answer.status_code, answer.json()["checks"]) == (200, {"database": "ok"})
    await database.close()


async def test_a_database_that_does_not_answer_is_said() -> None:
    database = Database("postgresql://booking:pw@127.0.0.1:1/booking", SystemClock(), SystemIds())
    answer = await get("/readyz", {"database": database.answers})
    assert (answer.status_code, answer.json()["checks"]) == (503, {"database": "failed"})
    await database.close()
