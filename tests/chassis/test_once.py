"""One transaction a request, committed before the answer; one answer an Idempotency-Key."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import asyncpg
import pytest
from chassis.clock import SystemClock
from chassis.db import Database, Transaction, Tx
from chassis.errors import Conflict
from chassis.idempotency import Idempotent, Once
from chassis.ids import SystemIds
from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import BaseModel
from sqlalchemy import text

from tests.chassis.conftest import Specimen
from tests.support.service import as_role
from tests.support.statements import statements_of

TAKE = text("UPDATE pot SET left_over = left_over - 1 WHERE left_over > 0 RETURNING left_over")


class Wish(BaseModel):
    name: str


class Granted(BaseModel):
    name: str
    left: int


class Pot:
    """What `take` does besides its work."""

    takes = 0


async def take(tx: Transaction, wish: Wish) -> Granted:
    Pot.takes += 1
    left = (await tx.execute(TAKE)).scalar_one_or_none()
    if left is None:
        raise Conflict("The pot is empty.", state="empty")
    return Granted(name=wish.name, left=left)


@pytest.fixture(scope="module")
def routes() -> APIRouter:
    router = APIRouter()

    @router.post("/wishes", status_code=201)
    async def create_wish(wish: Wish, once: Idempotent) -> Response:
        return await once(lambda tx: take(tx, wish))

    @router.post("/broken-promises")
    async def break_promise(tx: Tx) -> dict[str, str]:
        await tx.execute(text("INSERT INTO pot_users (pot) VALUES (99)"))
        return {"promise": "kept"}

    @router.get("/crash")
    async def crash() -> None:
        raise RuntimeError("secret detail of somebody@example.org")

    return router


@pytest.fixture(autouse=True)
async def pot(specimen: Specimen) -> None:
    """Three things to take; a constraint that only the commit checks."""
    Pot.takes = 0
    owner = await asyncpg.connect(specimen.running.url)
    await owner.execute("""
        DROP TABLE IF EXISTS pot_users; DROP TABLE IF EXISTS pot;
        CREATE TABLE pot (id int PRIMARY KEY, left_over int);
        INSERT INTO pot VALUES (1, 3);
        CREATE TABLE pot_users (pot int REFERENCES pot (id) DEFERRABLE INITIALLY DEFERRED);
        GRANT ALL ON pot, pot_users TO refund;
    """)
    await owner.close()


async def test_a_commit_that_fails_is_no_success(specimen: Specimen) -> None:
    """FastAPI's default would answer 200 and then commit; the client would believe it."""
    answer = await specimen.running.client.post("/broken-promises")
    assert answer.status_code == 500
    assert "promise" not in answer.text


async def test_twenty_requests_with_one_key_at_once(specimen: Specimen) -> None:
    """One effect, twenty equal answers."""
    key = str(uuid4())
    post = specimen.running.client.post
    answers = await asyncio.gather(
        *(post("/wishes", json={"name": "a"}, headers={"Idempotency-Key": key}) for _ in range(20))
    )
    assert {(answer.status_code, answer.text) for answer in answers} == {(201, '{"name":"a","left":2}')}
    assert (await post("/wishes", json={"name": "a"}, headers={"Idempotency-Key": str(uuid4())})).json()["left"] == 1


async def test_a_repeated_request_is_answered_after_the_last_one_is_gone(specimen: Specimen) -> None:
    """The first request took it: that the pot is empty now is no reason to refuse its repetition."""
    post = specimen.running.client.post
    keys = [str(uuid4()) for _ in range(4)]
    first = [await post("/wishes", json={"name": "a"}, headers={"Idempotency-Key": key}) for key in keys]
    assert [answer.status_code for answer in first] == [201, 201, 201, 409]
    assert first[3].json()["state"] == "empty"
    again = await post("/wishes", json={"name": "a"}, headers={"Idempotency-Key": keys[0]})
    assert (again.status_code, again.text, again.headers["Idempotent-Replayed"]) == (201, first[0].text, "true")


async def test_a_refused_request_takes_one_connection_from_the_pool(specimen: Specimen) -> None:
    """Hundreds may be refused at once; none of them waits in line for the database twice."""
    running = specimen.running
    database = Database(as_role(running.url, running.name), SystemClock(), SystemIds(), pool=1)
    once = Once(database, running.sealer, scope="POST /wishes", key=str(uuid4()), request_hash=b"")

    async def refuse(tx: Transaction) -> Granted:
        while True:
            await take(tx, Wish(name="a"))

    with statements_of(database) as seen, pytest.raises(Conflict, match="empty"):
        await once(refuse)
    await database.close()
    assert {transaction for transaction, _ in seen} == {0}


async def test_a_key_with_another_body_is_refused(specimen: Specimen) -> None:
    """422, and nothing is done."""
    headers = {"Idempotency-Key": str(uuid4())}
    await specimen.running.client.post("/wishes", json={"name": "a"}, headers=headers)
    other = await specimen.running.client.post("/wishes", json={"name": "b"}, headers=headers)
    assert other.status_code == 422
    assert other.json()["errors"][0]["field"] == "Idempotency-Key"


@pytest.mark.parametrize("key", [None, "", "x" * 256, "\x7f"])
async def test_a_key_is_needed(specimen: Specimen, key: str | None) -> None:
    """400 names the header."""
    headers = {} if key is None else {"Idempotency-Key": key}
    answer = await specimen.running.client.post("/wishes", json={"name": "a"}, headers=headers)
    assert answer.status_code == 400
    assert "Idempotency-Key" in answer.json()["detail"]
    assert Pot.takes == 0


async def test_answers_rest_sealed(specimen: Specimen) -> None:
    """An answer may hold an access token: its row is ciphertext."""
    await specimen.running.client.post("/wishes", json={"name": "planted"}, headers={"Idempotency-Key": str(uuid4())})
    async with specimen.running.database.transaction() as tx:
        stored = (await tx.execute(text("SELECT answer FROM idempotency_keys"))).scalars().all()
    assert stored
    assert not any("planted" in answer for answer in stored)


async def test_an_error_tells_a_client_nothing_of_its_text(specimen: Specimen) -> None:
    """RFC 9457 without the exception."""
    answer = await specimen.running.client.get("/crash")
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
    assert "secret" not in answer.text


async def test_wrong_input_names_the_field_and_not_the_value(specimen: Specimen) -> None:
    """422 with the field; what was typed may be personal."""
    answer = await specimen.running.client.post("/wishes", json={"name": 1234567}, headers={"Idempotency-Key": "k"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "name"
    assert "1234567" not in answer.text
