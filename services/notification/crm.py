"""Calls a CRM: one signed POST by the Standard Webhooks specification, to the address that the guard has judged, and nowhere else."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus

import httpx2
from chassis.clock import Clock
from chassis.errors import Invalid
from standardwebhooks import Webhook

from notification.guard import Guard, Target

TIMEOUT_S = 10.0
CONNECT_TIMEOUT_S = 3.0
KEPT_S = 4.0
"""How long a connection is kept after a call: less than servers commonly keep it, so that none is used while it is being closed."""

ANSWER_BYTES_MAX = 64 * 1024
"""More of an answer is not read. Nothing of it is kept or shown."""

_MAY_SAY_WHEN = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})


@dataclass(frozen=True)
class Answer:
    """What came of a call. `error` is our own sentence, never the receiver's words."""

    status: int | None = None
    error: str | None = None
    retry_after: timedelta | None = None

    @property
    def acknowledged(self) -> bool:
        """Any 2xx that came in time."""
        return self.error is None

    @property
    def gone(self) -> bool:
        """The receiver asks not to be called any more."""
        return self.status == HTTPStatus.GONE


class Crm:
    """The client of all endpoints.

    A connection is kept for the next call to the same host only: it was opened under that host's name, with its certificate. The guard
    judges before each call all the same, and a kept connection is taken only if it leads to an address that it has just let through.
    """

    def __init__(self, guard: Guard, clock: Clock, tls: ssl.SSLContext | None = None) -> None:
        self._guard = guard
        self._clock = clock
        self._tls = tls or ssl.create_default_context()
        self._clients: dict[bytes, httpx2.AsyncClient] = {}

    async def close(self) -> None:
        """Ends every connection."""
        for client in self._clients.values():
            await client.aclose()

    def _client(self, host: bytes) -> httpx2.AsyncClient:
        """The connections of one host. Hosts are as few as the endpoints that staff have registered."""
        if host not in self._clients:
            self._clients[host] = httpx2.AsyncClient(
                verify=self._tls,
                timeout=httpx2.Timeout(TIMEOUT_S, connect=CONNECT_TIMEOUT_S, pool=None),
                limits=httpx2.Limits(max_connections=None, max_keepalive_connections=8, keepalive_expiry=KEPT_S),
                follow_redirects=False,
                trust_env=False,
            )
        return self._clients[host]

    async def call(self, url: str, secret: str, webhook_id: str, body: str) -> Answer:
        """Signs and posts `body`. TIMEOUT_S bounds everything: resolving, connecting, sending, reading."""
        try:
            async with asyncio.timeout(TIMEOUT_S):
                return await self._post(await self._guard.judge(url), secret, webhook_id, body)
        except Invalid:
            return Answer(error="its host has no address that is public")
        except (TimeoutError, httpx2.TimeoutException):
            return Answer(error=f"no answer within {TIMEOUT_S:.0f} s")
        except httpx2.ConnectError:
            return Answer(error="no connection")
        except httpx2.HTTPError:
            return Answer(error="the connection broke")

    async def _post(self, target: Target, secret: str, webhook_id: str, body: str) -> Answer:
        for address in target.addresses[:-1]:
            try:
                return await self._post_to(address, target, secret, webhook_id, body)
            except (httpx2.ConnectError, httpx2.ConnectTimeout):
                continue  # a host with several addresses may not be reachable at each, such as IPv6 from here
        return await self._post_to(target.addresses[-1], target, secret, webhook_id, body)

    async def _post_to(self, address: str, target: Target, secret: str, webhook_id: str, body: str) -> Answer:
        now = self._clock.now()
        headers = {
            "Host": target.url.netloc.decode("ascii"),
            "Content-Type": "application/json",
            "User-Agent": "Boxoffice-Webhooks/1",
            "webhook-id": webhook_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(secret).sign(webhook_id, now, body),
        }
        async with self._client(target.url.raw_host).stream(
            "POST",
            target.url.copy_with(host=address),
            content=body.encode(),
            headers=headers,
            # The certificate must be that of the name, although the connection goes to the address.
            extensions={"sni_hostname": target.url.raw_host.decode("ascii")},
        ) as response:
            read = 0
            async for chunk in response.aiter_raw():
                read += len(chunk)
                if read > ANSWER_BYTES_MAX:
                    break
            return self._answer(response, now)

    def _answer(self, response: httpx2.Response, now: datetime) -> Answer:
        if response.is_success:
            return Answer(response.status_code)
        if response.is_redirect:
            return Answer(response.status_code, f"answered {response.status_code}: redirects are not followed")
        retry_after = response.headers.get("Retry-After") if response.status_code in _MAY_SAY_WHEN else None
        return Answer(response.status_code, f"answered {response.status_code}", _wait(retry_after, now))


def _wait(retry_after: str | None, now: datetime) -> timedelta | None:
    """Retry-After in both of its forms (RFC 9110, 10.2.3); None where it says nothing."""
    if retry_after is None:
        return None
    if retry_after.strip().isdecimal():
        return timedelta(seconds=min(int(retry_after), 10**6))
    try:
        until = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    return None if until.tzinfo is None else max(until - now, timedelta(0))
