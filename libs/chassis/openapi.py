"""What a service's OpenAPI document says beyond what FastAPI reads from the routes: the refusals that each of them may answer with."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from chassis import idempotency

_PROBLEM = {
    "title": "Problem",
    "description": "A refusal (RFC 9457). `state` is there where the state of something does not allow what was asked.",
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "a sentence for people"},
        "state": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "message"],
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}
_REFERENCE = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
_FASTAPIS_OWN = ("HTTPValidationError", "ValidationError")


def operation_id(route: APIRoute) -> str:
    """The name of the route's function: a generated client calls it by that. Unique within a service."""
    return route.name


def describe_refusals(app: FastAPI) -> None:
    """Adds them to the document, once it is asked for."""
    made = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = made()
            for path, operations in document["paths"].items():
                for method, operation in operations.items():
                    _describe(path, method, operation)
            schemas = document.setdefault("components", {}).setdefault("schemas", {})
            for name in _FASTAPIS_OWN:
                schemas.pop(name, None)
            schemas["Problem"] = _PROBLEM
        assert app.openapi_schema is not None, "FastAPI keeps what it made"
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way


def _describe(path: str, method: str, operation: dict[str, Any]) -> None:
    for parameter in operation.get("parameters", ()):
        if parameter["name"] == idempotency.HEADER:
            parameter["required"] = True
    for status in sorted(set(_refusals(path, method, operation))):
        operation["responses"][str(int(status))] = {"description": status.phrase, "content": _REFERENCE}


def _refusals(path: str, method: str, operation: dict[str, Any]) -> Iterator[HTTPStatus]:
    parameters = operation.get("parameters", ())
    if any(parameter["name"] == idempotency.HEADER for parameter in parameters):
        yield HTTPStatus.BAD_REQUEST
    if operation.get("security"):
        yield HTTPStatus.UNAUTHORIZED
        yield HTTPStatus.FORBIDDEN
    if "{" in path:
        yield HTTPStatus.NOT_FOUND
    if method != "get":
        yield HTTPStatus.CONFLICT
    if parameters or "requestBody" in operation:
        yield HTTPStatus.UNPROCESSABLE_ENTITY
    yield HTTPStatus.SERVICE_UNAVAILABLE
