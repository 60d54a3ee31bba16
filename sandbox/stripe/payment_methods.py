"""Payment methods: cards from Stripe's published test numbers and tokens (docs.stripe.com/api/payment_methods, docs.stripe.com/testing)."""

from __future__ import annotations

import hashlib
import time
from typing import Any

from sandbox.stripe import cards
from sandbox.stripe.cards import Card
from sandbox.stripe.errors import CardError, InvalidParameter, InvalidRequest, NotOffered
from sandbox.stripe.ids import new_id
from sandbox.stripe.params import ADDRESS, EXPAND, PAGE, Required, Schema, choice, group, integer, metadata, text
from sandbox.stripe.values import Object, differences, merged_metadata
from sandbox.stripe.work import Params, Work

BILLING_DETAILS = group({"address": ADDRESS, "email": text(), "name": text(), "phone": text(), "tax_id": text()})
CARD = group(
    {
        "cvc": text(4),
        "exp_month": integer(minimum=1, maximum=12),
        "exp_year": integer(minimum=0),
        "number": text(30),
        "token": text(),
    }
)
DATA: Schema = {
    "allow_redisplay": choice("always", "limited", "unspecified"),
    "billing_details": BILLING_DETAILS,
    "card": CARD,
    "metadata": metadata,
    "type": Required(choice("card")),
}
CREATE: Schema = {**EXPAND, **DATA}
UPDATE: Schema = {**EXPAND, "billing_details": BILLING_DETAILS, "metadata": metadata}
ATTACH: Schema = {**EXPAND, "customer": Required(text())}
LIST: Schema = {**PAGE, "customer": text(), "type": choice("card")}

EXPIRY_MONTH = 12
EXPIRY_YEARS_AHEAD = 4


def create(work: Work, params: Params) -> Object:
    return from_data(work, params, "")


def retrieve(work: Work, _params: Params, identifier: str) -> Object:
    return load(work, identifier, "payment_method")


def update(work: Work, params: Params, identifier: str) -> Object:
    method = load(work, identifier, "payment_method")
    before = dict(method)
    method["metadata"] = merged_metadata(method["metadata"], params.get("metadata"))
    if "billing_details" in params:
        method["billing_details"] = method["billing_details"] | params["billing_details"]
    work.store.put(method)
    work.emit("payment_method.updated", method, differences(before, method))
    return method


def listing(work: Work, params: Params) -> Object:
    return work.listed("payment_method", params, "customer", "type")


def attach(work: Work, params: Params, identifier: str) -> Object:
    method = load(work, identifier, "payment_method")
    customer = work.load("customer", params["customer"], "customer")
    method["customer"] = customer["id"]
    work.store.put(method)
    work.emit("payment_method.attached", method)
    return method


def detach(work: Work, _params: Params, identifier: str) -> Object:
    method = load(work, identifier, "payment_method")
    if method["customer"] is None:
        raise InvalidRequest(
            "The payment method you provided is not attached to a customer so detachment is impossible."
        )
    before = dict(method)
    method["customer"] = None
    work.store.put(method)
    work.emit("payment_method.detached", method, differences(before, method))
    return method


def load(work: Work, identifier: str, param: str) -> Object:
    """The payment method of an id; each of the test tokens, `pm_card_visa`, makes a new one (docs.stripe.com/testing)."""
    name = identifier.removeprefix("pm_card_")
    if name == identifier:
        return work.load("payment_method", identifier, param)
    if name == cards.WARNING_NAME:
        raise NotOffered(f"the test token {identifier}, which causes an early fraud warning")
    card = cards.BY_NAME.get(name)
    if card is None:
        return work.load("payment_method", identifier, param)
    return _made(work, card, {})


def from_data(work: Work, data: dict[str, Any], prefix: str) -> Object:
    """A payment method from a card's number; `prefix` is where the data stood in the request, for the error's `param`."""
    name = f"{prefix}[card]" if prefix else "card"
    given = data.get("card")
    if given is None:
        raise InvalidParameter(f"Missing required param: {name}.", code="parameter_missing", param=name)
    if token := given.get("token"):
        card = cards.BY_NAME.get(token.removeprefix("tok_"))
        if card is None:
            raise InvalidRequest(f"No such token: '{token}'", code="resource_missing", param=f"{name}[token]")
        return _made(work, card, data)
    for part in ("number", "exp_month", "exp_year"):
        if given.get(part) is None:
            raise InvalidParameter(
                f"Missing required param: {name}[{part}].", code="parameter_missing", param=f"{name}[{part}]"
            )
    return _made(work, _card_of(work, given, name), data)


def _card_of(work: Work, given: dict[str, Any], name: str) -> Card:
    card = cards.card_of_number(given["number"])
    if card is None:
        raise NotOffered("the test card that causes an early fraud warning")
    today = year_and_month(work.now)
    year = given["exp_year"] + (2000 if given["exp_year"] < 100 else 0)  # noqa: PLR2004  # two digits mean this century
    if (year, given["exp_month"]) < today:
        part = "exp_year" if year < today[0] else "exp_month"
        raise CardError(
            f"Your card's expiration {part.removeprefix('exp_')} is invalid.",
            code=f"invalid_expiry_{part.removeprefix('exp_')}",
            param=f"{name}[{part}]",
        )
    cvc = given.get("cvc")
    if cvc is not None and not (cvc.isdigit() and len(cvc) >= 3):  # noqa: PLR2004  # a security code has 3 or 4 digits
        raise CardError("Your card's security code is invalid.", code="invalid_cvc", param=f"{name}[cvc]")
    return card


def year_and_month(now: int) -> tuple[int, int]:
    """Year and month of a moment, UTC."""
    moment = time.gmtime(now)
    return moment.tm_year, moment.tm_mon


def _made(work: Work, card: Card, data: dict[str, Any]) -> Object:
    given = data.get("card") or {}
    year = given.get("exp_year") or year_and_month(work.now)[0] + EXPIRY_YEARS_AHEAD
    details = data.get("billing_details") or {}
    method: Object = {
        "id": new_id("pm"),
        "object": "payment_method",
        "allow_redisplay": data.get("allow_redisplay", "unspecified"),
        "billing_details": {
            "address": dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state"))
            | (details.get("address") or {}),
            **{name: details.get(name) for name in ("email", "name", "phone", "tax_id")},
        },
        "card": {
            "brand": card.brand,
            "checks": {
                "address_line1_check": None,
                "address_postal_code_check": None,
                "cvc_check": "unchecked" if given.get("cvc") else None,
            },
            "country": card.country,
            "display_brand": card.brand,
            "exp_month": given.get("exp_month", EXPIRY_MONTH),
            "exp_year": year + (2000 if year < 100 else 0),  # noqa: PLR2004  # two digits mean this century
            "fingerprint": hashlib.sha256(card.name.encode()).hexdigest()[:16],
            "funding": card.funding,
            "generated_from": None,
            "last4": card.last4,
            "networks": {"available": [card.brand], "preferred": None},
            "regulated_status": "unregulated",
            "three_d_secure_usage": {"supported": True},
            "wallet": None,
        },
        "created": work.now,
        "customer": None,
        "customer_account": None,
        "livemode": False,
        "metadata": merged_metadata({}, data.get("metadata")),
        "type": "card",
        "_card": card.name,
    }
    work.store.put(method)
    return method


def card_of(method: Object) -> Card:
    """Which test card a payment method was made from."""
    return cards.BY_NAME[method["_card"]]
