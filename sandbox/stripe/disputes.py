"""Disputes: the bank takes the money back, and perhaps returns it (docs.stripe.com/disputes, docs.stripe.com/api/disputes/object).

An inquiry takes nothing until it is escalated. The fee is a guess; docs.stripe.com/testing says that a dispute that is won brings back the
amount "and related fees".
"""

from __future__ import annotations

from sandbox.stripe import balance, refunds
from sandbox.stripe.errors import InvalidRequest
from sandbox.stripe.ids import new_id
from sandbox.stripe.params import EXPAND, PAGE, Schema, boolean, group, metadata, text
from sandbox.stripe.values import Object, differences, merged_metadata
from sandbox.stripe.work import Params, Work

LIST: Schema = {**PAGE, "charge": text(), "payment_intent": text()}
UPDATE: Schema = {
    **EXPAND,
    "evidence": group({"product_description": text(), "uncategorized_text": text(150_000)}),
    "metadata": metadata,
    "submit": boolean,
}

FEE_MINOR = 1500
ANSWER_WITHIN_SECONDS = 7 * 24 * 3600
INQUIRIES = frozenset({"warning_needs_response", "warning_under_review", "warning_closed"})
CLOSED = frozenset({"won", "lost", "warning_closed", "prevented"})
TEST_EVIDENCE = {
    "winning_evidence": "won",
    "losing_evidence": "lost",
    "escalate_inquiry_evidence": "needs_response",
}
"""docs.stripe.com/testing: what `uncategorized_text` decides in test mode."""

EVIDENCE = (
    "access_activity_log", "billing_address", "cancellation_policy", "cancellation_policy_disclosure", "cancellation_rebuttal",
    "customer_communication", "customer_email_address", "customer_name", "customer_purchase_ip", "customer_signature",
    "duplicate_charge_documentation", "duplicate_charge_explanation", "duplicate_charge_id", "product_description", "receipt",
    "refund_policy", "refund_policy_disclosure", "refund_refusal_explanation", "service_date", "service_documentation",
    "shipping_address", "shipping_carrier", "shipping_date", "shipping_documentation", "shipping_tracking_number",
    "uncategorized_file", "uncategorized_text",
)  # fmt: skip


def retrieve(work: Work, _params: Params, identifier: str) -> Object:
    return work.load("dispute", identifier)


def listing(work: Work, params: Params) -> Object:
    return work.listed("dispute", params, "charge", "payment_intent")


def update(work: Work, params: Params, identifier: str) -> Object:
    dispute = work.load("dispute", identifier)
    before = dict(dispute)
    given = params.get("evidence") or {}
    dispute["metadata"] = merged_metadata(dispute["metadata"], params.get("metadata"))
    if given:
        _still_open(dispute)
        dispute["evidence"] = dispute["evidence"] | given
        dispute["evidence_details"] = dispute["evidence_details"] | {"has_evidence": True}
    work.store.put(dispute)
    if given and params.get("submit", True):
        details = dispute["evidence_details"]
        details |= {"submission_count": details["submission_count"] + 1, "submission_method": "manual"}
        inquiry = dispute["status"] in INQUIRIES
        under_review = "warning_under_review" if inquiry else "under_review"
        return become(work, dispute, TEST_EVIDENCE.get(given.get("uncategorized_text") or "", under_review))
    work.emit("charge.dispute.updated", dispute, differences(before, dispute))
    return dispute


def close(work: Work, _params: Params, identifier: str) -> Object:
    """docs.stripe.com/api/disputes/close: the dispute is dismissed and acknowledged as lost, which cannot be undone."""
    dispute = work.load("dispute", identifier)
    _still_open(dispute)
    return become(work, dispute, "lost")


def open_on(work: Work, charge: Object, reason: str, amount: int | None = None, *, inquiry: bool = False) -> Object:
    """The cardholder's bank disputes a captured charge. Raises InvalidRequest for one that is disputed already or has nothing to dispute.

    docs.stripe.com/refunds: a refund that is pending when its charge gets disputed fails.
    """
    if not charge["captured"] or charge["status"] != "succeeded":
        raise InvalidRequest(f"Charge {charge['id']} was not captured, so it cannot be disputed.")
    if charge["disputed"]:
        raise InvalidRequest(f"Charge {charge['id']} is disputed already.")
    dispute = _blank(work, charge, reason, charge["amount_captured"] if amount is None else amount, inquiry=inquiry)
    work.store.put(dispute)
    if not inquiry:
        _fail_pending_refunds(work, charge["id"])
        charge = work.load("charge", charge["id"])
    before = dict(charge)
    charge["disputed"] = True
    work.store.put(charge)
    work.emit("charge.updated", charge, differences(before, charge))
    work.emit("charge.dispute.created", dispute)
    if not inquiry:
        _withdraw(work, dispute)
    return dispute


