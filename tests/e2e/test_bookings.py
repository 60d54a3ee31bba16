from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from datetime import timedelta
from uuid import UUID

import httpx2
import pytest

from sandbox.story.shop import Bought, Json
from tests.e2e.stack import Stack, contact, order, until

pytestmark = pytest.mark.timeout(600)

SEATS = """SELECT capacity, held, sold,
    (SELECT count(*) FROM tickets JOIN bookings ON bookings.id = booking_id
     WHERE ticket_type_id = ticket_types.id AND status IN ('pending_payment', 'payment_authorized')) AS held_rows,
    (SELECT count(*) FROM tickets JOIN bookings ON bookings.id = booking_id
     WHERE ticket_type_id = ticket_types.id AND status = 'confirmed') AS sold_rows
    FROM ticket_types WHERE event_id = $1"""


async def send(stack: Stack, body: Json, key: str | None = None) -> httpx2.Response:
    """One POST, without another try."""
    return await stack.http.post(
        stack.url("/api/bookings"), json=body, headers={"Idempotency-Key": key or secrets.token_hex(16)}
    )


async def test_fifty_seats_are_sold_fifty_times_to_three_hundred_at_once(stack: Stack) -> None:
    """300 concurrent POST /api/bookings for 50 seats: exactly 50 are 201, the rest 409, and the counters are what the rows say."""
    event = await stack.shop.create_event("Sold out", timedelta(days=3), capacity=50)
    answers = await asyncio.gather(*(send(stack, order(event)) for _ in range(300)))
    assert Counter(answer.status_code for answer in answers) == {201: 50, 409: 250}
    assert {answer.json()["state"] for answer in answers if answer.status_code == 409} == {"sold_out"}
    placed = [
        Bought(answer.json()["booking"], answer.json()["access_token"]) for answer in answers if answer.is_success
    ]
    assert len({bought.id for bought in placed}) == 50
    seats = await stack.rows("booking", SEATS, UUID(event["id"]))
    assert seats == [{"capacity": 50, "held": 50, "sold": 0, "held_rows": 50, "sold_rows": 0}]

    paid, left = placed[:5], placed[5:]
    await asyncio.gather(*(stack.buy(bought) for bought in paid))
    await asyncio.gather(*(stack.shop.cancel(bought) for bought in left))
    seats = await stack.rows("booking", SEATS, UUID(event["id"]))
    assert seats == [{"capacity": 50, "held": 0, "sold": 5, "held_rows": 0, "sold_rows": 5}]
    await stack.verify()


async def test_one_idempotency_key_makes_one_booking(stack: Stack) -> None:
    """The same Idempotency-Key and body sent 20 times at once: one booking, 20 equal answers. Another body with the key: 422."""
    event = await stack.shop.create_event("Double click", timedelta(days=3), capacity=50)
    body, key = order(event, 2), secrets.token_hex(16)
    answers = await asyncio.gather(*(send(stack, body, key) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert (await send(stack, order(event, 3), key)).status_code == 422
    placed = await stack.count("booking", "SELECT count(*) FROM bookings WHERE event_id = $1", UUID(event["id"]))
    seats = await stack.rows("booking", SEATS, UUID(event["id"]))
    assert (placed, seats[0]["held"]) == (1, 2)
    await stack.shop.cancel(Bought(answers[0].json()["booking"], answers[0].json()["access_token"]))


async def end_hold(stack: Stack, bought: Bought) -> None:
    """As if the hold had been as long as the test has taken."""
    await stack.rows(
        "booking",
        "UPDATE bookings SET hold_expires_at = now(), expiry_due_at = now() WHERE id = $1 RETURNING id",
        UUID(bought.id),
    )


async def never_charged(stack: Stack, bought: Bought, opened: Json) -> None:
    """The payment was let go, the provider shows no capture, and the buyer was told so once."""

    async def told() -> list[Json] | None:
        mails = await stack.shop.mails(bought.id)
        return [mail for mail in mails if "You have not been charged" in " ".join(mail["text"].split())]

    async def voided() -> Json | None:
        payment = await stack.shop.ask(
            "payment", "GET", f"/api/payments/{opened['payment']['id']}", headers=bought.headers
        )
        return payment if payment["status"] == "voided" else None

    await until(voided, "the payment is not voided")
    intent = await stack.shop.provider("GET", f"/v1/payment_intents/{opened['client_secret'].partition('_secret_')[0]}")
    assert (intent["status"], intent["amount_received"], intent["amount_capturable"]) == ("canceled", 0, 0)
    assert len(await until(told, "no mail says that nothing was charged")) == 1
    assert (await stack.shop.read(bought))["status"] == "expired"


async def test_a_late_authorization_without_a_seat_is_voided(whole: Stack) -> None:
    """Authorized, but the hold had ended and the last seat went to another: voided, never charged, and told so. The other gets the seat."""
    event = await whole.shop.create_event("Last seat", timedelta(days=3), capacity=1)
    late = await whole.shop.book(event, 1, contact("Late Buyer"))
    opened = await whole.shop.open_payment(late)
    await whole.stop("rabbitmq")  # what payment has to say waits in its outbox
    await whole.shop.enter_card(opened)
    assert (await whole.shop.sync(opened, late))["status"] == "authorized"
    await end_hold(whole, late)
    await whole.with_status(late, "expired")
    other = await whole.shop.book(event, 1, contact("Quick Buyer"))
    await whole.start("rabbitmq")
    await never_charged(whole, late, opened)
    await whole.buy(other)
    await whole.verify()


async def test_one_seat_goes_to_one_of_two_when_the_hold_ends_during_the_payment(stack: Stack) -> None:
    """The provider authorizes, nobody tells us, the hold ends and another wants the seat: one has it and pays, the other never pays."""
    event = await stack.shop.create_event("Too late", timedelta(days=3), capacity=1)
    late = await stack.shop.book(event, 1, contact("Late Buyer"))
    async with stack.without_webhooks():
        opened = await stack.shop.open_payment(late)
        await stack.shop.enter_card(opened)
        await end_hold(stack, late)
        answer = await send(stack, order(event))
        if answer.status_code == 201:
            await never_charged(stack, late, opened)
            await stack.buy(Bought(answer.json()["booking"], answer.json()["access_token"]))
        else:
            assert answer.json()["state"] == "sold_out"
            await stack.with_status(late, "confirmed")
    await stack.verify()
