"""How a refusal reaches a client: RFC 9457 problem documents, without an exception's text or the value that was sent."""

from __future__ import annotations

from http import HTTPStatus

import structlog
from fastapi import FastAPI, Request
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from chassis.db import DATABASE_ERRORS, is_outage, reason, sqlstate
from chassis.errors import Problem, Unavailable
from chassis.request_id import HEADER as REQUEST_ID_HEADER

log = structlog.get_logger(__name__)

_CONTENTION = frozenset({"40001", "40P01", "55P03", "57014"})
"""Serialization, deadlock, lock and statement timeouts: another try may get through."""


def install(app: FastAPI) -> None:
    """Every error that leaves `app` is a problem document."""
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    for error in DATABASE_ERRORS:
        app.add_exception_handler(error, _database)
    app.add_exception_handler(Exception, _unexpected)


def problem(
    status: int, title: str, detail: str, headers: dict[str, str] | None = None, **extra: object
) -> JSONResponse:
    """A problem document as an answer."""
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail, **jsonable_encoder(extra)}
    return JSONResponse(body, status, headers, media_type="application/problem+json")


async def _problem(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Problem)
    return problem(error.status, error.title, error.detail, error.headers, **error.extra)


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    errors = [
        {
            "field": ".".join(str(part) for part in found["loc"][1:]) or str(found["loc"][0]),
            "message": str(found["msg"]),
        }
        for found in error.errors()
    ]
    return problem(422, "Invalid value", "; ".join(f"{e['field']}: {e['message']}" for e in errors), errors=errors)


async def _http(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    phrase = HTTPStatus(error.status_code).phrase
    return problem(error.status_code, phrase, f"{phrase}.", dict(error.headers or {}))


async def _database(request: Request, error: Exception) -> JSONResponse:
    if not is_outage(error) and sqlstate(error) not in _CONTENTION:
        return await _unexpected(request, error)
    log.warning("database does not answer", error=reason(error))
    return await _problem(request, Unavailable("The service cannot reach its database; try again."))


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    log.error("request failed", route=request.scope.get("path"), exc_info=error)
    # Starlette answers these outside of every middleware, the one that would add the header included.
    request_id = structlog.contextvars.get_contextvars().get("request_id")
    headers = {REQUEST_ID_HEADER: request_id} if request_id else None
    return problem(500, "Internal error", "Something went wrong on our side; it has been recorded.", headers)
