"""Refunds by customers and staff through the gateway: in parts, with a second person, and one that the bank returns after ten days."""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx2
import pytest

from sandbox.story.shop import Bought, Json
from tests.e2e.conftest import APPROVAL_ABOVE_MINOR
from tests.e2e.stack import Stack, contact, until

pytestmark = pytest.mark.timeout(300)

TEN_DAYS_S = 10 * 86_400
IBAN = "DE89370400440532013000"  # the example of ISO 13616
OWED = "We still owe you the money."
CHOSEN = "We have your account details"


async def staff(stack: Stack, who: str, role: str = "manager") -> dict[str, str]:
    """Headers of one of the staff, for one request: they hold a new Idempotency-Key."""
    answer = await stack.http.post(f"{stack.status['issuer']}/token", data={"role": role, "sub": who})
    return {
        "Authorization": f"Bearer {answer.json()['access_token']}",
        "Idempotency-Key": secrets.token_hex(16),
    }


async def ask(
    stack: Stack, method: str, path: str, headers: dict[str, str], body: Json | None = None
) -> httpx2.Response:
    return await stack.http.request(method, stack.url(path), headers=headers, json=body)


async def with_money(stack: Stack, bought: Bought, state: str, refunded_minor: int) -> Json:
    """The booking once it says so."""

    async def look() -> Json | None:
        booking = await stack.shop.read(bought)
        return booking if (booking["refund_state"], booking["refunded_minor"]) == (state, refunded_minor) else None

    return await until(look, f"booking {bought.id} is not {state} with {refunded_minor}", 60)


async def page_behind(stack: Stack, letter: Json) -> str:
    """What opens by the link in a mail about money, for whoever has no more than the mail."""
    (link,) = re.findall(r"https?://\S+/api/refunds/status\.html\?token=\S+", letter["text"])
    opened = await stack.http.get(link)
    assert opened.status_code == 200
    return opened.text


async def mailed(stack: Stack, bought: Bought, subject: str) -> list[Json]:
    """Mails with that subject about the booking, at least one."""

    async def look() -> list[Json]:
        return [mail for mail in await stack.shop.mails(bought.id) if mail["subject"] == subject]

    return await until(look, f"no mail says {subject}", 60)


async def told_crm(stack: Stack, bought: Bought, kind: str) -> Json:
    """What the CRM system was told of it."""

    async def look() -> list[Json]:
        return await stack.shop.crm(bought.id, kind)

    (told,) = await until(look, f"CRM was not told of {kind}", 60)
    assert told["verified"]
    return told


async def ledger(stack: Stack, refund_id: str) -> dict[str, int]:
    """What payment's books say of a refund, by account; accounts at zero are left out."""
    rows = await stack.rows(
        "payment",
        "SELECT account, sum(amount_minor)::bigint AS minor FROM ledger_entries WHERE refund_id = $1 GROUP BY account",
        UUID(refund_id),
    )
    return {row["account"].partition(":")[0]: row["minor"] for row in rows if row["minor"]}


def amounts(asked: Json) -> list[int]:
    return [int(money["amount_minor"]) for money in (asked["paid"], asked["refunded"], asked["pending"])]


