"""Disputes: money that the bank takes, and perhaps returns (docs.stripe.com/disputes, docs.stripe.com/testing)."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from tests.sandbox.stripe.conftest import Standin, eventually


async def disputed(standin: Standin, **params: Any) -> stripe.Dispute:
    intent = await standin.paid(5000)
    opened = await standin.control("POST", "/disputes", {"payment_intent": intent.id} | params)
    return await standin.client.v1.disputes.retrieve_async(opened["id"])


@pytest.mark.parametrize(
    ("card", "reason", "status", "moved"),
    [
        ("pm_card_createDispute", "fraudulent", "needs_response", 1),
        ("pm_card_createDisputeProductNotReceived", "product_not_received", "needs_response", 1),
        ("pm_card_createDisputeInquiry", "fraudulent", "warning_needs_response", 0),
    ],
)
async def test_a_card_whose_charge_is_disputed(
    standin: Standin, card: str, reason: str, status: str, moved: int
) -> None:
    """The charge succeeds first. A dispute takes the money, an inquiry does not yet."""
    intent = await standin.paid(5000, payment_method=card)
    assert intent.status == "succeeded"

    async def found() -> list[stripe.Dispute]:
        return (await standin.client.v1.disputes.list_async({"payment_intent": intent.id})).data

    [dispute] = await eventually(found)
    assert (dispute.reason, dispute.status, dispute.amount) == (reason, status, 5000)
    assert [movement.amount for movement in dispute.balance_transactions] == [-5000] * moved
    charge = await standin.client.v1.charges.retrieve_async(str(intent.latest_charge))
    assert charge.disputed
    tail = ["charge.dispute.created", "charge.dispute.funds_withdrawn"][: 1 + moved]
    assert (await standin.events())[-len(tail) :] == tail


@pytest.mark.parametrize(("outcome", "net"), [("won", 0), ("lost", -6500)])
async def test_what_the_bank_decides(standin: Standin, outcome: str, net: int) -> None:
    """Won, the amount and the fee come back; lost, both are gone, and nothing can be refunded any more."""
    v1 = standin.client.v1
    dispute = await disputed(standin)
    refused = pytest.raises(stripe.InvalidRequestError, match="has been charged back")
    with refused as while_open:
        await v1.refunds.create_async({"charge": str(dispute.charge)})
    assert while_open.value.code == "charge_disputed"
    await standin.control("POST", f"/disputes/{dispute.id}", {"status": outcome})
    movements = await v1.balance_transactions.list_async({"source": dispute.id})
    assert sum(movement.net for movement in movements.data) == net
    closed = ["charge.dispute.closed", "charge.dispute.funds_reinstated"][: 2 if outcome == "won" else 1]
    assert (await standin.events())[-len(closed) :] == closed
    if outcome == "won":
        assert (await v1.refunds.create_async({"charge": str(dispute.charge)})).status == "succeeded"
    else:
        with pytest.raises(stripe.InvalidRequestError, match="has been charged back"):
            await v1.refunds.create_async({"charge": str(dispute.charge)})
    with pytest.raises(stripe.InvalidRequestError, match="already closed"):
        await v1.disputes.close_async(dispute.id)


@pytest.mark.parametrize(("evidence", "status"), [("winning_evidence", "won"), ("losing_evidence", "lost")])
async def test_the_evidence_of_test_mode(standin: Standin, evidence: str, status: str) -> None:
    dispute = await disputed(standin, reason="product_not_received")
    staged = await standin.client.v1.disputes.update_async(
        dispute.id, {"evidence": {"product_description": "A seat"}, "submit": False}
    )
    assert (staged.status, staged.evidence_details.has_evidence) == ("needs_response", True)
    sent = await standin.client.v1.disputes.update_async(dispute.id, {"evidence": {"uncategorized_text": evidence}})
    assert (sent.status, sent.evidence_details.submission_count) == (status, 1)


async def test_an_inquiry_leaves_the_charge_refundable_until_it_is_escalated(standin: Standin) -> None:
    v1 = standin.client.v1
    inquiry = await disputed(standin, inquiry=True)
    assert inquiry.is_charge_refundable
    await v1.refunds.create_async({"charge": str(inquiry.charge), "amount": 1000})
    escalated = await v1.disputes.update_async(
        inquiry.id, {"evidence": {"uncategorized_text": "escalate_inquiry_evidence"}}
    )
    assert (escalated.status, escalated.is_charge_refundable) == ("needs_response", False)
    assert [movement.amount for movement in escalated.balance_transactions] == [-5000]
    accepted = await v1.disputes.close_async(inquiry.id)
    assert accepted.status == "lost"


async def test_a_dispute_fails_the_refund_that_is_pending(standin: Standin) -> None:
    """docs.stripe.com/refunds: it would give the same money back twice."""
    v1 = standin.client.v1
    intent = await standin.paid(5000, payment_method="pm_card_pendingRefund")
    refund = await v1.refunds.create_async({"payment_intent": intent.id})
    dispute = await standin.control("POST", "/disputes", {"payment_intent": intent.id})
    refund = await v1.refunds.retrieve_async(refund.id)
    assert (refund.status, refund.failure_reason) == ("failed", "charge_for_pending_refund_disputed")
    assert dispute["amount"] == 5000
    charge = await v1.charges.retrieve_async(str(intent.latest_charge))
    assert charge.amount_refunded == 0


async def test_what_cannot_be_disputed(standin: Standin) -> None:
    """What was only authorised, and what is disputed already."""
    authorised = await standin.authorised()
    for body, sentence in (
        ({"payment_intent": authorised.id}, "was not captured"),
        ({"payment_intent": (await standin.paid()).id}, None),
    ):
        async with standin.session.post(f"{standin.url}/_control/disputes", json=body) as answer:
            assert answer.status == (400 if sentence else 200)
            if sentence:
                assert sentence in (await answer.json())["error"]
    async with standin.session.post(f"{standin.url}/_control/disputes", json=body) as answer:
        assert "is disputed already" in (await answer.json())["error"]
