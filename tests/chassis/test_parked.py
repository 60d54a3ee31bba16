"""What a service gave up, over HTTP: looked at by viewers, tried, sent back or discarded by managers, with the service's own rights."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from chassis import audit
from chassis import broker as amqp
from chassis.audit import AuditRow
from chassis.clock import SystemClock
from chassis.db import Transaction, table
from chassis.inbox import InboxRow
from chassis.topology import events_exchange, parked_queue
from contracts.event import Event
from contracts.money import Money
from contracts.payment import PaymentSucceeded
from sqlalchemy import insert, select

from tests.chassis.conftest import Specimen
from tests.support.service import eventually

QUEUE = "refund.payment-succeeded"
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

Handler = Callable[[Event, Transaction], Awaitable[None]]


def refusing(poison: Event) -> Handler:
    async def refuse(event: Event, tx: Transaction) -> None:
        if event == poison:
            raise RuntimeError("poison")

    return refuse


async def park(specimen: Specimen) -> tuple[PaymentSucceeded, str]:
    """An event that the handler fails at, and its id, once it is parked."""
    event = PaymentSucceeded(
        version=1, occurred_at=SystemClock().now(), payment_id=uuid4(), booking_id=uuid4(), amount=Money(500, "EUR")
    )
    specimen.handle = refusing(event)
    event_id = uuid4()
    await amqp.publish(
        specimen.running.admin,
        event.model_dump_json(),
        exchange=events_exchange("payment"),
        routing_key=event.type,
        message_id=event_id,
        type=event.type,
        headers={"ce-time": event.occurred_at.isoformat(), "traceparent": TRACE},
    )
    await eventually(lambda: found(specimen, str(event_id)))
    return event, str(event_id)


async def listed(specimen: Specimen) -> list[dict[str, Any]]:
    answer = await specimen.running.client.get("/parked/refund", headers=specimen.running.staff("viewer"))
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    assert answer.json()["total"] == len(items)
    return items


async def found(specimen: Specimen, message_id: str) -> dict[str, Any] | None:
    return next((item for item in await listed(specimen) if item["message_id"] == message_id), None)


async def gone(specimen: Specimen, message_id: str) -> bool:
    return await found(specimen, message_id) is None


async def act(specimen: Specimen, message_id: str, what: str, **body: str) -> Any:
    return await specimen.running.client.post(
        f"/parked/refund/{QUEUE}/{message_id}/{what}",
        headers=specimen.running.staff("manager", "staff-7"),
        json=body or None,
    )


async def audited(specimen: Specimen, message_id: str) -> list[tuple[str, str, str | None]]:
    rows = table(AuditRow)
    query = select(rows.c.action, rows.c.actor, rows.c.reason).where(rows.c.subject == f"{QUEUE}/{message_id}")
    async with specimen.running.database.transaction() as tx:
        assert await audit.verify_chain(tx) == []
        return [(row.action, row.actor, row.reason) for row in await tx.execute(query)]


async def in_inbox(specimen: Specimen, message_id: str) -> list[bool]:
    """By consumer that has the event: whether it was discarded."""
    rows = table(InboxRow)
    async with specimen.running.database.transaction() as tx:
        return list(
            (await tx.execute(select(rows.c.discarded).where(rows.c.event_id == UUID(message_id)))).scalars().all()
        )


async def test_a_viewer_sees_why_and_does_nothing(specimen: Specimen) -> None:
    event, message_id = await park(specimen)
    item = await found(specimen, message_id)
    assert item == {
        "queue": QUEUE,
        "message_id": message_id,
        "type": "payment.succeeded.v1",
        "occurred_at": event.occurred_at.isoformat(),
        "tried": 3,
        "error": "RuntimeError: poison",
    }
    viewer = specimen.running.staff("viewer")
    shown = await specimen.running.client.get(f"/parked/refund/{QUEUE}/{message_id}", headers=viewer)
    assert json.loads(shown.json()["body"]) == json.loads(event.model_dump_json())
    assert shown.json()["headers"]["traceparent"] == TRACE
    for what in ("retry", "rehearse", "discard"):
        answer = await specimen.running.client.post(
            f"/parked/refund/{QUEUE}/{message_id}/{what}",
            headers=specimen.running.staff("refunder"),
            json={"reason": "x"},
        )
        assert answer.status_code == 403
    assert await found(specimen, message_id) == item
    assert await audited(specimen, message_id) == []


async def test_a_retried_message_is_tried_anew_in_its_own_trace(specimen: Specimen) -> None:
    """While the fault lasts it comes back, counted from the beginning; afterwards it has its effect. Each retry is in the audit."""
    event, message_id = await park(specimen)
    specimen.seen.clear()
    tries = 0

    async def count(event_: Event, tx: Transaction) -> None:
        nonlocal tries
        tries += 1
        await refusing(event)(event_, tx)

    specimen.handle = count
    assert (await act(specimen, message_id, "retry")).status_code == 204

    async def again() -> bool:
        return tries == 3 and await found(specimen, message_id) is not None

    await eventually(again)
    shown = await specimen.running.client.get(
        f"/parked/refund/{QUEUE}/{message_id}", headers=specimen.running.staff("viewer")
    )
    assert shown.json()["headers"]["traceparent"] == TRACE
    specimen.handle = None
    assert (await act(specimen, message_id, "retry")).status_code == 204
    await eventually(lambda: specimen.running.consumed(UUID(message_id)))
    assert specimen.seen == [event]
    assert await gone(specimen, message_id)
    assert await audited(specimen, message_id) == [("parked.retry", "staff-7", None)] * 2
    assert (await act(specimen, message_id, "retry")).status_code == 404


async def test_a_discarded_event_never_has_its_effect(specimen: Specimen) -> None:
    """Not when it is published again either. Who did it, and why, is in the audit; without a reason nothing happens."""
    event, message_id = await park(specimen)
    for reason in ("", " ", "x" * 1001):
        refused = await act(specimen, message_id, "discard", reason=reason)
        assert refused.status_code == 422
        assert refused.json()["errors"][0]["field"] == "reason"
    assert (await act(specimen, message_id, "discard")).status_code == 422
    assert await audited(specimen, message_id) == []

    specimen.handle = None
    assert (await act(specimen, message_id, "discard", reason="paid in cash")).status_code == 204
    assert await gone(specimen, message_id)
    assert await in_inbox(specimen, message_id) == [True]
    assert await audited(specimen, message_id) == [("parked.discard", "staff-7", "paid in cash")]
    specimen.seen.clear()
    await specimen.running.deliver(event, UUID(message_id))
    last = await specimen.running.deliver(event.model_copy(update={"payment_id": uuid4()}))
    await eventually(lambda: specimen.running.consumed(last))
    assert event not in specimen.seen
    assert (await act(specimen, message_id, "discard", reason="once more")).status_code == 404


async def test_a_message_that_is_no_event_can_be_discarded(specimen: Specimen) -> None:
    """Its id is no event's, so there is nothing that an inbox could keep away."""
    await amqp.publish(
        specimen.running.admin,
        b"\xff",
        exchange="",
        routing_key=parked_queue(QUEUE),
        message_id="forged",
        type="any",
        headers={"ce-time": "no time"},
    )
    item = await eventually(lambda: found(specimen, "forged"))
    assert (item["occurred_at"], item["tried"]) == (None, 0)
    rehearsed = await act(specimen, "forged", "rehearse")
    assert rehearsed.json()["outcome"] == "cannot be read"
    assert (await act(specimen, "forged", "discard", reason="forged")).status_code == 204
    assert await gone(specimen, "forged")
    assert await audited(specimen, "forged") == [("parked.discard", "staff-7", "forged")]


