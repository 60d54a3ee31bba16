"""A customer is erased from a running stack: nobody can read who it was, and everything goes on."""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import pytest
from chassis.crypto import Sealer, Unsealable

from ops.erase.parts import ADDRESS
from sandbox.launcher.credentials import SERVICES
from sandbox.launcher.home import Home
from sandbox.story.shop import Bought, Json
from tests.e2e.stack import Stack, order, until
from tests.support.stack import BOXOFFICE

pytestmark = pytest.mark.timeout(300)

DECLINED = "4000000000000002"
FIELDS = (
    "booking.contact",
    "booking.tickets",
    "booking.access",
    "refund.note",
    "refund.evidence",
    "refund.payout_details",
    "payment.review_note",
    "payment.receipt",
    "notification.survey_comment",
    "idempotency.answer",
)
CIPHERTEXT = re.compile(r"[A-Za-z0-9_-]{36,}={0,2}")
COLUMNS = """SELECT table_name, column_name FROM information_schema.columns
    WHERE table_schema = 'public' AND data_type IN ('text', 'jsonb')"""


def sealer_of(stack: Stack) -> Sealer:
    known = Home(stack.running.home).operator_variables()
    return Sealer.from_settings(known["BOXOFFICE_SEAL_KEYSET"], known["BOXOFFICE_BLIND_INDEX_KEY"])


async def texts(stack: Stack) -> AsyncIterator[tuple[str, str]]:
    """Every text of the four databases, sealed or not, with where it stands."""
    sealer = sealer_of(stack)
    for service in SERVICES:
        for column in await stack.rows(service, COLUMNS):
            table, name = column["table_name"], column["column_name"]
            for row in await stack.rows(
                service, f'SELECT "{name}"::text AS it FROM "{table}" WHERE "{name}" IS NOT NULL'
            ):
                yield f"{service}.{table}.{name}", row["it"]
                for sealed in CIPHERTEXT.findall(row["it"]):
                    for field in FIELDS:
                        try:
                            yield f"{service}.{table}.{name}, {field}", sealer.unseal(sealed, field)
                            break
                        except Unsealable:
                            continue


async def places(stack: Stack, *words: str) -> set[str]:
    """Where any of the words can be read."""
    return {place async for place, text in texts(stack) if any(word in text for word in words)}


async def buy_with_a_declined_card(stack: Stack, bought: Bought) -> None:
    opened = await stack.shop.open_payment(bought)
    form = {
        "client_secret": opened["client_secret"],
        "payment_method_data[type]": "card",
        "payment_method_data[card][number]": DECLINED,
        "payment_method_data[card][exp_month]": "12",
        "payment_method_data[card][exp_year]": "2034",
        "payment_method_data[card][cvc]": "123",
        "payment_method_data[billing_details][name]": bought.booking["contact"]["name"],
    }
    ref = opened["client_secret"].partition("_secret_")[0]
    url = f"{stack.status['stripe_sandbox']}/v1/payment_intents/{ref}/confirm"
    headers = {"Authorization": f"Bearer {opened['publishable_key']}"}
    declined = await stack.http.post(url, data=form, headers=headers)
    assert declined.status_code == 402
    await stack.shop.sync(opened, bought)
    await stack.buy(bought)


async def answer_the_survey(stack: Stack, bought: Bought, comment: str) -> None:
    """As if its mail had been read."""

    async def begun() -> bool:
        of_refund = "SELECT count(*) FROM surveys WHERE booking_id = $1 AND kind = 'refund'"
        return await stack.count("notification", of_refund, UUID(bought.id)) == 1

    await until(begun, "no refund is known to the surveys")
    async with stack.database("notification") as connection:
        await connection.execute(
            "UPDATE surveys SET status = 'asked', asked_at = now(), next_attempt_at = NULL, score = 1, comment = $2, "
            "answered_at = now() WHERE booking_id = $1 AND kind = 'refund'",
            UUID(bought.id),
            sealer_of(stack).seal(comment, "notification.survey_comment"),
        )


async def ask(stack: Stack, path: str) -> Json:
    found: Json = await stack.shop.ask("", "GET", path, headers=await stack.shop.staff())
    return found


