"""The documents that clients are generated from."""

from __future__ import annotations

import importlib
from typing import Annotated, Any

import pytest
from chassis import openapi
from chassis.auth import TOKEN_OPTIONAL, Reader, Staff
from chassis.idempotency import Idempotent
from fastapi import APIRouter, FastAPI, Query
from pydantic import BaseModel

SERVICES = {
    "booking": ("booking.api",),
    "payment": ("payment.api",),
    "refund": ("refund.api", "refund.campaign_api"),
    "notification": ("notification.api",),
    "each": ("chassis.parked_api",),
}


class Made(BaseModel):
    id: int


def described(*routers: APIRouter) -> dict[str, Any]:
    app = FastAPI(generate_unique_id_function=openapi.operation_id)
    openapi.describe_refusals(app)
    for router in routers:
        app.include_router(router)
    document = app.openapi()
    assert app.openapi() is document
    return document


def operations(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [operation for path in document["paths"].values() for operation in path.values()]


@pytest.mark.parametrize("service", SERVICES)
def test_an_operation_is_called_like_its_function(service: str) -> None:
    """Each by a name of its own within its service."""
    names = [
        operation["operationId"]
        for operation in operations(described(*(importlib.import_module(api).router for api in SERVICES[service])))
    ]
    assert len(names) == len(set(names)) > 3
    assert [name for name in names if not name.isidentifier()] == []


@pytest.mark.parametrize("service", SERVICES)
def test_every_refusal_is_a_problem(service: str) -> None:
    document = described(*(importlib.import_module(api).router for api in SERVICES[service]))
    assert not {"HTTPValidationError", "ValidationError"} & document["components"]["schemas"].keys()
    for operation in operations(document):
        refusals = {status: answer for status, answer in operation["responses"].items() if status >= "400"}
        assert "503" in refusals
        for answer in refusals.values():
            assert answer["content"] == {
                "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
            }


def test_which_refusals_are_told() -> None:
    router = APIRouter()

    @router.get("/things")
    async def list_things(reader: Reader) -> list[Made]: ...

    @router.get("/things/{thing_id}", openapi_extra=TOKEN_OPTIONAL)
    async def read_thing(thing_id: int, reader: Reader) -> Made: ...

    @router.post("/things/{thing_id}/wish")
    async def wish_thing(thing_id: int, _: Staff, once: Idempotent, size: Annotated[int, Query()] = 1) -> Made: ...

    listed, read, wished = operations(described(router))
    assert [set(each["responses"]) for each in (listed, read, wished)] == [
        {"200", "503"},
        {"200", "401", "403", "404", "422", "503"},
        {"200", "400", "401", "403", "404", "409", "422", "503"},
    ]
    assert read["security"] == [{}, {"HTTPBearer": []}]
    (key,) = [parameter for parameter in wished["parameters"] if parameter["name"] == "Idempotency-Key"]
    assert (key["in"], key["required"]) == ("header", True)
    assert listed["operationId"] == "list_things"
