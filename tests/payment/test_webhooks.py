"""Webhooks: kept once, whatever their order, number, age or sender; and everything settles without any."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx2
import pytest
import stripe
from chassis.db import table
from payment import metrics
from payment.echoes import settle
from payment.models import Payment, Receipt
from payment.receipts import SEALED_AS, process_receipt
from sqlalchemy import func, select

from tests.payment.shop import Shop
from tests.support.service import eventually

SECRET = "whsec_somebody_elses"


def event_of(kind: str, shown: dict[str, Any], **facts: Any) -> dict[str, Any]:
    """An event as the provider writes it."""
    return {
        "id": f"evt_{uuid4().hex}",
        "object": "event",
        "type": kind,
        "livemode": False,
        "created": 0,
        "data": {"object": shown},
        **facts,
    }


def signed(body: bytes, secret: str, at: datetime | None = None) -> str:
    instant = at or datetime.now(UTC)  # signatures carry the real time
    return stripe.WebhookSignature.generate_signature_header(body.decode(), secret, timestamp=int(instant.timestamp()))


async def send(shop: Shop, body: bytes, signature: str | None) -> httpx2.Response:
    headers = {} if signature is None else {"Stripe-Signature": signature}
    return await shop.service.client.post("/webhooks/stripe", content=body, headers=headers)


async def send_event(shop: Shop, event: dict[str, Any]) -> httpx2.Response:
    body = json.dumps(event).encode()
    return await send(shop, body, signed(body, shop.webhook_secret))


async def receipts(shop: Shop) -> int:
    async with shop.service.database.transaction() as tx:
        return (await tx.execute(select(func.count()).select_from(table(Receipt)))).scalar_one()


async def receipt_of(shop: Shop, event_id: str) -> Receipt:
    async with shop.service.database.transaction() as tx:
        return (await tx.scalars(select(Receipt).where(Receipt.event_id == event_id))).one()


async def settled(shop: Shop, event_id: str) -> Receipt:
    async def there() -> Receipt | None:
        found = await receipt_of(shop, event_id)
        return found if found.outcome else None

    return await eventually(there)


def counted(outcome: str) -> float:
    return metrics.WEBHOOKS.labels(outcome)._value.get()


async def intent_shown(shop: Shop, payment: Payment) -> dict[str, Any]:
    assert payment.provider_ref is not None
    return (await shop.standin.client.v1.payment_intents.retrieve_async(payment.provider_ref)).to_dict()


async def test_a_webhook_alone_moves_a_payment(shop: Shop) -> None:
    """The buyer's browser is closed after the confirmation: nobody syncs."""
    payment = await shop.started()
    await shop.confirm(payment)
    payment = await shop.in_status(payment, "authorized")
    await shop.secure_seats(payment)
    payment = await shop.in_status(payment, "succeeded")
    names = [type(event).__name__ for event in await shop.events_of(payment)]
    assert names == ["PaymentAuthorized", "PaymentSucceeded"]


@pytest.mark.parametrize(
    ("reason", "shift", "secret"),
    [("signature", 0, SECRET), ("stale", -301, None), ("future", 3600, None), ("future", 62, None)],
)
async def test_what_is_not_from_the_provider_leaves_only_a_count(
    still_shop: Shop, reason: str, shift: int, secret: str | None
) -> None:
    body = json.dumps(event_of("payment_intent.succeeded", {"id": "pi_1", "object": "payment_intent"})).encode()
    at = datetime.now(UTC) + timedelta(seconds=shift)  # signatures carry the real time
    before, count = await receipts(still_shop), counted(reason)
    answer = await send(still_shop, body, signed(body, secret or still_shop.webhook_secret, at))
    assert answer.status_code == 400
    assert await receipts(still_shop) == before
    assert counted(reason) == count + 1


