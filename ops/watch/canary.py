"""The canary: a customer of ours that books, pays, cancels and is refunded through the gateway, as a browser would.

It pays with a test card and refuses to pay with anything else: it works against the sandbox and against a provider's test mode. In live
mode only real money could be paid.
"""

from __future__ import annotations

import asyncio
import secrets
import shlex
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from http import HTTPStatus
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit

import httpx2
from chassis.clock import SystemClock

from ops.watch import metrics
from ops.watch.settings import WatchSettings

Json = dict[str, Any]

TEST_CARD = "pm_card_visa"
"""docs.stripe.com/testing: a test card that needs no number to be sent."""
STEP_S_MAX = 60.0
ASK_AGAIN_S = 0.25
STARTS_IN = timedelta(days=300)
CAPACITY = 10_000
PRICE_MINOR = 1_000


class CanaryFailed(Exception):
    """A step was not answered as it should be, or not in time."""

    def __init__(self, step: str, sentence: str) -> None:
        super().__init__(f"{step}: {sentence}")
        self.step = step


class Canary:
    """`run` it again and again; what it books is found once."""

    def __init__(self, settings: WatchSettings, http: httpx2.AsyncClient) -> None:
        address = settings.gateway_url or settings.public_url
        if address is None:
            raise ValueError("BOXOFFICE_PUBLIC_URL is not set: the canary does not know where the gateway is.")
        self._gateway = address.rstrip("/")
        self._settings = settings
        self._http = http
        self._event_id = None if settings.canary_event_id is None else str(settings.canary_event_id)

    async def run(self) -> float:
        """One purchase and its refund; the seconds that it took. Raises CanaryFailed."""
        began = perf_counter()
        try:
            await self._through()
        except CanaryFailed as error:
            metrics.CANARY_RUNS.labels("failed").inc()
            metrics.CANARY_FAILED_AT.labels(error.step).inc()
            raise
        metrics.CANARY_RUNS.labels("passed").inc()
        metrics.CANARY_PASSED_AT.set(SystemClock().now().timestamp())
        return perf_counter() - began

    async def _through(self) -> None:
        with timed("book"):
            booking, token = await self._book()
        path, holder = f"/api/bookings/{booking}", {"Authorization": f"Bearer {token}"}
        with timed("pay"):
            await self._pay(booking, holder)
        with timed("confirm"):
            await self._until("confirm", path, holder, lambda read: read["status"] == "confirmed")
        with timed("cancel"):
            await self._ask("cancel", "POST", f"{path}/cancel", headers=holder)
        with timed("refund"):
            await self._until("refund", path, holder, lambda read: read["refund_state"] == "refunded")

    async def _book(self) -> tuple[str, str]:
        if self._event_id is None:
            self._event_id = await self._make_event()
        event = await self._ask("book", "GET", f"/api/events/{self._event_id}")
        body = {
            "event_id": self._event_id,
            "items": [{"ticket_type_id": event["ticket_types"][0]["id"], "quantity": 1}],
            "contact": {"name": "Canary", "email": "canary@example.org"},
        }
        placed = await self._ask("book", "POST", "/api/bookings", json=body)
        return placed["booking"]["id"], placed["access_token"]

    async def _pay(self, booking: str, holder: Mapping[str, str]) -> None:
        opened = await self._ask("pay", "POST", "/api/payments", json={"booking_id": booking}, headers=holder)
        key, secret = opened["publishable_key"], opened["client_secret"]
        if not key.startswith("pk_test_"):
            raise CanaryFailed("pay", "the provider is in live mode, where a test card is not taken")
        form = {"client_secret": secret, "payment_method": TEST_CARD, "return_url": f"{self._gateway}/"}
        url = f"{self._settings.provider_url.rstrip('/')}/v1/payment_intents/{secret.partition('_secret_')[0]}/confirm"
        headers = {"Authorization": f"Bearer {key}"}
        if self._settings.provider_account is not None:
            headers["Stripe-Account"] = self._settings.provider_account.get_secret_value()
        await self._answered("pay", lambda: self._http.post(url, data=form, headers=headers))
        await self._ask("pay", "POST", f"/api/payments/{opened['payment']['id']}/sync", headers=holder)

    async def _make_event(self) -> str:
        start = (SystemClock().now() + STARTS_IN).replace(microsecond=0, tzinfo=None)
        body = {
            "name": "Canary: test purchases",
            "venue": "Nowhere",
            "local_start": start.isoformat(),
            "local_end": (start + timedelta(hours=1)).isoformat(),
            "timezone": "UTC",
            "currency": "EUR",
            "ticket_types": [{"name": "Perch", "price_minor": PRICE_MINOR, "tax_rate_bp": 1900, "capacity": CAPACITY}],
        }
        staff = {"Authorization": f"Bearer {await self._staff_token()}"}
        made = await self._ask("book", "POST", "/api/events", json=body, headers=staff)
        return str(made["id"])

    async def _staff_token(self) -> str:
        command = self._settings.staff_token_command
        if command is None:
            raise CanaryFailed("book", "neither WATCH_CANARY_EVENT_ID nor WATCH_STAFF_TOKEN_COMMAND is set")
        process = await asyncio.create_subprocess_exec(*shlex.split(command), stdout=asyncio.subprocess.PIPE)
        printed, _ = await process.communicate()
        if process.returncode != 0:
            raise CanaryFailed("book", f"WATCH_STAFF_TOKEN_COMMAND ended with {process.returncode}")
        return printed.decode().strip()

    async def _until(self, step: str, path: str, headers: Mapping[str, str], holds: Callable[[Json], bool]) -> None:
        deadline = time.monotonic() + STEP_S_MAX
        while not holds(read := await self._ask(step, "GET", path, headers=headers)):
            if time.monotonic() > deadline:
                state = f"status {read['status']}, refund {read['refund_state']}"
                raise CanaryFailed(step, f"after {STEP_S_MAX:.0f} s the booking is at {state}")
            await asyncio.sleep(ASK_AGAIN_S)  # noqa: TID251  # a browser's pace

    async def _ask(
        self, step: str, method: str, path: str, *, json: object = None, headers: Mapping[str, str] | None = None
    ) -> Json:
        """The JSON that the gateway answers. What is not ready yet is asked again, with the same key."""
        sent = {**(headers or {})}
        if method == "POST":
            sent["Idempotency-Key"] = secrets.token_hex(16)
        url = f"{self._gateway}{path}"
        found: Json = (
            await self._answered(step, lambda: self._http.request(method, url, json=json, headers=sent))
        ).json()
        return found

    async def _answered(self, step: str, send: Callable[[], Awaitable[httpx2.Response]]) -> httpx2.Response:
        deadline = time.monotonic() + STEP_S_MAX
        while True:
            try:
                answer = await send()
            except httpx2.TransportError as error:
                raise CanaryFailed(step, f"no answer ({type(error).__name__})") from None
            if answer.is_success:
                return answer
            comes = answer.status_code == HTTPStatus.CONFLICT and "retry-after" in answer.headers
            if not comes or time.monotonic() > deadline:
                where = urlsplit(str(answer.request.url)).path
                raise CanaryFailed(step, f"{answer.request.method} {where} was answered {answer.status_code}")
            await asyncio.sleep(ASK_AGAIN_S)  # noqa: TID251  # a browser's pace


@contextmanager
def timed(step: str) -> Iterator[None]:
    """Times a step that goes through."""
    began = perf_counter()
    yield
    metrics.CANARY_SECONDS.labels(step).observe(perf_counter() - began)
