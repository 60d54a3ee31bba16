"""Who gets in through the gateway: every route of every service, as its OpenAPI document names it, with every wrong token."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import Any, NamedTuple
from uuid import uuid4

import httpx2
import pytest

from sandbox.launcher.credentials import SERVICES
from sandbox.story.shop import Bought, Json
from tests.e2e import tokens
from tests.e2e.routes import Known, Route, routes_of
from tests.e2e.stack import Stack, contact, until

pytestmark = pytest.mark.timeout(300)

PUBLIC = {
    "booking GET /events",
    "booking GET /events/{event_id}",
    "booking POST /bookings",
    "payment POST /webhooks/stripe",
}
"""Whoever adds a route that needs no token says so here."""

BY_LINK = {"refund GET /refunds/status.html"}
"""Pages behind a link that a mail may hold: the token stands in the address."""

BY_MAIL = {"notification GET /surveys/{survey_id}", "notification PUT /surveys/{survey_id}/answer"}
"""Opened by the token of one survey: whoever has another, or none, is told that there is nothing (tests/notification/test_surveys.py)."""

VIEWER_MAY = {"payment POST /payments", "payment POST /payments/{payment_id}/sync"}
"""What staff who may only look may send: both only show where a payment stands."""

AT_ONCE = 40
IDS = {
    "notification_id": ("notification", "SELECT id FROM messages WHERE booking_id = $1 LIMIT 1"),
    "refund_id": ("refund", "SELECT id FROM refunds WHERE booking_id = $1 LIMIT 1"),
    "payment_id": ("payment", "SELECT id FROM payments WHERE booking_id = $1"),
    "endpoint_id": ("notification", "SELECT id FROM webhook_endpoints WHERE $1::uuid IS NOT NULL LIMIT 1"),
    "delivery_id": ("notification", "SELECT id FROM webhook_deliveries WHERE $1::uuid IS NOT NULL LIMIT 1"),
}
"""Where the ids of things are found that belong to a booking. A parameter that is not named here gets a made-up value."""


class World(NamedTuple):
    """The routes, one of each thing that they show, and the token of a booking that none of it belongs to."""

    routes: list[Route]
    known: Known
    stranger: Bought


def closed_of(world: World) -> list[Route]:
    """What nobody opens without signing in or the token of a booking."""
    return [route for route in world.routes if route.needs_token and str(route) not in BY_MAIL]


@pytest.fixture(scope="module")
async def world(shared_stack: Stack) -> World:
    """A booking with everything: paid, cancelled, refunded, mailed about, told to a CRM system."""
    stack = shared_stack
    event = await stack.shop.create_event("Doors", timedelta(days=3), capacity=10)
    bought, stranger = [await stack.shop.book(event, 1, contact()) for _ in range(2)]
    await stack.buy(bought)
    await stack.shop.cancel(bought)
    known = {"booking_id": bought.id, "event_id": str(event["id"])}
    for name, (service, sql) in IDS.items():

        async def there(service: str = service, sql: str = sql) -> list[dict[str, Any]]:
            return await stack.rows(service, sql, bought.id)

        (row,) = await until(there, f"there is no {name}", 60)
        known[name] = str(row["id"])
    routes: list[Route] = []
    for service in SERVICES:
        document = (await stack.http.get(f"{stack.status['processes'][service]['url']}/openapi.json")).json()
        routes += routes_of(service, document)
    return World(routes, known, stranger)


class Asked(NamedTuple):
    route: Route
    what: str
    answer: httpx2.Response

    def __str__(self) -> str:
        return f"{self.route}, {self.what}: {self.answer.status_code} {self.answer.text[:200]}"


async def ask(
    stack: Stack, routes: Iterable[Route], known: Known, authorizations: Mapping[str, str | None]
) -> list[Asked]:
    """Each route with each Authorization header."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(route: Route, what: str, authorization: str | None) -> Asked:
        asked = route.request(known)
        if authorization is not None:
            asked["headers"]["Authorization"] = authorization
        async with gate:
            answer = await stack.http.request(**{**asked, "url": stack.url(asked["url"])})
        return Asked(route, what, answer)

    pairs = [(route, what, header) for route in routes for what, header in authorizations.items()]
    return list(await asyncio.gather(*(one(*pair) for pair in pairs)))


def shown(asked: Asked) -> tuple[int, Json | None]:
    return asked.answer.status_code, asked.answer.json() if asked.answer.content else None