@pytest.mark.parametrize(
    "signature",
    [None, "", "t=1", "v1=00", "t=x,v1=00", "t=1,v0=00", "t=1,v1=", "nonsense", "t=99999999999999999999,v1=00", "é"],
)
async def test_a_header_that_is_no_signature(still_shop: Shop, signature: str | None) -> None:
    body = b'{"id": "evt_1"}'
    headers = {} if signature is None else {"Stripe-Signature": signature.encode("latin-1")}
    answer = await still_shop.service.client.post("/webhooks/stripe", content=body, headers=headers)
    assert answer.status_code == 400
    assert "whsec" not in answer.text


async def test_a_changed_body_is_refused(still_shop: Shop) -> None:
    body = json.dumps(event_of("payment_intent.succeeded", {"id": "pi_1"})).encode()
    assert (await send(still_shop, body + b" ", signed(body, still_shop.webhook_secret))).status_code == 400


@pytest.mark.parametrize(
    "body",
    [
        b"\xff\xfe",
        b"",
        b"[]",
        b'"text"',
        b"{}",
        b'{"id": "evt_1", "type": "x", "livemode": false, "data": {}}',
        b'{"id": 1, "type": "x", "livemode": false, "data": {"object": {"id": "pi_1"}}}',
        b'{"id": "evt_\\u0000", "type": "x", "livemode": false, "data": {"object": {"id": "pi_1"}}}',
        b'{"id": "evt_1", "type": "x", "livemode": "no", "data": {"object": {"id": "pi_1"}}}',
        b"[" * 100_000,
    ],
    ids=lambda body: str(body[:20]),
)
async def test_a_genuine_signature_on_nonsense_is_refused(still_shop: Shop, body: bytes) -> None:
    """Never a 500: the provider would repeat it for three days."""
    before = await receipts(still_shop)
    try:
        signature = signed(body, still_shop.webhook_secret)
    except UnicodeDecodeError:
        signature = "t=1,v1=00"
    assert (await send(still_shop, body, signature)).status_code == 400
    assert await receipts(still_shop) == before


async def test_a_body_without_end_is_cut_off(still_shop: Shop) -> None:
    body = b'{"x": "' + b"x" * (2 * 1024 * 1024) + b'"}'
    assert (await send(still_shop, body, signed(body, still_shop.webhook_secret))).status_code == 413


async def test_an_event_of_the_live_mode_is_refused(still_shop: Shop) -> None:
    count = counted("livemode")
    answer = await send_event(still_shop, event_of("payment_intent.succeeded", {"id": "pi_1"}, livemode=True))
    assert answer.status_code == 400
    assert counted("livemode") == count + 1


async def test_what_concerns_nobody_here_is_kept_and_ignored(still_shop: Shop) -> None:
    """An unknown type, and an event of another account."""
    for event, outcome in (
        (event_of("customer.created", {"id": "cus_1", "object": "customer"}), "ignored"),
        (event_of("balance.available", {"object": "balance"}), "ignored"),
        (event_of("payment_intent.succeeded", {"id": "pi_1"}, account="acct_other"), "foreign"),
    ):
        answer = await send_event(still_shop, event)
        assert (answer.status_code, answer.json()) == (200, {"outcome": outcome})
        receipt = await receipt_of(still_shop, event["id"])
        assert (receipt.outcome, receipt.next_attempt_at) == (outcome, None)


async def test_the_body_is_kept_byte_for_byte_and_sealed(still_shop: Shop) -> None:
    """It holds secrets and the buyer's name: what rests is ciphertext, what opens is what was signed."""
    event = event_of("customer.created", {"id": "cus_1", "name": "\u0000 Zoë planted"})
    body = json.dumps(event, indent=3).encode()
    assert (await send(still_shop, body, signed(body, still_shop.webhook_secret))).status_code == 200
    kept = (await receipt_of(still_shop, event["id"])).body
    assert "planted" not in kept
    assert still_shop.service.sealer.unseal(kept, SEALED_AS).encode() == body


