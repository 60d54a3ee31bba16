"""The control API beyond faults and webhooks: who may call it, what it shows, and how it starts anew."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.stripe.conftest import Receiver, Standin


async def test_a_refund_made_in_the_dashboard(standin: Standin) -> None:
    """It exists without metadata, and its events name no request."""
    intent = await standin.paid(5000)
    refund = await standin.control("POST", "/refunds", {"payment_intent": intent.id, "amount": 700})
    assert (refund["status"], refund["amount"], refund["metadata"]) == ("succeeded", 700, {})
    event = (await standin.client.v1.events.list_async({"type": "refund.created"})).data[0]
    assert event.request
    assert (event.request.id, event.request.idempotency_key) == (None, None)


async def test_a_refund_is_decided_on_demand(standin: Standin) -> None:
    """A pending one succeeds, and a succeeded one fails, when the test says so."""
    intent = await standin.paid(payment_method="pm_card_pendingRefund")
    refund = await standin.client.v1.refunds.create_async({"payment_intent": intent.id})
    decided = await standin.control("POST", f"/refunds/{refund.id}", {"status": "succeeded"})
    assert decided["status"] == "succeeded"
    failed = await standin.control(
        "POST", f"/refunds/{refund.id}", {"status": "failed", "failure_reason": "lost_or_stolen_card"}
    )
    assert (failed["status"], failed["failure_reason"]) == ("failed", "lost_or_stolen_card")
    again = await standin.client.v1.refunds.create_async({"payment_intent": intent.id})
    assert again.amount == intent.amount


async def test_effects_count_the_objects_of_an_operation(standin: Standin) -> None:
    """Two refunds that carry the same id of ours show up as two."""
    intent = await standin.paid(5000, metadata={"payment_id": "p"})
    for _ in range(2):
        await standin.client.v1.refunds.create_async(
            {"payment_intent": intent.id, "amount": 100, "metadata": {"refund_id": "r"}}
        )
    found = await standin.control("GET", "/effects?metadata=refund_id")
    assert {value: len(kinds["refund"]) for value, kinds in found.items()} == {"r": 2}
    assert await standin.control("GET", "/effects?metadata=refund_id&value=other") == {}


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/faults", {"kind": "earthquake"}, 422),
        ("POST", "/faults", {"kind": "error_before", "colour": "blue"}, 422),
        ("PUT", "/webhooks", {"loss": 2}, 422),
        ("POST", "/clock", {"advance_seconds": -1}, 422),
        ("PUT", "/balance", {"currency": "EURO", "available": 1}, 422),
        ("POST", "/refunds/re_missing", {"status": "failed"}, 404),
        ("POST", "/events/evt_missing/resend", {}, 404),
        ("GET", "/effects", None, 422),
    ],
)
async def test_wrong_bodies_are_refused(standin: Standin, method: str, path: str, body: Any, status: int) -> None:
    """The answer says what is wrong."""
    async with standin.session.request(method, f"{standin.url}/_control{path}", json=body) as answer:
        assert answer.status == status
        assert (await answer.json())["error"]


async def test_a_web_page_cannot_send_a_form_to_it(standin: Standin) -> None:
    """Only `application/json` is read, which no page sends to another origin unasked."""
    url = f"{standin.url}/_control/clock"
    async with standin.session.post(url, data='{"advance_seconds": 5}') as answer:
        assert answer.status == 415
        assert "Access-Control-Allow-Origin" not in answer.headers
    rebound = {"Host": "evil.example"}
    async with standin.session.post(url, json={"advance_seconds": 5}, headers=rebound) as answer:
        assert answer.status == 403


async def test_reset_keeps_the_endpoints_only(standin: Standin, receiver: Receiver) -> None:
    """Objects, keys, faults, switches and the clock start anew; who listens stays."""
    made = await standin.client.v1.webhook_endpoints.create_async({"url": receiver.url, "enabled_events": ["*"]})
    await standin.paid()
    await standin.control("PUT", "/webhooks", {"on": False})
    await standin.fault("*", "error_before", count=9)
    await standin.control("POST", "/clock", {"advance_seconds": 5})
    assert await standin.control("POST", "/reset", {}) == {"endpoints_kept": 1}
    assert (await standin.client.v1.payment_intents.list_async()).data == []
    assert (await standin.client.v1.webhook_endpoints.list_async()).data[0].id == made.id
    settings = await standin.control("GET", "")
    assert (settings["faults"], settings["webhooks"]["on"], settings["clock_offset_seconds"]) == ([], True, 0)
    await standin.paid()
