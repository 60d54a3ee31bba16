"""What a buyer, a browser and a member of staff do with a running stack, through its gateway.

Requests that change something carry one Idempotency-Key for all their tries, so that a service may die at any moment: the request is
sent again until it is answered or `PATIENCE_S` is over.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, Self, TypeVar
from zoneinfo import ZoneInfo

import httpx2
from chassis.clock import SystemClock

PATIENCE_S = 90.0
PAUSE_S = 0.1
PASSING = frozenset({409, 429, 500, 502, 503, 504})
"""Answers that another try may change. 409 passes only where it names a time to wait."""

CARD = "4242424242424242"
CARD_WITH_3DS = "4000002760003184"
"""Published test cards: docs.stripe.com/testing."""

Json = dict[str, Any]
T = TypeVar("T")


class ShopError(RuntimeError):
    """Something was not answered as it should be. `service` names where to look."""

    def __init__(self, service: str, sentence: str) -> None:
        super().__init__(sentence)
        self.service = service


@dataclass(frozen=True)
class Bought:
    """A booking as its holder has it."""

    booking: Json
    token: str

    @property
    def id(self) -> str:
        """The booking's id."""
        return str(self.booking["id"])

    @property
    def headers(self) -> Mapping[str, str]:
        """What proves that one holds it."""
        return {"Authorization": f"Bearer {self.token}"}


