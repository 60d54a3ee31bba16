"""What staff read: amounts that are the ledger's own, what happened in its order, and files."""

from __future__ import annotations

import csv
import io
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from chassis.csv_export import units
from chassis.db import table
from contracts.money import Money
from payment.models import LedgerEntry, Payment
from sqlalchemy import select, update

from tests.payment.shop import Shop

BERLIN = ZoneInfo("Europe/Berlin")


async def analysed(shop: Shop, **query: str) -> dict[str, Any]:
    today = datetime.now(UTC).date()
    period = {"since": str(today - timedelta(days=2)), "until": str(today + timedelta(days=2))}
    answer = await shop.service.client.get(
        "/analytics/payments", params=period | query, headers=shop.service.staff("viewer")
    )
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def entries(shop: Shop) -> list[Any]:
    rows, payments = table(LedgerEntry), table(Payment)
    async with shop.service.database.transaction() as tx:
        found = await tx.execute(select(rows, payments.c.event_id).join(payments, payments.c.id == rows.c.payment_id))
        return list(found.all())


async def some_money(shop: Shop) -> Payment:
    """A capture in yen, and one in euros with a refund, one that failed later, a settled one, and a dispute."""
    await shop.captured(700, "JPY")
    payment = await shop.captured(5000)
    for amount, version in ((1000, 1), (500, 1)):
        refund_id = await shop.approve_refund(payment, amount, version=version)
        await shop.advance_refund(refund_id)
    ref = (await shop.refund(refund_id)).provider_ref
    await shop.standin.control("POST", f"/refunds/{ref}", {"status": "failed"})
    assert (await shop.advance_refund(refund_id)).status == "failed"
    await shop.settle(payment, 500, refund_id, version=2)
    await shop.approve_refund(payment, 250)  # on its way: it has not left
    disputed = await shop.captured(900)
    await shop.look_at_dispute(await shop.dispute(disputed))
    return payment


async def captured(shop: Shop, amount: int = 5000, currency: str = "EUR") -> Payment:
    payment = await shop.authorized(amount, currency)
    await shop.secure_seats(payment)
    return await shop.advance(payment)


async def test_every_amount_is_the_sum_of_its_postings(still_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """By day in the asked zone, by event, and in all; what has left and what banks took are what the payments say as well."""
    monkeypatch.setattr(Shop, "captured", captured)
    await some_money(still_shop)
    found = await analysed(still_shop, timezone="Europe/Berlin")
    posted = await entries(still_shop)
    expected: Counter[tuple[str, str, str]] = Counter()
    by_event: Counter[tuple[str, str, str]] = Counter()
    for row in posted:
        day = str(row.created_at.astimezone(BERLIN).date())
        if row.kind == "captured" and row.account == f"provider:{row.currency}":
            expected[day, row.currency, "captured_minor"] += row.amount_minor
            by_event[str(row.event_id), row.currency, "captured_minor"] += row.amount_minor
        if row.kind in {"refunded", "refund_reversed"} and row.account == f"provider:{row.currency}":
            expected[day, row.currency, "refunded_minor"] -= row.amount_minor
            by_event[str(row.event_id), row.currency, "refunded_minor"] -= row.amount_minor
        if row.account == "paid_outside":
            expected[day, row.currency, "refunded_minor"] -= row.amount_minor
            by_event[str(row.event_id), row.currency, "refunded_minor"] -= row.amount_minor
        if row.account == "disputes":
            expected[day, row.currency, "disputed_minor"] += row.amount_minor
    names = ("captured_minor", "refunded_minor", "disputed_minor")
    shown = {(day["day"], day["currency"], name): day[name] for day in found["by_day"] for name in names if day[name]}
    assert shown == {key: amount for key, amount in expected.items() if amount}
    of_events = {
        (event["event_id"], event["currency"], name): event[name]
        for event in found["by_event"]
        for name in names[:2]
        if event[name]
    }
    assert of_events == {key: amount for key, amount in by_event.items() if amount}
    async with still_shop.service.database.transaction() as tx:
        payments = list(await tx.scalars(select(Payment)))
    for name, column in (
        ("captured_minor", "captured_minor"),
        ("refunded_minor", "refunded_minor"),
        ("disputed_minor", "withdrawn_minor"),
    ):
        assert sum(day[name] for day in found["by_day"]) == sum(getattr(each, column) for each in payments)
    assert sum(day["refunded_minor"] for day in found["by_day"]) >= 1500


async def test_a_day_is_one_of_the_asked_zone(still_shop: Shop) -> None:
    payment = await still_shop.started()
    payments = table(Payment)
    async with still_shop.service.database.transaction() as tx:
        await tx.execute(
            update(payments)
            .where(payments.c.id == payment.id)
            .values(created_at=datetime(2026, 3, 28, 23, 30, tzinfo=UTC))  # half past midnight of the 29th in Berlin
        )
    for zone, opened in (("UTC", 1), ("Europe/Berlin", 0)):
        found = await analysed(still_shop, since="2026-03-28", until="2026-03-29", timezone=zone)
        assert found["checkouts"]["open"] == opened, zone
    found = await analysed(still_shop, since="2026-03-29", until="2026-03-30", timezone="Europe/Berlin")
    assert found["checkouts"] == {"succeeded": 0, "failed": 0, "abandoned": 0, "open": 1}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"since": "2026-01-02", "until": "2026-01-02"}, "until"),
        ({"since": "2025-01-01", "until": "2026-01-03"}, "until"),
        ({"since": "2026-01-01", "until": "2026-01-02", "timezone": "Europe/Atlantis"}, "timezone"),
        ({"since": "yesterday", "until": "2026-01-02"}, "since"),
        ({"until": "2026-01-02"}, "since"),
    ],
)
async def test_a_period_that_makes_no_sense_is_named(still_shop: Shop, query: dict[str, str], field: str) -> None:
    headers = still_shop.service.staff("viewer")
    answer = await still_shop.service.client.get("/analytics/payments", params=query, headers=headers)
    assert answer.status_code == 422
    assert field in answer.text