async def test_fifty_copies_at_once_have_one_effect(shop: Shop) -> None:
    payment = await shop.authorized()
    await shop.secure_seats(payment)
    payment = await shop.in_status(payment, "succeeded")
    stored = await shop.standin.client.v1.events.list_async({"type": "payment_intent.succeeded", "limit": 1})
    before = len(shop.inlet.deliveries)
    await shop.standin.control("POST", f"/events/{stored.data[0].id}/resend", {"copies": 50})

    async def all_arrived() -> bool:
        return len(shop.inlet.deliveries) >= before + 50

    await eventually(all_arrived)
    body, signature = shop.inlet.deliveries[-1]
    answers = await asyncio.gather(*(send(shop, body, signature) for _ in range(50)))
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.json()["outcome"] for answer in answers} == {"duplicate"}
    names = [type(event).__name__ for event in await shop.events_of(payment)]
    assert names == ["PaymentAuthorized", "PaymentSucceeded"]
    assert payment.captured_minor == payment.amount_minor


async def test_a_first_event_fifty_times_at_once_is_kept_once(still_shop: Shop) -> None:
    payment = await still_shop.started()
    body = json.dumps(
        event_of("payment_intent.processing", await intent_shown(still_shop, payment) | {"status": "processing"})
    ).encode()
    signature = signed(body, still_shop.webhook_secret)
    answers = await asyncio.gather(*(send(still_shop, body, signature) for _ in range(50)))
    outcomes = sorted(answer.json()["outcome"] for answer in answers)
    assert outcomes == ["accepted"] + ["duplicate"] * 49


async def test_what_an_event_claims_is_never_believed(still_shop: Shop) -> None:
    """A genuine but old object says succeeded: the provider is asked, and says otherwise."""
    payment = await still_shop.started()
    shown = await intent_shown(still_shop, payment) | {"status": "succeeded", "amount_received": payment.amount_minor}
    event = event_of("payment_intent.succeeded", shown)
    assert (await send_event(still_shop, event)).json() == {"outcome": "accepted"}
    receipt = await receipt_of(still_shop, event["id"])
    await process_receipt(still_shop.service.database, still_shop.gateway, still_shop.service.sealer, receipt.id)
    assert (await receipt_of(still_shop, event["id"])).outcome == "applied"
    assert (await still_shop.payment(payment.booking_id)).status == "requires_payment_method"


async def test_events_in_the_wrong_order_end_where_the_provider_is(still_shop: Shop) -> None:
    payment = await still_shop.authorized()
    shown = await intent_shown(still_shop, payment)
    await still_shop.secure_seats(payment)
    payment = await still_shop.advance(payment)
    assert payment.status == "succeeded"
    for kind, status in (
        ("payment_intent.amount_capturable_updated", "requires_capture"),
        ("payment_intent.processing", "processing"),
        ("payment_intent.created", "requires_payment_method"),
    ):
        event = event_of(kind, shown | {"status": status})
        assert (await send_event(still_shop, event)).is_success
        assert (await settled(still_shop, event["id"])).outcome == "known"
    assert len(await still_shop.events_of(payment)) == 2


async def test_an_event_of_an_object_that_is_not_ours(still_shop: Shop) -> None:
    """Another system uses the same account."""
    intent = await still_shop.standin.authorised()
    event = event_of("payment_intent.amount_capturable_updated", intent.to_dict())
    await send_event(still_shop, event)
    receipt = await receipt_of(still_shop, event["id"])
    await process_receipt(still_shop.service.database, still_shop.gateway, still_shop.service.sealer, receipt.id)
    assert (await receipt_of(still_shop, event["id"])).outcome == "foreign"


async def test_an_object_that_does_not_exist(still_shop: Shop) -> None:
    event = event_of("payment_intent.succeeded", {"id": "pi_missing", "object": "payment_intent"})
    await send_event(still_shop, event)
    receipt = await receipt_of(still_shop, event["id"])
    await process_receipt(still_shop.service.database, still_shop.gateway, still_shop.service.sealer, receipt.id)
    assert (await receipt_of(still_shop, event["id"])).outcome == "foreign"


