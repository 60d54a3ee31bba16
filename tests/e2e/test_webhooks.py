"""What the provider tells, and what others tell in its name, through the gateway."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections import Counter
from datetime import timedelta
from uuid import UUID

import httpx2
import pytest
import stripe

from sandbox.story.shop import CARD, CARD_WITH_3DS, Bought, Json
from tests.e2e.stack import Stack, contact, until

pytestmark = pytest.mark.timeout(300)

RECEIVED = "SELECT outcome FROM receipts WHERE event_id = $1"
TOLD = "SELECT type FROM outbox WHERE body::jsonb ->> 'booking_id' = $1 ORDER BY seq"
SETTLES_WITHIN_S = 60


async def send(stack: Stack, event: Json, *, secret: str | None = None, aged_s: int = 0) -> httpx2.Response:
    """Posts an event as the provider does: signed with the secret of our endpoint, just now, unless told otherwise."""
    body = json.dumps(event)
    secret = secret or json.loads((stack.running.home / "stripe-webhook.json").read_text())["secret"]
    signature = stripe.WebhookSignature.generate_signature_header(body, secret, timestamp=int(time.time()) - aged_s)
    headers = {"Stripe-Signature": signature, "Content-Type": "application/json"}
    return await stack.http.post(stack.url("/webhooks/stripe"), content=body, headers=headers)


def ref_of(opened: Json) -> str:
    """The provider's name for the payment."""
    return str(opened["client_secret"].partition("_secret_")[0])


def claim(ref: str, **facts: object) -> Json:
    """An event that says the money has come."""
    shown = {"id": ref, "object": "payment_intent", "status": "succeeded", "amount_received": 2500, "metadata": {}}
    return {
        "id": f"evt_{secrets.token_hex(12)}",
        "object": "event",
        "type": "payment_intent.succeeded",
        "livemode": False,
        "created": int(time.time()),
        "data": {"object": shown},
        **facts,
    }


async def events_of(stack: Stack, opened: Json) -> list[Json]:
    """What the provider has to tell of a payment, oldest first."""
    listed = await stack.shop.provider("GET", "/v1/events?limit=100")
    return [event for event in listed["data"][::-1] if event["data"]["object"]["id"] == ref_of(opened)]


async def told(stack: Stack, bought: Bought) -> list[str]:
    """The types of payment's events about a booking."""
    return [row["type"] for row in await stack.rows("payment", TOLD, bought.id)]


async def test_what_the_provider_did_not_send_changes_nothing(stack: Stack) -> None:
    """Forged, stale, from the future, of the live mode: 400, nothing kept, and the payment is where it was."""
    event = await stack.shop.create_event("Forgers", timedelta(days=3), capacity=10)
    bought = await stack.shop.book(event, 1, contact())
    opened = await stack.shop.open_payment(bought)
    claims = [claim(ref_of(opened)) for _ in range(4)]
    answers = [
        await send(stack, claims[0], secret="whsec_somebody_elses"),
        await send(stack, claims[1], aged_s=301),
        await send(stack, claims[2], aged_s=-62),
        await send(stack, {**claims[3], "livemode": True}),
        await stack.http.post(stack.url("/webhooks/stripe"), json=claims[0]),
    ]
    assert [answer.status_code for answer in answers] == [400] * 5
    assert len({answer.content for answer in answers}) == 1, "the answer tells what was wrong"
    kept = await stack.count(
        "payment", "SELECT count(*) FROM receipts WHERE event_id = ANY($1)", [each["id"] for each in claims]
    )
    assert kept == 0
    assert (await stack.shop.sync(opened, bought))["status"] == "requires_payment_method"
    await stack.shop.cancel(bought)


