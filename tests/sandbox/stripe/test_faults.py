"""Faults on demand, seen through the SDK: what executes, what is kept, what a retry finds."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest
import stripe

from tests.sandbox.stripe.conftest import Standin

PARAMS: Any = {"amount": 5000, "currency": "eur", "metadata": {"payment_id": "p"}}


async def made(standin: Standin) -> int:
    """How many intents exist for the payment."""
    found = await standin.control("GET", "/effects?metadata=payment_id&value=p")
    return len(found.get("p", {}).get("payment_intent", []))


async def create(standin: Standin) -> stripe.PaymentIntent:
    return await standin.client.v1.payment_intents.create_async(PARAMS, {"idempotency_key": "k"})


@pytest.mark.parametrize(
    ("kind", "status", "executed", "retry_succeeds"),
    [
        ("error_before", 500, 0, True),
        ("error_after", 500, 1, False),
        ("bad_gateway_before", 502, 0, True),
        ("bad_gateway_after", 502, 1, True),
        ("rate_limit", 429, 0, True),
        ("lock_timeout", 429, 0, True),
        ("conflict", 409, 0, True),
    ],
)
async def test_refusing_faults(standin: Standin, kind: str, status: int, executed: int, retry_succeeds: bool) -> None:  # noqa: FBT001  # a table's column
    """Each answers its status, has run or not, and a retry with the same key never makes a second intent."""
    await standin.fault("payment_intents.create", kind)
    with pytest.raises(stripe.StripeError) as failed:
        await create(standin)
    assert failed.value.http_status == status
    assert await made(standin) == executed
    if retry_succeeds:
        await create(standin)
    else:
        with pytest.raises(stripe.APIError):
            await create(standin)
    assert await made(standin) == 1


@pytest.mark.parametrize(("kind", "executed"), [("drop_before", 0), ("drop_after", 1), ("cut_after", 1)])
async def test_dropping_faults(standin: Standin, kind: str, executed: int) -> None:
    """The connection ends without a whole answer; a retry with the same key finds or makes the one intent."""
    await standin.fault("payment_intents.create", kind)
    body = {"amount": "5000", "currency": "eur", "metadata[payment_id]": "p"}
    headers = {"Authorization": f"Bearer {standin.client._requestor.api_key}", "Idempotency-Key": "k"}
    with pytest.raises(aiohttp.ClientError):
        async with standin.session.post(f"{standin.url}/v1/payment_intents", data=body, headers=headers) as answer:
            await answer.read()
            raise AssertionError(answer.status)
    assert await made(standin) == executed
    await create(standin)
    assert await made(standin) == 1


async def test_a_timeout_after_success(standin: Standin) -> None:
    """The client gives up, the intent exists, and the retry replays it."""
    await standin.fault("payment_intents.create", "delay_after", seconds=5)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(create(standin), 0.5)
    assert await made(standin) == 1
    assert (await create(standin)).status == "requires_payment_method"
    assert await made(standin) == 1


@pytest.mark.parametrize(("should_retry", "header"), [(None, None), (True, "true"), (False, "false")])
async def test_the_retry_header_of_a_rate_limit(
    standin: Standin,
    should_retry: bool | None,  # noqa: FBT001  # a table's column
    header: str | None,
) -> None:
    """`Stripe-Should-Retry` is sent as asked for."""
    await standin.fault("*", "rate_limit", should_retry=should_retry)
    with pytest.raises(stripe.RateLimitError):
        await create(standin)
    assert standin.witness.headers.get("Stripe-Should-Retry") == header
    assert standin.witness.headers["Stripe-Rate-Limited-Reason"] == "global-rate"


async def test_a_fault_meets_its_operation_as_often_as_wanted(standin: Standin) -> None:
    """Two captures fail, creations do not, the third capture succeeds."""
    await standin.fault("payment_intents.capture", "error_before", count=2)
    intent = await standin.authorised()
    for _ in range(2):
        with pytest.raises(stripe.APIError):
            await standin.client.v1.payment_intents.capture_async(intent.id)
    assert (await standin.client.v1.payment_intents.capture_async(intent.id)).status == "succeeded"
    assert (await standin.control("GET", ""))["faults"] == []


async def test_probability(standin: Standin) -> None:
    """A fault of one half meets some of a hundred requests and spares some, until it is taken away."""
    await standin.control("POST", "/faults", {"operation": "balance.*", "kind": "error_before", "probability": 0.5})
    outcomes = [await outcome(standin) for _ in range(100)]
    assert 0 < sum(outcomes) < 100
    await standin.control("DELETE", "/faults")
    assert all([await outcome(standin) for _ in range(20)])


async def outcome(standin: Standin) -> bool:
    try:
        await standin.client.v1.balance.retrieve_async()
    except stripe.APIError:
        return False
    return True


async def test_an_answer_may_be_mutilated(standin: Standin) -> None:
    """An unknown status, a missing attribute, live mode: in the answer only, not in the object."""
    intent = await standin.authorised()
    await standin.fault(
        "payment_intents.retrieve",
        "mutate",
        replace={"status": "requires_prayer", "livemode": True},
        remove=["amount_received"],
    )
    with pytest.raises(AssertionError, match="requires_prayer"):
        await standin.client.v1.payment_intents.retrieve_async(intent.id)
    assert (await standin.client.v1.payment_intents.retrieve_async(intent.id)).status == "requires_capture"


async def test_a_rate_limit_per_second(standin: Standin) -> None:
    """More requests in a second than allowed are refused with the reason, and run once the limit is gone."""
    await standin.control("PUT", "/limits", {"requests_per_second": 5})
    outcomes = await asyncio.gather(
        *(standin.client.v1.balance.retrieve_async() for _ in range(30)), return_exceptions=True
    )
    refused = [outcome for outcome in outcomes if isinstance(outcome, stripe.RateLimitError)]
    assert refused
    assert len(refused) < 30
    body: Any = refused[0].json_body
    assert body["error"]["code"] == "rate_limit"
    await standin.control("PUT", "/limits", {})
    await standin.client.v1.balance.retrieve_async()


async def test_searches_and_lists_may_lag(standin: Standin) -> None:
    """A fresh object is missing from both until the lag is over; by id it is there at once."""
    await standin.control("PUT", "/limits", {"search_lag_seconds": 60, "list_lag_seconds": 60})
    intent = await create(standin)
    v1 = standin.client.v1
    assert (await v1.payment_intents.retrieve_async(intent.id)).id == intent.id
    assert (await v1.payment_intents.search_async({"query": "metadata['payment_id']:'p'"})).data == []
    assert (await v1.payment_intents.list_async()).data == []
    await standin.control("POST", "/clock", {"advance_seconds": 61})
    assert (await v1.payment_intents.search_async({"query": "metadata['payment_id']:'p'"})).data[0].id == intent.id
    assert (await v1.payment_intents.list_async()).data[0].id == intent.id
