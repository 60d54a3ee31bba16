"""Events reach their endpoints: signed, filtered, repeated until a 2xx, and as badly as the control API wants."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest
import stripe
from aiohttp import web

from sandbox.stripe.webhook_endpoints import EVENT_TYPES
from tests.sandbox.stripe import oracle
from tests.sandbox.stripe.conftest import Receiver, Standin, eventually, running


async def endpoint(standin: Standin, receiver: Receiver, *events: str) -> stripe.WebhookEndpoint:
    return await standin.client.v1.webhook_endpoints.create_async(
        {"url": receiver.url, "enabled_events": list(events or ("*",))}
    )


async def arrived(receiver: Receiver, count: int) -> None:
    async def enough() -> bool:
        return len(receiver.bodies) >= count

    await eventually(enough)


async def settled(standin: Standin) -> dict[str, int]:
    """Deliveries by state once none is pending."""

    async def none_pending() -> Any:
        found = (await standin.control("GET", "/stats"))["deliveries"]
        return found if found and "pending" not in found else None

    found: dict[str, int] = await eventually(none_pending)
    return found


async def test_events_are_signed_for_the_sdk(standin: Standin, receiver: Receiver) -> None:
    """The SDK accepts each delivery with the secret of the creation, its shape is the SDK's, and a changed byte is refused."""
    made = await endpoint(standin, receiver)
    assert made.secret
    await standin.client.v1.payment_intents.create_async({"amount": 5000, "currency": "eur"}, {"idempotency_key": "k"})
    await arrived(receiver, 1)
    event = standin.client.construct_event(receiver.bodies[0], receiver.signatures[0], made.secret)
    assert (event.type, event.api_version, event.livemode) == ("payment_intent.created", stripe.api_version, False)
    assert event.request
    assert event.request.idempotency_key == "k"
    assert oracle.answer_violations(json.loads(receiver.bodies[0])) == []
    with pytest.raises(stripe.SignatureVerificationError):
        standin.client.construct_event(
            receiver.bodies[0].replace(b"5000", b"5001"), receiver.signatures[0], made.secret
        )
    kept = await standin.client.v1.webhook_endpoints.retrieve_async(made.id)
    assert "secret" not in kept.to_dict()


async def test_only_what_an_endpoint_listens_to(standin: Standin, receiver: Receiver) -> None:
    """`enabled_events` filters; a disabled endpoint is told nothing."""
    made = await endpoint(standin, receiver, "payment_intent.succeeded", "refund.created")
    intent = await standin.paid()
    await standin.client.v1.refunds.create_async({"payment_intent": intent.id})
    assert await settled(standin) == {"delivered": 2}
    assert sorted(receiver.types) == ["payment_intent.succeeded", "refund.created"]
    await standin.client.v1.webhook_endpoints.update_async(made.id, {"disabled": True})
    await standin.paid()
    assert len(receiver.bodies) == 2


async def test_failures_are_repeated_with_a_new_signature(standin: Standin, receiver: Receiver) -> None:
    """A 500 and a redirect are failures; the third try is signed anew and ends it."""
    made = await endpoint(standin, receiver, "payment_intent.created")
    receiver.plan = [web.Response(status=500), web.Response(status=307, headers={"Location": receiver.url})]
    await standin.client.v1.payment_intents.create_async({"amount": 5000, "currency": "eur"})
    await settled(standin)
    assert len(receiver.bodies) == 3
    assert len(set(receiver.bodies)) == 1
    for body, signature in zip(receiver.bodies, receiver.signatures, strict=True):
        assert standin.client.construct_event(body, signature, str(made.secret)).type == "payment_intent.created"
    [delivery] = await standin.control("GET", "/deliveries")
    assert (delivery["attempts"], delivery["state"], delivery["last_outcome"]) == (3, "delivered", "200")
    event = (await standin.client.v1.events.list_async()).data[0]
    assert event.pending_webhooks == 0


async def test_tries_end_some_day(standin: Standin, receiver: Receiver) -> None:
    """After the last wait of the schedule the delivery has failed; the event stays listed with a pending webhook."""
    await endpoint(standin, receiver, "payment_intent.created")
    receiver.plan = [web.Response(status=503) for _ in range(9)]
    await standin.client.v1.payment_intents.create_async({"amount": 5000, "currency": "eur"})
    assert await settled(standin) == {"failed": 1}
    assert len(receiver.bodies) == 4
    assert (await standin.client.v1.events.list_async()).data[0].pending_webhooks == 1
    assert (await standin.client.v1.events.list_async({"delivery_success": False})).data


async def test_pending_deliveries_survive_a_restart(tmp_path: Path, receiver: Receiver) -> None:
    """What was not delivered before the stop is delivered after the start."""
    async with running(tmp_path / "s") as first:
        made = await endpoint(first, receiver)
        await first.control("PUT", "/webhooks", {"on": False})
        await first.paid()
        assert receiver.bodies == []
    async with running(tmp_path / "s") as second:
        assert (await second.control("GET", ""))["webhooks"]["on"] is False
        await second.control("PUT", "/webhooks", {})
        await settled(second)
    assert sorted(receiver.types) == ["charge.succeeded", "payment_intent.created", "payment_intent.succeeded"]
    assert stripe.Webhook.construct_event(receiver.bodies[0], receiver.signatures[0], made.secret)