async def test_a_rehearsal_keeps_nothing(specimen: Specimen) -> None:
    _event, message_id = await park(specimen)
    assert (await act(specimen, message_id, "rehearse")).json() == {
        "outcome": "would fail",
        "error": "RuntimeError: poison",
        "changes": {},
        "events": [],
    }

    async def write(event: Event, tx: Transaction) -> None:
        await tx.execute(insert(table(InboxRow)).values(consumer="other", event_id=uuid4(), consumed_at=tx.now))

    specimen.handle = write
    rehearsed = (await act(specimen, message_id, "rehearse")).json()
    assert (rehearsed["outcome"], rehearsed["changes"]) == ("would be done", {"inbox": {"inserted": 2}})
    assert await in_inbox(specimen, message_id) == []
    assert await found(specimen, message_id) is not None


async def test_who_looks_at_the_same_time_sees_the_same(specimen: Specimen) -> None:
    """What one look holds would be missing in another's, and many looks must not use a message up."""
    _event, message_id = await park(specimen)
    looks = await asyncio.gather(*(listed(specimen) for _ in range(12)))
    looks += [await listed(specimen) for _ in range(12)]
    assert {[item["message_id"] for item in look].count(message_id) for look in looks} == {1}


async def test_another_services_messages_are_not_here(specimen: Specimen) -> None:
    viewer = specimen.running.staff("viewer")
    for path in (
        "/parked/payment",
        f"/parked/payment/{QUEUE}/x",
        "/parked/refund/payment.booking-placed/x",
        f"/parked/refund/{QUEUE}/x",
    ):
        assert (await specimen.running.client.get(path, headers=viewer)).status_code == 404, path


async def test_without_the_broker_it_says_so(specimen: Specimen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(specimen.running.app.state.parked, "_broker_url", "amqp://a:b@127.0.0.1:1/nowhere")
    answer = await specimen.running.client.get("/parked/refund", headers=specimen.running.staff("viewer"))
    assert (answer.status_code, "broker" in answer.json()["detail"]) == (503, True)
