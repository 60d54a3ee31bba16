"""AsyncAPI 3 of one service, or of all: which events it sends and receives, with their schemas."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from contracts.catalogue import CONSUMERS, PUBLISHERS, queue_name
from contracts.event import Event

HEADERS = {
    "type": "object",
    "description": "CloudEvents 1.0 attributes, the aggregate's version, and the W3C trace context.",
    "required": ["ce-specversion", "ce-id", "ce-source", "ce-type", "ce-subject", "ce-time", "version"],
    "properties": {
        "ce-specversion": {"const": "1.0"},
        "ce-id": {"type": "string", "format": "uuid", "description": "the event's id; also the AMQP message id"},
        "ce-source": {"enum": list(PUBLISHERS)},
        "ce-type": {"type": "string"},
        "ce-subject": {"type": "string", "format": "uuid", "description": "the aggregate's id"},
        "ce-time": {"type": "string", "format": "date-time"},
        "version": {"type": "integer", "minimum": 1},
        "traceparent": {"type": "string"},
    },
}


def schema(event: type[Event]) -> dict[str, Any]:
    """JSON Schema of an event's body, as it is written."""
    return event.model_json_schema(mode="serialization")


def document(services: Collection[str] = PUBLISHERS) -> dict[str, Any]:
    """The AsyncAPI document of what `services` send and receive."""
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    messages: dict[str, Any] = {}
    schemas: dict[str, Any] = {"Headers": HEADERS}
    for event, consumers in CONSUMERS.items():
        receivers = [service for service in consumers if service in services]
        if event.publisher not in services and not receivers:
            continue
        channels[event.type] = _channel(event)
        schemas |= _schemas(event)
        messages[event.__name__] = {
            "name": event.type,
            "summary": event.__doc__,
            "contentType": "application/json",
            "headers": {"$ref": "#/components/schemas/Headers"},
            "payload": {"$ref": f"#/components/schemas/{event.__name__}"},
        }
        channel = {"$ref": f"#/channels/{event.type}"}
        if event.publisher in services:
            operations[f"{event.publisher}.send.{event.type}"] = {"action": "send", "channel": channel}
        for service in receivers:
            operations[f"{service}.receive.{event.type}"] = {
                "action": "receive",
                "channel": channel,
                "bindings": {"amqp": {"ack": True}},
                "description": f"queue {queue_name(service, event)}",
            }
    return {
        "asyncapi": "3.0.0",
        "info": {"title": f"Boxoffice events: {', '.join(services)}", "version": "1"},
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages, "schemas": schemas},
    }


def _schemas(event: type[Event]) -> dict[str, Any]:
    """The event's body and the shapes in it, as components that refer to each other."""
    body = event.model_json_schema(mode="serialization", ref_template="#/components/schemas/{model}")
    return {**body.pop("$defs", {}), event.__name__: body}


def _channel(event: type[Event]) -> dict[str, Any]:
    return {
        "address": event.type,
        "messages": {event.__name__: {"$ref": f"#/components/messages/{event.__name__}"}},
        "bindings": {
            "amqp": {
                "is": "routingKey",
                "exchange": {"name": f"{event.publisher}.events", "type": "topic", "durable": True},
                "bindingVersion": "0.3.0",
            }
        },
    }
