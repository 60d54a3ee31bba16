"""The sweep of a campaign's items with several replicas, at its pace, paused and killed. Each replica is a Database of its own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from chassis.clock import SystemClock
from chassis.db import DATABASE_ERRORS, Database, Transaction, table
from chassis.ids import SystemIds
from chassis.metrics import REGISTRY
from contracts.refund import RefundApproved, RefundCampaignStarted
from refund import campaign, service
from refund.campaign_models import Pace
from refund.campaign_run import ItemSweep, refund_booking
from refund.models import Booking, Refund
from sqlalchemy import column, func, select, update
from sqlalchemy import table as sql_table

from tests.conftest import Vhost
from tests.support.service import Running, as_role, eventually, running_service

from .tour import Tour


@pytest.fixture(scope="module")
async def refund(postgres_url: str, broker_vhost: Vhost) -> AsyncIterator[Running]:
    """The service without its own sweeps."""
    async with running_service(
        "refund", postgres_url, broker_vhost, BOXOFFICE_ROLES="http,consumers,relay", REFUND_CAMPAIGN_PER_S="10"
    ) as running:
        yield running


@pytest.fixture(autouse=True)
async def full_bucket(refund: Running) -> None:
    await fill_bucket(refund)


async def fill_bucket(refund: Running) -> None:
    """As after a rest: an earlier test's clock may have been ahead."""
    async with refund.database.transaction() as tx:
        await tx.execute(update(table(Pace)).values(spent_until=tx.now - timedelta(hours=1)))


class Later(SystemClock):
    """A clock that is ahead."""

    def __init__(self, ahead: timedelta) -> None:
        self.ahead = ahead

    def now(self) -> datetime:
        return super().now() + self.ahead


@asynccontextmanager
async def replicas(refund: Running, count: int = 1, *ahead: timedelta) -> AsyncIterator[list[Database]]:
    async with AsyncExitStack() as stack:
        databases = [
            Database(as_role(refund.url, "refund"), Later(sum(ahead, timedelta())), SystemIds(), pool=8)
            for _ in range(count)
        ]
        for database in databases:
            stack.push_async_callback(database.close)
        yield databases


@asynccontextmanager
async def owner_of(refund: Running) -> AsyncIterator[asyncpg.Connection[Any]]:
    """A connection that may change the schema."""
    owner = await asyncpg.connect(as_role(refund.url, "refund_owner").replace("+asyncpg", ""))
    try:
        yield owner
    finally:
        await owner.close()


@asynccontextmanager
async def sweeping(databases: list[Database], per_s: int) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(ItemSweep(database, per_s).run()) for database in databases]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def recorded(tour: Tour) -> int:
    """How many items have their refund, each of them approved since nobody plays payment here."""
    return int((await tour.progress())["items"].get("approved", 0))


async def all_recorded(tour: Tour, count: int) -> None:
    async def done() -> bool:
        return await recorded(tour) == count

    await eventually(done, 30)


async def money(tour: Tour) -> tuple[int, int, int, int]:
    """Refunds of the event, bookings that have one, bookings of which all is promised, refunds told to payment."""
    bookings, refunds = table(Booking), table(Refund)
    async with tour.refund.database.transaction() as tx:
        given = await tx.execute(
            select(refunds.c.booking_id)
            .join(bookings, bookings.c.booking_id == refunds.c.booking_id)
            .where(bookings.c.event_id == tour.event_id)
        )
        of = list(given.scalars())
        promised = await tx.execute(
            select(bookings.c.booking_id).where(
                bookings.c.event_id == tour.event_id, bookings.c.promised_minor == bookings.c.captured_minor
            )
        )
        whole = list(promised.scalars())
    told = [said for said in await tour.refund.outbox_of(RefundApproved) if said.booking_id in of]
    return len(of), len(set(of)), len(whole), len(told)


async def test_two_replicas_refund_each_booking_once(refund: Running) -> None:
    tour = Tour(refund)
    await tour.sold(200)
    async with replicas(refund, 2) as databases, sweeping(databases, 1000):
        await all_recorded(tour, 200)
    assert await money(tour) == (200, 200, 200, 200)


