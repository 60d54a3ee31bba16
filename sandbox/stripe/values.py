"""Stripe objects as plain JSON values. Names with a leading underscore are the stand-in's own and never leave it."""

from __future__ import annotations

from typing import Any, TypeAlias

Object: TypeAlias = dict[str, Any]


def rendered(value: Object) -> Object:
    """The object as the API shows it: without the stand-in's own notes, at any depth."""
    return {
        name: rendered(inner) if isinstance(inner, dict) else inner
        for name, inner in value.items()
        if not name.startswith("_")
    }


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
