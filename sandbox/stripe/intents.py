"""PaymentIntents: what the merchant asks for (docs.stripe.com/api/payment_intents, docs.stripe.com/payments/paymentintents/lifecycle).

What happens between the card and the intent is in confirmation.py.
"""

from __future__ import annotations

import re

from sandbox.stripe import charges, confirmation, currencies, payment_methods
from sandbox.stripe.errors import InvalidParameter, InvalidRequest, NotOffered, UnexpectedState
from sandbox.stripe.ids import new_id
from sandbox.stripe.params import (
    EXPAND,
    PAGE,
    SHIPPING,
    Required,
    Schema,
    array,
    boolean,
    choice,
    group,
    integer,
    metadata,
    text,
)
from sandbox.stripe.store import Page
from sandbox.stripe.values import Object, differences, merged_metadata
from sandbox.stripe.work import Params, Work

AMOUNT = integer(minimum=1)
OPTIONS = group(
    {
        "card": group(
            {"capture_method": choice("manual"), "request_three_d_secure": choice("any", "automatic", "challenge")}
        )
    }
)
EDITABLE: Schema = {
    "capture_method": choice("automatic", "automatic_async", "manual"),
    "customer": text(),
    "description": text(1000),
    "metadata": metadata,
    "payment_method": text(),
    "payment_method_data": group(payment_methods.DATA),
    "payment_method_options": OPTIONS,
    "payment_method_types": array(choice("card")),
    "receipt_email": text(800),
    "setup_future_usage": choice("off_session", "on_session"),
    "shipping": SHIPPING,
    "statement_descriptor": text(22),
    "statement_descriptor_suffix": text(22),
    "transfer_group": text(),
}
CREATE: Schema = {
    **EXPAND,
    **EDITABLE,
    **confirmation.CONFIRM,
    "amount": Required(AMOUNT),
    "automatic_payment_methods": group({"allow_redirects": choice("always", "never"), "enabled": Required(boolean)}),
    "confirm": boolean,
    "confirmation_method": choice("automatic", "manual"),
    "currency": Required(currencies.currency),
}
UPDATE: Schema = {**EXPAND, **EDITABLE, "amount": AMOUNT, "currency": currencies.currency}
RETRIEVE: Schema = {**EXPAND, "client_secret": text()}
CAPTURE: Schema = {
    **EXPAND,
    "amount_to_capture": AMOUNT,
    "final_capture": boolean,
    "metadata": metadata,
    "statement_descriptor_suffix": text(22),
}
CANCEL: Schema = {
    **EXPAND,
    "cancellation_reason": choice("abandoned", "duplicate", "fraudulent", "requested_by_customer"),
}
LIST: Schema = {**PAGE, "customer": text()}
SEARCH: Schema = {**EXPAND, "limit": integer(minimum=1, maximum=100), "page": text(), "query": Required(text())}

UPDATABLE = ("requires_payment_method", "requires_confirmation", "requires_action")
CANCELABLE = ("requires_payment_method", "requires_capture", "requires_confirmation", "requires_action", "processing")

CLAUSE = re.compile(
    r"""\s*(?:metadata\[(['"])(?P<key>[^'"]+)\1\]|(?P<field>status|customer|currency))"""
    r"""\s*:\s*(['"])(?P<value>[^'"]*)\4\s*"""
)


def create(work: Work, params: Params) -> Object:
    currencies.check_amount(params["amount"], params["currency"])
    if params.get("customer"):
        work.load("customer", params["customer"], "customer")
    intent = _blank(work, params)
    if params.get("confirm"):
        work.store.put(intent)
        work.emit("payment_intent.created", intent)
        return confirmation.confirm_created(work, intent, params)
    if method := confirmation.given_method(work, params):
        intent |= {"payment_method": method["id"], "status": "requires_confirmation"}
    work.store.put(intent)
    work.emit("payment_intent.created", intent)
    return intent


