import re

import httpx2
import pytest
from chassis import problems
from chassis.ids import SystemIds
from chassis.request_id import RequestIdMiddleware
from fastapi import FastAPI
from structlog.contextvars import bind_contextvars, clear_contextvars, get_contextvars


async def bound() -> dict[str, str]:
    return {"bound": get_contextvars()["request_id"]}


async def broken() -> None:
    raise RuntimeError("a bug")


@pytest.fixture
def app() -> FastAPI:
    app = FastAPI()
    problems.install(app)
    app.add_api_route("/bound", bound)
    app.add_api_route("/broken", broken)
    return app


def client_of(app: FastAPI) -> httpx2.AsyncClient:
    app.add_middleware(RequestIdMiddleware, ids=SystemIds())
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    return httpx2.AsyncClient(transport=transport, base_url="http://boxoffice.test")


@pytest.mark.parametrize("given", ["abcdefgh", "A-1" * 20, "4ded7dc6-4bca-4fb1-a35f-f42dd63b5406", "f" * 64])
async def test_the_callers_id_is_kept(app: FastAPI, given: str) -> None:
    async with client_of(app) as client:
        answer = await client.get("/bound", headers={"X-Request-ID": given})
    assert answer.headers["X-Request-ID"] == given
    assert answer.json() == {"bound": given}


@pytest.mark.parametrize(
    "given", ["", "short", "f" * 65, "with blank", "new\tline-injected", 'a"},{"level":"x', "ü" * 9]
)
async def test_another_id_is_made_where_the_callers_could_not_be_trusted(app: FastAPI, given: str) -> None:
    async with client_of(app) as client:
        answer = await client.get("/bound", headers={b"X-Request-ID": given.encode()})
    made = answer.headers["X-Request-ID"]
    assert made != given
    assert re.fullmatch(r"[A-Za-z0-9-]{8,64}", made)
    assert answer.json() == {"bound": made}


async def test_each_request_has_its_own(app: FastAPI) -> None:
    async with client_of(app) as client:
        ids = {(await client.get("/bound")).headers["X-Request-ID"] for _ in range(20)}
    assert len(ids) == 20


async def test_an_unexpected_error_and_an_unknown_path_carry_it_too(app: FastAPI) -> None:
    async with client_of(app) as client:
        for path, status in (("/broken", 500), ("/nowhere", 404)):
            answer = await client.get(path, headers={"X-Request-ID": "caller-1234"})
            assert (answer.status_code, answer.headers["X-Request-ID"]) == (status, "caller-1234")


async def test_what_another_request_bound_is_not_inherited(app: FastAPI) -> None:
    async def leaky(name: str) -> list[str]:
        before = sorted(get_contextvars())
        bind_contextvars(**{name: 1})
        return before

    app.add_api_route("/leaky", leaky)
    async with client_of(app) as client:
        for name in ("first", "second"):
            assert (await client.get("/leaky", params={"name": name})).json() == ["request_id"]
    clear_contextvars()
