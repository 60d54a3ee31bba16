"""The relay publishes every row, whatever happens to it, to the broker or to other rows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import cast
from uuid import uuid4

import pytest
from chassis import broker as amqp
from chassis import outbox
from chassis.clock import SystemClock
from chassis.db import Database, table
from chassis.ids import SystemIds
from chassis.migrate import migrate
from chassis.outbox import OutboxRow
from chassis.relay import Relay
from chassis.topology import declare, topology
from contracts.event import Event
from contracts.refund import RefundDeclined
from faststream.rabbit import RabbitBroker
from sqlalchemy import select, update

from tests.conftest import Vhost
from tests.support.service import RETRY_DELAYS_MS, as_role, eventually, fresh_database

QUEUE = "notification.refund-declined"


def declined() -> RefundDeclined:
    return RefundDeclined(
        version=1, occurred_at=SystemClock().now(), refund_id=uuid4(), booking_id=uuid4(), rule="test"
    )


@dataclass
class Ground:
    """A service's database and broker, without a relay that runs by itself."""

    database: Database
    broker: RabbitBroker
    relay: Relay
    owner: Database
    """The schema's owner: a service cannot change what it has written."""

    async def write(self, *events: Event) -> None:
        async with self.database.transaction() as tx:
            await outbox.publish(tx, *events)

    async def published(self, event: Event) -> bool:
        rows = table(OutboxRow)
        async with self.database.transaction() as tx:
            found = await tx.execute(select(rows.c.published_at).where(rows.c.subject == event.subject))
            return found.scalar_one() is not None

    async def received(self) -> list[str]:
        """Takes every message out of the queue; their bodies."""
        connection = await self.broker.connect()
        bodies: list[str] = []
        async with connection.channel() as channel:
            queue = await channel.get_queue(QUEUE, ensure=False)
            while message := await queue.get(fail=False):
                bodies.append(message.body.decode())
                await message.ack()
        return bodies


@pytest.fixture
async def ground(postgres_url: str, broker_vhost: Vhost) -> AsyncIterator[Ground]:
    url = await fresh_database("refund", postgres_url)
    await asyncio.to_thread(migrate, "refund", as_role(url, "refund_owner"))
    await declare(broker_vhost.url(), topology(RETRY_DELAYS_MS))
    database = Database(as_role(url, "refund"), SystemClock(), SystemIds(), pool=5)
    broker = amqp.connect("refund", broker_vhost.url("refund"), prefetch=10)
    await broker.start()
    owner = Database(as_role(url, "refund_owner"), SystemClock(), SystemIds(), pool=1)
    admin = amqp.connect("test", broker_vhost.url(), prefetch=10)
    yield Ground(database, admin, Relay("refund", database, broker), owner)
    await broker.stop()
    await owner.close()
    await database.close()


async def test_what_is_rolled_back_is_not_published(ground: Ground) -> None:
    """An event exists exactly when the change that it tells of does."""
    with pytest.raises(RuntimeError, match="after the event"):
        async with ground.database.transaction() as tx:
            await outbox.publish(tx, declined())
            raise RuntimeError("after the event")
    assert await ground.relay.publish_batch() == 0


async def test_t3_a_row_that_nobody_takes_stays_and_holds_nobody_up(ground: Ground) -> None:
    """An unroutable message is an error, not a stamped row; others pass it, and it goes out when its queue is there."""
    stuck, good = declined(), declined()
    await ground.write(stuck, good)
    rows = table(OutboxRow)
    async with ground.owner.transaction() as tx:
        await tx.execute(update(rows).where(rows.c.subject == stuck.refund_id).values(type="refund.nobody.v1"))
    assert await ground.relay.publish_batch() == 1
    assert [await ground.published(event) for event in (stuck, good)] == [False, True]
    async with ground.owner.transaction() as tx:
        await tx.execute(update(rows).where(rows.c.subject == stuck.refund_id).values(type=RefundDeclined.type))
    assert await ground.relay.publish_batch() == 1


async def test_t6_a_row_that_commits_late_is_published(ground: Ground) -> None:
    """A relay that pages by position would skip the row whose number is lower and whose commit is later."""
    late, early = declined(), declined()
    async with ground.database.transaction() as tx:
        await outbox.publish(tx, late)
        await ground.write(early)
        assert await ground.relay.publish_batch() == 1
    assert await ground.relay.publish_batch() == 1
    assert len(await ground.received()) >= 2