def retrieve(work: Work, params: Params, identifier: str) -> Object:
    intent = work.load("payment_intent", identifier)
    confirmation.check_client_secret(work, intent, params)
    return intent


def update(work: Work, params: Params, identifier: str) -> Object:
    intent = work.load("payment_intent", identifier)
    changes: Object = {
        name: params[name] for name in params if name not in {"metadata", "expand", "payment_method_data"}
    }
    if changes and intent["status"] not in UPDATABLE:
        raise UnexpectedState(
            f"This PaymentIntent's {next(iter(changes))} could not be updated because it has a status of "
            f"{intent['status']}. You may only update the {next(iter(changes))} of a PaymentIntent with one of the "
            f"following statuses: {', '.join(UPDATABLE)}.",
            intent,
        )
    if {"amount", "currency"} & changes.keys():
        changed = intent | changes
        currencies.check_amount(changed["amount"], changed["currency"])
    if changes.get("customer"):
        work.load("customer", changes["customer"], "customer")
    if method := confirmation.given_method(work, params):
        changes |= {"payment_method": method["id"], "status": "requires_confirmation"}
    intent |= changes
    intent["metadata"] = merged_metadata(intent["metadata"], params.get("metadata"))
    work.store.put(intent)
    return intent


def listing(work: Work, params: Params) -> Object:
    return work.listed("payment_intent", params, "customer")


def search(work: Work, params: Params) -> Object:
    """docs.stripe.com/search: clauses joined by AND, newest first; a page names the last object before it.

    Raises NotOffered for what the query language has besides exact matches.
    """
    facets: list[tuple[str, list[str]]] = []
    fields: dict[str, str] = {}
    for clause in re.split(r"\s+AND\s+", params["query"] or ""):
        match = CLAUSE.fullmatch(clause)
        if match is None:
            raise NotOffered("a search query of more than exact matches joined by AND")
        if match["key"] is not None:
            facets.append((f"metadata.{match['key']}", [match["value"]]))
        else:
            fields[match["field"]] = match["value"]
    found, _ = work.store.find(
        "payment_intent",
        facets,
        Page(
            limit=-1,
            starting_after=params.get("page"),
            created_at_most=work.now - work.search_lag_seconds if work.search_lag_seconds else None,
        ),
    )
    found = [intent for intent in found if all(intent[name] == value for name, value in fields.items())]
    limit = params.get("limit", 10)
    more = len(found) > limit
    return {
        "object": "search_result",
        "data": found[:limit],
        "has_more": more,
        "next_page": found[limit - 1]["id"] if more else None,
        "url": "/v1/payment_intents/search",
    }


def capture(work: Work, params: Params, identifier: str) -> Object:
    """docs.stripe.com/api/payment_intents/capture: once, up to the authorised amount; the rest is released."""
    intent = work.load("payment_intent", identifier)
    if intent["status"] != "requires_capture":
        raise UnexpectedState(
            f"This PaymentIntent could not be captured because it has a status of {intent['status']}. "
            "Only a PaymentIntent with one of the following statuses may be captured: requires_capture.",
            intent,
        )
    if params.get("final_capture") is False:
        raise NotOffered("several captures of one PaymentIntent (final_capture=false)")
    amount = params.get("amount_to_capture", intent["amount_capturable"])
    if amount > intent["amount_capturable"]:
        raise InvalidRequest(
            "The amount to capture must not be greater than the amount that can be captured "
            f"({intent['amount_capturable']}).",
            code="amount_too_large",
            param="amount_to_capture",
        )
    charge = work.load("charge", intent["latest_charge"])
    before = dict(charge)
    charge |= {"amount_captured": amount, "amount_refunded": charge["amount"] - amount, "captured": True}
    charges.settle(work, charge)
    intent |= {"amount_capturable": 0, "amount_received": amount, "status": "succeeded"}
    intent["metadata"] = merged_metadata(intent["metadata"], params.get("metadata"))
    work.store.put(charge)
    work.store.put(intent)
    work.emit("charge.captured", charge, differences(before, charge))
    work.emit("payment_intent.succeeded", intent)
    return intent


