"""The servers that tests run on."""

from __future__ import annotations

import aio_pika
import asyncpg
import pytest
from aiormq.exceptions import ChannelAccessRefused

from tests.conftest import Vhost


async def test_postgres_answers_and_runs_no_superstition(postgres_url: str) -> None:
    connection = await asyncpg.connect(postgres_url)
    try:
        assert await connection.fetchval("SHOW server_version_num") >= "180000"
        assert await connection.fetchval("SHOW listen_addresses") == "127.0.0.1"
    finally:
        await connection.close()


async def test_a_service_may_write_its_own_exchange_only(broker_vhost: Vhost) -> None:
    async with await aio_pika.connect(broker_vhost.url()) as admin, admin.channel() as channel:
        for name in ("booking.events", "payment.events"):
            await channel.declare_exchange(name, "topic", durable=True)
    async with await aio_pika.connect(broker_vhost.url("booking")) as booking:
        async with booking.channel() as channel:
            own = await channel.get_exchange("booking.events")
            await own.publish(aio_pika.Message(b"{}"), "booking.placed.v1", mandatory=False)
        async with booking.channel() as channel:
            foreign = await channel.get_exchange("payment.events", ensure=False)
            with pytest.raises(ChannelAccessRefused):
                await foreign.publish(aio_pika.Message(b"{}"), "payment.succeeded.v1", mandatory=False)
