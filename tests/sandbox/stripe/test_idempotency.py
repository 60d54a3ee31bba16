"""Idempotency keys as docs.stripe.com/api/idempotent_requests describes them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import stripe

from tests.sandbox.stripe.conftest import Standin, eventually

PARAMS: Any = {"amount": 5000, "currency": "eur", "metadata": {"payment_id": "p"}}


async def test_the_first_answer_is_replayed(standin: Standin) -> None:
    """Same key, same parameters: same body, one object, and a header that says so."""
    create = standin.client.v1.payment_intents.create_async
    first = await create(PARAMS, {"idempotency_key": "k"})
    assert standin.witness.headers["Idempotency-Key"] == "k"
    assert "Idempotent-Replayed" not in standin.witness.headers
    second = await create(PARAMS, {"idempotency_key": "k"})
    assert second.to_dict() == first.to_dict()
    assert standin.witness.headers["Idempotent-Replayed"] == "true"
    assert await standin.control("GET", "/effects?metadata=payment_id") == {
        "p": {
            "payment_intent": [{"id": first.id, "status": "requires_payment_method", "amount": 5000, "currency": "eur"}]
        }
    }
    assert await standin.events() == ["payment_intent.created"]


@pytest.mark.parametrize("change", [{"amount": 5001}, {"metadata": {"payment_id": "q"}}, {"description": "x"}])
async def test_other_parameters_are_refused(standin: Standin, change: Any) -> None:
    """Same key, other parameters: 400 `idempotency_error` with Stripe's sentence; nothing is made."""
    create = standin.client.v1.payment_intents.create_async
    await create(PARAMS, {"idempotency_key": "k"})
    with pytest.raises(stripe.IdempotencyError) as refused:
        await create(PARAMS | change, {"idempotency_key": "k"})
    assert refused.value.http_status == 400
    assert str(refused.value).endswith(
        "Keys for idempotent requests can only be used with the same parameters they were first used with. "
        "Try using a key other than 'k' if you meant to execute a different request."
    )
    assert len((await standin.client.v1.payment_intents.list_async()).data) == 1


async def test_a_key_belongs_to_one_route(standin: Standin) -> None:
    """The same key on another intent's capture is another request."""
    one, two = await standin.authorised(), await standin.authorised()
    await standin.client.v1.payment_intents.capture_async(one.id, {}, {"idempotency_key": "k"})
    with pytest.raises(stripe.IdempotencyError):
        await standin.client.v1.payment_intents.capture_async(two.id, {}, {"idempotency_key": "k"})


async def test_a_running_request_holds_its_key(standin: Standin) -> None:
    """The second request is answered 409 while the first one runs, and replayed afterwards."""
    create = standin.client.v1.payment_intents.create_async
    await standin.fault("payment_intents.create", "delay_before", seconds=0.5)
    first = asyncio.create_task(create(PARAMS, {"idempotency_key": "k"}))

    async def inside() -> bool:
        return "fault delay_before" in (await standin.control("GET", "/stats"))["requests"]

    await eventually(inside)
    with pytest.raises(stripe.APIError) as refused:
        await create(PARAMS, {"idempotency_key": "k"})
    body: Any = refused.value.json_body
    assert (refused.value.http_status, body["error"]["code"]) == (409, "idempotency_key_in_use")
    made = await first
    assert (await create(PARAMS, {"idempotency_key": "k"})).id == made.id


async def test_twenty_at_once_make_one(standin: Standin) -> None:
    """However many arrive together, one object exists and every success shows it."""
    create = standin.client.v1.payment_intents.create_async
    outcomes = await asyncio.gather(*(create(PARAMS, {"idempotency_key": "k"}) for _ in range(20)))
    assert len({intent.id for intent in outcomes}) == 1


async def test_a_decline_and_a_refusal_in_the_run_are_kept(standin: Standin) -> None:
    """A 402 and a 400 of the endpoint itself are replayed although the cause has gone."""
    declined: Any = PARAMS | {
        "confirm": True,
        "payment_method": "pm_card_visa_chargeDeclined",
        "return_url": "http://localhost",
    }
    for _ in range(2):
        with pytest.raises(stripe.CardError):
            await standin.client.v1.payment_intents.create_async(declined, {"idempotency_key": "k"})
    assert standin.witness.headers["Idempotent-Replayed"] == "true"
    assert (await standin.events()).count("charge.failed") == 1
    intent = await standin.authorised()
    for _ in range(2):
        with pytest.raises(stripe.InvalidRequestError, match="You must cancel"):
            await standin.client.v1.refunds.create_async({"payment_intent": intent.id}, {"idempotency_key": "r"})
    await standin.client.v1.payment_intents.capture_async(intent.id)
    with pytest.raises(stripe.InvalidRequestError, match="You must cancel"):
        await standin.client.v1.refunds.create_async({"payment_intent": intent.id}, {"idempotency_key": "r"})
    assert standin.witness.headers["Idempotent-Replayed"] == "true"


async def test_parameters_that_do_not_parse_leave_the_key_free(standin: Standin) -> None:
    """No result is saved when the validation fails."""
    body = {"amount": "much", "currency": "eur"}
    headers = {"Authorization": f"Bearer {standin.client._requestor.api_key}", "Idempotency-Key": "k"}
    async with standin.session.post(f"{standin.url}/v1/payment_intents", data=body, headers=headers) as answer:
        assert answer.status == 400
    intent = await standin.client.v1.payment_intents.create_async(PARAMS, {"idempotency_key": "k"})
    assert intent.status == "requires_payment_method"


async def test_a_500_is_kept_with_its_effects(standin: Standin) -> None:
    """The intent exists, the key answers 500 for ever, and a read finds the object."""
    await standin.fault("payment_intents.create", "error_after")
    for _ in range(2):
        with pytest.raises(stripe.APIError) as refused:
            await standin.client.v1.payment_intents.create_async(PARAMS, {"idempotency_key": "k"})
        assert refused.value.http_status == 500
    found = await standin.client.v1.payment_intents.search_async({"query": "metadata['payment_id']:'p'"})
    assert len(found.data) == 1


async def test_a_key_is_forgotten_after_a_day(standin: Standin) -> None:
    """25 hours later the same key makes a second object; after 23 hours it does not."""
    create = standin.client.v1.payment_intents.create_async
    first = await create(PARAMS, {"idempotency_key": "k"})
    await standin.control("POST", "/clock", {"advance_seconds": 23 * 3600})
    assert (await create(PARAMS, {"idempotency_key": "k"})).id == first.id
    await standin.control("POST", "/clock", {"advance_seconds": 2 * 3600})
    assert (await create(PARAMS, {"idempotency_key": "k"})).id != first.id


async def test_a_key_has_at_most_255_characters(standin: Standin) -> None:
    """255 are taken, 256 refused."""
    create = standin.client.v1.payment_intents.create_async
    await create(PARAMS, {"idempotency_key": "k" * 255})
    with pytest.raises(stripe.InvalidRequestError, match="255"):
        await create(PARAMS, {"idempotency_key": "k" * 256})
