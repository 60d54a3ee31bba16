"""Reads what lies outside of the databases: provider, broker, mailbox, CRM."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import aio_pika
import httpx2
import stripe
from chassis.settings import Configuration
from payment.gateways import SYSTEM
from pydantic import SecretStr
from pydantic_settings import SettingsConfigDict

from ops.verify.records import CrmCall, Intent, Movement, Provider, ProviderDispute, ProviderRefund, QueueState

PAGE = 100
STATISTICS_AGE_S = 12.0
"""The broker samples each queue every 5 s and shows a sample up to 5 s later; what was unacknowledged for a moment is shown that long."""


class ProviderSettings(Configuration):
    """The provider's account: payment's own variables, as payment has them."""

    model_config = SettingsConfigDict(env_prefix="PAYMENT_STRIPE_", extra="ignore")

    api_key: SecretStr | None = None
    api_base: str | None = None
    account: str | None = None


@asynccontextmanager
async def stripe_client(settings: ProviderSettings) -> AsyncIterator[stripe.StripeClient]:
    """The official client. Close it in the loop that opened it."""
    assert settings.api_key is not None, "the caller has looked"
    http = stripe.AIOHTTPClient(timeout=30)
    stripe.enable_telemetry = False
    client = stripe.StripeClient(
        settings.api_key.get_secret_value(),
        stripe_account=settings.account,
        base_addresses={"api": settings.api_base} if settings.api_base else {},
        http_client=http,
        max_network_retries=2,
    )
    try:
        yield client
    finally:
        await http.close_async()  # type: ignore[no-untyped-call]  # the SDK does not type it


async def read_provider(settings: ProviderSettings) -> Provider:
    """Everything at the provider that is ours. Raises stripe.StripeError where it cannot be listed."""
    assert settings.api_key is not None, "the caller has looked"
    shown = Provider(livemode="_live_" in settings.api_key.get_secret_value())
    async with stripe_client(settings) as client:
        async for intent in _all(client.v1.payment_intents.list_async({"limit": PAGE})):
            if intent["metadata"].get("system") == SYSTEM:
                shown.intents.append(_intent(intent))
        ours = {intent.ref for intent in shown.intents}
        async for refund in _all(client.v1.refunds.list_async({"limit": PAGE})):
            if _id(refund["payment_intent"]) in ours:
                shown.refunds.append(_refund(refund))
        async for dispute in _all(client.v1.disputes.list_async({"limit": PAGE})):
            if _id(dispute["payment_intent"]) in ours:
                shown.disputes.append(_dispute(dispute))
        async for movement in _all(client.v1.balance_transactions.list_async({"limit": PAGE})):
            shown.movements.append(_movement(movement))
        async for event in _all(client.v1.events.list_async({"limit": PAGE})):
            shown.events.add(event["id"])
    return shown


async def _all(first_page: Awaitable[stripe.ListObject[Any]]) -> AsyncIterator[dict[str, Any]]:
    async for found in (await first_page).auto_paging_iter():
        yield found.to_dict()


def _id(value: Any) -> str | None:
    """The id of what stands there as an id or as a whole."""
    return value if value is None or isinstance(value, str) else str(value["id"])


def _intent(intent: Mapping[str, Any]) -> Intent:
    return Intent(
        ref=intent["id"],
        payment_id=intent["metadata"].get("payment_id", ""),
        booking_id=intent["metadata"].get("booking_id", ""),
        status=intent["status"],
        amount_minor=intent["amount"],
        received_minor=intent["amount_received"] or 0,
        currency=intent["currency"].upper(),
        livemode=intent["livemode"],
        charge=_id(intent["latest_charge"]),
    )


def _refund(refund: Mapping[str, Any]) -> ProviderRefund:
    metadata = refund["metadata"] or {}
    return ProviderRefund(
        ref=refund["id"],
        intent_ref=str(_id(refund["payment_intent"])),
        refund_id=metadata.get("refund_id"),
        attempt_id=metadata.get("attempt_id"),
        status=refund["status"],
        amount_minor=refund["amount"],
        currency=refund["currency"].upper(),
    )


def _dispute(dispute: Mapping[str, Any]) -> ProviderDispute:
    return ProviderDispute(
        ref=dispute["id"],
        intent_ref=str(_id(dispute["payment_intent"])),
        status=dispute["status"],
        amount_minor=dispute["amount"],
        currency=dispute["currency"].upper(),
        is_withdrawn=sum(movement["amount"] for movement in dispute["balance_transactions"]) < 0,
    )


def _movement(movement: Mapping[str, Any]) -> Movement:
    return Movement(
        ref=movement["id"],
        type=movement["type"],
        source=str(_id(movement["source"])),
        amount_minor=movement["amount"],
        fee_minor=movement["fee"],
        currency=movement["currency"].upper(),
        converted=movement["exchange_rate"] is not None,
    )


class Management:
    """RabbitMQ's management API, for the virtual host of the broker's address."""

    def __init__(self, management_url: str, broker_url: str) -> None:
        parts = urlsplit(management_url)
        self.vhost = unquote(urlsplit(broker_url).path.removeprefix("/")) or "/"
        self._client = httpx2.AsyncClient(
            base_url=f"{parts.scheme}://{parts.hostname}:{parts.port or 80}",
            auth=(unquote(parts.username or ""), unquote(parts.password or "")),
            timeout=10,
            trust_env=False,
        )

    async def get(self, path: str) -> Any:
        """The JSON of a path. Raises httpx2.HTTPError."""
        answer = await self._client.get(f"/api/{path}")
        return answer.raise_for_status().json()

    async def of_vhost(self, what: str) -> Any:
        """The JSON of a path that is narrowed to the virtual host."""
        return await self.get(f"{what}/{quote(self.vhost, safe='')}")

    async def close(self) -> None:
        """Closes its connections."""
        await self._client.aclose()


async def read_queues(broker_url: str, management: Management, *, settled: bool) -> list[QueueState]:
    """How many messages each queue holds: by the broker itself what is ready, by its statistics the rest.

    Where nothing should be unacknowledged, what is shown so is looked at until a sample without it comes, or none could be older.
    """
    listed: list[dict[str, Any]] = await management.of_vhost("queues")
    deadline = asyncio.get_running_loop().time() + STATISTICS_AGE_S
    while settled and any(map(_unacknowledged, listed)) and asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(1)  # noqa: TID251  # polls a condition with a deadline
        listed = await management.of_vhost("queues")
    async with await aio_pika.connect(broker_url, timeout=10) as connection, connection.channel() as channel:

        async def ready(name: str) -> int:
            queue = await channel.get_queue(name)
            return queue.declaration_result.message_count or 0

        counts = await asyncio.gather(*(ready(queue["name"]) for queue in listed))
    return [
        QueueState(queue["name"], count, _unacknowledged(queue), queue["arguments"])
        for queue, count in zip(listed, counts, strict=True)
    ]


def _unacknowledged(queue: Mapping[str, Any]) -> int:
    return int(queue.get("messages_unacknowledged", 0))


async def read_mailbox(url: str) -> Counter[str]:
    """How many copies of each Message-ID the sandbox's mail catcher has."""
    return Counter(mail["message_id"] for mail in await _json(f"{url}/api/messages") if mail["message_id"])


async def read_crm(url: str) -> list[CrmCall]:
    """What the sandbox's CRM receiver kept."""
    deliveries = await _json(f"{url}/api/deliveries")
    return [CrmCall(call["webhook_id"], call["verified"], call["answered"]) for call in deliveries]


async def _json(url: str) -> Any:
    async with httpx2.AsyncClient(timeout=30, trust_env=False) as client:
        return (await client.get(url)).raise_for_status().json()