def open_by_card(work: Work, charge_id: str) -> None:
    """What a test card's name asks for, once it has been charged."""
    charge = work.load("charge", charge_id)
    if not charge["disputed"]:
        reason, _, kind = charge["_dispute"].partition(":")
        open_on(work, charge, reason, inquiry=kind == "inquiry")


def decide(work: Work, identifier: str, status: str) -> Object:
    """The bank's next word about an open dispute."""
    dispute = work.load("dispute", identifier)
    _still_open(dispute)
    return become(work, dispute, status)


def become(work: Work, dispute: Object, status: str) -> Object:
    """Move to `status`, with the money and the events that go with it."""
    before = dict(dispute)
    was_inquiry = dispute["status"] in INQUIRIES
    dispute["status"] = status
    dispute["is_charge_refundable"] = status in INQUIRIES or status in {"won", "prevented"}
    if was_inquiry and status not in INQUIRIES:
        case = {"card": dispute["payment_method_details"]["card"] | {"case_type": "chargeback"}, "type": "card"}
        dispute["payment_method_details"] = case
    work.store.put(dispute)
    if was_inquiry and status in {"needs_response", "lost"}:
        _fail_pending_refunds(work, dispute["charge"])
        _withdraw(work, dispute)
    work.emit(
        "charge.dispute.closed" if status in CLOSED else "charge.dispute.updated", dispute, differences(before, dispute)
    )
    if status in {"won", "prevented"} and dispute["balance_transactions"]:
        _reinstate(work, dispute)
    return dispute


def _still_open(dispute: Object) -> None:
    if dispute["status"] in CLOSED:
        raise InvalidRequest(f"This dispute is already closed: {dispute['id']}.")


def _fail_pending_refunds(work: Work, charge_id: str) -> None:
    for refund in work.store.find("refund", [("charge", [charge_id])])[0]:
        if refund["status"] in {"pending", "requires_action"}:
            refunds.fail(work, refund["id"], "charge_for_pending_refund_disputed")


def _withdraw(work: Work, dispute: Object) -> None:
    movement = balance.record(work, "adjustment", dispute, -dispute["amount"], fee_minor=FEE_MINOR, category="dispute")
    _moved(work, dispute, movement, "charge.dispute.funds_withdrawn")


def _reinstate(work: Work, dispute: Object) -> None:
    movement = balance.record(
        work, "adjustment", dispute, dispute["amount"], fee_minor=-FEE_MINOR, category="dispute_reversal"
    )
    _moved(work, dispute, movement, "charge.dispute.funds_reinstated")


def _moved(work: Work, dispute: Object, movement: Object, event: str) -> None:
    before = dict(dispute)
    dispute["balance_transactions"] = [*dispute["balance_transactions"], movement]
    work.store.put(dispute)
    work.emit(event, dispute, differences(before, dispute))


def _blank(work: Work, charge: Object, reason: str, amount: int, *, inquiry: bool) -> Object:
    brand = charge["payment_method_details"]["card"]["brand"]
    return {
        "id": new_id("du"),
        "object": "dispute",
        "amount": amount,
        "balance_transactions": [],
        "charge": charge["id"],
        "created": work.now,
        "currency": charge["currency"],
        "enhanced_eligibility_types": [],
        "evidence": dict.fromkeys(EVIDENCE) | {"enhanced_evidence": {}},
        "evidence_details": {
            "due_by": work.now + ANSWER_WITHIN_SECONDS,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
            "submission_method": "not_submitted",
        },
        "is_charge_refundable": inquiry,
        "livemode": False,
        "metadata": {},
        "network_reason_code": None,
        "payment_intent": charge["payment_intent"],
        "payment_method_details": {
            "card": {
                "brand": brand,
                "case_type": "inquiry" if inquiry else "chargeback",
                "network": brand,
                "network_reason_code": None,
            },
            "type": "card",
        },
        "reason": reason,
        "status": "warning_needs_response" if inquiry else "needs_response",
    }