async def test_a_genuine_signature_is_no_proof_of_what_it_says(stack: Stack) -> None:
    """The event claims money that never came: the provider is asked, and the payment stays open. Of an unknown object: kept, no effect."""
    event = await stack.shop.create_event("Hearsay", timedelta(days=3), capacity=10)
    bought = await stack.shop.book(event, 1, contact())
    opened = await stack.shop.open_payment(bought)
    before = await stack.count("payment", "SELECT count(*) FROM payments")
    claims = {
        "applied": claim(ref_of(opened)),
        "foreign": claim(f"pi_{secrets.token_hex(12)}"),
        "ignored": claim("cus_1", type="customer.created"),
    }
    for outcome, told_event in claims.items():
        assert (await send(stack, told_event)).status_code == 200

        async def handled(event_id: str = told_event["id"]) -> str | None:
            (row,) = await stack.rows("payment", RECEIVED, event_id)
            return row["outcome"]  # type: ignore[no-any-return]  # a text

        assert await until(handled, f"{told_event['type']} has no outcome", 30) == outcome
    assert (await stack.shop.sync(opened, bought))["status"] == "requires_payment_method"
    assert await stack.count("payment", "SELECT count(*) FROM payments") == before
    await stack.shop.cancel(bought)
    # They carry our signature and the provider does not know them: verify would tell, and rightly.
    invented = [each["id"] for each in claims.values()]
    gone = await stack.rows("payment", "DELETE FROM receipts WHERE event_id = ANY($1) RETURNING id", invented)
    assert len(gone) == len(claims)


async def test_the_providers_events_have_one_effect_whatever_their_number_and_order(stack: Stack) -> None:
    """The first is sent 50 times at once and moves the payment once; in the end all are sent again, backwards, and move nothing."""
    event = await stack.shop.create_event("Echoes", timedelta(days=3), capacity=10)
    bought = await stack.shop.book(event, 1, contact())
    async with stack.without_webhooks():
        opened = await stack.shop.open_payment(bought)
        await stack.shop.enter_card(opened)
        told_events = {found["type"]: found for found in await events_of(stack, opened)}
        authorized = told_events["payment_intent.amount_capturable_updated"]
        answers = await asyncio.gather(*(send(stack, authorized) for _ in range(50)))
        assert {answer.status_code for answer in answers} == {200}
        outcomes = Counter(answer.json()["outcome"] for answer in answers)
        assert outcomes.pop("duplicate") == 49
        assert len(await stack.rows("payment", RECEIVED, authorized["id"])) == 1
        await stack.with_status(bought, "confirmed")

        every = await events_of(stack, opened)
        assert [found["type"] for found in every][-1] == "payment_intent.succeeded"
        answers = [await send(stack, found) for found in every[::-1]]
        assert {answer.status_code for answer in answers} == {200}
        rest = await asyncio.gather(*(send(stack, found) for found in every for _ in range(10)))
        assert {answer.json()["outcome"] for answer in rest} == {"duplicate"}
    assert await told(stack, bought) == ["payment.authorized.v1", "payment.succeeded.v1"]
    intent = await stack.shop.provider("GET", f"/v1/payment_intents/{ref_of(opened)}")
    assert (intent["status"], intent["amount_received"]) == ("succeeded", 2500)


async def test_everything_settles_without_any_webhook(stack: Stack) -> None:
    """No webhook ever comes and no browser syncs: every payment is confirmed within a minute, and so is a refund."""
    event = await stack.shop.create_event("Silence", timedelta(hours=30), capacity=20)
    async with stack.without_webhooks():
        bought = [await stack.shop.book(event, 1, contact()) for _ in range(6)]
        started = time.monotonic()
        for each, card in zip(bought, (CARD, CARD_WITH_3DS) * 3, strict=True):
            intent = await stack.shop.enter_card(await stack.shop.open_payment(each), card)
            if card == CARD_WITH_3DS:
                await stack.shop.pass_3d_secure(intent)
        await asyncio.gather(*(stack.with_status(each, "confirmed", SETTLES_WITHIN_S) for each in bought))
        assert time.monotonic() - started < SETTLES_WITHIN_S

        await stack.shop.cancel(bought[0])

        async def refunded() -> Json | None:
            booking = await stack.shop.read(bought[0])
            return booking if booking["refunded_minor"] == 1250 else None

        await until(refunded, "the refund does not settle", SETTLES_WITHIN_S)
    waiting = await stack.count(
        "payment", "SELECT count(*) FROM payments WHERE booking_id = ANY($1) AND status <> 'succeeded'",
        [UUID(each.id) for each in bought],
    )  # fmt: skip
    assert waiting == 0
    await stack.verify()
