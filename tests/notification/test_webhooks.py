"""CRM systems are told of everything once, in the end, whatever they answer first; and they learn nothing of the buyer."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import notification
import pytest
from chassis.audit import AuditRow
from chassis.db import table
from contracts.booking import BookingCancelled, BookingExpired, EventRescheduled, TicketsCancelled
from contracts.money import Money
from contracts.payment import (
    DisputeClosed,
    DisputeOpened,
    PaymentAttemptFailed,
    PaymentFailed,
    PaymentHeldForReview,
    PaymentVoided,
)
from contracts.refund import (
    RefundAwaitingApproval,
    RefundCampaignFinished,
    RefundCampaignStarted,
    RefundCompleted,
    RefundDeclined,
    RefundFailed,
    RefundSettledManually,
)
from notification.domain import WEBHOOK_DELAYS
from notification.models import WebhookDelivery
from notification.payloads import TOLD, TYPES, type_of
from sqlalchemy import select, update
from standardwebhooks import Webhook

from tests.notification.conftest import EMAIL, FACTS, NAME, STARTS_AT, TICKETS, Office, Receiver, answer
from tests.support.service import eventually

SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"


async def test_every_event_is_told_signed_and_without_the_buyer(office: Office, crm: Receiver) -> None:
    endpoint = await office.register(crm.url, secret=SECRET)
    assert endpoint["secret"] == SECRET
    booking_id, event_id = uuid4(), uuid4()
    await _everything(office, booking_id, event_id)
    calls = await eventually(partial(_all_calls, crm, len(TYPES)))
    bodies = [Webhook(SECRET).verify(call.body, call.headers) for call in calls]
    assert {body["type"] for body in bodies} == TYPES
    assert len({call.headers["webhook-id"] for call in calls}) == len(calls)
    for body in bodies:
        assert set(body) == {"type", "timestamp", "data"}
        about_event = body["type"] in {
            "booking.event_rescheduled", "refund.campaign_started", "refund.campaign_finished",
        }  # fmt: skip
        assert body["data"].get("booking_id") == (None if about_event else str(booking_id))
        assert body["data"].get("event_id") in ({str(event_id)} if about_event else {None, str(event_id)})
        assert body["data"]["version"] >= 1
        assert datetime.fromisoformat(body["timestamp"]).tzinfo
    everything = b"".join(call.body for call in calls).decode()
    for private in (NAME, EMAIL, "contact", '"tickets"', *(ticket["code"] for ticket in TICKETS)):
        assert private not in everything
    confirmed = next(body["data"] for body in bodies if body["type"] == "booking.confirmed")
    assert confirmed["total"] == {"amount_minor": 8900, "currency": "EUR"}
    assert confirmed["status"] == "confirmed"
    moved = next(body["data"] for body in bodies if body["type"] == "booking.event_rescheduled")
    assert moved["starts_at"] == "2031-03-29T19:00:00Z"
    assert (moved["previous_starts_at"], moved["timezone"]) == ("2031-03-28T19:00:00Z", "Europe/Berlin")


def test_the_readme_names_each_type_and_its_fields() -> None:
    rows = re.findall(
        r"^\| `([a-z_.]+)` \| `(\w+)` \|(.*)\|$",
        (Path(notification.__file__).parent / "README.md").read_text(),
        re.MULTILINE,
    )
    documented = {name: set(re.findall(r"`(\w+)`", fields)) for name, _, fields in rows}
    assert set(documented) == TYPES
    for event, told in TOLD.items():
        assert told.fields <= documented[type_of(event)], event


async def test_an_endpoint_is_told_only_what_it_asked_for(office: Office, crm: Receiver, other_crm: Receiver) -> None:
    await office.register(crm.url, "booking.confirmed")
    await office.register(other_crm.url, "booking.placed", "booking.confirmed")
    booking_id = await office.book()
    await office.running.deliver_and_wait(office.confirmed(booking_id))
    await eventually(lambda: _calls(other_crm, booking_id, 2))
    (call,) = await eventually(lambda: _calls(crm, booking_id, 1))
    assert json.loads(call.body)["type"] == "booking.confirmed"


async def test_a_duplicate_of_an_event_is_told_once(office: Office, crm: Receiver) -> None:
    await office.register(crm.url)
    booking_id = uuid4()
    placed = office.placed(booking_id)
    for _ in range(3):
        await office.running.deliver_and_wait(placed)
    await office.delivery_once(booking_id, status="delivered")
    assert len(crm.of(booking_id)) == 1


@pytest.mark.parametrize(
    "refusal", [answer(500), answer(404), answer(302, "Location: http://crm.test/"), b"nonsense\r\n\r\n"]
)
async def test_what_is_not_acknowledged_comes_again_as_the_same_webhook(
    office: Office, crm: Receiver, refusal: bytes
) -> None:
    await office.register(crm.url, "booking.placed", secret=SECRET)
    crm.answers = [refusal, refusal, answer(200)]
    booking_id = await office.book()
    for attempts, delay in enumerate(WEBHOOK_DELAYS[:2], 1):
        row = await office.delivery_once(booking_id, attempts=attempts, status="pending", last_error=_error(refusal))
        assert abs(row.next_attempt_at - datetime.now(UTC) - delay) < timedelta(seconds=4)
        await office.make_due(WebhookDelivery, id=row.id)
    done = await office.delivery_once(booking_id, status="delivered")
    assert (done.attempts, done.last_status, done.last_error, done.next_attempt_at) == (3, 200, None, None)
    calls = crm.of(booking_id)
    assert len({call.headers["webhook-id"] for call in calls}) == 1
    assert len({call.body for call in calls}) == 1
    assert [call.path for call in calls] == ["/hooks"] * 3  # no redirect was followed
    for call in calls:
        Webhook(SECRET).verify(call.body, call.headers)


def _error(refusal: bytes) -> str:
    if not refusal.startswith(b"HTTP"):
        return "the connection broke"
    status = refusal.split()[1].decode()
    return f"answered {status}" + (": redirects are not followed" if status == "302" else "")


async def test_after_the_tenth_call_it_is_given_up_and_can_be_redelivered(office: Office, crm: Receiver) -> None:
    endpoint = await office.register(crm.url, "booking.placed")
    crm.answers = [answer(500)]
    booking_id = await office.book()
    row = await office.delivery_once(booking_id, attempts=1, last_status=500)
    deliveries = table(WebhookDelivery)
    async with office.running.database.transaction() as tx:
        await tx.execute(update(deliveries).where(deliveries.c.id == row.id).values(attempts=len(WEBHOOK_DELAYS)))
    await office.make_due(WebhookDelivery, id=row.id)
    await office.delivery_once(booking_id, status="failed", attempts=10, next_attempt_at=None)
    crm.answers = [answer(200)]
    path = f"/webhook-endpoints/{endpoint['id']}/deliveries/{row.id}/redeliver"
    answered = await office.running.client.post(path, headers=office.running.staff("manager"))
    assert answered.status_code == 202
    await office.delivery_once(booking_id, status="delivered", attempts=1)
    assert len({call.headers["webhook-id"] for call in crm.of(booking_id)}) == 1


@pytest.mark.parametrize("status", [429, 503])
async def test_a_receiver_says_when_to_come_again(office: Office, crm: Receiver, status: int) -> None:
    await office.register(crm.url, "booking.placed")
    crm.answers = [answer(status, "Retry-After: 120")]
    booking_id = await office.book()
    row = await office.delivery_once(booking_id, last_status=status)
    assert abs(row.next_attempt_at - datetime.now(UTC) - timedelta(seconds=120)) < timedelta(seconds=4)


@pytest.mark.parametrize(
    "said", ["soon", "-5", "Wed, 21 Oct 2015 07:28:00 GMT", "Wed, 21 Oct 2015 07:28:00", "9" * 400]
)
async def test_a_retry_after_that_makes_no_sense_does_no_harm(office: Office, crm: Receiver, said: str) -> None:
    await office.register(crm.url, "booking.placed")
    crm.answers = [answer(429, f"Retry-After: {said}")]
    booking_id = await office.book()
    row = await office.delivery_once(booking_id, last_status=429)
    expected = timedelta(hours=24) if said.startswith("9") else WEBHOOK_DELAYS[0]
    assert abs(row.next_attempt_at - datetime.now(UTC) - expected) < timedelta(seconds=4)


async def test_a_receiver_that_is_gone_is_not_called_again(office: Office, crm: Receiver) -> None:
    endpoint = await office.register(crm.url, "booking.placed", "booking.confirmed")
    crm.answers = [answer(500), answer(410)]
    first = await office.book()
    await office.delivery_once(first, attempts=1, last_status=500)
    second = await office.book()
    await office.delivery_once(second, status="failed", last_status=410)
    await office.delivery_once(first, status="failed", last_error="the endpoint is disabled")
    listed = await office.running.client.get("/webhook-endpoints", headers=office.running.staff("manager"))
    (shown,) = listed.json()["items"]
    assert shown["status"] == "disabled"
    assert "410" in shown["disabled_reason"]
    await office.running.deliver_and_wait(office.confirmed(second))
    assert [call for call in crm.of(second) if b"booking.confirmed" in call.body] == []
    row = await office.delivery_once(first)
    path = f"/webhook-endpoints/{endpoint['id']}/deliveries/{row.id}/redeliver"
    answered = await office.running.client.post(path, headers=office.running.staff("manager"))
    assert answered.status_code == 409
    assert answered.json()["state"] == "disabled"
    await _enabled_again(office, crm, endpoint["id"], path)


async def _enabled_again(office: Office, crm: Receiver, endpoint_id: str, redeliver: str) -> None:
    """By a manager, once, written down; then it is called, for what is new and for what is asked for."""
    client, manager = office.running.client, office.running.staff("manager")
    crm.answers = [answer(204)]
    enable = f"/webhook-endpoints/{endpoint_id}/enable"
    enabled = await client.post(enable, headers=manager)
    assert (enabled.status_code, enabled.json()["status"], enabled.json()["disabled_reason"]) == (200, "active", None)
    assert (await client.post(enable, headers=manager)).json()["state"] == "active"
    assert (await client.post(f"/webhook-endpoints/{uuid4()}/enable", headers=manager)).status_code == 404
    third = await office.book()
    await office.delivery_once(third, status="delivered")
    assert (await client.post(redeliver, headers=manager)).status_code == 202
    audits = table(AuditRow)
    async with office.running.database.transaction() as tx:
        of_endpoint = select(audits.c.action).where(audits.c.subject == f"webhook_endpoint/{endpoint_id}")
        found = await tx.execute(of_endpoint.order_by(audits.c.seq))
        assert list(found.scalars()) == ["webhook_endpoint.register", "webhook_endpoint.enable"]


async def test_a_receiver_that_hangs_holds_up_neither_others_nor_mails(
    office: Office, crm: Receiver, other_crm: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "notification.crm.TIMEOUT_S", 120
    )  # on a slow machine too, none is given up and followed by another
    released = asyncio.Event()

    async def hang(writer: asyncio.StreamWriter) -> None:
        await released.wait()
        writer.write(answer(204))

    crm.behave = hang
    await office.register(crm.url)
    await office.register(other_crm.url)
    bookings = [await office.book() for _ in range(12)]
    for booking_id in bookings:
        await office.running.deliver_and_wait(office.confirmed(booking_id))
    for booking_id in bookings:
        await eventually(partial(_calls, other_crm, booking_id, 2), 30)
        await office.mails(booking_id)
    assert 1 <= len(crm.calls) <= 8
    released.set()
    for booking_id in bookings:
        await eventually(partial(_calls, crm, booking_id, 2))


async def test_a_call_takes_ten_seconds_at_most(office: Office, crm: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("notification.crm.TIMEOUT_S", 0.5)

    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.05)

    crm.behave = drip
    await office.register(crm.url, "booking.placed")
    booking_id = await office.book()
    await office.delivery_once(booking_id, status="pending", attempts=1, last_error="no answer within 0 s")


async def test_of_an_endless_answer_only_the_beginning_is_read(office: Office, crm: Receiver) -> None:
    written = 0

    async def flood(writer: asyncio.StreamWriter) -> None:
        nonlocal written
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()
            written += 65536

    crm.behave = flood
    await office.register(crm.url, "booking.placed")
    booking_id = await office.book()
    await office.delivery_once(booking_id, status="delivered", last_status=200)
    assert written < 32 * 1024 * 1024  # what the sockets hold between us, not what the receiver would send


async def test_a_removed_endpoint_is_owed_nothing(office: Office, crm: Receiver) -> None:
    endpoint = await office.register(crm.url, "booking.placed")
    crm.answers = [answer(500)]
    booking_id = await office.book()
    await office.delivery_once(booking_id, attempts=1, last_status=500)
    await office.remove(endpoint["id"])
    deliveries = table(WebhookDelivery)
    async with office.running.database.transaction() as tx:
        left = (await tx.execute(select(deliveries).where(deliveries.c.booking_id == booking_id))).all()
    assert left == []


async def _calls(crm: Receiver, booking_id: UUID, count: int) -> list[Any]:
    calls = crm.of(booking_id)
    return calls if len(calls) >= count else []


async def _all_calls(crm: Receiver, count: int) -> list[Any]:
    return crm.calls if len(crm.calls) >= count else []


async def _everything(office: Office, booking_id: UUID, event_id: UUID) -> None:
    """One of each event that CRM systems hear of."""
    now, payment_id, refund_id = datetime.now(UTC), uuid4(), uuid4()
    payment = {"payment_id": payment_id, "booking_id": booking_id, "occurred_at": now}
    refund = {"refund_id": refund_id, "booking_id": booking_id, "occurred_at": now}
    money = Money(100, "EUR")
    events = [
        office.placed(booking_id, event_id=event_id),
        PaymentAttemptFailed(version=1, attempts_left=4, **payment),
        BookingExpired(version=2, booking_id=booking_id, occurred_at=now),
        PaymentVoided(version=2, amount=money, was_authorized=False, reason="booking_expired", **payment),
        office.confirmed(booking_id, event_id=event_id),
        TicketsCancelled(
            version=4,
            booking_id=booking_id,
            occurred_at=now,
            by="customer",
            received_at=now,
            line_ids=(UUID(int=1),),
            remaining_line_ids=(UUID(int=2),),
        ),
        EventRescheduled(
            version=1,
            occurred_at=now,
            event_id=event_id,
            event=FACTS.model_copy(update={"event_id": event_id}),
            previous_starts_at=STARTS_AT - timedelta(days=1),
        ),
        BookingCancelled(
            version=5, booking_id=booking_id, occurred_at=now, by="staff", was="confirmed", received_at=now, line_ids=()
        ),
        RefundDeclined(version=1, rule="none", **refund),
        RefundCompleted(version=2, payment_id=payment_id, amount=money, reason="goodwill", **refund),
        RefundFailed(version=3, payment_id=payment_id, amount=money, reason="lost", **refund),
        RefundAwaitingApproval(version=4, payment_id=payment_id, amount=money, reason="goodwill", **refund),
        RefundSettledManually(version=5, payment_id=payment_id, amount=money, reason="goodwill", **refund),
        DisputeOpened(version=3, amount=money, dispute_id=uuid4(), reason="fraudulent", **payment),
        DisputeClosed(version=4, amount=money, dispute_id=uuid4(), outcome="won", **payment),
        PaymentHeldForReview(version=5, amount=money, kind="held", reasons=("amount",), **payment),
        PaymentFailed(version=6, reason="canceled_by_provider", **payment),
        RefundCampaignStarted(version=1, event_id=event_id, name="x", bookings=1, totals=(money,), occurred_at=now),
        RefundCampaignFinished(
            version=2, event_id=event_id, name="x", refunded=1, failed=0, totals=(money,), occurred_at=now
        ),
    ]
    for event in events:
        await office.running.deliver_and_wait(event)
