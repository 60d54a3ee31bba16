"""A buyer as a browser is one: books, opens the payment, enters the card, gives the hint, and waits on the booking's stream."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from time import perf_counter
from typing import Any
from uuid import uuid4  # noqa: TID251  # a client's own Idempotency-Keys

import aiohttp
from chassis.clock import SystemClock

CARD = {
    "payment_method_data[type]": "card",
    "payment_method_data[card][number]": "4242424242424242",  # docs.stripe.com/testing: succeeds without 3-D Secure
    "payment_method_data[card][exp_month]": "12",
    "payment_method_data[card][exp_year]": "2040",
    "payment_method_data[card][cvc]": "123",
}
CONFIRMED_WITHIN_S = 60.0
ASK_AGAIN_S = 0.1


class Refused(RuntimeError):
    """A step was answered with something else than it should be; the message names the step and the status."""


@dataclass(frozen=True)
class Sale:
    """Where buyers go, and what they buy: pairs of an event's and its ticket type's id, taken in turn."""

    gateway: str
    stripe: str
    publishable_key: str
    seats: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Bought:
    """Seconds from sending the booking until it was answered, and until its stream said confirmed."""

    posted_s: float
    confirmed_s: float


@dataclass(frozen=True)
class Held:
    """A booking that waits for its payment."""

    booking_id: str
    headers: Mapping[str, str]
    posted_s: float


async def on_sale(
    session: aiohttp.ClientSession, stack: Mapping[str, Any], staff_token: str, *, events: int, capacity: int
) -> Sale:
    """A sale of `events` new events with `capacity` seats each. Raises Refused."""
    start = SystemClock().now().replace(tzinfo=None, microsecond=0) + timedelta(days=60)
    body = {
        "name": "Load trial",
        "venue": "Hall",
        "local_start": start.isoformat(),
        "local_end": (start + timedelta(hours=2)).isoformat(),
        "timezone": "Europe/Berlin",
        "currency": "EUR",
        "ticket_types": [{"name": "Seat", "price_minor": 2500, "tax_rate_bp": 1900, "capacity": capacity}],
    }
    seats = []
    for _ in range(events):
        headers = {"Authorization": f"Bearer {staff_token}", "Idempotency-Key": str(uuid4())}  # a client's key
        event = await _asked(session, "create event", 201, f"{stack['gateway']}/api/events", json=body, headers=headers)
        seats.append((event["id"], event["ticket_types"][0]["id"]))
    return Sale(stack["gateway"], stack["stripe_sandbox"], stack["stripe_publishable_key"], tuple(seats))


async def hold(session: aiohttp.ClientSession, sale: Sale, number: int, *, quantity: int = 2) -> Held:
    """Books seats of the sale's event number `number`. Raises Refused."""
    event_id, type_id = sale.seats[number % len(sale.seats)]
    began = perf_counter()
    answer = await _asked(
        session,
        "book",
        201,
        f"{sale.gateway}/api/bookings",
        json={
            "event_id": event_id,
            "items": [{"ticket_type_id": type_id, "quantity": quantity}],
            "contact": {"name": "Ada Lovelace", "email": f"buyer-{number}@example.org"},
        },
        headers={"Idempotency-Key": str(uuid4())},  # a client's key
    )
    headers = {"Authorization": f"Bearer {answer['access_token']}"}
    return Held(answer["booking"]["id"], headers, perf_counter() - began)


async def buy(session: aiohttp.ClientSession, sale: Sale, number: int, *, quantity: int = 2) -> Bought:
    """From seat to confirmed. Raises Refused, TimeoutError."""
    began = perf_counter()
    held = await hold(session, sale, number, quantity=quantity)
    async with asyncio.timeout(CONFIRMED_WITHIN_S):
        started = await _open_payment(session, sale, held)
        secret = started["client_secret"]
        await _asked(
            session,
            "enter card",
            200,
            f"{sale.stripe}/v1/payment_intents/{secret.partition('_secret_')[0]}/confirm",
            data={**CARD, "client_secret": secret},
            headers={"Authorization": f"Bearer {sale.publishable_key}"},
        )
        payment_id = started["payment"]["id"]
        await _asked(session, "sync", 200, f"{sale.gateway}/api/payments/{payment_id}/sync", headers=held.headers)
        await _confirmed(session, sale, held)
    return Bought(held.posted_s, perf_counter() - began)


async def _open_payment(session: aiohttp.ClientSession, sale: Sale, held: Held) -> Mapping[str, Any]:
    """Asked again while the booking is on its way to payment: that is a 409 with Retry-After."""
    headers = {**held.headers, "Idempotency-Key": str(uuid4())}  # a client's key
    while True:
        async with session.post(
            f"{sale.gateway}/api/payments", json={"booking_id": held.booking_id}, headers=headers
        ) as answer:
            if answer.status == 201:  # noqa: PLR2004  # HTTP's own
                started: Mapping[str, Any] = await answer.json()
                return started
            if answer.status != 409 or "Retry-After" not in answer.headers:  # noqa: PLR2004  # HTTP's own
                raise Refused(f"pay answered {answer.status}")
        await asyncio.sleep(ASK_AGAIN_S)  # noqa: TID251  # a browser's pause


async def _confirmed(session: aiohttp.ClientSession, sale: Sale, held: Held) -> None:
    async with session.get(f"{sale.gateway}/api/bookings/{held.booking_id}/stream", headers=held.headers) as stream:
        if stream.status != 200:  # noqa: PLR2004  # HTTP's own
            raise Refused(f"stream answered {stream.status}")
        async for line in stream.content:
            if line.startswith(b"data:") and json.loads(line[5:])["status"] == "confirmed":
                return
    raise Refused("the stream ended before the booking was confirmed")


async def _asked(session: aiohttp.ClientSession, step: str, expected: int, url: str, **request: Any) -> dict[str, Any]:
    async with session.post(url, **request) as answer:
        if answer.status != expected:
            raise Refused(f"{step} answered {answer.status}")
        found: dict[str, Any] = await answer.json()
        return found
