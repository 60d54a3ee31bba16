"""What a browser gets from the stand-in: Stripe.js, the frame of its Payment Element, and the 3-D Secure page.

The script runs in the merchant's page, everything else in frames of the stand-in's own origin with a policy of their own.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from secrets import compare_digest

from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from sandbox.stripe import confirmation, faults, three_d_secure
from sandbox.stripe.api import Sandbox
from sandbox.stripe.errors import InvalidRequest, ServerFault, StripeError, Unauthenticated
from sandbox.stripe.ids import new_id

FOLDER = Path(__file__).parent / "static"
PAGE_SCRIPT = (
    "api.js",
    "page/texts.js",
    "page/payment_element.js",
    "page/elements.js",
    "page/dialog.js",
    "page/stripe.js",
)
FRAME_SCRIPT = ("api.js", "frame/texts.js", "frame/card.js", "frame/payment_element.js")
"""Files that make one script, in this order."""
FILES = {
    "challenge.css": ("challenge/challenge.css",),
    "challenge.js": ("challenge/challenge.js",),
    "payment_element.css": ("frame/payment_element.css",),
    "payment_element.js": FRAME_SCRIPT,
}
HEADERS = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
FRAME_HEADERS = HEADERS | {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'"
}
PAYABLE = frozenset({"requires_payment_method", "requires_confirmation", "requires_action"})


async def script(request: Request) -> Response:
    """`/stripe.js`, the address that a page gives its script element."""
    headers = HEADERS | {"Access-Control-Allow-Origin": "*", "Cross-Origin-Resource-Policy": "cross-origin"}
    return await _faulty(request, "stripe_js.script", _joined("stripe.js", PAGE_SCRIPT, headers))


async def frame(request: Request) -> Response:
    """The page inside the Payment Element."""
    page = FileResponse(FOLDER / "frame" / "payment_element.html", headers=FRAME_HEADERS)
    return await _faulty(request, "stripe_js.frame", page)


async def file(request: Request) -> Response:
    name = request.path_params["name"]
    return _joined(name, FILES[name], HEADERS) if name in FILES else Response(status_code=404)


async def session(request: Request) -> Response:
    """Whether the Payment Element may open: `{}`, or the API's error for a key or a secret that is wrong or an intent that is over.

    Stripe's own address for this and its answer are not documented.
    """
    sandbox: Sandbox = request.app.state.sandbox
    key, secret = (request.query_params.get(name, "") for name in ("key", "client_secret"))
    try:
        if not compare_digest(key.encode(), sandbox.publishable_key.encode()):
            raise Unauthenticated(f"Invalid API Key provided: {key[:8]}****")
        if secret:
            _check_payable(sandbox, secret)
    except StripeError as error:
        return Response(error.body(new_id("req", 14)), error.status, HEADERS, "application/json")
    return JSONResponse({}, headers=HEADERS)


async def challenge(request: Request) -> Response:
    """Show the challenge, or take the customer's answer and send the browser back to the merchant."""
    sandbox: Sandbox = request.app.state.sandbox
    tags = request.query_params.get("locale") or request.headers.get("accept-language", "")
    language = three_d_secure.language_of(tags)
    work = sandbox.work()
    intent = three_d_secure.challenge(work, request.path_params["intent"], request.path_params["token"])
    if intent is None:
        return HTMLResponse(three_d_secure.notice("not_waiting", language), 404, FRAME_HEADERS)
    if request.method == "GET":
        return HTMLResponse(three_d_secure.page(intent, language), headers=FRAME_HEADERS)
    form = await request.form()
    outcome = str(form.get("outcome"))
    if outcome not in three_d_secure.OUTCOMES:
        return HTMLResponse(three_d_secure.notice("unknown_outcome", language), 422, FRAME_HEADERS)
    with sandbox.store.transaction():
        address = three_d_secure.answer(work, intent, outcome)
    sandbox.deliveries.wake()
    if address is None:
        return HTMLResponse(three_d_secure.notice("thanks", language), headers=FRAME_HEADERS)
    return RedirectResponse(address, 303, HEADERS)


def _joined(name: str, parts: tuple[str, ...], headers: dict[str, str]) -> Response:
    """One style sheet, or one script whose names are its own."""
    text = "\n".join((FOLDER / part).read_text("utf-8") for part in parts)
    if name.endswith(".css"):
        return Response(text, headers=headers, media_type="text/css")
    return Response(f'(() => {{\n"use strict";\n\n{text}}})();\n', headers=headers, media_type="text/javascript")


def _check_payable(sandbox: Sandbox, secret: str) -> None:
    work = sandbox.work(publishable=True)
    intent = work.load("payment_intent", secret.partition("_secret_")[0])
    confirmation.check_client_secret(work, intent, {"client_secret": secret})
    if intent["status"] not in PAYABLE:
        raise InvalidRequest(
            f"Elements cannot be opened for this PaymentIntent because it has a status of {intent['status']}.",
            code="payment_intent_unexpected_state",
        )


async def _faulty(request: Request, operation: str, answer: Response) -> Response:
    """The answer, or what the fault that is set for its operation makes of it. A fault that only the API can have does nothing."""
    sandbox: Sandbox = request.app.state.sandbox
    sandbox.requests[operation] += 1
    fault = faults.take(sandbox.settings, sandbox.store, operation)
    if fault is None:
        return answer
    sandbox.requests[f"fault {fault.kind}"] += 1
    kind = fault.kind.rpartition("_")[0]
    if kind == "delay":
        await asyncio.sleep(fault.seconds)  # noqa: TID251  # a slow network takes real time
    if kind == "drop":
        return faults.Dropped()
    if kind == "bad_gateway":
        return faults.bad_gateway()
    return Response(ServerFault().body(""), ServerFault.status, HEADERS) if kind == "error" else answer


ROUTES = [
    Route("/stripe.js", script),
    Route("/js/payment-element", frame),
    Route("/js/session", session),
    Route("/js/{name}", file),
    Route("/3ds/{intent}/{token}", challenge, methods=["GET", "POST"]),
]