async def test_a_webhook_finds_an_intent_whose_creation_was_never_answered(shop: Shop) -> None:
    booking_id = await shop.book()
    await shop.standin.fault("payment_intents.create", "drop_after")
    assert (await shop.start(booking_id)).status_code == 503
    await shop.in_status(await shop.payment(booking_id), "requires_payment_method")


async def test_a_webhook_before_the_answer_of_the_call_that_caused_it(shop: Shop) -> None:
    await shop.standin.control("PUT", "/webhooks", {"before_answer": True})
    payment = await shop.captured()
    assert len(await shop.events_of(payment)) == 2


async def test_handling_that_failed_is_tried_again(still_shop: Shop) -> None:
    """The provider does not answer: the receipt stays due, and its outcome is written with its effect."""
    payment = await still_shop.started()
    await still_shop.confirm(payment)
    event = event_of("payment_intent.amount_capturable_updated", await intent_shown(still_shop, payment))
    await send_event(still_shop, event)
    receipt = await receipt_of(still_shop, event["id"])
    await still_shop.standin.fault("payment_intents.retrieve", "error_before")
    await process_receipt(still_shop.service.database, still_shop.gateway, still_shop.service.sealer, receipt.id)
    receipt = await receipt_of(still_shop, event["id"])
    assert (receipt.outcome, receipt.tries) == (None, 1)
    assert receipt.next_attempt_at is not None
    await process_receipt(still_shop.service.database, still_shop.gateway, still_shop.service.sealer, receipt.id)
    assert (await receipt_of(still_shop, event["id"])).outcome == "applied"
    assert (await still_shop.payment(payment.booking_id)).status == "authorized"
    await process_receipt(still_shop.service.database, still_shop.gateway, still_shop.service.sealer, receipt.id)
    assert len(await still_shop.events_of(payment)) == 1


async def test_everything_settles_without_any_webhook(shop: Shop) -> None:
    """Nobody syncs, nothing arrives: the schedule alone finds out within a minute."""
    await shop.standin.control("PUT", "/webhooks", {"on": False})
    payment = await shop.started()
    await shop.confirm(payment)
    payment = await shop.in_status(payment, "authorized", at_most_s=60)
    await shop.secure_seats(payment)
    payment = await shop.in_status(payment, "succeeded", at_most_s=60)
    refund_id = await shop.approve_refund(payment, 100)
    await shop.refund_in_status(refund_id, "succeeded", at_most_s=60)


async def test_a_rotated_secret(still_shop: Shop) -> None:
    """While two secrets are configured, either of them signs."""
    gateway = still_shop.gateway
    before = gateway._webhook_secrets
    gateway._webhook_secrets = ("whsec_new", *before)
    try:
        for secret, status in (("whsec_new", 200), (still_shop.webhook_secret, 200), ("whsec_older", 400)):
            body = json.dumps(event_of("customer.created", {"id": "cus_1"})).encode()
            assert (await send(still_shop, body, signed(body, secret))).status_code == status
    finally:
        gateway._webhook_secrets = before


async def test_what_only_repeats_an_answer_is_settled_for_all_at_once_and_nothing_else(still_shop: Shop) -> None:
    """Told before our row shows it, each is kept to be looked at; once the row shows it, it is known. The provider is not asked."""
    payment = await still_shop.started()
    await still_shop.confirm(payment)
    shown = await intent_shown(still_shop, payment)
    early = {
        kind: event_of(f"payment_intent.{kind}", shown)
        for kind in ("amount_capturable_updated", "succeeded", "requires_action")
    }
    for event in early.values():
        assert (await send_event(still_shop, event)).json() == {"outcome": "accepted"}

    async def outcomes() -> dict[str, str | None]:
        await settle(still_shop.service.app.state.database)
        return {kind: (await receipt_of(still_shop, event["id"])).outcome for kind, event in early.items()}

    assert await outcomes() == dict.fromkeys(early)
    await still_shop.sync(payment)
    before = await still_shop.requests()
    assert await outcomes() == {"amount_capturable_updated": "known", "succeeded": None, "requires_action": None}
    assert await still_shop.requests() == before
