"""Every route of the four services, from what they publish themselves, with a request for each that could succeed."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from sandbox.story.shop import Json

Known = Mapping[str, str]
"""By a parameter's or field's name, such as booking_id, the id of something that exists."""

SAMPLES = {
    "uuid": str(uuid4()),
    "date-time": "2031-01-31T12:00:00Z",
    "date": "2031-01-31",
    "email": "somebody@example.org",
    "uri": "https://example.org/",
}


@dataclass(frozen=True)
class Route:
    """One operation of one service. `document` is the whole OpenAPI document."""

    service: str
    method: str
    path: str
    operation: Json
    document: Json

    def __str__(self) -> str:
        return f"{self.service} {self.method} {self.path}"

    @property
    def needs_token(self) -> bool:
        return all(self.operation.get("security", [{}]))

    @property
    def outside(self) -> str:
        """The path at the gateway."""
        return self.path if self.path.startswith("/webhooks/") else f"/api{self.path}"

    def request(self, known: Known) -> Json:
        """Keyword arguments for httpx. What `known` does not name is made up."""
        known = {"service": self.service, **known}
        path, query = self.outside, {}
        for parameter in self.operation.get("parameters", ()):
            name = parameter["name"]
            value = known.get(name) or str(self._sample(parameter["schema"], known))
            if parameter["in"] == "path":
                path = path.replace(f"{{{name}}}", value)
            elif parameter["in"] == "query" and parameter["required"]:
                query[name] = value
        asked: Json = {"method": self.method, "url": path, "params": query, "headers": {}}
        if self.method != "GET":
            asked["headers"]["Idempotency-Key"] = secrets.token_hex(16)
        body = self.operation.get("requestBody", {}).get("content", {}).get("application/json")
        if body is not None:
            asked["json"] = self._sample(body["schema"], known)
        return asked

    def _sample(self, schema: Json, known: Known) -> Any:
        """A value that fits the schema: its example, or one with required properties only."""
        schema = self._plain(schema)
        if "examples" in schema:
            return schema["examples"][0]
        if "const" in schema or "enum" in schema:
            return schema.get("const", schema.get("enum", [None])[0])
        simple = {
            "integer": schema.get("minimum", 1),
            "number": schema.get("minimum", 1),
            "boolean": False,
            "string": SAMPLES.get(schema.get("format", ""), "x" * max(schema.get("minLength", 0), 3)),
        }
        if schema.get("type") == "object":
            needed = {name: schema["properties"][name] for name in schema.get("required", ())}
            return {name: known.get(name) or self._sample(inner, known) for name, inner in needed.items()}
        if schema.get("type") == "array":
            return [self._sample(schema["items"], known)] * max(1, schema.get("minItems", 0))
        return simple.get(schema.get("type", ""))

    def _plain(self, schema: Json) -> Json:
        """What a reference points to, and the first of several choices."""
        if "$ref" in schema:
            target = self.document
            for part in schema["$ref"].removeprefix("#/").split("/"):
                target = target[part]
            return self._plain(target)
        choice = next((name for name in ("anyOf", "oneOf", "allOf") if name in schema), None)
        return schema if choice is None else self._plain(schema[choice][0])


def routes_of(service: str, document: Json) -> Iterator[Route]:
    """All that the document shows."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            yield Route(service, method.upper(), path, operation, document)
