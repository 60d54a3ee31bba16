"""Staff's routes: who may, what they show, and that nothing of a buyer is in them."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from chassis.audit import AuditRow, verify_chain
from chassis.db import table
from notification.models import WebhookEndpoint
from notification.payloads import TYPES
from notification.webhooks import PAGE
from sqlalchemy import select

from tests.notification.conftest import EMAIL, NAME, Office, Receiver, answer
from tests.support.service import as_role, eventually

SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"


async def test_staff_see_how_far_a_mail_got_and_not_whose_it_is(office: Office) -> None:
    booking_id = uuid4()
    await office.running.deliver_and_wait(office.confirmed(booking_id, total=0))
    sent = await office.message_once(booking_id, status="sent")
    answered = await office.running.client.get(
        f"/notifications?booking_id={booking_id}", headers=office.running.staff("viewer")
    )
    assert answered.status_code == 200
    (shown,) = answered.json()["items"]
    assert shown["template"] == "confirmation"
    assert shown["status"] == "sent"
    assert shown["message_id"] == sent.message_id
    assert shown["attempts"] == 1
    assert shown["sent_at"]
    for private in (NAME, EMAIL, "contact"):
        assert private not in answered.text


async def test_a_mail_that_staff_send_again_is_a_new_one_and_is_written_down(office: Office) -> None:
    booking_id = uuid4()
    await office.running.deliver_and_wait(office.confirmed(booking_id, total=0))
    sent = await office.message_once(booking_id, status="sent")
    headers = office.running.staff("manager", "boss") | {"Idempotency-Key": str(uuid4())}
    first, second = [
        await office.running.client.post(f"/notifications/{sent.id}/resend", headers=headers) for _ in range(2)
    ]
    assert first.status_code == second.status_code == 201
    assert first.json() == second.json()
    assert first.json()["id"] != str(sent.id)
    mails = await office.mails(booking_id, 2)
    assert len({mail["Message-ID"] for mail in mails}) == 2
    audits = table(AuditRow)
    async with office.running.database.transaction() as tx:
        rows = (await tx.execute(select(audits).where(audits.c.subject == f"notification/{sent.id}"))).all()
        assert await verify_chain(tx) == []
    (row,) = rows
    assert (row.actor, row.action) == ("boss", "notification.resend")


@pytest.mark.parametrize(
    ("method", "path", "needed"),
    [
        ("GET", "/notifications?booking_id={id}", "viewer"),
        ("GET", "/notifications", "viewer"),
        ("POST", "/webhook-endpoints/{id}/enable", "manager"),
        ("GET", "/webhook-deliveries?booking_id={id}", "viewer"),
        ("POST", "/notifications/{id}/resend", "manager"),
        ("GET", "/webhook-endpoints", "manager"),
        ("POST", "/webhook-endpoints", "manager"),
        ("DELETE", "/webhook-endpoints/{id}", "manager"),
        ("GET", "/webhook-endpoints/{id}/deliveries", "viewer"),
        ("POST", "/webhook-endpoints/{id}/deliveries/{id}/redeliver", "manager"),
    ],
)
async def test_each_route_asks_for_its_role(office: Office, method: str, path: str, needed: str) -> None:
    path = path.replace("{id}", str(uuid4()))
    roles = ["viewer", "refunder", "manager"]
    key = {"Idempotency-Key": str(uuid4())}
    client = office.running.client
    assert (await client.request(method, path, headers=key)).status_code == 401
    assert (await client.request(method, path, headers=key | office.running.holder(uuid4()))).status_code == 403
    for role in roles:
        answered = await client.request(method, path, headers=key | office.running.staff(role), json={})
        allowed = roles.index(role) >= roles.index(needed)
        assert (answered.status_code != 403) is allowed, (role, answered.text)
        assert answered.status_code < 500


async def test_an_endpoint_shows_its_secret_once(office: Office, crm: Receiver) -> None:
    registered = await office.register(crm.url)
    assert registered["secret"].startswith("whsec_")
    assert registered["event_types"] == sorted(TYPES)
    answered = await office.running.client.get("/webhook-endpoints", headers=office.running.staff("manager"))
    assert [shown["id"] for shown in answered.json()["items"]] == [registered["id"]]
    assert "whsec_" not in answered.text
    async with office.running.database.transaction() as tx:
        stored = (await tx.execute(select(table(WebhookEndpoint)))).one()
    assert registered["secret"] not in str(stored)


async def test_two_generated_secrets_differ(office: Office, crm: Receiver, other_crm: Receiver) -> None:
    secrets = {(await office.register(receiver.url))["secret"] for receiver in (crm, other_crm)}
    assert len(secrets) == 2


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"url": "http://127.0.0.1/"}, "url"),
        ({"url": "https://169.254.169.254/latest"}, "url"),
        ({"url": "https://unknown.example/"}, "url"),
        ({"url": "https://inside.example/"}, "url"),
        ({"url": "not an address"}, "url"),
        ({"url": "https://crm.example/\0"}, "url"),
        ({"url": "x" * 2001}, "url"),
        ({}, "url"),
        ({"url": "https://crm.example/", "event_types": ["booking.unheard_of"]}, "event_types.0"),
        ({"url": "https://crm.example/", "event_types": []}, "event_types"),
        ({"url": "https://crm.example/", "secret": "whsec_short"}, "secret"),
        ({"url": "https://crm.example/", "secret": SECRET.removeprefix("whsec_")}, "secret"),
        ({"url": "https://crm.example/", "admin": True}, "admin"),
    ],
)
async def test_what_cannot_be_an_endpoint_is_refused_by_name(
    office: Office, body: dict[str, object], field: str
) -> None:
    office.names.answers |= {"inside.example": [["10.0.0.7"]], "crm.example": [["93.184.216.34"]]}
    answered = await office.running.client.post(
        "/webhook-endpoints", json=body, headers=office.running.staff("manager") | {"Idempotency-Key": str(uuid4())}
    )
    assert answered.status_code == 422
    assert [error["field"] for error in answered.json()["errors"]] == [field]
    assert "10.0.0.7" not in answered.text
    assert SECRET not in answered.text


async def test_a_public_endpoint_is_registered(office: Office) -> None:
    office.names.answers["crm.example"] = [["93.184.216.34"]]
    registered = await office.register("https://crm.example:8443/hooks", "refund.completed", secret=SECRET)
    assert registered["secret"] == SECRET
    assert registered["status"] == "active"


async def test_a_registration_that_is_repeated_is_one(office: Office, crm: Receiver) -> None:
    headers = office.running.staff("manager") | {"Idempotency-Key": str(uuid4())}
    client = office.running.client
    answers = [await client.post("/webhook-endpoints", json={"url": crm.url}, headers=headers) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    other = await client.post(
        "/webhook-endpoints", json={"url": crm.url, "event_types": ["booking.placed"]}, headers=headers
    )
    assert other.status_code == 422


async def test_deliveries_come_in_pages_newest_first(office: Office, crm: Receiver) -> None:
    endpoint = await office.register(crm.url, "booking.placed")
    events = [office.placed(uuid4()) for _ in range(PAGE + 5)]
    ids = [await office.running.deliver(event) for event in events]
    for event_id in ids:
        await eventually(partial(office.running.consumed, event_id))
    path, headers = f"/webhook-endpoints/{endpoint['id']}/deliveries", office.running.staff("viewer")
    first = (await office.running.client.get(path, headers=headers)).json()
    second = (await office.running.client.get(f"{path}?before={first['next']}", headers=headers)).json()
    assert (len(first["items"]), len(second["items"]), second["next"]) == (PAGE, 5, None)
    shown = first["items"] + second["items"]
    assert {item["booking_id"] for item in shown} == {str(event.booking_id) for event in events}
    assert [item["created_at"] for item in shown] == sorted((item["created_at"] for item in shown), reverse=True)


async def test_deliveries_are_found_by_status_and_by_booking(office: Office, crm: Receiver) -> None:
    endpoint = await office.register(crm.url, "booking.placed", "booking.confirmed")
    booking_id, other = await office.book(), await office.book()
    for each in (booking_id, other):
        await office.delivery_once(each, status="delivered")
    crm.answers = [answer(500)]
    await office.running.deliver_and_wait(office.confirmed(booking_id))
    client, headers = office.running.client, office.running.staff("viewer")

    async def pending() -> list[dict[str, str]]:
        path = f"/webhook-endpoints/{endpoint['id']}/deliveries?status=pending"
        items: list[dict[str, str]] = (await client.get(path, headers=headers)).json()["items"]
        return items

    (shown,) = await pending()
    assert (shown["type"], shown["booking_id"]) == ("booking.confirmed", str(booking_id))
    about = (await client.get(f"/webhook-deliveries?booking_id={booking_id}", headers=headers)).json()["items"]
    assert [item["type"] for item in about] == ["booking.confirmed", "booking.placed"]


async def test_mails_of_all_bookings_are_listed_by_status_and_template(office: Office) -> None:
    """Newest first, a page at a time; of one booking oldest first."""
    booking_ids = [uuid4() for _ in range(3)]
    for booking_id in booking_ids:
        await office.running.deliver_and_wait(office.confirmed(booking_id, total=0))
        await office.message_once(booking_id, status="sent")
    client, headers = office.running.client, office.running.staff("viewer")

    async def page(**query: object) -> dict[str, Any]:
        answered = await client.get("/notifications", params=query, headers=headers)
        assert answered.status_code == 200, answered.text
        found: dict[str, Any] = answered.json()
        return found

    first = await page(limit=2, status="sent", template="confirmation")
    second = await page(limit=1, status="sent", template="confirmation", cursor=first["next_cursor"])
    shown = [item["booking_id"] for item in first["items"] + second["items"]]
    assert shown == [str(booking_id) for booking_id in reversed(booking_ids)]
    assert {item["status"] for item in (await page(status="failed"))["items"]} <= {"failed"}
    again = {"Idempotency-Key": str(uuid4())} | office.running.staff("manager")
    sent = await office.message_once(booking_ids[0], status="sent")
    await client.post(f"/notifications/{sent.id}/resend", headers=again)
    own = await page(booking_id=booking_ids[0])
    assert [item["cause"].partition("/")[0] for item in own["items"]] == ["booking", "resend"]
    assert (await page(booking_id=booking_ids[0], cursor=own["items"][0]["id"]))["items"] == own["items"][1:]
    assert own["next_cursor"] is None


async def test_what_is_pending_is_not_redelivered(office: Office, crm: Receiver) -> None:
    endpoint = await office.register(crm.url, "booking.placed")
    crm.answers = [answer(500)]
    booking_id = await office.book()
    row = await office.delivery_once(booking_id, attempts=1, last_status=500)
    answered = await office.running.client.post(
        f"/webhook-endpoints/{endpoint['id']}/deliveries/{row.id}/redeliver", headers=office.running.staff("manager")
    )
    assert answered.status_code == 409
    assert answered.json()["state"] == "pending"


async def test_what_is_not_there_is_not_found(office: Office, crm: Receiver) -> None:
    endpoint = await office.register(crm.url)
    manager = office.running.staff("manager")
    client = office.running.client
    unknown = uuid4()
    key = {"Idempotency-Key": str(uuid4())}
    for answered in (
        await client.post(f"/notifications/{unknown}/resend", headers=manager | key),
        await client.delete(f"/webhook-endpoints/{unknown}", headers=manager),
        await client.get(f"/webhook-endpoints/{unknown}/deliveries", headers=manager),
        await client.post(f"/webhook-endpoints/{unknown}/deliveries/{unknown}/redeliver", headers=manager),
        await client.post(f"/webhook-endpoints/{endpoint['id']}/deliveries/{unknown}/redeliver", headers=manager),
    ):
        assert answered.status_code == 404
    empty = await client.get(f"/notifications?booking_id={unknown}", headers=manager)
    assert empty.json() == {"items": [], "next_cursor": None}


async def test_the_service_cannot_unmake_a_mail(office: Office) -> None:
    """Its role has no right to delete from the record of what was sent, nor to send the mail of a transition twice."""
    booking_id = uuid4()
    await office.running.deliver_and_wait(office.confirmed(booking_id, total=0))
    await office.message_once(booking_id, status="sent")
    url = as_role(office.running.url, "notification").replace("+asyncpg", "")
    connection = await asyncpg.connect(url)
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("DELETE FROM messages")
        with pytest.raises(asyncpg.UniqueViolationError):
            await connection.execute(
                "INSERT INTO messages (id, booking_id, template, cause, facts, status, attempts, unsure, next_attempt_at, "
                "created_at) SELECT gen_random_uuid(), booking_id, template, cause, facts, 'queued', 0, 0, now(), now() "
                "FROM messages WHERE booking_id = $1",
                booking_id,
            )
    finally:
        await connection.close()


async def test_two_events_at_once_make_one_booking(office: Office) -> None:
    booking_id = uuid4()
    placed, confirmed = office.placed(booking_id, total=0), office.confirmed(booking_id, total=0)
    ids = await asyncio.gather(office.running.deliver(confirmed), office.running.deliver(placed))
    for event_id in ids:
        await eventually(partial(office.running.consumed, event_id))
    await office.mails(booking_id)
    assert len(await office.messages(booking_id)) == 1