async def test_only_the_named_routes_need_no_token(world: World) -> None:
    assert {str(route) for route in world.routes if not route.needs_token} == PUBLIC | BY_LINK
    assert len(world.routes) > 20


async def test_a_wrong_token_opens_nothing(stack: Stack, world: World) -> None:
    """Algorithm, issuer, audience, times, key, kind: 401 from every route, and the answer never says which it was."""
    home, closed = stack.running.home, closed_of(world)
    manager = tokens.staff(home, stack.status["issuer"], "manager")
    holder = tokens.booking(home, world.known["booking_id"])
    for signer in (manager, holder):  # what the wrong ones differ from is accepted
        (read,) = [route for route in closed if str(route) == "booking GET /bookings/{booking_id}"]
        (good,) = await ask(stack, [read], world.known, {"good": f"Bearer {signer.sign()}"})
        assert good.answer.status_code == HTTPStatus.OK, good

    asked = await ask(stack, closed, world.known, tokens.refused(manager, holder))
    assert [str(each) for each in asked if each.answer.status_code != HTTPStatus.UNAUTHORIZED] == []
    assert {each.answer.headers.get("www-authenticate") for each in asked} == {"Bearer"}
    assert len({each.answer.content for each in asked}) == 1


async def test_a_wrong_token_in_a_link_opens_nothing(stack: Stack, world: World) -> None:
    """401 from the page of a refund and from its form, whatever is wrong; a token of staff is wrong there too."""
    home = stack.running.home
    manager = tokens.staff(home, stack.status["issuer"], "manager")
    holder = tokens.booking(home, world.known["booking_id"])
    wrong = [header.removeprefix("Bearer ") for header in tokens.refused(manager, holder).values() if header]
    page, form = "/api/refunds/status.html", f"/api/refunds/{world.known['refund_id']}/payout-details.html"
    good = await stack.http.get(stack.url(page), params={"token": holder.sign()})
    assert (good.status_code, world.known["booking_id"] in good.text) == (200, True)

    fields = {"account_holder": "Ada Lovelace", "other_way": "cash"}
    told = set()
    for token in (*wrong, manager.sign()):
        for answer in (
            await stack.http.get(stack.url(page), params={"token": token}),
            await stack.http.post(stack.url(form), params={"token": token}, data=fields),
        ):
            assert answer.status_code == HTTPStatus.UNAUTHORIZED, token
            told.add(answer.content)
    assert len(told) == 1
    foreign = await stack.http.post(stack.url(form), params={"token": world.stranger.token}, data=fields)
    missing = await stack.http.post(
        stack.url(f"/api/refunds/{uuid4()}/payout-details.html"), params={"token": world.stranger.token}, data=fields
    )
    assert (foreign.status_code, foreign.content) == (missing.status_code, missing.content)
    assert world.known["booking_id"] not in foreign.text


async def test_a_missing_role_is_refused_whatever_exists(stack: Stack, world: World) -> None:
    """Staff without a role: 403 everywhere. Staff who may only look: 403 wherever something would change.

    The same for what does not exist.
    """
    home, issuer = stack.running.home, stack.status["issuer"]
    closed = closed_of(world)
    writes = [route for route in closed if route.method != "GET" and str(route) not in VIEWER_MAY]
    for routes, roles in ((closed, ()), (closed, ("admin", "owner")), (writes, ("viewer",))):
        token = {f"roles {roles}": f"Bearer {tokens.staff(home, issuer, *roles).sign()}"}
        asked = [each for known in (world.known, {}) for each in await ask(stack, routes, known, token)]
        assert [str(each) for each in asked if each.answer.status_code != HTTPStatus.FORBIDDEN] == []
        assert len({each.answer.content for each in asked}) == 1


async def test_another_bookings_token_shows_nothing_and_tells_nothing(stack: Stack, world: World) -> None:
    """403 or 404 from every route, and not to be told from the answer about something that does not exist."""
    closed = closed_of(world)
    token = {"another booking's token": f"Bearer {world.stranger.token}"}
    foreign = await ask(stack, closed, world.known, token)
    assert [str(each) for each in foreign if each.answer.status_code not in {403, 404}] == []
    missing = await ask(stack, closed, {}, token)
    told = [
        f"{one}; of nothing: {other}" for one, other in zip(foreign, missing, strict=True) if shown(one) != shown(other)
    ]
    assert told == []
    assert (await stack.shop.read(world.stranger))["id"] == world.stranger.id, "it still opens its own"
