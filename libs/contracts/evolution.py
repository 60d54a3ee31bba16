"""What may change in an event's shape, and what breaks somebody.

An event is read by services of an older release while a newer one publishes it, and kept events are published again to services of a
newer release. So what is written must be readable both ways:

- a field may be added if it is optional;
- nothing else about a field may change: not its name, type, format, limits, whether it is always there, may be null or is sealed,
  nor its default, since that is what a kept event without it says;
- an enum may neither lose a value (a kept event may hold it) nor gain one (an older consumer refuses it);
- titles, descriptions and examples are for people and may change.

Anything else is a new event type with a higher version in its name, beside the old one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]

FOR_PEOPLE = frozenset({"title", "description", "examples"})
_STRUCTURE = frozenset({"$ref", "$defs", "properties", "required", "items", "anyOf", "enum", "const"})


def breaking_differences(before: Schema, after: Schema) -> list[str]:
    """What in `after` breaks a reader or a kept event of `before`, a sentence each that names the field; empty when it may be released."""
    return list(_differences("event", _resolved(before, before), _resolved(after, after)))


def _resolved(schema: Any, root: Schema) -> Any:
    """The schema with every reference replaced by what it refers to: the name of a shape is no part of the contract."""
    if isinstance(schema, list):
        return [_resolved(part, root) for part in schema]
    if not isinstance(schema, Mapping):
        return schema
    if "$ref" in schema:
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        return _resolved({**root["$defs"][schema["$ref"].removeprefix("#/$defs/")], **beside}, root)
    return {key: _resolved(value, root) for key, value in schema.items() if key != "$defs"}


def _differences(field: str, before: Schema, after: Schema) -> Iterator[str]:
    yield from _keyword_differences(field, before, after)
    yield from _value_differences(field, before, after)
    yield from _property_differences(field, before, after)
    if "items" in before and "items" in after:
        yield from _differences(f"{field}[]", before["items"], after["items"])
    choices, now = before.get("anyOf", ()), after.get("anyOf", ())
    if len(choices) != len(now):
        yield f"{field} had {len(choices) or 'no'} alternatives and has {len(now) or 'none'}"
        return
    for choice, new_choice in zip(choices, now, strict=True):
        yield from _differences(field, choice, new_choice)


def _keyword_differences(field: str, before: Schema, after: Schema) -> Iterator[str]:
    """Type, format, limits, `x-sealed`: every keyword that has no rule of its own."""
    for keyword in sorted((before.keys() | after.keys()) - FOR_PEOPLE - _STRUCTURE):
        if before.get(keyword) != after.get(keyword):
            yield f"{field}: {keyword} was {before.get(keyword)!r} and is {after.get(keyword)!r}"
    if ("items" in before) != ("items" in after):
        yield f"{field}: the items of the list are {'no longer' if 'items' in before else 'now'} described"


def _value_differences(field: str, before: Schema, after: Schema) -> Iterator[str]:
    old, new = _values(before), _values(after)
    if old is None or new is None:
        if old != new:
            yield f"{field} {'is no longer' if new is None else 'became'} one of a few values"
        return
    if lost := sorted(old - new):
        yield f"{field} lost {', '.join(lost)}: a kept event may hold it"
    if gained := sorted(new - old):
        yield f"{field} gained {', '.join(gained)}: an older consumer refuses it"


def _values(schema: Schema) -> frozenset[str] | None:
    if "const" in schema:
        return frozenset({repr(schema["const"])})
    return frozenset(repr(value) for value in schema["enum"]) if "enum" in schema else None


def _property_differences(field: str, before: Schema, after: Schema) -> Iterator[str]:
    old, new = before.get("properties", {}), after.get("properties", {})
    was_required, is_required = set(before.get("required", ())), set(after.get("required", ()))
    for name in old:
        path = f"{field}.{name}"
        if name not in new:
            yield f"{path} was removed or renamed"
            continue
        if name in was_required - is_required:
            yield f"{path} is no longer always there: an older consumer needs it"
        if name in is_required - was_required:
            yield f"{path} became required: a kept event may lack it"
        yield from _differences(path, old[name], new[name])
    for name in new:
        if name not in old and name in is_required:
            yield f"{field}.{name} is new and required: a kept event lacks it"