async def test_two_that_work_on_one_item_at_once_refund_it_once(refund: Running) -> None:
    """As after a lease that ended while its worker was still alive."""
    tour = Tour(refund)
    await tour.sold(20)
    ids = [UUID(item["booking_id"]) for item in await tour.items()]
    async with replicas(refund, 2) as databases:
        await asyncio.gather(*(refund_booking(database, each) for each in ids for database in (*databases, *databases)))
    assert await money(tour) == (20, 20, 20, 20)


async def test_of_many_that_ask_at_once_no_token_goes_to_two(refund: Running) -> None:
    """40 claims in the same moment get one second's burst, and what the time since has added."""
    tour = Tour(refund)
    await tour.sold(60)
    async with replicas(refund, 2) as databases:
        began = time.monotonic()
        claims = [ItemSweep(database, 10).claim(4) for _ in range(20) for database in databases]
        claimed = [booking_id for ids in await asyncio.gather(*claims) for booking_id in ids]
        took = time.monotonic() - began
        assert 10 <= len(claimed) <= 10 + 10 * took
        assert len(set(claimed)) == len(claimed)
        for item in await tour.items(limit=200):
            await refund_booking(databases[0], UUID(item["booking_id"]))


async def test_the_pace_is_kept_by_all_replicas_together(refund: Running) -> None:
    """20 items at 10 a second: never sooner than 1 s, since one second's burst is free; and within 2 s and a tenth.

    A machine that stands still for a second loses that second's tokens, as it must, so the upper limit has three runs.
    """
    took: list[float] = []
    while not took or (took[-1] > 2.2 and len(took) < 3):
        tour = Tour(refund)
        await tour.sold(20)
        await fill_bucket(refund)
        async with replicas(refund, 2) as databases:
            began = datetime.now(UTC)
            async with sweeping(databases, 10):
                await all_recorded(tour, 20)
        ended = max(datetime.fromisoformat(item["handled_at"]) for item in await tour.items())
        took.append((ended - began).total_seconds())
    assert min(took) >= 1.0
    assert took[-1] <= 2.2, took


async def test_the_oldest_booking_is_first(refund: Running) -> None:
    tour = Tour(refund)
    await tour.sold(6)
    async with replicas(refund, 1, timedelta(seconds=5)) as [database]:
        sweep = ItemSweep(database, 1000)
        claimed = await sweep.claim(2)
        bookings = table(Booking)
        async with database.transaction() as tx:
            by_age = await tx.execute(
                select(bookings.c.booking_id).where(bookings.c.event_id == tour.event_id).order_by(bookings.c.placed_at)
            )
            assert set(claimed) == set(list(by_age.scalars())[:2])
        for booking_id in [*claimed, *await sweep.claim(16)]:
            await refund_booking(database, booking_id)
    assert await money(tour) == (6, 6, 6, 6)


async def late(database: Database) -> float:
    """Items that an operator is shown as waiting to be taken up."""
    await ItemSweep(database, 10).measure()
    return REGISTRY.get_sample_value("due_waiting_rows", {"sweep": "refund-campaign-items"}) or 0.0


async def test_a_pause_holds_from_its_answer_on_and_resume_goes_on(refund: Running) -> None:
    tour = Tour(refund)
    await tour.sold(25)
    async with replicas(refund, 2) as databases, sweeping(databases, 10):

        async def some() -> bool:
            return await recorded(tour) >= 3

        await eventually(some)
        paused = (await tour.post("pause")).json()
        assert paused["state"] == "paused"
        assert paused["estimated_end"] is None
        assert 0 < paused["items"]["queued"] < 25
        await asyncio.sleep(1.2)
        assert (await tour.progress())["items"] == paused["items"]
        assert await late(databases[0]) == 0, "what staff have paused is not late"
        assert (await tour.post("pause")).status_code == 200
        resumed = (await tour.post("resume")).json()
        assert resumed["state"] == "running"
        assert resumed["estimated_end"] is not None
        await all_recorded(tour, 25)
    assert await money(tour) == (25, 25, 25, 25)


