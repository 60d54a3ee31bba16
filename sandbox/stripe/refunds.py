"""Refunds: created at once, and sometimes decided later (docs.stripe.com/api/refunds, docs.stripe.com/refunds)."""

from __future__ import annotations

from sandbox.stripe import balance, currencies
from sandbox.stripe.cards import BY_NAME, RefundCourse
from sandbox.stripe.errors import InvalidParameter, InvalidRequest
from sandbox.stripe.ids import new_id
from sandbox.stripe.params import EXPAND, PAGE, Schema, choice, integer, metadata, text
from sandbox.stripe.values import Object, differences, merged_metadata
from sandbox.stripe.work import Params, Work

CREATE: Schema = {
    **EXPAND,
    "amount": integer(minimum=1),
    "charge": text(),
    "metadata": metadata,
    "payment_intent": text(),
    "reason": choice("duplicate", "fraudulent", "requested_by_customer"),
}
UPDATE: Schema = {**EXPAND, "metadata": metadata}
LIST: Schema = {**PAGE, "charge": text(), "payment_intent": text()}

DECIDED_AFTER_SECONDS = 3
"""docs.stripe.com/testing says that the test cards' refunds change later, not when."""
ACT_WITHIN_SECONDS = 30 * 24 * 3600

FAILABLE = frozenset({"pending", "requires_action", "succeeded"})


