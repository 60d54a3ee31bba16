"""Parked messages of a running service: listed, shown, rehearsed, retried and discarded; and events published again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import aio_pika
import pytest
from chassis.audit import AuditRow
from chassis.db import table
from chassis.parked import LOOKS_MAX, Parked, UnknownMessage
from contracts.booking import BookingCancelled
from contracts.money import Money
from contracts.payment import PaymentRefunded, PaymentSucceeded
from contracts.refund import RefundApproved
from sqlalchemy import select, text
from typer.testing import CliRunner

from ops import parked, republish
from ops.parked_cli import commands
from ops.settings import Settings, Shared
from tests.conftest import Vhost
from tests.ops.conftest import operator_settings
from tests.payment.shop import booking_placed
from tests.support.service import RETRY_DELAYS_MS, Running, as_role, eventually, running_service

QUEUE = "refund.payment-refunded"
PRICE = Money(5000, "EUR")
SHARED = Shared(retry_delays_ms=RETRY_DELAYS_MS)


@pytest.fixture(scope="module")
async def refund(postgres_url: str, broker_vhost: Vhost) -> AsyncIterator[Running]:
    async with running_service("refund", postgres_url, broker_vhost) as running:
        yield running


@pytest.fixture(scope="module")
async def operator(refund: Running, postgres_url: str, broker_vhost: Vhost) -> Settings:
    return await operator_settings(postgres_url, broker_vhost, refund=as_role(refund.url, "refund_owner"))


async def approved(refund: Running) -> RefundApproved:
    """A refund that waits for payment."""
    placed = booking_placed(PRICE)
    payment_id = uuid4()
    about: dict[str, Any] = {"booking_id": placed.booking_id, "occurred_at": datetime.now(UTC)}
    await refund.deliver(placed)
    await refund.deliver(PaymentSucceeded(version=1, payment_id=payment_id, amount=PRICE, **about))
    await refund.deliver(
        BookingCancelled(
            version=2, by="customer", was="confirmed", received_at=datetime.now(UTC),
            line_ids=tuple(line.line_id for line in placed.lines), **about,
        )
    )  # fmt: skip

    async def found() -> list[RefundApproved]:
        events = await refund.outbox_of(RefundApproved)
        return [event for event in events if event.booking_id == placed.booking_id]

    (event,) = await eventually(found)
    return event


def refunded(event: RefundApproved, **changes: Any) -> PaymentRefunded:
    values = event.model_dump(include={"booking_id", "refund_id", "payment_id"}) | {"amount": event.amount}
    return PaymentRefunded(**{"version": 2, "occurred_at": datetime.now(UTC), **values, **changes})


async def listed(operator: Settings) -> list[Parked]:
    async with parked.of_service(operator, SHARED, "refund") as messages:
        return [message for message in (await messages.all())[0] if message.queue == QUEUE]


async def retry(operator: Settings, queue: str, message_id: str | None) -> int:
    async with parked.of_queue(operator, SHARED, queue) as (messages, name):
        return await messages.retry(name, message_id, "operator")


async def park(refund: Running, operator: Settings, event: PaymentRefunded) -> Parked:
    event_id = str(await refund.deliver(event))

    async def found() -> list[Parked]:
        return [message for message in await listed(operator) if message.message_id == event_id]

    (message,) = await eventually(found)
    return message


async def test_a_parked_message_shows_its_error_and_what_was_tried(refund: Running, operator: Settings) -> None:
    message = await park(refund, operator, refunded(await approved(refund), refund_id=uuid4()))
    assert message.type == "payment.refunded.v1"
    assert message.tried == 3
    assert message.error.startswith("TooEarly: ")
    assert json.loads(message.body)["amount"] == {"amount_minor": 5000, "currency": "EUR"}
    async with parked.of_queue(operator, SHARED, f"{QUEUE}.parked") as (messages, name):
        assert (await messages.one(name, message.message_id)).body == message.body
    (rehearsal,) = await parked.rehearsed(operator, [message])
    assert rehearsal.outcome == "would fail"
    assert str(rehearsal.error).startswith("TooEarly: ")


async def test_a_rehearsal_tells_what_would_change_and_changes_nothing(refund: Running, operator: Settings) -> None:
    event = await approved(refund)
    message = Parked(QUEUE, str(uuid4()), "payment.refunded.v1", None, 0, "", {}, refunded(event).model_dump_json())
    (rehearsal,) = await parked.rehearsed(operator, [message])
    assert rehearsal.outcome == "would be done"
    assert rehearsal.changes == {"inbox": {"inserted": 1}, "outbox": {"inserted": 1}, "refunds": {"updated": 1}}
    assert rehearsal.events == [f"refund.completed.v1 of {event.refund_id}, version 2"]
    assert await parked.rehearsed(operator, [message]) == [rehearsal]


async def test_a_retried_message_is_consumed_and_gone(refund: Running, operator: Settings) -> None:
    event = await approved(refund)
    wrong = refunded(event, amount=Money(1, "EUR"))
    message = await park(refund, operator, wrong)
    before = len(await listed(operator))

    assert await retry(operator, QUEUE, message.message_id) == 1
    again = await eventually(lambda: _parked_anew(operator, message))
    assert again.error == message.error
    assert again.tried == message.tried
    assert len(await listed(operator)) == before

    # The reason is gone: staff corrected the refund.
    async with refund.database.transaction() as tx:
        await tx.execute(text("UPDATE refunds SET amount_minor = 1 WHERE id = :id"), {"id": event.refund_id})
    assert await retry(operator, QUEUE, None) == before
    await eventually(lambda: refund.consumed(UUID(message.message_id)))


async def _parked_anew(operator: Settings, message: Parked) -> Parked | None:
    found = await listed(operator)
    return next((each for each in found if each.message_id == message.message_id), None)


async def test_looking_often_does_not_lose_a_message(refund: Running, operator: Settings) -> None:
    message = await park(refund, operator, refunded(await approved(refund), refund_id=uuid4()))
    for _ in range(25):
        found = await listed(operator)
        assert [each.message_id for each in found].count(message.message_id) == 1
        counts = [each.headers.get("x-delivery-count", 0) for each in found]
        assert max(counts) <= LOOKS_MAX


async def test_what_is_not_there_is_named(operator: Settings) -> None:
    with pytest.raises(UnknownMessage, match="x is not parked in"):
        await retry(operator, QUEUE, "x")
    with pytest.raises(UnknownMessage, match="there is no queue nowhere"):
        await retry(operator, "nowhere", None)


async def test_the_command_lists_and_ends_with_status_1(
    refund: Running, operator: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = await park(refund, operator, refunded(await approved(refund), refund_id=uuid4()))
    for name, value in operator.model_dump(exclude_none=True).items():
        shown = value.get_secret_value() if hasattr(value, "get_secret_value") else value
        monkeypatch.setenv(f"OPS_{name.upper()}", shown)
    monkeypatch.setenv("BOXOFFICE_RETRY_DELAYS_MS", ",".join(str(delay) for delay in RETRY_DELAYS_MS))

    def invoke(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(commands, arguments)
        return result.exit_code, result.output

    code, output = await asyncio.to_thread(invoke, "list")
    assert code == 1
    assert message.message_id in output
    code, output = await asyncio.to_thread(invoke, "list", "--json")
    assert message.message_id in [each["message_id"] for each in json.loads(output)]
    code, output = await asyncio.to_thread(invoke, "show", QUEUE, message.message_id)
    assert (code, '"x-tried": 3' in output) == (0, True)
    code, output = await asyncio.to_thread(invoke, "retry", QUEUE, message.message_id, "--dry-run")
    assert (code, "would fail: TooEarly" in output) == (1, True)
    code, output = await asyncio.to_thread(invoke, "retry", QUEUE, "x")
    assert (code, output) == (1, f"x is not parked in {QUEUE}\n")
    code, output = await asyncio.to_thread(invoke, "retry", QUEUE, message.message_id)
    assert (code, output.endswith(f"1 sent back to {QUEUE}\n")) == (0, True)

    await eventually(lambda: _parked_anew(operator, message))
    code, output = await asyncio.to_thread(invoke, "discard", QUEUE, message.message_id)
    assert (code, "--reason" in output) == (2, True)
    code, output = await asyncio.to_thread(invoke, "discard", QUEUE, message.message_id, "--reason", " ")
    assert (code, output) == (1, "a reason of 1 to 1000 characters is needed\n")
    assert await _parked_anew(operator, message)
    code, output = await asyncio.to_thread(
        invoke, "discard", QUEUE, message.message_id, "--reason", "not ours", "--by", "ada"
    )
    assert (code, output) == (0, f"{message.message_id} discarded\n")
    assert await _parked_anew(operator, message) is None
    rows = table(AuditRow)
    asked = select(rows.c.action, rows.c.actor, rows.c.reason).where(rows.c.subject == f"{QUEUE}/{message.message_id}")
    async with refund.database.transaction() as tx:
        retried, discarded = (await tx.execute(asked.order_by(rows.c.seq))).all()
    assert retried.action == "parked.retry"
    assert tuple(discarded) == ("parked.discard", "command line/ada", "not ours")


async def test_events_of_a_wiped_broker_are_published_again(refund: Running, operator: Settings) -> None:
    event = await approved(refund)
    async with await aio_pika.connect(operator.broker_url.get_secret_value()) as connection:
        channel = await connection.channel()
        queue = await channel.get_queue("payment.refund-approved")
        await eventually(lambda: _purged(queue))

        assert await republish.republish(operator, "refund", datetime.now(UTC) + timedelta(hours=1)) == {}
        counts = await republish.republish(operator, "refund", None)
        assert counts["refund.approved.v1"] >= 1

        async def arrived() -> bool:
            message = await queue.get(fail=False)
            if message is None:
                return False
            await message.ack()
            found = RefundApproved.model_validate_json(message.body)
            return found == event and message.headers["ce-subject"] == str(event.refund_id)

        await eventually(arrived)


async def _purged(queue: aio_pika.abc.AbstractQueue) -> bool:
    """Whether anything was there: the relay had published it."""
    return bool((await queue.purge()).message_count)


def test_an_instant_needs_its_offset() -> None:
    assert republish.instant("2027-01-31T12:00:00Z") == datetime(2027, 1, 31, 12, tzinfo=UTC)
    with pytest.raises(ValueError, match="offset"):
        republish.instant("2027-01-31T12:00:00")
