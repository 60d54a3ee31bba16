"""A service's user writes to its own exchanges and reads its own queues, on a real broker, in every way of running."""

from __future__ import annotations

import json
import re
import string
from collections.abc import AsyncIterator

import aio_pika
import pytest
from aio_pika.abc import AbstractConnection, AbstractIncomingMessage
from aiormq.exceptions import ChannelAccessRefused
from chassis.topology import Topology, declare, topology

from ops.privileges import in_broker
from ops.settings import SERVICES
from ops.verify.trust import broker_rights
from sandbox.launcher.stack import DEPLOY
from tests.conftest import Broker, Vhost

WANTED: Topology = topology((1_000,))


@pytest.fixture(scope="module")
async def vhost(broker_vhost: Vhost) -> Vhost:
    await declare(broker_vhost.url(), WANTED)
    return broker_vhost


@pytest.fixture(params=SERVICES)
async def user(request: pytest.FixtureRequest, vhost: Vhost) -> AsyncIterator[tuple[str, AbstractConnection]]:
    """A service, and a connection as its user."""
    async with await aio_pika.connect(vhost.url(request.param)) as connection:
        yield request.param, connection


async def ignore(_: AbstractIncomingMessage) -> None:
    """A consumer."""


async def refused(connection: AbstractConnection, act: str, name: str) -> bool:
    """Whether the broker closes the channel over it."""
    async with connection.channel() as channel:
        try:
            match act:
                case "publish":
                    exchange = await channel.get_exchange(name, ensure=False) if name else channel.default_exchange
                    await exchange.publish(aio_pika.Message(b"{}"), routing_key="planted", mandatory=False)
                case "consume":
                    queue = await channel.get_queue(name, ensure=False)
                    tag = await queue.consume(ignore)
                    await queue.cancel(tag)
                case "declare queue":
                    await channel.declare_queue(name, durable=True)
                case "declare exchange":
                    await channel.declare_exchange(name)
                case "delete queue":
                    await channel.queue_delete(name)
                case "delete exchange":
                    await channel.exchange_delete(name)
                case "bind":
                    queue = await channel.get_queue(name, ensure=False)
                    await queue.bind(f"{name.partition('.')[0]}.events", "#")
        except ChannelAccessRefused:
            return True
    return False


async def test_a_service_writes_to_its_own_exchanges_only(user: tuple[str, AbstractConnection]) -> None:
    """So an exchange vouches for the sender. The default exchange would reach any queue."""
    service, connection = user
    exchanges = [exchange.name for exchange in WANTED.exchanges]
    assert len(exchanges) == 3 * len(SERVICES)
    for exchange in (*exchanges, "", "amq.topic", f"{service}.events.planted"):
        own = exchange in {f"{service}.events", f"{service}.parked", f"{service}.retry.1000ms"}
        assert await refused(connection, "publish", exchange) is not own, f"{service} -> {exchange}"


async def test_a_service_reads_its_own_queues_only(user: tuple[str, AbstractConnection]) -> None:
    """Those of parked and of waiting messages are its own, too."""
    service, connection = user
    for queue in (queue.name for queue in WANTED.queues):
        own = queue.startswith(f"{service}.")
        assert await refused(connection, "consume", queue) is not own, f"{service} <- {queue}"


async def test_a_service_declares_binds_and_deletes_nothing(user: tuple[str, AbstractConnection]) -> None:
    """Not even what would be its own."""
    service, connection = user
    own, other = (f"{name}.planted" for name in (service, "payment" if service != "payment" else "refund"))
    for act in ("declare queue", "declare exchange"):
        for name in (own, other):
            assert await refused(connection, act, name), f"{act} {name}"
    assert await refused(connection, "delete exchange", f"{service}.events")
    work = next(
        queue.name for queue in WANTED.queues if queue.name.startswith(f"{service}.") and ".retry." not in queue.name
    )
    assert await refused(connection, "delete queue", work)
    assert await refused(connection, "bind", work)


async def test_a_service_enters_no_other_virtual_host_and_administers_nothing(vhost: Vhost, rabbitmq: Broker) -> None:
    """Its user has no tag."""
    with rabbitmq.management() as management:
        users = {user["name"]: user for user in management.get("/api/users").json()}
    assert {name for name, user in users.items() if user["tags"]} == {"admin"}
    assert set(SERVICES) <= set(users)
    for service in SERVICES:
        with pytest.raises(aio_pika.exceptions.AMQPError):
            await aio_pika.connect(rabbitmq.url("/", service))


async def test_the_broker_has_what_is_declared(vhost: Vhost, rabbitmq: Broker) -> None:
    """In the virtual host that its definitions make, and in those of tests."""
    with rabbitmq.management() as management:
        found = management.get("/api/permissions").json()
    for name in ("boxoffice", vhost.name):
        assert list(broker_rights(name, found, SERVICES)) == []
        assert {row["user"] for row in found if row["vhost"] == name} == {"admin", *SERVICES}


def test_the_definitions_are_what_is_declared() -> None:
    """What a node imports at its start, in the sandbox, in containers and in a cluster."""
    template = string.Template((DEPLOY / "rabbitmq" / "definitions.json.template").read_text())
    hashes = {f"{user.upper()}_PASSWORD_HASH": "hash" for user in ("admin", *SERVICES)}
    definitions = json.loads(template.substitute(hashes))
    permissions = {row.pop("user"): row for row in definitions["permissions"]}
    assert permissions == {
        "admin": {"vhost": "boxoffice", "configure": ".*", "write": ".*", "read": ".*"},
        **{service: {"vhost": "boxoffice", **in_broker(service)} for service in SERVICES},
    }
    assert {user["name"]: user["tags"] for user in definitions["users"]} == {
        "admin": ["administrator"],
        **{service: [] for service in SERVICES},
    }


def test_no_service_may_reach_into_another_ones_names() -> None:
    """A name that begins like another's would."""
    names = [exchange.name for exchange in WANTED.exchanges] + [queue.name for queue in WANTED.queues]
    for service in SERVICES:
        for operation in ("write", "read"):
            reached = [name for name in names if re.search(in_broker(service)[operation], name)]
            assert {name.partition(".")[0] for name in reached} == {service}