async def test_what_became_of_checkouts_and_attempts(still_shop: Shop) -> None:
    before = await analysed(still_shop)
    await captured(still_shop)
    left = await still_shop.book()
    await still_shop.expire(left)
    declined = await still_shop.started()
    await still_shop.confirm(declined, "pm_card_visa_chargeDeclinedInsufficientFunds")
    await still_shop.sync(declined)
    await still_shop.cancel(declined.booking_id)
    await still_shop.advance(declined)
    await still_shop.started()
    after = await analysed(still_shop)
    grown = {name: after["checkouts"][name] - before["checkouts"][name] for name in after["checkouts"]}
    assert grown == {"succeeded": 1, "failed": 1, "abandoned": 1, "open": 1}
    assert after["attempts"]["succeeded"] - before["attempts"]["succeeded"] == 1
    assert after["attempts"]["declined"] - before["attempts"]["declined"] == 1
    counts = [{each["code"]: each["count"] for each in found["declines"]} for found in (before, after)]
    assert counts[1]["insufficient_funds"] - counts[0].get("insufficient_funds", 0) == 1


async def test_the_timeline_tells_all_that_happened_in_its_order(still_shop: Shop) -> None:
    """Attempts, declines with their code, what the money did; ids and amounts, and nothing of the buyer or the card."""
    payment = await still_shop.started()
    await still_shop.confirm(payment, "pm_card_visa_chargeDeclined")
    await still_shop.sync(payment)
    await still_shop.confirm(payment)
    await still_shop.sync(payment)
    await still_shop.secure_seats(payment)
    payment = await still_shop.advance(payment)
    refund_id = await still_shop.approve_refund(payment, 1000)
    await still_shop.advance_refund(refund_id)
    await still_shop.look_at_dispute(await still_shop.dispute(payment))
    path = f"/payments/{payment.id}/timeline"
    answer = await still_shop.service.client.get(path, headers=still_shop.service.staff("viewer"))
    assert answer.status_code == 200, answer.text
    items = answer.json()["items"]
    instants = [datetime.fromisoformat(item["at"]) for item in items]
    assert instants == sorted(instants)
    words = [item["what"] for item in items]
    for word in (
        "opened", "create_sent", "create_ended", "declined", "authorized", "capture_sent", "capture_ended", "captured",
        "refund_started", "refund_sent", "refund_ended", "refunded", "dispute_opened",
    ):  # fmt: skip
        assert word in words, words
    assert words[0] == "opened"
    assert words.index("declined") < words.index("authorized") < words.index("captured") < words.index("refunded")
    assert words.index("captured") < words.index("dispute_opened")
    declined = next(item for item in items if item["what"] == "declined")
    assert declined["detail"] == {"code": "generic_decline"}
    refunded = next(item for item in items if item["what"] == "refunded")
    assert refunded["detail"] == {
        "refund_id": str(refund_id),
        "amount": {"amount_minor": 1000, "currency": "EUR"},
    }
    assert "4242" not in answer.text
    holder = still_shop.service.holder(payment.booking_id)
    assert (await still_shop.service.client.get(path, headers=holder)).status_code == 403
    missing = await still_shop.service.client.get(
        path.replace(str(payment.id), str(refund_id)), headers=still_shop.service.staff("viewer")
    )
    assert missing.status_code == 404


async def test_payments_as_a_file(still_shop: Shop) -> None:
    payment = await captured(still_shop, 1999)
    client, service = still_shop.service.client, still_shop.service
    answer = await client.get(
        "/payments.csv", params={"booking_id": str(payment.booking_id)}, headers=service.staff("viewer")
    )
    assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (200, "text/csv")
    (row,) = list(csv.DictReader(io.StringIO(answer.text)))
    assert (row["payment_id"], row["status"], row["currency"]) == (str(payment.id), "succeeded", "EUR")
    assert (row["amount"], row["captured"]) == (str(units(Money(1999, "EUR"))),) * 2
    assert (await client.get("/payments.csv", headers=service.holder(payment.booking_id))).status_code == 403
    everything = await client.get("/payments.csv", headers=service.staff("viewer"))
    listed = await client.get("/payments?limit=100", headers=service.staff("viewer"))
    ids = [row["payment_id"] for row in csv.DictReader(io.StringIO(everything.text))]
    assert ids[: len(listed.json()["payments"])] == [each["id"] for each in listed.json()["payments"]]
