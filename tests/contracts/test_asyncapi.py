"""What AsyncAPI 3.0.0 demands of a document (asyncapi.com/docs/reference/specification/v3.0.0), and what our events demand of it."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from contracts.asyncapi import document
from contracts.catalogue import CONSUMERS, PUBLISHERS, consumed_by, queue_name

COMPONENT_KEY = re.compile(r"[a-zA-Z0-9.\-_]+")
ROOT_FIELDS = {"asyncapi", "id", "info", "servers", "defaultContentType", "channels", "operations", "components"}

each_document = pytest.mark.parametrize("services", [PUBLISHERS, *([service] for service in PUBLISHERS)], ids=str)


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if "$ref" in part:
            yield part["$ref"]
        for value in part.values():
            yield from references(value)
    elif isinstance(part, list):
        for value in part:
            yield from references(value)


def resolve(whole: Any, reference: str) -> Any:
    """RFC 6901 on the document itself."""
    assert reference.startswith("#/"), reference
    for step in reference.removeprefix("#/").split("/"):
        whole = whole[step.replace("~1", "/").replace("~0", "~")]
    return whole


@each_document
def test_the_required_parts_are_there(services: list[str]) -> None:
    whole = document(services)
    assert whole["asyncapi"] == "3.0.0"
    assert whole.keys() <= ROOT_FIELDS
    assert isinstance(whole["info"]["title"], str)
    assert isinstance(whole["info"]["version"], str)
    json.dumps(whole)


@each_document
def test_every_reference_leads_somewhere_in_the_document(services: list[str]) -> None:
    whole = document(services)
    for reference in references(whole):
        assert resolve(whole, reference)


@each_document
def test_keys_of_components_are_plain(services: list[str]) -> None:
    for parts in document(services)["components"].values():
        assert all(COMPONENT_KEY.fullmatch(key) for key in parts)


@each_document
def test_an_operation_sends_or_receives_on_a_channel_of_the_document(services: list[str]) -> None:
    whole = document(services)
    for operation in whole["operations"].values():
        assert operation["action"] in {"send", "receive"}
        assert operation["channel"].keys() == {"$ref"}
        assert operation["channel"]["$ref"].startswith("#/channels/")


@each_document
def test_a_channel_has_an_address_and_messages_and_its_exchange(services: list[str]) -> None:
    whole = document(services)
    for key, channel in whole["channels"].items():
        assert channel["address"] == key
        binding = channel["bindings"]["amqp"]
        assert (binding["is"], binding["exchange"]["type"], binding["bindingVersion"]) == (
            "routingKey",
            "topic",
            "0.3.0",
        )
        for name, message in channel["messages"].items():
            found = resolve(whole, message["$ref"])
            assert message["$ref"] == f"#/components/messages/{name}"
            assert found["contentType"] == "application/json"
            assert resolve(whole, found["payload"]["$ref"])["type"] == "object"
            assert resolve(whole, found["headers"]["$ref"])["type"] == "object"


def test_all_services_send_and_receive_what_the_catalogue_says() -> None:
    operations = document()["operations"]
    sent = {f"{event.publisher}.send.{event.type}" for event in CONSUMERS}
    received = {f"{service}.receive.{event.type}" for event, services in CONSUMERS.items() for service in services}
    assert operations.keys() == sent | received
    for event, services in CONSUMERS.items():
        for service in services:
            assert queue_name(service, event) in operations[f"{service}.receive.{event.type}"]["description"]


@pytest.mark.parametrize("service", PUBLISHERS)
def test_a_service_shows_its_own_part_only(service: str) -> None:
    whole = document([service])
    own = {event.type for event in CONSUMERS if event.publisher == service}
    assert whole["channels"].keys() == own | {event.type for event in consumed_by(service)}
    assert all(name.startswith(f"{service}.") for name in whole["operations"])
