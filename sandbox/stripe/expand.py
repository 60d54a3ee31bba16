"""`expand[]`: an id in an answer replaced by the object itself (docs.stripe.com/api/expanding_objects)."""

from __future__ import annotations

from collections.abc import Mapping

from sandbox.stripe import balance
from sandbox.stripe.errors import InvalidParameter
from sandbox.stripe.values import Object, rendered
from sandbox.stripe.work import Work

LEVELS_MAX = 4

EXPANDABLE: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "payment_intent": {
        "customer": ("customer",),
        "latest_charge": ("charge",),
        "payment_method": ("payment_method",),
    },
    "charge": {
        "balance_transaction": ("balance_transaction",),
        "customer": ("customer",),
        "failure_balance_transaction": ("balance_transaction",),
        "payment_intent": ("payment_intent",),
    },
    "refund": {
        "balance_transaction": ("balance_transaction",),
        "charge": ("charge",),
        "failure_balance_transaction": ("balance_transaction",),
        "payment_intent": ("payment_intent",),
        "payment_method": ("payment_method",),
    },
    "dispute": {"charge": ("charge",), "payment_intent": ("payment_intent",)},
    "balance_transaction": {"source": ("charge", "refund", "dispute")},
    "payment_method": {"customer": ("customer",)},
}
"""Attribute and the kinds that its id may be of, as the SDK's types mark them expandable."""


def answer(work: Work, value: Object, paths: list[str]) -> Object:
    """The object as it is answered, with the wanted attributes expanded. Raises InvalidParameter for any other path."""
    shown = rendered(value)
    listed = shown["object"] in {"list", "search_result"}
    if listed:
        shown["data"] = [rendered(item) for item in shown["data"]]
    for path in paths:
        segments = path.split(".")
        if listed and segments[0] != "data":
            raise _refused(path, f" You may want to try expanding 'data.{path}' instead.")
        if len(segments) - listed > LEVELS_MAX:
            raise InvalidParameter(f"You cannot expand more than {LEVELS_MAX} levels of a property.", param="expand")
        for item in shown["data"] if listed else [shown]:
            _expand(work, item, segments[1:] if listed else segments, path)
    return shown


def _expand(work: Work, value: Object, segments: list[str], path: str) -> None:
    if not segments:
        raise _refused(path)
    name, *rest = segments
    if value["object"] == "charge" and name == "refunds":
        refunds, _ = work.store.find("refund", [("charge", [value["id"]])])
        value["refunds"] = {
            "object": "list",
            "data": [rendered(refund) for refund in refunds],
            "has_more": False,
            "url": f"/v1/charges/{value['id']}/refunds",
        }
        for refund in value["refunds"]["data"] if rest else []:
            _expand(work, refund, rest[1:] if rest[0] == "data" else rest, path)
        return
    kinds = EXPANDABLE.get(value["object"], {}).get(name)
    if kinds is None:
        raise _refused(path)
    if isinstance(value[name], str):
        found = next((found for kind in kinds if (found := work.store.get(kind, value[name]))), None)
        if found is None:  # a deleted customer stays an id
            return
        value[name] = balance.as_of(found, work.now) if found["object"] == "balance_transaction" else rendered(found)
    if rest and isinstance(value[name], dict):
        _expand(work, value[name], rest, path)


def _refused(path: str, hint: str = "") -> InvalidParameter:
    return InvalidParameter(f"This property cannot be expanded ({path}).{hint}", param="expand")
