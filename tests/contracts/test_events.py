import importlib
import json
import pkgutil
import re
from collections.abc import Iterator
from typing import Any

import contracts
import pytest
from contracts.asyncapi import schema
from contracts.catalogue import CONSUMERS, EVENTS, PUBLISHERS, consumed_by, queue_name
from contracts.event import Event, Fact
from contracts.generate import example
from pydantic import ValidationError

every_event = pytest.mark.parametrize("event", CONSUMERS, ids=lambda event: event.type)


def subclasses(base: type[Fact]) -> Iterator[type[Fact]]:
    for subclass in base.__subclasses__():
        yield subclass
        yield from subclasses(subclass)


def objects(body: Any) -> Iterator[dict[str, Any]]:
    """Every JSON object in `body`, itself included."""
    if isinstance(body, dict):
        yield body
    for part in body.values() if isinstance(body, dict) else body if isinstance(body, list) else ():
        yield from objects(part)


def test_the_catalogue_has_every_event_of_the_contracts() -> None:
    for module in pkgutil.iter_modules(contracts.__path__):
        importlib.import_module(f"contracts.{module.name}")
    declared = {event for event in subclasses(Event) if event.__module__.startswith("contracts.")}
    assert declared == set(CONSUMERS)
    assert len(EVENTS) == len(CONSUMERS)


@every_event
def test_an_event_has_a_publisher_that_exists_and_consumers_that_are_others(event: type[Event]) -> None:
    consumers = CONSUMERS[event]
    assert event.publisher in PUBLISHERS
    assert event.__module__ == f"contracts.{event.publisher}"
    assert consumers
    assert set(consumers) <= set(PUBLISHERS) - {event.publisher}
    assert len(set(consumers)) == len(consumers)
    assert all(event in consumed_by(consumer) for consumer in consumers)


def test_no_two_events_share_a_queue() -> None:
    queues = [queue_name(consumer, event) for event, consumers in CONSUMERS.items() for consumer in consumers]
    assert len(set(queues)) == len(queues)
    assert all(re.fullmatch(r"[a-z]+\.[a-z]+(-[a-z0-9]+)+", queue) for queue in queues)


def test_the_next_version_of_an_event_has_a_queue_beside_the_first() -> None:
    class Second(Event, type="booking.placed.v2", subject="booking_id"):
        """A shape that is not compatible."""

    assert queue_name("payment", Second) == "payment.booking-placed-v2"
    assert queue_name("payment", EVENTS["booking.placed.v1"]) == "payment.booking-placed"


@every_event
def test_an_event_names_what_happened_and_to_what(event: type[Event]) -> None:
    assert re.fullmatch(r"[a-z]+\.[a-z]+(-[a-z]+)*\.v[1-9][0-9]*", event.type)
    assert event.subject_field in event.model_fields
    assert event.__doc__
    read = event.model_validate_json(json.dumps(example(event)))
    assert str(read.subject) == example(event)[event.subject_field]


@every_event
def test_an_event_is_read_as_it_was_written(event: type[Event]) -> None:
    body = json.dumps(example(event))
    read = event.model_validate_json(body)
    assert event.model_validate_json(read.model_dump_json()) == read
    assert json.loads(read.model_dump_json()) == json.loads(body)


@every_event
def test_what_a_newer_publisher_adds_is_ignored_everywhere(event: type[Event]) -> None:
    body = example(event)
    plain = event.model_validate_json(json.dumps(body))
    for part in list(objects(body)):
        part["added_later"] = {"any": ["thing"]}
    assert event.model_validate_json(json.dumps(body)) == plain


@every_event
def test_each_field_that_is_always_there_is_needed(event: type[Event]) -> None:
    for name in schema(event)["required"]:
        body = {key: value for key, value in example(event).items() if key != name}
        with pytest.raises(ValidationError, match=name):
            event.model_validate_json(json.dumps(body))


@every_event
def test_instants_have_an_offset_and_versions_begin_at_one(event: type[Event]) -> None:
    for wrong in ({"occurred_at": "2027-06-01T09:30:00"}, {"version": 0}):
        with pytest.raises(ValidationError, match=next(iter(wrong))):
            event.model_validate_json(json.dumps(example(event) | wrong))


def test_events_do_not_change() -> None:
    assert all(fact.model_config["frozen"] for fact in subclasses(Fact) if fact.__module__.startswith("contracts."))


PERSONAL = re.compile(
    r"(^|_)(e?mail|contact|phone|address|holder|first_name|last_name|birth|tickets?|codes?|secret|token)$"
)


@every_event
def test_what_is_personal_or_secret_travels_sealed(event: type[Event]) -> None:
    whole = schema(event)
    shapes = [whole, *whole.get("$defs", {}).values()]
    for shape in shapes:
        for name, field in shape["properties"].items():
            assert bool(PERSONAL.search(name)) == field.get("x-sealed", False), f"{shape['title']}.{name}"


def test_the_sealed_fields_are_these() -> None:
    sealed = {
        f"{event.type} {name}"
        for event in CONSUMERS
        for name, field in schema(event)["properties"].items()
        if field.get("x-sealed")
    }
    assert sealed == {"booking.placed.v1 contact", "booking.confirmed.v1 contact", "booking.confirmed.v1 tickets"}


@every_event
def test_no_number_in_an_event_is_a_float(event: type[Event]) -> None:
    assert '"number"' not in json.dumps(schema(event))
