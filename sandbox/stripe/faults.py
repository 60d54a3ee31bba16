"""Failures on demand, at the places where a real network and a real provider have them."""

from __future__ import annotations

from fnmatch import fnmatchcase
from secrets import randbelow

from starlette.responses import HTMLResponse, Response
from starlette.types import Receive, Scope, Send

from sandbox.stripe.settings import Fault, Settings
from sandbox.stripe.store import Store

PROBABILITY_STEPS = 1_000_000
CUT_AFTER_BYTES = 200
BAD_GATEWAY = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"

ABORT = "sandbox.abort"
"""The server's extension of an ASGI scope that closes the connection without an answer."""


def take(settings: Settings, store: Store, operation: str) -> Fault | None:
    """The fault that this request meets, counted down."""
    for fault in settings.faults:
        if not fnmatchcase(operation, fault.operation):
            continue
        if randbelow(PROBABILITY_STEPS) >= fault.probability * PROBABILITY_STEPS:
            continue
        if fault.count is not None:
            fault.count -= 1
            if fault.count == 0:
                settings.faults.remove(fault)
            settings.save(store)
        return fault
    return None


def bad_gateway() -> Response:
    """What a proxy in between says: HTML, and nothing of Stripe's headers."""
    return HTMLResponse(BAD_GATEWAY, status_code=502)


async def abort(scope: Scope, receive: Receive) -> None:
    """Close the connection, and return once the server has noticed."""
    scope["extensions"][ABORT]()
    while (await receive())["type"] != "http.disconnect":
        pass


class Dropped(Response):
    """No answer: the connection ends."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  # what ASGI passes
        await abort(scope, receive)


class Cut(Response):
    """The beginning of an answer, then the connection ends."""

    def __init__(self, whole: Response) -> None:
        super().__init__(whole.body, status_code=whole.status_code)
        self.raw_headers = whole.raw_headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": bytes(self.body[:CUT_AFTER_BYTES]), "more_body": True})
        await abort(scope, receive)
