"""Stripe's form encoding: `metadata[booking]=7&expand[0]=latest_charge` becomes nested mappings and lists."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from sandbox.stripe.errors import InvalidParameter

DEPTH_MAX = 8
FIELDS_MAX = 1000


def parse(encoded: str) -> dict[str, Any]:
    """Mappings keep their keys; a mapping of numbers, or of empty brackets, becomes a list in the order of its numbers.

    Raises InvalidParameter for a body that is not a form.
    """
    try:
        pairs = parse_qsl(encoded, keep_blank_values=True, max_num_fields=FIELDS_MAX, errors="strict")
    except ValueError as error:
        raise InvalidParameter("The request is not a valid URL-encoded form.") from error
    tree: dict[str, Any] = {}
    nested = False
    for name, value in pairs:
        if "[" not in name:
            tree[name] = value
            continue
        nested = True
        _place(tree, _segments(name), value, name)
    return _listed(tree) if nested else tree


def _segments(name: str) -> list[str]:
    head, *rest = name.split("[")
    if len(rest) > DEPTH_MAX or any(not part.endswith("]") for part in rest):
        raise InvalidParameter(f"Invalid parameter name: {name}", param=name)
    return [head, *(part[:-1] for part in rest)]


def _place(tree: dict[str, Any], segments: list[str], value: str, name: str) -> None:
    for segment in segments[:-1]:
        tree = tree.setdefault(segment or str(len(tree)), {})
        if not isinstance(tree, dict):
            raise InvalidParameter(f"Invalid parameter name: {name}", param=name)
    tree[segments[-1] or str(len(tree))] = value


def _listed(tree: dict[str, Any]) -> Any:
    for name, value in tree.items():
        if isinstance(value, dict):
            inner = _listed(value)
            if inner and all(key.isdigit() for key in inner) and name != "metadata":
                inner = [inner[key] for key in sorted(inner, key=int)]
            tree[name] = inner
    return tree
