"""Writes docs/openapi.json: the four services' HTTP interface as the gateway offers it, from which the pages' client is generated.

python -m ops.openapi            writes it
python -m ops.openapi --check    writes nothing; exit status 1 when it is not current
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import booking.app
import notification.app
import payment.app
import refund.app
from chassis import openapi, parked_api
from fastapi import APIRouter, FastAPI

DOCUMENT = Path("docs/openapi.json")
SERVICES: Mapping[str, Sequence[APIRouter]] = {
    "booking": booking.app.ROUTERS,
    "payment": payment.app.ROUTERS,
    "refund": refund.app.ROUTERS,
    "notification": notification.app.ROUTERS,
    "each": (parked_api.router,),
}
"""By service; "each" has what each of them has, with the service's name in the path."""

Json = dict[str, Any]


def document() -> Json:
    """OpenAPI 3.1 of all services, each path as the gateway has it.

    A schema that two services call alike but mean differently gets the service's name in front. Raises ValueError where an operation's name
    is taken.
    """
    paths: Json = {}
    components: dict[str, Json] = {"schemas": {}, "securitySchemes": {}}
    operations: set[str] = set()
    for service, routers in SERVICES.items():
        described = _described(service, routers)
        described = _renamed(described, service, components["schemas"])
        for kind, known in components.items():
            known.update(described.get("components", {}).get(kind, {}))
        for path, methods in described["paths"].items():
            for operation in methods.values():
                if operation["operationId"] in operations:
                    raise ValueError(f"{service}: two routes of the services are called {operation['operationId']}")
                operations.add(operation["operationId"])
                operation["tags"] = [service]
            paths[path if path.startswith("/webhooks/") else f"/api{path}"] = methods
    return {
        "openapi": "3.1.0",
        "info": {"title": "Boxoffice", "version": "1"},
        "paths": paths,
        "components": {kind: dict(sorted(known.items())) for kind, known in components.items()},
    }


def _described(service: str, routers: Sequence[APIRouter]) -> Json:
    app = FastAPI(title=service, generate_unique_id_function=openapi.operation_id)
    for router in routers:
        app.include_router(router)
    openapi.describe_refusals(app)
    return app.openapi()


def _renamed(described: Json, service: str, known: Mapping[str, Json]) -> Json:
    """The same document, where no schema has the name of another one in `known`."""
    schemas = described.get("components", {}).get("schemas", {})
    taken = [name for name, schema in schemas.items() if known.get(name, schema) != schema]
    text = json.dumps(described)
    for name in taken:
        text = text.replace(f'"#/components/schemas/{name}"', f'"#/components/schemas/{_own(service, name)}"')
    renamed: Json = json.loads(text)
    for name in taken:
        schemas = renamed["components"]["schemas"]
        schemas[_own(service, name)] = schemas.pop(name)
    return renamed


def _own(service: str, name: str) -> str:
    return f"{service.capitalize()}{name}"


def main() -> None:
    text = json.dumps(document(), indent=1, ensure_ascii=False) + "\n"
    if sys.argv[1:] != ["--check"]:
        DOCUMENT.write_text(text)
    elif not DOCUMENT.exists() or DOCUMENT.read_text() != text:
        sys.exit(f"{DOCUMENT} is not current: run python -m ops.openapi")


if __name__ == "__main__":
    main()
