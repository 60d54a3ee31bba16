"""What an organiser would do once by hand: tell Stripe where payment listens, and notification where the CRM system does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

from sandbox.launcher.credentials import Credentials, write_private
from sandbox.launcher.services import Addresses


class NotRegistered(RuntimeError):
    """The other side refused or was away; the message says which request, and what came of it."""


def stripe_endpoint(at: Addresses, known: Credentials, kept: Path) -> None:
    """Registers the gateway at the stand-in and keeps id and secret in `kept`. One of an earlier start only learns the new address.

    Raises NotRegistered.
    """
    url = f"{at.http('gateway')}/webhooks/stripe"
    with _client(base_url=at.http("stripe"), auth=(known.stripe_api_key, "")) as api:
        if kept.exists():
            endpoint = json.loads(kept.read_text())["id"]
            if api.post(f"/v1/webhook_endpoints/{endpoint}", data={"url": url}).is_success:
                return
        endpoint = _granted(api.post("/v1/webhook_endpoints", data={"url": url, "enabled_events[]": _wanted_events()}))
    write_private(kept, json.dumps({"id": endpoint["id"], "secret": endpoint["secret"]}))


def crm_endpoint(at: Addresses) -> None:
    """Registers the CRM receiver at notification, once. One with the address of an earlier start is removed. Raises NotRegistered."""
    url = f"{at.http('crm')}/hooks"
    with _client() as api:
        staff = {"role": "manager", "sub": "sandbox-launcher"}
        token = _granted(api.post(f"{at.http('issuer')}/token", data=staff))["access_token"]
        api.headers["Authorization"] = f"Bearer {token}"
        endpoints = f"{at.http('notification')}/webhook-endpoints"
        ours = [item for item in _granted(api.get(endpoints))["items"] if _is_a_receiver(item["url"])]
        for stale in (item for item in ours if item["url"] != url):
            _granted(api.delete(f"{endpoints}/{stale['id']}"))
        if any(item["url"] == url for item in ours):
            return
        secret = _granted(api.get(f"{at.http('crm')}/api/secret"))["secret"]
        _granted(
            api.post(
                endpoints,
                json={"url": url, "secret": secret},
                headers={"Idempotency-Key": f"sandbox-crm-{at.ports['crm']}"},
            )
        )


def _wanted_events() -> list[str]:
    from payment.receipts import EVENTS  # noqa: PLC0415  # slow to import, and needed once in a sandbox's life

    return sorted(EVENTS)


def _is_a_receiver(url: str) -> bool:
    return url.startswith("http://127.0.0.1:") and url.endswith("/hooks")


def _granted(answer: httpx2.Response) -> dict[str, Any]:
    if not answer.is_success:
        raise NotRegistered(
            f"{answer.request.method} {answer.request.url} answered {answer.status_code} {answer.text[:300]}"
        )
    body: dict[str, Any] = answer.json() if answer.content else {}
    return body


@contextmanager
def _client(**options: Any) -> Iterator[httpx2.Client]:
    try:
        with httpx2.Client(trust_env=False, timeout=10, **options) as client:
            yield client
    except httpx2.TransportError as error:
        raise NotRegistered(f"{error.request.url} does not answer") from error
