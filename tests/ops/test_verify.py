"""verify on real databases and a real broker: the self-test, live and settled mode, and what it says of what it cannot read."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import aio_pika
import pytest
from chassis.ids import SystemIds
from chassis.topology import declare, topology

from ops import parked
from ops.settings import Settings, Shared
from ops.verify.corruptions import CORRUPTIONS
from ops.verify.report import CHECKS, Report
from ops.verify.run import kept_since, verify
from ops.verify.selftest import selftest
from ops.verify.waiting import until_settled
from tests.ops.conftest import Execute
from tests.support.service import RETRY_DELAYS_MS

RETENTION = timedelta(days=30)
SHARED = Shared(retry_delays_ms=RETRY_DELAYS_MS)
WRITE = """INSERT INTO outbox (id, type, subject, version, occurred_at, body, published_at)
           VALUES ($1, 'payment.voided.v1', $2, 1, $3, '{}', $4)"""


def new_id() -> UUID:
    return SystemIds().uuid7(datetime.now(UTC))


async def look(settings: Settings, *, settled: bool = True, second_look_s: float = 0) -> Report:
    report = await verify(
        settings, settled=settled, retention=RETENTION, wait_s=0, say=lambda _: None, second_look_s=second_look_s
    )
    # Whether the server of the tests is durable is not under test.
    report.differences = [found for found in report.differences if not found.subject.startswith("postgresql/")]
    return report


async def test_every_corruption_is_found_and_nothing_stays(settings: Settings, execute: Execute) -> None:
    results = await selftest(settings)
    assert [result for result in results if not result.found] == []
    assert len(results) == len(CORRUPTIONS) + 1
    assert await execute("payment", "SELECT 1 FROM pg_namespace WHERE nspname = 'verify_selftest'") == []
    assert await execute("payment", "SELECT 1 FROM payments") == []


async def test_how_to_reach_an_organiser_is_no_leak(settings: Settings, execute: Execute) -> None:
    """The description of an event is for everybody; any other text of the same row is looked through."""
    insert = """
        INSERT INTO events (id, name, venue, local_start, local_end, timezone, starts_at, ends_at, currency, refund_policy, created_at,
                            description)
        VALUES ($1, 'Tosca', $2, '2031-01-01', '2031-01-02', 'UTC', '2031-01-01', '2031-01-02', 'EUR', '{}', now(), $3)"""
    await execute("booking", insert, new_id(), "Oper", "Ask box.office@opera.example")
    assert (await look(settings)).differences == []
    await execute("booking", insert, new_id(), "at jo@example.com", None)
    assert [found.check for found in (await look(settings)).differences] == ["X4"]
    await execute("booking", "DELETE FROM events")


async def test_every_invariant_has_a_corruption() -> None:
    assert {corruption.check for corruption in CORRUPTIONS} == set(CHECKS)


async def test_empty_databases_do_not_differ_and_a_missing_provider_is_no_success(settings: Settings) -> None:
    report = await look(settings)
    assert report.differences == []
    assert report.left_out == {"provider": "PAYMENT_STRIPE_API_KEY is not set"}
    assert report.exit_code == 3


async def test_an_event_that_nobody_consumed_is_told_with_its_queue(settings: Settings, execute: Execute) -> None:
    event_id, now = new_id(), datetime.now(UTC)
    await execute("payment", WRITE, event_id, new_id(), now, now)
    report = await look(settings)
    assert [(found.check, found.subject) for found in report.differences] == [
        ("Q2", f"notification.payment-voided/{event_id}")
    ]
    assert report.exit_code == 1
    assert str(event_id) in report.as_json()
    assert any(str(event_id) in line for line in report.lines())
    await execute("payment", "DELETE FROM outbox")


async def test_live_what_is_on_its_way_is_given_time(settings: Settings, execute: Execute) -> None:
    now = datetime.now(UTC)
    await execute("payment", WRITE, new_id(), new_id(), now, None)
    assert (await look(settings, settled=False)).differences == []
    await execute("payment", "UPDATE outbox SET occurred_at = occurred_at - interval '1 hour'")
    assert {found.check for found in (await look(settings, settled=False)).differences} == {"Q1", "Q2"}
    await execute("payment", "DELETE FROM outbox")


async def test_live_what_a_second_look_does_not_find_again_is_not_told(settings: Settings, execute: Execute) -> None:
    long_ago = datetime.now(UTC) - timedelta(hours=1)
    await execute("payment", WRITE, new_id(), new_id(), long_ago, None)
    looking = asyncio.create_task(look(settings, settled=False, second_look_s=4))
    await asyncio.sleep(2)
    await execute("payment", "DELETE FROM outbox")
    assert (await looking).differences == []


async def test_a_database_that_cannot_be_read_is_exit_2_without_its_password(settings: Settings) -> None:
    nowhere = "postgresql+asyncpg://refund_owner:pass-in-url@127.0.0.1:1/refund"
    report = await look(Settings(**{**settings.model_dump(), "refund_database_url": nowhere}))
    assert report.exit_code == 2
    assert "databases" in report.unread
    assert "pass-in-url" not in report.as_json()


async def test_a_broker_that_cannot_be_read_is_exit_2_and_the_rest_is_compared(settings: Settings) -> None:
    changed = {"broker_url": "amqp://a:b@127.0.0.1:1/x", "broker_management_url": "http://a:b@127.0.0.1:1"}
    report = await look(Settings(**{**settings.model_dump(), **changed}))
    assert report.exit_code == 2
    assert set(report.unread) == {"broker", "broker's permissions"}
    assert report.checked["X1"] == 0
    assert report.checked["X3"] > 0


async def test_waiting_ends_when_all_is_consumed(settings: Settings, execute: Execute) -> None:
    said: list[str] = []
    event_id, now = new_id(), datetime.now(UTC)
    await execute("payment", WRITE, event_id, new_id(), now, None)
    since = kept_since(now, RETENTION)
    assert not await until_settled(settings, 0.1, since, said.append)
    assert "1 events to publish by payment" in said[0]
    assert "1 events for notification.payment-voided" in said[0]

    waiting = asyncio.create_task(until_settled(settings, 30, since, said.append))
    await execute("payment", "UPDATE outbox SET published_at = now()")
    await execute("notification", "INSERT INTO inbox VALUES ('notification.payment-voided', $1, now())", event_id)
    assert await waiting
    await execute("payment", "DELETE FROM outbox")
    await execute("notification", "DELETE FROM inbox")


async def test_another_schema_than_the_codes_is_exit_2(settings: Settings, execute: Execute) -> None:
    await execute("refund", "ALTER TABLE inbox RENAME TO inbox_away")
    report = await look(settings)
    await execute("refund", "ALTER TABLE inbox_away RENAME TO inbox")
    assert report.exit_code == 2
    assert "inbox" in report.unread["databases"]


async def test_a_parked_message_whose_queue_is_gone_stays_parked(settings: Settings) -> None:
    async with (
        await aio_pika.connect(settings.broker_url.get_secret_value()) as connection,
        connection.channel() as channel,
    ):
        message = aio_pika.Message(b"{}", message_id="m", delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
        await channel.default_exchange.publish(message, "payment.booking-placed.parked")
        await channel.queue_delete("payment.booking-placed")
        async with parked.of_service(settings, SHARED, "payment") as messages:
            with pytest.raises(aio_pika.exceptions.ChannelNotFoundEntity):
                await messages.retry("payment.booking-placed", None, "operator")
            ((kept,), _) = await messages.all()
        assert kept.message_id == "m"
        report = await look(settings)
        assert {found.subject for found in report.differences} == {
            "queue/payment.booking-placed",
            "queue/payment.booking-placed.parked",
        }
        await channel.queue_delete("payment.booking-placed.parked")
    await declare(settings.broker_url.get_secret_value(), topology(RETRY_DELAYS_MS))


async def test_the_digits_of_a_trace_are_no_card_number(settings: Settings, execute: Execute) -> None:
    """A trace's id is random hex: now and then it holds the digits of a valid card. Anywhere else they are told."""
    digits = "4242424242424242"
    now = datetime.now(UTC)
    await execute("payment", WRITE, new_id(), new_id(), now, now)
    await execute("payment", f"UPDATE outbox SET traceparent = '00-a{digits}bcdef0123456789-{digits}-01'")
    assert [found for found in (await look(settings)).differences if found.check == "X4"] == []
    await execute("payment", f'UPDATE outbox SET body = \'{{"card": "{digits}"}}\'')
    assert [found.check for found in (await look(settings)).differences if found.check == "X4"] == ["X4"]
    await execute("payment", "DELETE FROM outbox")
