"""Charges: what a confirmed PaymentIntent did to the card (docs.stripe.com/api/charges/object)."""

from __future__ import annotations

from sandbox.stripe import balance
from sandbox.stripe.cards import BY_NAME, Card, Decline
from sandbox.stripe.errors import InvalidRequest
from sandbox.stripe.ids import new_id
from sandbox.stripe.params import EXPAND, PAGE, SHIPPING, Schema, metadata, text
from sandbox.stripe.values import Object, differences, merged_metadata
from sandbox.stripe.work import Params, Work

LIST: Schema = {**PAGE, "customer": text(), "payment_intent": text(), "transfer_group": text()}
UPDATE: Schema = {
    **EXPAND,
    "description": text(),
    "metadata": metadata,
    "receipt_email": text(),
    "shipping": SHIPPING,
    "transfer_group": text(),
}

AUTHORISED_SECONDS = 7 * 24 * 3600
"""docs.stripe.com/payments/place-a-hold-on-a-payment-method: seven days for a Visa payment that the customer makes online."""

DISPUTED_AFTER_SECONDS = 1
"""docs.stripe.com/testing says that the charge of such a card is disputed, not when."""

STATEMENT = "BOXOFFICE"


def retrieve(work: Work, _params: Params, identifier: str) -> Object:
    return work.load("charge", identifier, "id")


def listing(work: Work, params: Params) -> Object:
    return work.listed("charge", params, "customer", "payment_intent")


def update(work: Work, params: Params, identifier: str) -> Object:
    charge = work.load("charge", identifier, "id")
    before = dict(charge)
    charge |= {
        name: params[name] for name in ("description", "receipt_email", "shipping", "transfer_group") if name in params
    }
    charge["metadata"] = merged_metadata(charge["metadata"], params.get("metadata"))
    work.store.put(charge)
    work.emit("charge.updated", charge, differences(before, charge))
    return charge


def refuse_capture(work: Work, _params: Params, identifier: str) -> Object:
    """docs.stripe.com/api/charges/capture: not for a charge that a PaymentIntent made, and the stand-in has no others."""
    charge = work.load("charge", identifier, "charge")
    if charge["captured"]:
        raise InvalidRequest(f"Charge {identifier} has already been captured.", code="charge_already_captured")
    raise InvalidRequest(
        f"This uncaptured Charge was created by a PaymentIntent ({charge['payment_intent']}). "
        "You must capture the PaymentIntent instead of capturing the Charge directly."
    )


def made(work: Work, intent: Object, method: Object, card: Card, *, authenticated: bool, captured: bool) -> Object:
    """A charge that the issuer approved, captured or only authorised. Not stored yet."""
    charge = _blank(work, intent, method, card)
    charge |= {
        "amount_captured": intent["amount"] if captured else 0,
        "captured": captured,
        "outcome": {
            "advice_code": None,
            "network_advice_code": None,
            "network_decline_code": None,
            "network_status": "approved_by_network",
            "reason": None,
            "risk_level": "normal",
            "risk_score": 17,
            "seller_message": "Payment complete.",
            "type": "authorized",
        },
        "paid": True,
        "status": "succeeded",
    }
    details = charge["payment_method_details"]["card"]
    details["three_d_secure"] = _authentication() if authenticated else None
    details["authorization_code"] = new_id("", 6)[1:].upper()
    if not captured:
        details["capture_before"] = work.now + AUTHORISED_SECONDS
    return charge


def declined(work: Work, intent: Object, method: Object, card: Card, decline: Decline) -> Object:
    """A charge that the issuer refused (docs.stripe.com/declines). Stored, with its event."""
    charge = _blank(work, intent, method, card)
    charge |= {
        "failure_code": decline.code,
        "failure_message": decline.message,
        "outcome": {
            "advice_code": "try_again_later",
            "network_advice_code": None,
            "network_decline_code": None,
            "network_status": "declined_by_network",
            "reason": decline.decline_code or decline.code,
            "risk_level": "normal",
            "risk_score": 17,
            "seller_message": "The bank did not return any further details with this decline.",
            "type": "issuer_declined",
        },
    }
    work.store.put(charge)
    work.emit("charge.failed", charge)
    return charge