async def the_desk_shows_nobody(stack: Stack, event: Json, who: dict[str, str], refund_id: str) -> None:
    """The lists, searches and the export of staff go on, with two bookings that are nobody's."""
    assert (await ask(stack, f"/api/refunds/{refund_id}"))["note"] is None
    for search in (f"email={who['email']}", f"q={who['email']}", f"q={who['name'].split()[0]}"):
        assert (await ask(stack, f"/api/bookings?{search}"))["items"] == []
    listed = (await ask(stack, f"/api/bookings?event_id={event['id']}"))["items"]
    assert [each["contact"]["email"] for each in listed] == [ADDRESS, ADDRESS]
    headers = await stack.shop.staff()
    export = await stack.http.get(stack.url(f"/api/bookings.csv?event_id={event['id']}"), headers=headers)
    assert (export.status_code, export.text.count(ADDRESS)) == (200, 2)


async def test_an_erased_customer_is_nowhere_and_everything_goes_on(stack: Stack) -> None:
    """One booking cancelled and refunded, one still to come: refused, then forced."""
    who = {"name": f"Grace{secrets.token_hex(6)} Hopper", "email": f"grace-{secrets.token_hex(6)}@example.org"}
    told = (who["name"], who["name"].split()[0], who["email"])
    event = await stack.shop.create_event("Erased", timedelta(days=5), capacity=10)
    key = secrets.token_hex(16)
    body = {**order(event), "contact": who}
    placed = await stack.shop.ask("booking", "POST", "/api/bookings", json=body, key=key)
    gone = Bought(placed["booking"], placed["access_token"])
    await buy_with_a_declined_card(stack, gone)
    await stack.shop.cancel(gone)
    coming = await stack.shop.book(event, 1, who)
    await stack.buy(coming)
    note = f"note {secrets.token_hex(8)}"
    asked = {"booking_id": coming.id, "amount_minor": 100, "reason": "goodwill", "note": note}
    staff = await stack.shop.staff()
    refund = await stack.shop.ask("refund", "POST", "/api/refunds", json=asked, headers=staff)
    await answer_the_survey(stack, gone, f"{who['name']} was here")
    await stack.verify()
    secret = (*told, note, gone.token, coming.token)
    assert {place.partition(",")[0] for place in await places(stack, *secret)} >= {
        "booking.bookings.contact",
        "booking.bookings.access",
        "booking.outbox.body",
        "booking.idempotency_keys.answer",
        "notification.bookings.contact",
        "notification.bookings.access",
        "notification.surveys.comment",
        "refund.refunds.note",
        "refund.idempotency_keys.answer",
    }

    refused = stack.running.run(BOXOFFICE, "erase", "--email", who["email"], "--yes")
    assert refused.returncode == 1
    assert f"booking {coming.id} is confirmed and its event starts at" in refused.stdout
    assert gone.id not in refused.stdout
    shown = await stack.boxoffice("erase", "--email", who["email"], "--force", "--dry-run")
    assert re.search(r"payment +receipts +\d+ rows  body", shown)
    assert re.search(r"payment +declines +1 row ", shown)
    assert (await stack.shop.read(gone))["contact"] == who

    await stack.boxoffice("erase", "--email", who["email"].upper(), "--force", "--yes", "--by", "officer-7")
    assert await places(stack, *secret) == set()
    for bought in (gone, coming):
        booking = await stack.shop.read(bought)
        assert booking["contact"] == {"name": "Erased", "email": ADDRESS}
        assert {ticket["code"] for ticket in booking["tickets"]} == {None}
        assert (await ask(stack, f"/api/bookings/{bought.id}/timeline"))["items"]
        for service in SERVICES:
            done = "SELECT count(*) FROM audit WHERE action = 'customer.erase' AND subject = $1 AND actor = 'officer-7'"
            assert await stack.count(service, done, f"booking/{bought.id}") == 1
    await the_desk_shows_nobody(stack, event, who, str(refund["id"]))
    again = await stack.shop.ask("booking", "POST", "/api/bookings", json=body, key=key)
    assert again == {"erased": True}

    (mail, *_) = (await ask(stack, f"/api/notifications?booking_id={gone.id}"))["items"]
    await stack.shop.ask("notification", "POST", f"/api/notifications/{mail['id']}/resend", headers=staff)

    async def kept_back() -> bool:
        found = (await ask(stack, f"/api/notifications?booking_id={gone.id}"))["items"]
        return any(each["status"] == "suppressed" for each in found)

    await until(kept_back, "the mail to nobody is not suppressed", 20)
    refused = stack.running.run(BOXOFFICE, "erase", "--email", who["email"], "--yes")
    assert (refused.returncode, "Nothing is kept" in refused.stdout) == (1, True)
    await stack.boxoffice("audit", "verify")
    await stack.verify()