async def test_loss(standin: Standin, receiver: Receiver) -> None:
    """What is lost never arrives, also not when webhooks are good again; it can be resent."""
    await endpoint(standin, receiver)
    await standin.control("PUT", "/webhooks", {"loss": 1.0})
    intent = await standin.client.v1.payment_intents.create_async({"amount": 5000, "currency": "eur"})
    assert await settled(standin) == {"lost": 1}
    await standin.control("PUT", "/webhooks", {})
    assert receiver.bodies == []
    event = (await standin.client.v1.events.list_async()).data[0]
    assert await standin.control("POST", f"/events/{event.id}/resend", {"copies": 5}) == {"sent": 5}
    await settled(standin)
    assert [json.loads(body)["data"]["object"]["id"] for body in receiver.bodies] == [intent.id] * 5


async def test_duplicates(standin: Standin, receiver: Receiver) -> None:
    """Each delivery is sent several times at once."""
    await endpoint(standin, receiver, "payment_intent.created")
    await standin.control("PUT", "/webhooks", {"duplicates": 2})
    await standin.client.v1.payment_intents.create_async({"amount": 5000, "currency": "eur"})
    await settled(standin)
    assert len(receiver.bodies) == 3
    assert len({json.loads(body)["id"] for body in receiver.bodies}) == 1


async def test_reordering(standin: Standin, receiver: Receiver) -> None:
    """The newest event of the window arrives first."""
    await endpoint(standin, receiver)
    await standin.control("PUT", "/webhooks", {"reorder_seconds": 0.5})
    await standin.paid()
    await settled(standin)
    assert receiver.types == ["payment_intent.succeeded", "charge.succeeded", "payment_intent.created"]


async def test_delay(standin: Standin, receiver: Receiver) -> None:
    """Nothing arrives before the delay is over."""
    await endpoint(standin, receiver)
    await standin.control("PUT", "/webhooks", {"delay_seconds": 0.4})
    started = asyncio.get_running_loop().time()
    await standin.client.v1.payment_intents.create_async({"amount": 5000, "currency": "eur"})
    await arrived(receiver, 1)
    assert asyncio.get_running_loop().time() - started >= 0.4


@pytest.mark.parametrize("switches", [{"timestamp_shift_seconds": -400}, {"forged": True}])
async def test_stale_and_forged_signatures(standin: Standin, receiver: Receiver, switches: dict[str, Any]) -> None:
    """The SDK refuses both."""
    made = await endpoint(standin, receiver)
    await standin.control("PUT", "/webhooks", switches)
    await standin.client.v1.payment_intents.create_async({"amount": 5000, "currency": "eur"})
    await arrived(receiver, 1)
    with pytest.raises(stripe.SignatureVerificationError):
        standin.client.construct_event(receiver.bodies[0], receiver.signatures[0], str(made.secret))


async def test_a_future_timestamp_and_foreign_facts(standin: Standin, receiver: Receiver) -> None:
    """Validly signed from an hour ahead, for another account, in live mode: what an endpoint must look at itself."""
    made = await endpoint(standin, receiver)
    replaced = {"account": "acct_other", "livemode": True}
    await standin.control("PUT", "/webhooks", {"timestamp_shift_seconds": 3600, "replace": replaced})
    await standin.client.v1.payment_intents.create_async({"amount": 5000, "currency": "eur"})
    await arrived(receiver, 1)
    event = standin.client.construct_event(receiver.bodies[0], receiver.signatures[0], str(made.secret))
    assert (event.account, event.livemode) == ("acct_other", True)
    timestamp = int(receiver.signatures[0].split(",")[0].removeprefix("t="))
    assert timestamp > time.time() + 3000  # the signature's time is the real one


async def test_the_webhook_may_come_before_the_answer(standin: Standin, receiver: Receiver) -> None:
    """With `before_answer` every event of a call has arrived when the call returns."""
    await endpoint(standin, receiver)
    await standin.control("PUT", "/webhooks", {"before_answer": True})
    await standin.paid()
    assert len(receiver.bodies) == 3


async def test_endpoints_are_managed(standin: Standin, receiver: Receiver) -> None:
    """Created, listed, changed and deleted; unknown event names and addresses are refused."""
    endpoints = standin.client.v1.webhook_endpoints
    made = await endpoint(standin, receiver)
    changed = await endpoints.update_async(
        made.id, {"enabled_events": ["refund.failed"], "metadata": {"who": "payment"}}
    )
    assert changed.enabled_events == ["refund.failed"]
    assert [each.id for each in (await endpoints.list_async()).data] == [made.id]
    assert (await endpoints.delete_async(made.id)).to_dict() == {
        "id": made.id,
        "object": "webhook_endpoint",
        "deleted": True,
    }
    with pytest.raises(stripe.InvalidRequestError, match="No such webhook_endpoint"):
        await endpoints.retrieve_async(made.id)
    with pytest.raises(stripe.InvalidRequestError):
        await endpoints.create_async({"url": "ftp://localhost/", "enabled_events": ["*"]})
    assert "payment_intent.amount_capturable_updated" in EVENT_TYPES