def settle(work: Work, charge: Object) -> None:
    """Credit the captured amount, less the fee, to the balance, and note it on the charge."""
    transaction = balance.record(
        work,
        "charge",
        charge,
        charge["amount_captured"],
        fee_minor=balance.fee_of(charge["amount_captured"]),
        at_once=BY_NAME[charge["_card"]].available_at_once,
    )
    charge["balance_transaction"] = transaction["id"]
    if dispute := BY_NAME[charge["_card"]].dispute:
        charge["_dispute"] = dispute
        work.later(DISPUTED_AFTER_SECONDS, "charge.dispute", charge["id"])


def settle_later(work: Work, identifier: str) -> None:
    """docs.stripe.com/payments/payment-intents/asynchronous-capture: `charge.updated` brings the balance transaction."""
    charge = work.load("charge", identifier)
    before = dict(charge)
    settle(work, charge)
    work.store.put(charge)
    work.emit("charge.updated", charge, differences(before, charge))


def _authentication() -> Object:
    return {
        "authentication_flow": "challenge",
        "electronic_commerce_indicator": "05",
        "exemption_indicator": None,
        "result": "authenticated",
        "result_reason": None,
        "transaction_id": new_id("ds"),
        "version": "2.2.0",
    }


def _blank(work: Work, intent: Object, method: Object, card: Card) -> Object:
    identifier = new_id("ch")
    return {
        "id": identifier,
        "object": "charge",
        "amount": intent["amount"],
        "amount_captured": 0,
        "amount_refunded": 0,
        "application": None,
        "application_fee": None,
        "application_fee_amount": None,
        "balance_transaction": None,
        "billing_details": method["billing_details"],
        "calculated_statement_descriptor": STATEMENT,
        "captured": False,
        "created": work.now,
        "currency": intent["currency"],
        "customer": intent["customer"],
        "description": intent["description"],
        "disputed": False,
        "failure_balance_transaction": None,
        "failure_code": None,
        "failure_message": None,
        "fraud_details": {},
        "livemode": False,
        "metadata": intent["metadata"],
        "on_behalf_of": None,
        "outcome": None,
        "paid": False,
        "payment_intent": intent["id"],
        "payment_method": method["id"],
        "payment_method_details": {"card": _card_details(intent, method), "type": "card"},
        "presentment_details": None,
        "radar_options": {},
        "receipt_email": intent["receipt_email"],
        "receipt_number": None,
        "receipt_url": None,
        "refunded": False,
        "review": None,
        "shipping": intent["shipping"],
        "source": None,
        "source_transfer": None,
        "statement_descriptor": intent["statement_descriptor"],
        "statement_descriptor_suffix": intent["statement_descriptor_suffix"],
        "status": "failed",
        "transfer_data": None,
        "transfer_group": intent["transfer_group"],
        "_card": card.name,
    }


def _card_details(intent: Object, method: Object) -> Object:
    card = method["card"]
    return {
        "amount_authorized": intent["amount"],
        "authorization_code": None,
        "brand": card["brand"],
        "checks": card["checks"] | {"cvc_check": "pass" if card["checks"]["cvc_check"] else None},
        "country": card["country"],
        "exp_month": card["exp_month"],
        "exp_year": card["exp_year"],
        "extended_authorization": {"status": "disabled"},
        "fingerprint": card["fingerprint"],
        "funding": card["funding"],
        "incremental_authorization": {"status": "unavailable"},
        "installments": None,
        "last4": card["last4"],
        "mandate": None,
        "multicapture": {"status": "unavailable"},
        "network": card["brand"],
        "network_token": {"used": False},
        "network_transaction_id": new_id("", 15)[1:],
        "overcapture": {"maximum_amount_capturable": intent["amount"], "status": "unavailable"},
        "regulated_status": "unregulated",
        "three_d_secure": None,
        "wallet": None,
    }
