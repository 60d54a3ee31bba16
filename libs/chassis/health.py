"""Whether the process lives (/healthz) and whether it can do its work (/readyz)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog
from fastapi import APIRouter
from fastapi.responses import JSONResponse

log = structlog.get_logger(__name__)

Check = Callable[[], Awaitable[bool]]
"""True: well. False or an exception: not."""

CHECK_SECONDS_MAX = 2.0


def router(checks: Mapping[str, Check]) -> APIRouter:
    """The two routes. /readyz answers 503 when one of `checks` fails, and names each of them."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "alive"}

    @routes.get("/readyz")
    async def readyz() -> JSONResponse:
        results = dict(zip(checks, await asyncio.gather(*(_outcome(*check) for check in checks.items())), strict=True))
        ready = all(result == "ok" for result in results.values())
        return JSONResponse({"status": "ready" if ready else "not ready", "checks": results}, 200 if ready else 503)

    return routes


async def _outcome(name: str, check: Check) -> str:
    try:
        async with asyncio.timeout(CHECK_SECONDS_MAX):
            return "ok" if await check() else "failed"
    except TimeoutError:
        return "timed out"
    except Exception as error:  # noqa: BLE001  # whatever breaks a check is its answer: not ready, and logged
        log.warning("readiness check failed", check=name, error=type(error).__name__)
        return "failed"
