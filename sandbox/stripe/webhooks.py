"""Delivery of events to webhook endpoints, signed with the SDK's own signer and retried until a 2xx.

docs.stripe.com/webhooks: redirects count as failures, each try carries a new timestamp and signature, order is not guaranteed. Stripe
publishes neither its intervals nor its time limit; ours are options.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from contextlib import suppress
from secrets import randbelow

import aiohttp
import stripe

from sandbox.stripe.clock import Clock
from sandbox.stripe.settings import Settings
from sandbox.stripe.store import Store
from sandbox.stripe.values import Object, rendered

RETRY_SECONDS = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 3600.0)
TIMEOUT_SECONDS = 10.0
CONCURRENT_MAX = 32
IDLE_SECONDS = 1.0
PROBABILITY_STEPS = 1_000_000


class Deliveries:
    """Rows of the table `deliveries`: pending, then delivered, failed, lost or dropped."""

    def __init__(
        self, store: Store, clock: Clock, settings: Settings, retry_seconds: Sequence[float] = RETRY_SECONDS
    ) -> None:
        self.store = store
        self.clock = clock
        self.settings = settings
        self.retry_seconds = retry_seconds
        self._awake = asyncio.Event()
        self._in_flight: dict[int, asyncio.Task[None]] = {}
        self._session: aiohttp.ClientSession | None = None

    def wake(self) -> None:
        """There may be something to send."""
        self._awake.set()

    async def run(self) -> None:
        """Send what is due, until cancelled."""
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as self._session:
            try:
                while True:
                    self._awake.clear()
                    self._start_due()
                    # Not `wait_for`: in Python 3.11 it swallows a cancellation that comes together with the waking.
                    with suppress(TimeoutError):
                        async with asyncio.timeout(self._pause()):
                            await self._awake.wait()
            finally:
                for task in list(self._in_flight.values()):
                    task.cancel()

    async def first_tries(self, event_ids: Sequence[str]) -> None:
        """Send these events now and wait for the outcome of the first try."""
        if not self.settings.webhooks.on:
            return
        self._take_in()
        marks = ", ".join("?" * len(event_ids))
        rows = self.store.connection.execute(
            f"SELECT id FROM deliveries WHERE state = 'pending' AND attempts = 0 AND event_id IN ({marks})",  # noqa: S608  # question marks only
            tuple(event_ids),
        ).fetchall()
        tasks = [self._start(identifier) for (identifier,) in rows]
        await asyncio.gather(*tasks)

    def _pause(self) -> float:
        """Seconds until the next row falls due, one second at most."""
        if not self.settings.webhooks.on or len(self._in_flight) >= CONCURRENT_MAX:
            return IDLE_SECONDS
        now = self.clock.real()
        row = self.store.connection.execute(
            "SELECT MIN(next_at) FROM deliveries WHERE state = 'pending' AND next_at > ?", (now,)
        ).fetchone()
        return IDLE_SECONDS if row[0] is None else max(0.0, min(IDLE_SECONDS, row[0] - now))

    def _take_in(self) -> None:
        """New rows meet the delays and losses that the control API asked for."""
        rows = self.store.connection.execute(
            "SELECT id FROM deliveries WHERE state = 'pending' AND next_at = 0"
        ).fetchall()
        if not rows:
            return
        switches = self.settings.webhooks
        at = self.clock.real() + switches.delay_seconds + switches.reorder_seconds
        with self.store.transaction():
            for (identifier,) in rows:
                lost = randbelow(PROBABILITY_STEPS) < switches.loss * PROBABILITY_STEPS
                self.store.connection.execute(
                    "UPDATE deliveries SET state = ?, next_at = ? WHERE id = ?",
                    ("lost" if lost else "pending", at, identifier),
                )

    def _start_due(self) -> None:
        self._take_in()
        if not self.settings.webhooks.on:
            return
        order = "DESC" if self.settings.webhooks.reorder_seconds else "ASC"
        rows = self.store.connection.execute(
            f"SELECT id FROM deliveries WHERE state = 'pending' AND next_at <= ? ORDER BY id {order} LIMIT ?",  # noqa: S608  # one of two words
            (self.clock.real(), CONCURRENT_MAX + len(self._in_flight)),
        ).fetchall()
        for (identifier,) in rows:
            if len(self._in_flight) >= CONCURRENT_MAX:
                return
            if identifier not in self._in_flight:
                self._start(identifier)

    def _start(self, identifier: int) -> asyncio.Task[None]:
        task = self._in_flight.get(identifier)
        if task is None:
            task = asyncio.create_task(self._deliver(identifier))
            self._in_flight[identifier] = task
            task.add_done_callback(lambda _: self._ended(identifier))
        return task

    def _ended(self, identifier: int) -> None:
        del self._in_flight[identifier]
        self.wake()

    async def _deliver(self, identifier: int) -> None:
        event_id, endpoint_id, attempts = self.store.connection.execute(
            "SELECT event_id, endpoint_id, attempts FROM deliveries WHERE id = ?", (identifier,)
        ).fetchone()
        endpoint = self.store.get("webhook_endpoint", endpoint_id)
        event = self.store.get("event", event_id)
        if endpoint is None or event is None or endpoint["status"] != "enabled":
            self._record(identifier, attempts, "dropped", "the endpoint is gone or disabled")
            return
        copies = 1 + self.settings.webhooks.duplicates
        outcomes = await asyncio.gather(*(self._post(endpoint, event) for _ in range(copies)))
        outcome = max(outcomes, key=lambda each: each.startswith("2"))
        if outcome.startswith("2"):
            self._record(identifier, attempts + 1, "delivered", outcome)
        elif attempts < len(self.retry_seconds):
            self._record(identifier, attempts + 1, "pending", outcome, self.retry_seconds[attempts])
        else:
            self._record(identifier, attempts + 1, "failed", outcome)

    async def _post(self, endpoint: Object, event: Object) -> str:
        """The status of the answer, or the kind of failure to get one."""
        switches = self.settings.webhooks
        body = json.dumps(rendered(event) | switches.replace, indent=2)
        timestamp = int(self.clock.real()) + switches.timestamp_shift_seconds
        secret = "whsec_of_somebody_else" if switches.forged else endpoint["_secret"]
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "Stripe-Signature": stripe.WebhookSignature.generate_signature_header(body, secret, timestamp=timestamp),
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
        }
        if self._session is None:
            return "not running"
        try:
            async with self._session.post(
                endpoint["url"], data=body.encode(), headers=headers, allow_redirects=False
            ) as answer:
                return str(answer.status)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return type(error).__name__

    def _record(self, identifier: int, attempts: int, state: str, outcome: str, wait_seconds: float = 0.0) -> None:
        self.store.connection.execute(
            "UPDATE deliveries SET attempts = ?, state = ?, last_outcome = ?, next_at = ? WHERE id = ?",
            (attempts, state, outcome, self.clock.real() + wait_seconds, identifier),
        )
