"""Stripe objects as plain JSON values. Names with a leading underscore are the stand-in's own and never leave it."""

from __future__ import annotations

from typing import Any, TypeAlias

from pydantic_core import from_json, to_json

Object: TypeAlias = dict[str, Any]


def rendered(value: Object) -> Object:
    """The object as the API shows it: without the stand-in's own notes."""
    return {name: inner for name, inner in value.items() if name[0] != "_"}


def encoded(value: Any) -> str:
    """Compact JSON."""
    return to_json(value).decode()


def decoded(text: str) -> Any:
    """What `encoded` made."""
    return from_json(text)


def differences(before: Object, after: Object) -> Object:
    """`previous_attributes` of an event: what each changed attribute was before (docs.stripe.com/api/events/object)."""
    return {name: before.get(name) for name in after if name[0] != "_" and before.get(name) != after[name]}


def merged_metadata(current: dict[str, str], change: dict[str, str] | str | None) -> dict[str, str]:
    """docs.stripe.com/api/metadata: an empty value unsets a key, an empty `metadata` unsets all, others are kept."""
    if change is None:
        return current
    if not isinstance(change, dict):
        return {}
    return {key: value for key, value in (current | change).items() if value != ""}