class Shop:
    """A client of one stack. `status` is what `boxoffice status --json` prints."""

    def __init__(self, status: Json) -> None:
        self.status = status
        limits = httpx2.Limits(max_connections=400, max_keepalive_connections=100)
        self._http = httpx2.AsyncClient(timeout=20, trust_env=False, limits=limits)
        self._staff: tuple[float, str] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def staff(self) -> dict[str, str]:
        """Headers of a signed-in manager. The token is renewed before it ends."""
        if self._staff is None or self._staff[0] < time.monotonic():
            answer = await self._http.post(
                f"{self.status['issuer']}/token", data={"role": "manager", "sub": "story-manager"}
            )
            self._staff = (time.monotonic() + 600, answer.json()["access_token"])
        return {"Authorization": f"Bearer {self._staff[1]}"}

    async def create_event(
        self, name: str, starts_in: timedelta, capacity: int, price_minor: int = 2500, **more: Any
    ) -> Json:
        """An event with one ticket type. The wall clock that it is given is Berlin's."""
        local_start = _in_berlin(starts_in)
        body = {
            "name": name,
            "venue": "The Old Cinema",
            "local_start": local_start.isoformat(timespec="seconds"),
            "local_end": (local_start + timedelta(hours=2)).isoformat(timespec="seconds"),
            "timezone": "Europe/Berlin",
            "currency": "EUR",
            "ticket_types": [{"name": "Stalls", "price_minor": price_minor, "tax_rate_bp": 1900, "capacity": capacity}],
            **more,
        }
        return await self.ask("booking", "POST", "/api/events", json=body, headers=await self.staff())

    async def book(self, event: Json, quantity: int, contact: Mapping[str, str], key: str | None = None) -> Bought:
        """Holds seats of the event's first ticket type."""
        body = {
            "event_id": event["id"],
            "items": [{"ticket_type_id": event["ticket_types"][0]["id"], "quantity": quantity}],
            "contact": dict(contact),
        }
        answer = await self.ask("booking", "POST", "/api/bookings", json=body, key=key)
        return Bought(answer["booking"], answer["access_token"])

    async def open_payment(self, bought: Bought) -> Json:
        """What the browser needs to pay: the payment, its client_secret, the publishable key."""
        return await self.ask(
            "payment", "POST", "/api/payments", json={"booking_id": bought.id}, headers=bought.headers
        )

    async def enter_card(self, opened: Json, number: str = CARD) -> Json:
        """Confirms the intent as Stripe.js does: with the publishable key and the client secret. Returns the intent."""
        secret = opened["client_secret"]
        card = {"number": number, "exp_month": "12", "exp_year": "2034", "cvc": "123"}
        form = {f"payment_method_data[card][{name}]": value for name, value in card.items()}
        form |= {
            "client_secret": secret,
            "payment_method_data[type]": "card",
            "return_url": f"{self.status['gateway']}/",
        }
        return await self.provider(
            "POST", f"/v1/payment_intents/{_intent(secret)}/confirm", data=form, key=opened["publishable_key"]
        )

    async def pass_3d_secure(self, intent: Json) -> None:
        """Presses "Complete authentication" on the bank's page."""
        page = intent["next_action"]["redirect_to_url"]["url"]
        await self._try("stripe", lambda: self._http.post(page, data={"outcome": "complete"}), redirects=True)

    async def sync(self, opened: Json, bought: Bought) -> Json:
        """The browser's hint: look at the payment now."""
        return await self.ask(
            "payment", "POST", f"/api/payments/{opened['payment']['id']}/sync", headers=bought.headers
        )

    async def read(self, bought: Bought) -> Json:
        """The booking as it is now."""
        return await self.ask("booking", "GET", f"/api/bookings/{bought.id}", headers=bought.headers)

    async def quote(self, bought: Bought) -> Json:
        """What a cancellation now would give back."""
        return await self.ask("refund", "GET", f"/api/refunds/quote?booking_id={bought.id}", headers=bought.headers)

    async def cancel(self, bought: Bought) -> Json:
        """The customer cancels."""
        return await self.ask("booking", "POST", f"/api/bookings/{bought.id}/cancel", headers=bought.headers)

    async def mails(self, booking_id: str) -> list[Json]:
        """Mails about a booking that the mail catcher has, oldest first."""
        answer = await self._http.get(f"{self.status['mail']}/api/messages", params={"booking": booking_id})
        found: list[Json] = answer.json()
        return found[::-1]

    async def crm(self, booking_id: str, kind: str) -> list[Json]:
        """Deliveries that the CRM receiver has."""
        answer = await self._http.get(
            f"{self.status['crm']}/api/deliveries", params={"booking": booking_id, "type": kind}
        )
        found: list[Json] = answer.json()
        return found

    async def ask(
        self,
        service: str,
        method: str,
        path: str,
        *,
        json: object = None,
        headers: Mapping[str, str] | None = None,
        key: str | None = None,
    ) -> Json:
        """The JSON that the gateway answers. Raises ShopError when it refuses, or does not answer in time."""
        sent = dict(headers or {})
        if method == "POST":
            sent["Idempotency-Key"] = key or secrets.token_hex(16)
        url = f"{self.status['gateway']}{path}"
        answer = await self._try(service, lambda: self._http.request(method, url, json=json, headers=sent))
        found: Json = answer.json()
        return found

    async def provider(
        self, method: str, path: str, *, data: Mapping[str, str] | None = None, key: str | None = None
    ) -> Json:
        """The JSON that the Stripe stand-in answers, to its secret key unless `key` says otherwise."""
        headers = {"Authorization": f"Bearer {key or self.status['stripe_api_key']}"}
        url = f"{self.status['stripe_sandbox']}{path}"
        answer = await self._try("stripe", lambda: self._http.request(method, url, data=data, headers=headers))
        found: Json = answer.json()
        return found

    async def _try(
        self, service: str, send: Callable[[], Awaitable[httpx2.Response]], *, redirects: bool = False
    ) -> httpx2.Response:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            said = "nothing"
            try:
                answer = await send()
            except httpx2.TransportError as error:
                said = type(error).__name__
            else:
                if answer.is_success or (redirects and answer.is_redirect):
                    return answer
                said = f"{answer.status_code} {answer.text[:300]}"
                passing = answer.status_code in PASSING and (
                    answer.status_code != HTTPStatus.CONFLICT or "retry-after" in answer.headers
                )
                if not passing:
                    raise ShopError(service, f"{answer.request.method} {answer.request.url.path} was answered {said}")
            if time.monotonic() > deadline:
                raise ShopError(service, f"no answer within {PATIENCE_S:.0f} s; the last was {said}")
            await asyncio.sleep(PAUSE_S)  # noqa: TID251  # the pace of trying again


async def until(service: str, what: str, look: Callable[[], Awaitable[T | None]], at_most_s: float = PATIENCE_S) -> T:
    """What `look` finds at last. Raises ShopError, naming `what`, when it finds nothing in time."""
    deadline = time.monotonic() + at_most_s
    while True:
        found = await look()
        if found:
            return found
        if time.monotonic() > deadline:
            raise ShopError(service, f"{what} did not happen within {at_most_s:.0f} s")
        await asyncio.sleep(0.05)  # noqa: TID251  # the pace of looking


def _intent(client_secret: str) -> str:
    return client_secret.partition("_secret_")[0]


def _in_berlin(ahead: timedelta) -> datetime:
    return (SystemClock().now().astimezone(ZoneInfo("Europe/Berlin")) + ahead).replace(tzinfo=None)