def create(work: Work, params: Params) -> Object:
    charge = _charge_of(work, params)
    remaining = charge["amount"] - charge["amount_refunded"]
    if remaining == 0:
        raise InvalidRequest(f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded")
    amount = params.get("amount", remaining)
    if amount > remaining:
        code = charge["currency"]
        raise InvalidRequest(
            f"Refund amount ({currencies.shown(amount, code)} {code.upper()}) is greater than unrefunded amount on charge "
            f"({currencies.shown(remaining, code)} {code.upper()})",
            param="amount",
        )
    return refund(work, charge, amount, params.get("reason"), merged_metadata({}, params.get("metadata")))


def refund(work: Work, charge: Object, amount: int, reason: str | None, notes: dict[str, str]) -> Object:
    """Give back `amount` of a captured charge; what happens next is up to the card, the balance and the control API."""
    course, after_seconds = _course(work, charge)
    value: Object = {
        "id": new_id("re"),
        "object": "refund",
        "amount": amount,
        "balance_transaction": None,
        "charge": charge["id"],
        "created": work.now,
        "currency": charge["currency"],
        "destination_details": {
            "card": {"reference_status": "pending", "reference_type": "acquirer_reference_number", "type": "refund"},
            "type": "card",
        },
        "failure_balance_transaction": None,
        "metadata": notes,
        "next_action": None,
        "payment_intent": charge["payment_intent"],
        "payment_method": charge["payment_method"],
        "pending_reason": None,
        "reason": reason,
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": "succeeded",
        "transfer_reversal": None,
    }
    if course is RefundCourse.FAILS_AT_ONCE:
        value |= {"status": "failed", "failure_reason": "declined"}
        work.store.put(value)
        work.emit("refund.created", value)
        work.emit("refund.failed", value)
        return value
    if course is RefundCourse.REQUIRES_ACTION:
        value |= {"status": "requires_action", "next_action": _email_sent(work)}
    elif not balance.covers(work, charge["currency"], amount):
        value |= {"status": "pending", "pending_reason": "insufficient_funds"}
    else:
        _debit(work, value)
        if course is RefundCourse.SUCCEEDS_LATER:
            value |= {"status": "pending", "pending_reason": "processing"}
            work.later(after_seconds, "refund.succeed", value["id"])
        elif course is RefundCourse.FAILS_LATER:
            work.later(after_seconds, "refund.fail", value["id"])
    work.store.put(value)
    before = dict(charge)
    charge["amount_refunded"] += amount
    charge["refunded"] = charge["amount_refunded"] == charge["amount"]
    work.store.put(charge)
    work.emit("charge.refunded", charge, differences(before, charge))
    work.emit("refund.created", value)
    return value


def retrieve(work: Work, _params: Params, identifier: str) -> Object:
    return work.load("refund", identifier)


def update(work: Work, params: Params, identifier: str) -> Object:
    value = work.load("refund", identifier)
    before = dict(value)
    value["metadata"] = merged_metadata(value["metadata"], params.get("metadata"))
    work.store.put(value)
    _changed(work, value, before)
    return value


def cancel(work: Work, _params: Params, identifier: str) -> Object:
    """docs.stripe.com/api/refunds/cancel: only a refund in `requires_action` may be cancelled; no card refund gets there by itself."""
    value = work.load("refund", identifier)
    if value["status"] != "requires_action":
        raise InvalidRequest(
            f"Refund {identifier} cannot be canceled because it has a status of {value['status']}. "
            "Only a refund with one of the following statuses may be canceled: requires_action."
        )
    before = dict(value)
    _undo(work, value, {"status": "canceled"})
    _changed(work, value, before)
    return value


def listing(work: Work, params: Params) -> Object:
    return work.listed("refund", params, "charge", "payment_intent")


def succeed(work: Work, identifier: str) -> Object:
    """Settle a refund that is pending or waits for the customer; any other stays as it is."""
    value = work.load("refund", identifier)
    if value["status"] not in {"pending", "requires_action"}:
        return value
    before = dict(value)
    if value["balance_transaction"] is None:
        _debit(work, value)
    value |= {"status": "succeeded", "pending_reason": None, "next_action": None}
    card = value["destination_details"]["card"] | {"reference": new_id("", 17)[1:], "reference_status": "available"}
    value["destination_details"] = {"card": card, "type": "card"}
    work.store.put(value)
    _changed(work, value, before)
    return value


def fail(work: Work, identifier: str, reason: str = "expired_or_canceled_card") -> Object:
    """Take a refund back, also one that had succeeded.

    docs.stripe.com/refunds#failed-refunds: the amount returns to the balance by `failure_balance_transaction`; the charge counts as not
    refunded again.
    """
    value = work.load("refund", identifier)
    if value["status"] not in FAILABLE:
        return value
    before = dict(value)
    _undo(work, value, {"status": "failed", "failure_reason": reason})
    work.emit("refund.failed", value, differences(before, value))
    _changed(work, value, before)
    return value


def _undo(work: Work, value: Object, ending: Object) -> None:
    value |= ending | {"pending_reason": None, "next_action": None}
    if value["balance_transaction"] is not None:
        value["failure_balance_transaction"] = balance.record(work, "refund_failure", value, value["amount"])["id"]
    work.store.put(value)
    charge = work.load("charge", value["charge"])
    charge["amount_refunded"] -= value["amount"]
    charge["refunded"] = False
    work.store.put(charge)


def set_course(work: Work, course: str | None, after_seconds: int) -> None:
    """What becomes of the next refunds, whatever their card; None leaves it to the card again."""
    work.store.set_setting("refund_course", {"course": course, "after_seconds": after_seconds} if course else {})


def _course(work: Work, charge: Object) -> tuple[RefundCourse, int]:
    if asked := work.store.setting("refund_course", {}):
        return RefundCourse(asked["course"]), asked["after_seconds"]
    return BY_NAME[charge["_card"]].refund, DECIDED_AFTER_SECONDS


def _email_sent(work: Work) -> Object:
    """docs.stripe.com/refunds: some methods ask the customer by mail where the money shall go."""
    details = {
        "email_sent": {"email_sent_at": work.now, "email_sent_to": "buyer@example.com"},
        "expires_at": work.now + ACT_WITHIN_SECONDS,
    }
    return {"display_details": details, "type": "display_details"}


def pay_waiting(work: Work, currency: str) -> list[str]:
    """Pay refunds that waited for funds, oldest first, as far as the balance reaches."""
    paid = []
    for value in reversed(work.store.find("refund")[0]):
        waiting = value["pending_reason"] == "insufficient_funds" and value["currency"] == currency
        if waiting and balance.covers(work, currency, value["amount"]):
            succeed(work, value["id"])
            paid.append(value["id"])
    return paid


def _debit(work: Work, value: Object) -> None:
    value["balance_transaction"] = balance.record(work, "refund", value, -value["amount"])["id"]


def _changed(work: Work, value: Object, before: Object) -> None:
    previous = differences(before, value)
    work.emit("refund.updated", value, previous)
    work.emit("charge.refund.updated", value, previous)


def _charge_of(work: Work, params: Params) -> Object:
    """The charge that the request means; raises what Stripe answers when there is none to refund."""
    if params.get("charge"):
        charge = work.load("charge", params["charge"], "charge")
        if params.get("payment_intent") not in {None, charge["payment_intent"]}:
            raise InvalidRequest(
                f"Charge {charge['id']} does not belong to the given PaymentIntent.", param="payment_intent"
            )
    elif params.get("payment_intent"):
        intent = work.load("payment_intent", params["payment_intent"], "payment_intent")
        charge = work.store.get("charge", intent["latest_charge"] or "") or {}
        if charge.get("status") != "succeeded":
            raise InvalidRequest(
                f"This PaymentIntent ({intent['id']}) does not have a successful charge to refund.",
                param="payment_intent",
            )
    else:
        raise InvalidParameter(
            "One of the following params should be provided for this request: payment_intent or charge.",
            code="parameter_missing",
        )
    if charge["status"] == "failed":
        raise InvalidRequest(f"Charge {charge['id']} failed, so it cannot be refunded.", param="charge")
    if _is_charged_back(work, charge["id"]):
        raise InvalidRequest(
            f"Charge {charge['id']} has been charged back; cannot issue a refund.", code="charge_disputed"
        )
    if not charge["captured"] and not charge["refunded"]:
        raise InvalidRequest(
            f"This uncaptured Charge was created by a PaymentIntent ({charge['payment_intent']}). You must cancel the "
            "PaymentIntent to reverse the authorization instead of refunding the Charge directly."
        )
    return charge


def _is_charged_back(work: Work, charge_id: str) -> bool:
    """Whether the charge has a dispute that its money may go to, or went to."""
    found, _ = work.store.find("dispute", [("charge", [charge_id])])
    return any(not dispute["is_charge_refundable"] for dispute in found)