async def test_tickets_given_back_in_parts_and_what_a_second_person_approves(stack: Stack) -> None:
    """Two of three tickets at 50 %, later the third, then staff more than one person may give: every amount is told once and adds up."""
    name, price = f"Parts {secrets.token_hex(4)}", 40_000
    event = await stack.shop.create_event(name, timedelta(hours=30), capacity=10, price_minor=price)
    bought = await stack.shop.book(event, 3, contact())
    booking = await stack.buy(bought)
    first, second, third = (ticket["id"] for ticket in booking["tickets"])

    chosen = f"/api/refunds/quote?booking_id={bought.id}&line_ids={first}&line_ids={second}"
    quote = (await ask(stack, "GET", chosen, dict(bought.headers))).json()
    assert (quote["amount"], quote["percent"]) == ({"amount_minor": price, "currency": "EUR"}, 50)
    body = {"ticket_ids": [first, second]}
    cancel = f"/api/bookings/{bought.id}/cancel"
    await stack.shop.ask("booking", "POST", cancel, json=body, headers=bought.headers)
    booking = await with_money(stack, bought, "partially_refunded", price)
    assert booking["status"] == "confirmed"
    assert [ticket["code"] is not None for ticket in booking["tickets"]] == [False, False, True]
    again = await ask(stack, "POST", cancel, {**bought.headers, "Idempotency-Key": secrets.token_hex(16)}, body)
    assert again.status_code == 409

    await stack.shop.ask("booking", "POST", cancel, json={"ticket_ids": [third]}, headers=bought.headers)
    booking = await with_money(stack, bought, "partially_refunded", price * 3 // 2)
    assert booking["status"] == "cancelled"

    large = APPROVAL_ABOVE_MINOR + 5_000
    asked = {"booking_id": bought.id, "amount_minor": large, "reason": "goodwill"}
    beyond = await ask(stack, "POST", "/api/refunds", await staff(stack, "ann"), asked)
    assert (beyond.status_code, beyond.json()["state"]) == (409, "above_policy")
    waiting = await ask(stack, "POST", "/api/refunds", await staff(stack, "ann"), {**asked, "override": True})
    assert (waiting.status_code, waiting.json()["status"]) == (201, "awaiting_approval")
    approve = f"/api/refunds/{waiting.json()['id']}/approve"
    assert (await ask(stack, "POST", approve, await staff(stack, "ann"))).status_code == 403
    await mailed(stack, bought, "A refund of €550.00 awaits approval")
    assert (await stack.shop.read(bought))["refunded_minor"] == price * 3 // 2
    assert (await ask(stack, "POST", approve, await staff(stack, "ben"))).json()["status"] == "approved"
    assert (await ask(stack, "POST", approve, await staff(stack, "eve"))).status_code == 409
    await with_money(stack, bought, "partially_refunded", price * 3 // 2 + large)

    more = {**asked, "amount_minor": 5_001, "override": True}
    refused = await ask(stack, "POST", "/api/refunds", await staff(stack, "ann"), more)
    assert (refused.status_code, refused.json()["remaining"]["amount_minor"]) == (409, 5_000)
    status = (await ask(stack, "GET", f"/api/refunds/status?booking_id={bought.id}", dict(bought.headers))).json()
    assert amounts(status) == [price * 3, 115_000, 0]

    await stack.verify()
    sent = await mailed(stack, bought, f"Your refund for {name} is on its way")
    texts = [" ".join(mail["text"].split()) for mail in sent]
    for amount in ("€400.00", "€200.00", "€550.00"):
        assert sum(f"We have sent {amount} back" in text for text in texts) == 1, texts
    assert len(sent) == 3
    assert len(await mailed(stack, bought, f"Some of your tickets for {name} are cancelled")) == 1
    assert len(await mailed(stack, bought, f"Your booking for {name} is cancelled")) == 1


@pytest.fixture
async def returned_later(stack: Stack) -> AsyncIterator[None]:
    """The bank returns every refund that is made now, ten days after it."""
    course: dict[str, Any] = {"course": "fails_later", "after_seconds": TEN_DAYS_S}
    await stack.provider_control("PUT", "/refund-course", course)
    yield
    await stack.provider_control("PUT", "/refund-course", {"course": None})


async def test_a_refund_that_the_bank_returns_after_ten_days(stack: Stack, returned_later: None) -> None:
    """Everybody learns of it: the books, staff, the buyer, the CRM system. The buyer names an account, and staff pay there."""
    name = f"Returned {secrets.token_hex(4)}"
    event = await stack.shop.create_event(name, timedelta(days=3), capacity=10)
    bought = await stack.shop.book(event, 1, contact())
    await stack.buy(bought)
    await stack.shop.cancel(bought)
    await with_money(stack, bought, "refunded", 2500)
    status_path, page = f"/api/refunds/status?booking_id={bought.id}", f"/api/refunds/status.html?token={bought.token}"
    (step,) = (await ask(stack, "GET", status_path, dict(bought.headers))).json()["refunds"]
    assert (step["status"], step["can_choose_payout"]) == ("succeeded", False)
    refund_id = step["id"]
    assert await ledger(stack, refund_id) == {"refunds": 2500, "provider": -2500}

    await stack.provider_control("POST", "/clock", {"advance_seconds": TEN_DAYS_S})
    await with_money(stack, bought, "refund_failed", 0)
    assert await ledger(stack, refund_id) == {}
    failed = f"/api/refunds?status=failed&booking_id={bought.id}"
    (listed,) = (await ask(stack, "GET", failed, await staff(stack, "ann", "viewer"))).json()["items"]
    assert (listed["id"], listed["has_payout_details"]) == (refund_id, False)
    status = (await ask(stack, "GET", status_path, dict(bought.headers))).json()
    assert amounts(status) == [2500, 0, 0]
    assert (status["refunds"][0]["can_choose_payout"], OWED in status["refunds"][0]["state"]) == (True, True)
    shown = await ask(stack, "GET", page, {})
    assert OWED in shown.text
    assert "style-src" in shown.headers["content-security-policy"], "the page's own, not the gateway's"
    (letter,) = await mailed(stack, bought, f"Your refund for {name} did not arrive")
    assert "Your bank" in letter["text"]
    assert OWED in await page_behind(stack, letter)
    (case,) = await mailed(stack, bought, "A refund of €25.00 failed")
    assert case["to"] != letter["to"]
    await told_crm(stack, bought, "refund.failed")

    form = {"account_holder": "Ada Lovelace", "iban": IBAN}
    address = f"/api/refunds/{refund_id}/payout-details.html?token={bought.token}"
    chosen = await stack.http.post(stack.url(address), data={**form, "iban": "DE00"}, follow_redirects=False)
    assert (chosen.status_code, "is not an IBAN" in chosen.text) == (422, True)
    chosen = await stack.http.post(stack.url(address), data=form, follow_redirects=True)
    assert (chosen.status_code, chosen.url.path, CHOSEN in chosen.text) == (200, "/api/refunds/status.html", True)
    detail = (await ask(stack, "GET", f"/api/refunds/{refund_id}", await staff(stack, "ann", "refunder"))).json()
    assert detail["payout_details"]["iban"] == IBAN
    evidence = {"evidence": "Transfer 4711", "paid_at": listed["updated_at"]}
    settle = f"/api/refunds/{refund_id}/settle-manually"
    settled = await ask(stack, "POST", settle, await staff(stack, "max"), evidence)
    assert (settled.status_code, settled.json()["status"]) == (200, "settled_manually")

    await with_money(stack, bought, "refunded", 2500)
    await mailed(stack, bought, f"Your refund for {name} has been paid another way")
    await told_crm(stack, bought, "refund.settled_manually")
    status = (await ask(stack, "GET", status_path, dict(bought.headers))).json()
    assert (amounts(status), status["refunds"][0]["status"]) == ([2500, 2500, 0], "settled_manually")
    await stack.verify()
    assert await ledger(stack, refund_id) == {"refunds": 2500, "paid_outside": -2500}
