"""Customers, as far as payments refer to them (docs.stripe.com/api/customers)."""

from __future__ import annotations

from sandbox.stripe.errors import ResourceMissing
from sandbox.stripe.ids import new_id
from sandbox.stripe.params import ADDRESS, EXPAND, PAGE, SHIPPING, Schema, metadata, text
from sandbox.stripe.values import Object, differences, merged_metadata
from sandbox.stripe.work import Params, Work

TEXTS = ("description", "email", "name", "phone")
SAVE: Schema = {
    **EXPAND,
    **{name: text(512) for name in TEXTS},
    "address": ADDRESS,
    "metadata": metadata,
    "shipping": SHIPPING,
}
LIST: Schema = {**PAGE, "email": text(512)}


def create(work: Work, params: Params) -> Object:
    customer: Object = {
        "id": new_id("cus", 14),
        "object": "customer",
        "address": params.get("address"),
        "balance": 0,
        "created": work.now,
        "currency": None,
        "customer_account": None,
        "default_source": None,
        "delinquent": False,
        "discount": None,
        **{name: params.get(name) for name in TEXTS},
        "invoice_prefix": new_id("", 8)[1:].upper(),
        "invoice_settings": {
            "custom_fields": None,
            "default_payment_method": None,
            "footer": None,
            "rendering_options": None,
        },
        "livemode": False,
        "metadata": merged_metadata({}, params.get("metadata")),
        "next_invoice_sequence": 1,
        "preferred_locales": [],
        "shipping": params.get("shipping"),
        "tax_exempt": "none",
        "test_clock": None,
    }
    work.store.put(customer)
    work.emit("customer.created", customer)
    return customer


def retrieve(work: Work, _params: Params, identifier: str) -> Object:
    if work.store.get("deleted_customer", identifier):
        return {"id": identifier, "object": "customer", "deleted": True}
    return work.load("customer", identifier)


def update(work: Work, params: Params, identifier: str) -> Object:
    customer = work.load("customer", identifier)
    before = dict(customer)
    customer |= {name: params[name] for name in (*TEXTS, "address", "shipping") if name in params}
    customer["metadata"] = merged_metadata(customer["metadata"], params.get("metadata"))
    work.store.put(customer)
    work.emit("customer.updated", customer, differences(before, customer))
    return customer


def delete(work: Work, _params: Params, identifier: str) -> Object:
    """docs.stripe.com/api/customers/delete: the id stays readable and says that it is deleted."""
    customer = work.store.get("customer", identifier)
    if customer is None:
        raise ResourceMissing("customer", identifier, "id")
    work.store.delete(customer)
    work.store.put({"id": identifier, "object": "deleted_customer", "created": work.now})
    work.emit("customer.deleted", customer)
    return {"id": identifier, "object": "customer", "deleted": True}


def listing(work: Work, params: Params) -> Object:
    return work.listed("customer", params, "email")