async def test_a_pause_waits_for_what_is_at_work_and_holds_what_was_claimed(refund: Running) -> None:
    """One item is at work when the pause is asked for, another was claimed: the first is in the pause's answer, the second is not done."""
    tour = Tour(refund)
    await tour.sold(2)
    first, second = [UUID(item["booking_id"]) for item in await tour.items()]
    async with replicas(refund, 2) as [database, other]:
        async with other.transaction() as busy:
            await busy.get(Booking, first, with_for_update=True)
            at_work = asyncio.create_task(refund_booking(database, first))
            await eventually(lambda: waiting(refund, 1))
            pause = asyncio.create_task(tour.post("pause"))
            await eventually(lambda: waiting(refund, 2, pause))
        await at_work
        paused = (await pause).json()
        assert paused["items"] == {"approved": 1, "queued": 1}
        await refund_booking(database, second)
        assert (await tour.progress())["items"] == paused["items"]
        await tour.post("resume")
        await refund_booking(database, second)
    assert await money(tour) == (2, 2, 2, 2)


@pytest.mark.parametrize("first", ["event", "booking"])
async def test_an_event_and_a_booking_told_at_the_same_moment_do_not_miss_each_other(
    refund: Running, first: str
) -> None:
    """Neither transaction sees what the other has not committed: the second has to wait for the first."""
    tour = Tour(refund)
    ticket = tour.ticket()
    await ticket.tell(ticket.placed(), ticket.cancelled(by="event"))

    async def event(tx: Transaction) -> None:
        await campaign.start(tx, tour.cancelled())

    async def booking(tx: Transaction) -> None:
        await service.note_captured(tx, ticket.captured())

    async def later(fact: Callable[[Transaction], Awaitable[None]]) -> None:
        async with refund.database.transaction() as tx:
            await fact(tx)

    one, two = (event, booking) if first == "event" else (booking, event)
    async with refund.database.transaction() as tx:
        await one(tx)
        second = asyncio.create_task(later(two))
        await eventually(lambda: waiting(refund, 1, second))
    await second
    [item] = await tour.items()
    assert item["booking_id"] == str(ticket.booking_id)
    assert len(await tour.said(RefundCampaignStarted)) == 1
    await refund_booking(refund.database, ticket.booking_id)
    assert await money(tour) == (1, 1, 1, 1)


async def waiting(refund: Running, count: int, task: asyncio.Task[Any] | None = None) -> bool:
    """Whether `count` transactions of the service wait for a lock, or `task` has ended without waiting."""
    async with refund.database.transaction() as tx:
        activity = sql_table("pg_stat_activity", column("wait_event_type"), column("datname"))
        waits = select(func.count()).where(
            activity.c.datname == func.current_database(), activity.c.wait_event_type == "Lock"
        )
        found: int = (await tx.execute(waits)).scalar_one()
    return found >= count or (task is not None and task.done())


async def test_who_dies_between_refund_and_item_leaves_neither(refund: Running, postgres_url: str) -> None:
    """The database ends the connection in the very statement that marks the item, after the refund was written."""
    tour = Tour(refund)
    await tour.sold(1)
    [item] = await tour.items()
    async with replicas(refund) as [database], owner_of(refund) as owner:
        await owner.execute("""
            CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                ASSERT EXISTS (SELECT FROM refunds WHERE booking_id = NEW.id);
                PERFORM pg_terminate_backend(pg_backend_pid());
                RETURN NEW;
            END $$;
            CREATE TRIGGER die BEFORE UPDATE ON refund_campaign_items FOR EACH ROW
            WHEN (NEW.state = 'recorded') EXECUTE FUNCTION die();
        """)
        with pytest.raises(DATABASE_ERRORS):
            await refund_booking(database, UUID(item["booking_id"]))
        assert await money(tour) == (0, 0, 0, 0)
        assert (await tour.progress())["items"] == {"queued": 1}
        await owner.execute("DROP TRIGGER die ON refund_campaign_items")
        await refund_booking(database, UUID(item["booking_id"]))
    assert await money(tour) == (1, 1, 1, 1)


async def test_who_dies_with_claimed_items_leaves_them_to_others(refund: Running) -> None:
    tour = Tour(refund)
    await tour.sold(4)
    async with replicas(refund, 1, timedelta(seconds=10)) as [dies]:
        assert len(await ItemSweep(dies, 1000).claim(4)) == 4
        assert await ItemSweep(dies, 1000).claim(4) == []
    async with replicas(refund, 1, timedelta(seconds=45)) as [other]:
        claimed: list[Any] = await ItemSweep(other, 1000).claim(16)
        for booking_id in claimed:
            await refund_booking(other, booking_id)
    assert await money(tour) == (4, 4, 4, 4)
