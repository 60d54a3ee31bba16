"""Refunds that succeed, wait, fail later, and those that must not exist (docs.stripe.com/refunds)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import stripe

from tests.sandbox.stripe.conftest import Standin, eventually


async def test_partial_refunds_never_exceed_the_charge(standin: Standin) -> None:
    """The charge counts them; the amount left can be refunded and no cent more."""
    v1 = standin.client.v1
    intent = await standin.paid(5000)
    first = await v1.refunds.create_async(
        {
            "payment_intent": intent.id,
            "amount": 2000,
            "reason": "requested_by_customer",
            "metadata": {"refund_id": "r-1"},
        }
    )
    assert (first.status, first.amount, first.currency) == ("succeeded", 2000, "eur")
    with pytest.raises(stripe.InvalidRequestError, match="greater than unrefunded amount"):
        await v1.refunds.create_async({"payment_intent": intent.id, "amount": 3001})
    rest = await v1.refunds.create_async(
        {"charge": str(intent.latest_charge), "expand": ["charge", "balance_transaction"]}
    )
    charge: Any = rest.charge
    movement: Any = rest.balance_transaction
    assert (rest.amount, charge.refunded, charge.amount_refunded) == (3000, True, 5000)
    assert (movement.amount, movement.fee, movement.type) == (-3000, 0, "refund")
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await v1.refunds.create_async({"payment_intent": intent.id})
    assert refused.value.code == "charge_already_refunded"
    assert (await standin.events())[-4:] == ["charge.refunded", "refund.created"] * 2
    listed = await v1.refunds.list_async({"payment_intent": intent.id})
    assert [refund.id for refund in listed.data] == [rest.id, first.id]


async def test_concurrent_refunds_share_what_is_left(standin: Standin) -> None:
    """Ten times 60 % at once: exactly one succeeds."""
    intent = await standin.paid(5000)
    calls = [standin.client.v1.refunds.create_async({"payment_intent": intent.id, "amount": 3000}) for _ in range(10)]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(isinstance(outcome, stripe.Refund) for outcome in outcomes) == 1
    charge = await standin.client.v1.charges.retrieve_async(str(intent.latest_charge))
    assert charge.amount_refunded == 3000


async def test_a_pending_refund_succeeds_later(standin: Standin) -> None:
    """Card 7726: pending, then `refund.updated` with `succeeded`."""
    intent = await standin.paid(payment_method="pm_card_pendingRefund")
    refund = await standin.client.v1.refunds.create_async({"payment_intent": intent.id})
    assert (refund.status, refund.pending_reason) == ("pending", "processing")
    await standin.control("POST", "/clock", {"advance_seconds": 10})
    refund = await standin.client.v1.refunds.retrieve_async(refund.id)
    assert (refund.status, refund.pending_reason) == ("succeeded", None)
    assert (await standin.events())[-2:] == ["refund.updated", "charge.refund.updated"]


async def test_a_refund_that_succeeded_fails_later(standin: Standin) -> None:
    """Card 5126: the money comes back by a balance transaction of its own and the charge is not refunded any more."""
    v1 = standin.client.v1
    intent = await standin.paid(5000, payment_method="pm_card_refundFail")
    refund = await v1.refunds.create_async({"payment_intent": intent.id})
    assert refund.status == "succeeded"

    async def failed() -> stripe.Refund | None:
        value = await v1.refunds.retrieve_async(refund.id, {"expand": ["failure_balance_transaction", "charge"]})
        return value if value.status == "failed" else None

    value: Any = await eventually(failed)
    assert (value.failure_reason, value.failure_balance_transaction.amount) == ("expired_or_canceled_card", 5000)
    assert (value.charge.refunded, value.charge.amount_refunded) == (False, 0)
    assert (await standin.events())[-3:] == ["refund.failed", "refund.updated", "charge.refund.updated"]
    movements = await v1.balance_transactions.list_async({"source": refund.id})
    assert sum(movement.net for movement in movements.data) == 0


async def test_a_refund_waits_for_funds(standin: Standin) -> None:
    """With a balance of 10.00 a refund of 50.00 is pending for lack of funds, and is paid when the balance is raised."""
    intent = await standin.paid(5000)
    await standin.control("PUT", "/balance", {"currency": "eur", "available": 1000})
    refund = await standin.client.v1.refunds.create_async({"payment_intent": intent.id})
    assert (refund.status, refund.pending_reason, refund.balance_transaction) == ("pending", "insufficient_funds", None)
    filled = await standin.control("PUT", "/balance", {"currency": "eur", "available": 5000})
    assert filled == {"available": 0, "refunds_paid": [refund.id]}
    assert (await standin.client.v1.refunds.retrieve_async(refund.id)).status == "succeeded"


async def test_charges_become_available_after_two_days(standin: Standin) -> None:
    """The balance moves from pending to available by time alone; the bypass card's is there at once."""
    await standin.paid(5000)
    await standin.paid(1000, payment_method="pm_card_bypassPending")
    balance = await standin.client.v1.balance.retrieve_async()
    assert (balance.available[0].amount, balance.pending[0].amount) == (941, 4825)
    await standin.control("POST", "/clock", {"advance_seconds": 2 * 24 * 3600})
    balance = await standin.client.v1.balance.retrieve_async()
    assert (balance.available[0].amount, balance.pending[0].amount) == (941 + 4825, 0)