def cancel(work: Work, params: Params, identifier: str) -> Object:
    """docs.stripe.com/api/payment_intents/cancel: what was authorised is released, and nothing more can be charged."""
    intent = work.load("payment_intent", identifier)
    if intent["status"] not in CANCELABLE:
        raise UnexpectedState(
            f"You cannot cancel this PaymentIntent because it has a status of {intent['status']}. Only a PaymentIntent "
            f"with one of the following statuses may be canceled: {', '.join(CANCELABLE)}.",
            intent,
        )
    return void(work, intent, params.get("cancellation_reason"))


def expire(work: Work, identifier: str) -> None:
    """docs.stripe.com/api/payment_intents/capture: an authorisation that nobody captured is cancelled after seven days."""
    intent = work.load("payment_intent", identifier)
    if intent["status"] == "requires_capture":
        void(work, intent, "automatic")


def void(work: Work, intent: Object, reason: str | None) -> Object:
    """Cancel the intent. An authorised charge is marked refunded, though nothing was ever taken."""
    if intent["status"] == "requires_capture":
        charge = work.load("charge", intent["latest_charge"])
        before = dict(charge)
        charge |= {"amount_refunded": charge["amount"], "refunded": True}
        work.store.put(charge)
        work.emit("charge.expired" if reason == "automatic" else "charge.refunded", charge, differences(before, charge))
    intent |= {
        "amount_capturable": 0,
        "canceled_at": work.now,
        "cancellation_reason": reason,
        "next_action": None,
        "status": "canceled",
    }
    work.store.put(intent)
    work.emit("payment_intent.canceled", intent)
    return intent


def _blank(work: Work, params: Params) -> Object:
    identifier = new_id("pi")
    types = params.get("payment_method_types")
    automatic = params.get("automatic_payment_methods")
    if types and automatic and automatic["enabled"]:
        raise InvalidParameter(
            "You may only specify one of these parameters: automatic_payment_methods, payment_method_types."
        )
    if automatic is None and not types:
        automatic = {"enabled": True}  # docs.stripe.com/api/payment_intents/create: the default since 2023-08-16
    options = {"installments": None, "mandate_options": None, "network": None, "request_three_d_secure": "automatic"}
    return {
        "id": identifier,
        "object": "payment_intent",
        "amount": params["amount"],
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "application": None,
        "application_fee_amount": None,
        "automatic_payment_methods": {"allow_redirects": "always"} | automatic if automatic else None,
        "canceled_at": None,
        "cancellation_reason": None,
        "capture_method": params.get("capture_method", "automatic_async"),
        "client_secret": f"{identifier}_{new_id('secret', 25)}",
        "confirmation_method": params.get("confirmation_method", "automatic"),
        "created": work.now,
        "currency": params["currency"],
        "customer": params.get("customer"),
        "customer_account": None,
        "description": params.get("description"),
        "excluded_payment_method_types": None,
        "last_payment_error": None,
        "latest_charge": None,
        "livemode": False,
        "metadata": merged_metadata({}, params.get("metadata")),
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": None,
        "payment_method_configuration_details": {"id": "pmc_sandbox", "parent": None} if automatic else None,
        "payment_method_options": {"card": options | params.get("payment_method_options", {}).get("card", {})},
        "payment_method_types": types or ["card"],
        "processing": None,
        "receipt_email": params.get("receipt_email"),
        "review": None,
        "setup_future_usage": params.get("setup_future_usage"),
        "shipping": params.get("shipping"),
        "source": None,
        "statement_descriptor": params.get("statement_descriptor"),
        "statement_descriptor_suffix": params.get("statement_descriptor_suffix"),
        "status": "requires_payment_method",
        "transfer_data": None,
        "transfer_group": params.get("transfer_group"),
    }
