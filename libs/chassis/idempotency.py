"""The same Idempotency-Key and the same body get the same answer; the same key with another body is refused.

The answer is written in the transaction of the work, so there is no moment in which one exists without the other. A second request with
the key waits for the first on the primary key and then repeats its answer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any

from fastapi import Depends, Header, Request
from fastapi.responses import Response
from pydantic import BaseModel
from sqlalchemy import DateTime, LargeBinary, Row, select
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Field, SQLModel

from chassis.crypto import Sealer
from chassis.db import Database, Transaction, table
from chassis.errors import Conflict, Invalid, Malformed, Problem

HEADER = "Idempotency-Key"
LONGEST_KEY = 255
SEALED_AS = "idempotency.answer"


class IdempotencyRow(SQLModel, table=True):
    """An answer that was given. Sealed, since answers hold access tokens."""

    __tablename__ = "idempotency_keys"

    scope: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    request_hash: bytes = Field(sa_type=LargeBinary)
    status: int
    answer: str
    created_at: datetime = Field(sa_type=DateTime(timezone=True))


_REMEMBER = insert(table(IdempotencyRow)).on_conflict_do_nothing().returning(table(IdempotencyRow).c.key)
"""Built once, as each such request runs it."""


class _AlreadyAnswered(Exception):
    """The key is taken: this work is rolled back."""


class Once:
    """One request that creates something, done once whatever the network does to it."""

    def __init__(self, database: Database, sealer: Sealer, *, scope: str, key: str, request_hash: bytes) -> None:
        self._database = database
        self._sealer = sealer
        self._scope = scope
        self._key = key
        self._hash = request_hash

    async def __call__(self, work: Callable[[Transaction], Awaitable[BaseModel]], *, status: int = 201) -> Response:
        """Does the work in a transaction of its own and answers with its result, or repeats the answer that the key was given before.

        Raises Invalid when the key was used with another body, and whatever the work refuses.
        """
        stored = None
        try:
            async with self._database.transaction() as tx:
                try:
                    answer = (await work(tx)).model_dump_json()
                    await self._remember(tx, status, answer)
                except (_AlreadyAnswered, Problem):
                    # On this connection: where hundreds want the last seats, each refused one would wait for a second.
                    stored = await self._stored(tx)
                    raise
        except (_AlreadyAnswered, Problem) as refused:
            return self._repeated(stored, refused)
        return Response(answer, status, media_type="application/json")

    async def _remember(self, tx: Transaction, status: int, answer: str) -> None:
        row = {
            "scope": self._scope,
            "key": self._key,
            "request_hash": self._hash,
            "status": status,
            "answer": self._sealer.seal(answer, SEALED_AS),
            "created_at": tx.now,
        }
        if (await tx.execute(_REMEMBER, row)).first() is None:
            raise _AlreadyAnswered

    async def _stored(self, tx: Transaction) -> Row[Any, Any, Any] | None:
        keys = table(IdempotencyRow)
        found = await tx.execute(
            select(keys.c.request_hash, keys.c.status, keys.c.answer).where(
                keys.c.scope == self._scope, keys.c.key == self._key
            )
        )
        return found.first()

    def _repeated(self, stored: Row[Any, Any, Any] | None, refused: _AlreadyAnswered | Problem) -> Response:
        """The stored answer: also where the work was refused, since the first request may have taken what this one did not find."""
        if stored is None:
            if isinstance(refused, Problem):
                raise refused
            raise Conflict("A request with this Idempotency-Key is being worked on.", headers={"Retry-After": "1"})
        if stored.request_hash != self._hash:
            raise Invalid("Idempotency-Key", "was used before with another body")
        return Response(
            self._sealer.unseal(stored.answer, SEALED_AS),
            stored.status,
            {"Idempotent-Replayed": "true"},
            media_type="application/json",
        )


async def _once(
    request: Request,
    key: Annotated[
        str, Header(alias=HEADER, description="a new one for each new wish, the same when it is sent again")
    ] = "",
) -> Once:
    if not key or len(key) > LONGEST_KEY or not key.isascii() or not key.isprintable():
        raise Malformed(f"The header Idempotency-Key is needed: 1 to {LONGEST_KEY} visible ASCII characters.")
    return Once(
        request.app.state.database,
        request.app.state.sealer,
        scope=f"{request.method} {request.scope['path']}",
        key=key,
        request_hash=hashlib.sha256(await request.body()).digest(),
    )


Idempotent = Annotated[Once, Depends(_once)]
"""Asks for an Idempotency-Key, and gives the route a way to answer once. Raises Malformed without a usable key."""