class DiesBeforeStamping(Relay):
    """A relay that is killed after the broker has confirmed and before the row says so."""

    async def _stamp(self, *_: object) -> None:
        raise ConnectionError("killed")


async def test_a_relay_that_dies_before_it_stamps_publishes_again(ground: Ground) -> None:
    """Twice in the queue, never zero times; the consumer's inbox makes it one effect."""
    await ground.received()
    await ground.write(event := declined())
    with pytest.raises(ConnectionError):
        await DiesBeforeStamping("refund", ground.database, ground.relay.broker).publish_batch()
    assert not await ground.published(event)
    assert await ground.relay.publish_batch() == 1
    assert await ground.received() == [event.model_dump_json()] * 2


async def test_two_relays_share_the_rows(ground: Ground) -> None:
    """Each row is published by one of them: claims skip what another holds."""
    await ground.received()
    await ground.write(*(declined() for _ in range(150)))
    other = Relay("refund", ground.database, ground.relay.broker)
    stamped = await asyncio.gather(ground.relay.publish_batch(), other.publish_batch())
    assert sum(stamped) == 150
    assert len(await ground.received()) == 150


async def test_a_commit_wakes_the_relay(ground: Ground) -> None:
    """Nothing polls for an event of its own process: it is on its way at once."""
    woken = asyncio.Event()
    ground.database.wake_relay = woken.set
    async with ground.database.transaction() as tx:
        await outbox.publish(tx, declined())
        assert not woken.is_set()
    assert woken.is_set()


async def test_a_running_relay_publishes_what_another_process_wrote(ground: Ground) -> None:
    """Nobody wakes it for that: the slow poll finds the row."""
    running = asyncio.create_task(ground.relay.run())
    await ground.write(event := declined())
    await eventually(lambda: ground.published(event))
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_an_event_joined_to_a_statement_is_one_round_trip(ground: Ground) -> None:
    """`rows` writes the outbox row as part of another statement."""
    rows = table(OutboxRow)
    first, second = declined(), declined()
    await ground.write(first)
    async with ground.database.transaction() as tx:
        touch = update(rows).where(rows.c.subject == first.refund_id).values(attempts=1)
        await tx.execute(touch, alongside=[outbox.rows(tx, second)])
    assert not await ground.published(second)


async def test_rows_that_wait_for_a_broker_that_was_never_there_do_not_end_the_process(ground: Ground) -> None:
    """A service starts before its broker does, with events of its last life in the outbox."""
    event = declined()
    await ground.write(event)
    early = Relay("refund", ground.database, amqp.connect("refund", "amqp://refund:pw@127.0.0.1:1/", prefetch=10))
    assert await early.publish_batch() == 0
    assert not await ground.published(event)
    assert await ground.relay.publish_batch() == 1


class CutOff:
    """A broker whose link is closed while something is published: aiormq cancels what waits for the confirmation."""

    async def publish(self, *_: object, **__: object) -> None:
        confirmation = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(confirmation.cancel)
        await confirmation


class Silent:
    """A broker that never confirms."""

    async def publish(self, *_: object, **__: object) -> None:
        await asyncio.Event().wait()


async def test_a_link_that_is_closed_under_a_publish_does_not_end_the_relay(ground: Ground) -> None:
    event = declined()
    await ground.write(event)
    cut_off = Relay("refund", ground.database, cast("RabbitBroker", CutOff()))
    running = asyncio.create_task(cut_off.run())

    async def tried() -> bool:
        rows = table(OutboxRow)
        async with ground.database.transaction() as tx:
            found = await tx.execute(select(rows.c.attempts).where(rows.c.subject == event.subject))
            return bool(found.scalar_one() > 0 or running.done())

    await eventually(tried)
    assert not running.done()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert running.cancelled()
    assert await ground.relay.publish_batch() == 1


async def test_a_relay_that_is_told_to_end_ends(ground: Ground) -> None:
    await ground.write(declined())
    running = asyncio.create_task(Relay("refund", ground.database, cast("RabbitBroker", Silent())).run())
    await asyncio.wait({running}, timeout=0.2)
    running.cancel()
    done, _ = await asyncio.wait({running}, timeout=3)
    assert running in done
    assert running.cancelled()
