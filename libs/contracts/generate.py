"""Writes what is generated from the contracts: docs/events.md, docs/asyncapi.json and the schema snapshots of the tests.

python -m contracts.generate            writes what changed, unless a snapshot shows that the change breaks somebody
python -m contracts.generate --check    writes nothing; exit status 1 when something is not current

A break that is wanted after all takes deleting the snapshot by hand, where a reviewer sees it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from contracts.asyncapi import document, schema
from contracts.catalogue import CONSUMERS, EVENTS, PUBLISHERS, queue_name
from contracts.event import Event
from contracts.evolution import breaking_differences

SNAPSHOTS = Path("tests/contracts/snapshots")
EVENTS_PAGE = Path("docs/events.md")
ASYNCAPI = Path("docs/asyncapi.json")

INTRODUCTION = """# Events

Generated from `libs/contracts` by `python -m contracts.generate`; do not edit it here.

The services talk by these events and by nothing else. Each is written into the publisher's outbox in the transaction that changed its
state, published on the exchange `<publisher>.events` with its type as routing key, and had in effect once by each consumer: a queue of
its own, and an inbox that knows the event's id. They may arrive twice, late and in any order.

- The body is the JSON of the fields below. What stands in AMQP headers: `ce-id`, `ce-source`, `ce-type`, `ce-subject` (the aggregate's
  id), `ce-time` (CloudEvents 1.0), `version`, and `traceparent` (W3C).
- Every event also has `version` (the aggregate's events are numbered 1, 2, 3 without gaps) and `occurred_at` (an instant in UTC).
- Money is whole minor units with an ISO 4217 currency: `{"amount_minor": 1999, "currency": "EUR"}` is 19.99 euros.
- A *sealed* field is ciphertext (AES-256-GCM, bound to the field); it travels and rests as it is.
- Shapes evolve by addition only. The rule in full: `libs/contracts/evolution.py`. The same as AsyncAPI 3: `docs/asyncapi.json`.
"""

EXAMPLES: Mapping[str, Any] = {
    "currency": "EUR",
    "timezone": "Europe/Berlin",
    "policy_id": "default",
    "contact": "AXd0c2VhbGVk…",
    "tickets": "AXd0c2VhbGVk…",
    "kind": "card",
    "brand": "visa",
    "last4": "4242",
    "venue": "Arena",
    "rule": "Cancelled less than 24 hours before the start: nothing is refunded.",
    "reason": "expired_or_canceled_card",
    "amount_minor": 1999,
    "gross_minor": 1999,
    "tax_minor": 319,
    "tax_rate_bp": 1900,
    "hours_before": 48,
    "percent": 100,
    "fee_minor": 0,
}
"""What a field of this name shows in an example."""

LIMITS: Mapping[str, str] = {"minimum": "≥", "maximum": "≤"}


def generated() -> dict[Path, str]:
    """Every generated file and what has to stand in it, by its path in the repository."""
    files = {SNAPSHOTS / f"{name}.json": _json(schema(event)) for name, event in EVENTS.items()}
    files[EVENTS_PAGE] = events_page()
    files[ASYNCAPI] = _json(document())
    return files


def stale(root: Path) -> list[str]:
    """What below `root` is not as generated, a sentence each."""
    files = generated()
    problems = [
        f"{path} is not current: run python -m contracts.generate"
        for path, text in files.items()
        if not (root / path).exists() or (root / path).read_text() != text
    ]
    snapshots = {path.relative_to(root) for path in (root / SNAPSHOTS).glob("*.json")}
    return problems + [f"{path} is of an event that is no more" for path in sorted(snapshots - files.keys())]


def breaks(root: Path) -> list[str]:
    """How the contracts break the snapshots below `root`, a sentence each with the event's type."""
    problems = []
    for path in sorted((root / SNAPSHOTS).glob("*.json")):
        if event := EVENTS.get(path.stem):
            found = breaking_differences(json.loads(path.read_text()), schema(event))
            problems += [f"{path.stem}: {difference}" for difference in found]
        else:
            problems.append(f"{path.stem} is gone from the catalogue: an event is published until nobody consumes it")
    return problems


def write(root: Path) -> None:
    """Writes every generated file below `root`."""
    for path, text in generated().items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)


def events_page() -> str:
    """docs/events.md: every event by its publisher, then the shapes that they share."""
    parts = [INTRODUCTION, _overview()]
    for publisher in PUBLISHERS:
        if events := [event for event in CONSUMERS if event.publisher == publisher]:
            parts.append(f"## {publisher.capitalize()}\n\nOn the exchange `{publisher}.events`.\n")
            parts += [_event_section(event) for event in events]
    parts.append("## Shapes\n")
    parts += [_shape_section(name, shape) for name, shape in sorted(_shapes().items())]
    return "\n".join(parts)


def example(event: type[Event]) -> Any:
    """A body of `event` as JSON, in which fields of the same name have the same value."""
    whole = schema(event)
    return _example("", whole, whole.get("$defs", {}))


