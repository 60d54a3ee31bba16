"""The waiting page: the state at once, then every change, until nothing more is awaited."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx2
import pytest
import uvicorn
from booking import stream
from contracts.money import Money
from contracts.refund import RefundCompleted

from tests.booking.conftest import BoxOffice, payment_of, refund_of
from tests.support.service import eventually


@pytest.fixture(scope="module")
async def pages(office: BoxOffice) -> AsyncIterator[httpx2.AsyncClient]:
    """A client over real HTTP: the transport within the process would hold a stream back until its end."""
    config = uvicorn.Config(office.service.app, port=0, lifespan="off", log_config=None, timeout_graceful_shutdown=2)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())

    async def started() -> bool:
        return server.started

    await eventually(started)
    port = server.servers[0].sockets[0].getsockname()[1]
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20, trust_env=False) as client:
        yield client
    server.should_exit = True
    await serving


async def updates(
    office: BoxOffice, pages: httpx2.AsyncClient, booking: dict[str, Any]
) -> AsyncIterator[dict[str, Any] | None]:
    """The bookings that a page is sent, None for a comment; the id of each is its revision."""
    path, headers = f"/bookings/{booking['id']}/stream", office.service.holder(booking["id"])
    async with pages.stream("GET", path, headers=headers) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        revision = ""
        async for line in answer.aiter_lines():
            if line.startswith(":"):
                yield None
            elif line.startswith("id: "):
                revision = line.removeprefix("id: ")
            elif line.startswith("data: "):
                found: dict[str, Any] = json.loads(line.removeprefix("data: "))
                assert str(found["revision"]) == revision
                yield found


async def test_a_page_sees_its_booking_being_paid(office: BoxOffice, pages: httpx2.AsyncClient) -> None:
    payment = payment_of(await office.book(await office.create_event()))
    seen = []
    async for update in updates(office, pages, payment.booking):
        assert update is not None
        seen.append(update)
        if update["status"] == "pending_payment":
            await office.service.deliver(payment.authorized())
        elif update["status"] == "payment_authorized":
            await office.service.deliver(payment.succeeded())
    assert [found["status"] for found in seen] == ["pending_payment", "payment_authorized", "confirmed"]
    assert [found["revision"] for found in seen] == [1, 2, 3]
    assert seen[-1] == await office.read(payment.booking)


async def test_a_page_need_not_wait_for_the_next_look(
    office: BoxOffice, pages: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What this process commits is shown at once."""
    monkeypatch.setattr(stream, "POLL_S", 60.0)
    payment = payment_of(await office.book(await office.create_event()))
    async with asyncio.timeout(30):
        async for update in updates(office, pages, payment.booking):
            assert update is not None
            if update["status"] == "pending_payment":
                await office.service.deliver(payment.succeeded())
    assert update["status"] == "confirmed"


async def test_a_page_waits_for_the_refund(office: BoxOffice, pages: httpx2.AsyncClient) -> None:
    payment = payment_of(await office.book(await office.create_event()))
    await office.service.deliver_and_wait(payment.succeeded())
    await office.cancel(payment.booking)
    completed = refund_of(payment.booking, RefundCompleted, uuid4(), 2, Money(4200, "EUR"))
    seen = []
    async for update in updates(office, pages, payment.booking):
        assert update is not None
        seen.append(update["refund_state"])
        if len(seen) == 1:
            await office.service.deliver(completed)
    assert seen == ["pending", "refunded"]


async def test_many_pages_of_one_booking_see_the_same(office: BoxOffice, pages: httpx2.AsyncClient) -> None:
    payment = payment_of(await office.book(await office.create_event()))

    async def watch() -> list[str]:
        return [update["status"] async for update in updates(office, pages, payment.booking) if update]

    watching = [asyncio.create_task(watch()) for _ in range(20)]

    async def all_watch() -> bool:
        return len(office.service.app.state.changes._watchers) == 20

    await eventually(all_watch)
    await office.service.deliver(payment.succeeded())
    assert await asyncio.gather(*watching) == [["pending_payment", "confirmed"]] * 20


async def test_nobody_polls_when_nobody_waits(office: BoxOffice, pages: httpx2.AsyncClient) -> None:
    """A page that is closed is forgotten, and the poller ends with the last one."""
    booking = await office.book(await office.create_event())
    async for _ in updates(office, pages, booking):
        break
    changes = office.service.app.state.changes

    async def idle() -> bool:
        return not changes._watchers and changes._poller.done()

    await eventually(idle)


async def test_a_quiet_stream_is_kept_alive_and_ends(
    office: BoxOffice, pages: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Comments keep proxies from closing it; after its longest time the page connects anew."""
    monkeypatch.setattr(stream, "HEARTBEAT_S", 0.05)
    monkeypatch.setattr(stream, "LONGEST", timedelta(seconds=0.5))
    booking = await office.book(await office.create_event())
    seen = [update async for update in updates(office, pages, booking)]
    assert seen[0] is not None
    assert seen[1:]
    assert not any(seen[1:])


async def test_a_page_of_an_absent_booking_is_404(office: BoxOffice, pages: httpx2.AsyncClient) -> None:
    answer = await pages.get(f"/bookings/{uuid4()}/stream", headers=office.service.staff("viewer"))
    assert answer.status_code == 404