async def test_what_cannot_be_refunded(standin: Standin) -> None:
    """Nothing charged, only authorised, declined, or no object named."""
    v1 = standin.client.v1
    fresh = await v1.payment_intents.create_async({"amount": 5000, "currency": "eur"})
    authorised = await standin.authorised()
    for intent, sentence in ((fresh, "does not have a successful charge"), (authorised, "You must cancel the")):
        with pytest.raises(stripe.InvalidRequestError, match=sentence):
            await v1.refunds.create_async({"payment_intent": intent.id})
    with pytest.raises(stripe.InvalidRequestError, match="should be provided"):
        await v1.refunds.create_async({"amount": 100})
    assert (await v1.refunds.list_async()).data == []


async def test_a_card_refund_cannot_be_cancelled(standin: Standin) -> None:
    """docs.stripe.com/api/refunds/cancel: only one that requires action."""
    intent = await standin.paid(payment_method="pm_card_pendingRefund")
    refund = await standin.client.v1.refunds.create_async({"payment_intent": intent.id})
    with pytest.raises(stripe.InvalidRequestError, match="requires_action"):
        await standin.client.v1.refunds.cancel_async(refund.id)
    updated = await standin.client.v1.refunds.update_async(refund.id, {"metadata": {"case": "7"}})
    assert updated.metadata
    assert updated.metadata.to_dict() == {"case": "7"}


async def test_a_refund_that_fails_at_once(standin: Standin) -> None:
    """By the control API; nothing left the balance, and the charge is not refunded."""
    intent = await standin.paid(5000)
    await standin.control("PUT", "/refund-course", {"course": "fails_at_once"})
    refund = await standin.client.v1.refunds.create_async({"payment_intent": intent.id, "expand": ["charge"]})
    charge: Any = refund.charge
    assert (refund.status, refund.balance_transaction, charge.amount_refunded) == ("failed", None, 0)
    assert (await standin.events())[-2:] == ["refund.created", "refund.failed"]
    await standin.control("PUT", "/refund-course", {"course": None})
    assert (await standin.client.v1.refunds.create_async({"payment_intent": intent.id})).status == "succeeded"


@pytest.mark.parametrize("ending", ["succeeded", "canceled"])
async def test_a_refund_that_the_customer_must_act_on(standin: Standin, ending: str) -> None:
    """docs.stripe.com/refunds: the customer gets a mail that asks where the money shall go; until then it can be cancelled."""
    v1 = standin.client.v1
    intent = await standin.paid(5000)
    await standin.control("PUT", "/refund-course", {"course": "requires_action"})
    refund = await v1.refunds.create_async({"payment_intent": intent.id})
    assert refund.next_action
    assert (refund.status, refund.next_action.type) == ("requires_action", "display_details")
    if ending == "canceled":
        refund = await v1.refunds.cancel_async(refund.id)
    else:
        await standin.control("POST", f"/refunds/{refund.id}", {"status": "succeeded"})
        refund = await v1.refunds.retrieve_async(refund.id)
    charge = await v1.charges.retrieve_async(str(intent.latest_charge))
    assert (refund.status, charge.amount_refunded) == (ending, 5000 if ending == "succeeded" else 0)


async def test_a_refund_that_fails_after_ten_days(standin: Standin) -> None:
    """Not a second earlier, whatever the machine's clock says."""
    v1 = standin.client.v1
    intent = await standin.paid(5000)
    days = 24 * 3600
    await standin.control("PUT", "/refund-course", {"course": "fails_later", "after_seconds": 10 * days})
    refund = await v1.refunds.create_async({"payment_intent": intent.id})
    await standin.control("POST", "/clock", {"advance_seconds": 9 * days})
    assert (await v1.refunds.retrieve_async(refund.id)).status == "succeeded"
    await standin.control("POST", "/clock", {"advance_seconds": 1 * days})
    assert (await v1.refunds.retrieve_async(refund.id)).status == "failed"


async def test_the_key_of_a_refusal_replays_it(standin: Standin) -> None:
    """docs.stripe.com/api/idempotent_requests: the first answer is kept, so what was refused once is refused under this key for a day."""
    v1 = standin.client.v1
    intent = await standin.paid(5000)
    dispute = await standin.control("POST", "/disputes", {"payment_intent": intent.id})

    async def refund(key: str) -> stripe.Refund:
        return await v1.refunds.create_async({"payment_intent": intent.id}, {"idempotency_key": key})

    with pytest.raises(stripe.InvalidRequestError):
        await refund("first")
    await standin.control("POST", f"/disputes/{dispute['id']}", {"status": "won"})
    with pytest.raises(stripe.InvalidRequestError, match="has been charged back"):
        await refund("first")
    assert standin.witness.headers["Idempotent-Replayed"] == "true"
    assert (await refund("second")).status == "succeeded"


async def test_the_rate_is_counted_second_by_second(standin: Standin) -> None:
    """What ran never exceeds the limit of a second; what was too much got the documented 429."""
    await standin.control("PUT", "/limits", {"requests_per_second": 5})
    calls = (standin.client.v1.balance.retrieve_async() for _ in range(20))
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    refused = [outcome for outcome in outcomes if isinstance(outcome, stripe.RateLimitError)]
    assert {outcome.headers and outcome.headers["Stripe-Rate-Limited-Reason"] for outcome in refused} == {"global-rate"}
    log = await standin.control("GET", "/rate")
    assert max(second["ran"] for second in log) <= 5
    assert sum(second["refused"] for second in log) == len(refused)
    assert sum(second["ran"] for second in log) == 20 - len(refused)