def _overview() -> str:
    rows = [
        f"| [{event.__name__}](#{event.__name__.lower()}) | {event.publisher} | {', '.join(consumers)} |"
        for event, consumers in CONSUMERS.items()
    ]
    return "\n".join(["| event | published by | consumed by |", "|---|---|---|", *rows]) + "\n"


def _event_section(event: type[Event]) -> str:
    whole = schema(event)
    queues = "\n".join(f"- `{queue_name(consumer, event)}` of {consumer}" for consumer in CONSUMERS[event])
    body = json.dumps(example(event), indent=2, ensure_ascii=False)
    return (
        f"### {event.__name__}\n\n{whole['description']}\n\n`{event.type}`, its aggregate is `{event.subject_field}`. Queues:\n\n"
        f"{queues}\n\n{_table(whole, beside=Event.model_fields.keys())}\n```json\n{body}\n```\n"
    )


def _shape_section(name: str, shape: Mapping[str, Any]) -> str:
    sentence = shape["description"].partition("\n")[0]
    return f"### {name}\n\n{sentence}\n\n{_table(shape)}"


def _shapes() -> dict[str, Any]:
    return {name: shape for event in CONSUMERS for name, shape in schema(event).get("$defs", {}).items()}


def _table(shape: Mapping[str, Any], beside: Sequence[str] | Any = ()) -> str:
    rows = [
        f"| `{name}` | {_type(field)} | {_meaning(field, always=name in shape.get('required', ()))} |"
        for name, field in shape["properties"].items()
        if name not in beside
    ]
    return "\n".join(["| field | type | meaning |", "|---|---|---|", *rows]) + "\n"


def _meaning(field: Mapping[str, Any], *, always: bool) -> str:
    marks = ["*sealed*"] if field.get("x-sealed") else []
    if not always:
        marks.append("optional" if field.get("default") is None else f"optional, {json.dumps(field['default'])}")
    return "; ".join([*marks, *([str(field["description"])] if "description" in field else [])])


def _type(field: Mapping[str, Any]) -> str:
    return " or ".join(_types(field))


def _types(field: Mapping[str, Any]) -> Iterator[str]:
    if "$ref" in field:
        name = _shape_name(field)
        yield f"[{name}](#{name.lower()})"
    elif "anyOf" in field:
        for choice in field["anyOf"]:
            yield from _types(choice)
    elif "enum" in field or "const" in field:
        yield from (f"`{value}`" for value in field.get("enum", [field.get("const")]))
    elif field["type"] == "array":
        yield f"list of {_type(field['items'])}"
    else:
        limits = [f"{word} {field[limit]}" for limit, word in LIMITS.items() if limit in field]
        named = {"uuid": "UUID", "date-time": "instant"}.get(field.get("format", ""), field["type"])
        yield " ".join([named, *limits])


def _example(name: str, field: Mapping[str, Any], shapes: Mapping[str, Any]) -> Any:
    if "$ref" in field:
        return _example(name, shapes[_shape_name(field)], shapes)
    if "anyOf" in field:
        return _example(name, field["anyOf"][0], shapes)
    if field.get("type") == "object":
        return {key: _example(key, value, shapes) for key, value in field["properties"].items()}
    if field.get("type") == "array":
        return [_example(name, field["items"], shapes)]
    return _example_value(name, field)


def _example_value(name: str, field: Mapping[str, Any]) -> Any:
    if "enum" in field or "const" in field:
        return field.get("enum", [field.get("const")])[0]
    by_type: Mapping[str, Any] = {"integer": 1, "boolean": True, "string": _example_text(name, field)}
    return EXAMPLES.get(name, by_type[field["type"]])


def _example_text(name: str, field: Mapping[str, Any]) -> str:
    match field.get("format"):
        case "uuid":
            # A UUIDv7 whose last digits come from the field's name, so that equal names show equal ids.
            return f"01999e2c-5a00-7000-8000-{sum(name.encode()) % 16**4:012x}"
        case "date-time":
            return {"starts_at": "2027-06-12T18:00:00Z", "ends_at": "2027-06-12T21:00:00Z"}.get(
                name, "2027-06-01T09:30:00Z"
            )
        case _:
            return "Nabucco"


def _shape_name(reference: Mapping[str, Any]) -> str:
    return str(reference["$ref"]).rpartition("/")[2]


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def main(arguments: Sequence[str]) -> int:
    """Runs in the repository's root; returns the exit status."""
    root = Path.cwd()
    if list(arguments) not in ([], ["--check"]):
        print(__doc__, file=sys.stderr)  # noqa: T201  # a command line prints
        return 2
    problems = breaks(root)
    if arguments:
        problems += stale(root)
    elif not problems:
        write(root)
    for problem in problems:
        print(problem, file=sys.stderr)  # noqa: T201  # as above
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
