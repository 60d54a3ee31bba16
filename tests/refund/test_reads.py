"""What staff read: lists by several statuses, files, what happened to a refund, and figures that add up."""

from __future__ import annotations

import csv
import io
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from contracts.refund import RefundApproved
from refund.models import Refund
from sqlalchemy import select

from tests.support.service import Running

from .story import Story
from .test_staff import act, ask, settle


async def read(refund: Running, path: str, role: str = "viewer", **query: Any) -> Any:
    answer = await refund.client.get(path, params=query, headers=refund.staff(role))
    assert answer.status_code == 200, answer.text
    return answer.json()


async def some_refunds(refund: Running) -> Story:
    """Of one booking: one that failed and is settled by hand, one that is sent, one that waits for a second person."""
    story = Story(refund, prices=(70_000, 1000, 500))
    await story.paid()
    failed = (await ask(story, amount_minor=300)).json()
    approved = await story.says(RefundApproved)
    await story.tell(story.refund_failed(approved, 4))
    await settle(story, failed["id"])
    await ask(story, amount_minor=200)
    await ask(story, amount_minor=60_000)
    return story


async def test_several_statuses_at_once_and_as_a_file(refund: Running) -> None:
    story = await some_refunds(refund)
    booking = {"booking_id": str(story.booking_id)}
    listed = await read(refund, "/refunds", status=["awaiting_approval", "settled_manually"], **booking)
    assert [item["status"] for item in listed["items"]] == ["awaiting_approval", "settled_manually"]
    assert len((await read(refund, "/refunds", **booking))["items"]) == 3
    one = await read(refund, "/refunds", status="approved", limit=1, **booking)
    assert ([item["amount"]["amount_minor"] for item in one["items"]], one["next_cursor"]) == ([200], None)
    wrong = await refund.client.get("/refunds?status=lost", headers=refund.staff("viewer"))
    assert wrong.status_code == 422
    answer = await refund.client.get(
        "/refunds.csv", params={"status": ["approved", "settled_manually"], **booking}, headers=refund.staff("viewer")
    )
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [(row["status"], row["amount"], row["reason"]) for row in rows] == [
        ("approved", "2.00", "goodwill"),
        ("settled_manually", "3.00", "goodwill"),
    ]
    assert (await refund.client.get("/refunds.csv", headers=refund.holder(story.booking_id))).status_code == 403


async def test_the_timeline_tells_who_did_what_and_what_came_of_it(refund: Running) -> None:
    story = Story(refund, prices=(70_000,))
    await story.paid()
    created = (await ask(story, note="Ada called")).json()
    await act(story, created["id"], "approve")
    approved = await story.says(RefundApproved)
    await story.tell(story.refund_failed(approved, 4))
    await act(story, created["id"], "retry")
    await story.tell(story.refunded(approved, 5))
    answer = await refund.client.get(f"/refunds/{created['id']}/timeline", headers=refund.staff("viewer"))
    items = answer.json()["items"]
    assert [(item["what"], item["by"]) for item in items] == [
        ("requested", "ann"),
        ("awaiting_approval", None),
        ("approved", "ben"),
        ("failed", None),
        ("retried", "ben"),
        ("completed", None),
    ]
    assert items[0]["detail"]["amount"] == {"amount_minor": 70_000, "currency": "EUR"}
    assert items[3]["detail"] == {"reason": "expired_or_canceled_card", "had_succeeded": False}
    assert "Ada" not in answer.text
    missing = await refund.client.get(f"/refunds/{uuid4()}/timeline", headers=refund.staff("viewer"))
    assert missing.status_code == 404
    holder = await refund.client.get(f"/refunds/{created['id']}/timeline", headers=refund.holder(story.booking_id))
    assert holder.status_code == 403


async def test_the_figures_are_the_sums_of_the_refunds(refund: Running) -> None:
    """By reason, by tier and by day; what was declined gave nothing."""
    await some_refunds(refund)
    for hours in (30, 72):
        story = Story(refund, starts_in=timedelta(hours=hours))
        await story.paid()
        await story.tell(story.cancelled())
        await story.tell(story.refunded(await story.says(RefundApproved)))
    late = Story(refund, starts_in=timedelta(hours=2))
    await late.paid()
    await late.tell(late.cancelled())
    today = datetime.now(UTC).date()
    period = {"since": str(today - timedelta(days=1)), "until": str(today + timedelta(days=2))}
    found = await read(refund, "/analytics/refunds", timezone="UTC", **period)
    async with refund.database.transaction() as tx:
        rows = [row for row in await tx.scalars(select(Refund)) if row.status != "declined"]
    by_reason: Counter[tuple[str, str]] = Counter()
    done: Counter[tuple[str, str]] = Counter()
    by_tier: Counter[tuple[int, str]] = Counter()
    by_day: Counter[tuple[str, str]] = Counter()
    done_by_day: Counter[tuple[str, str]] = Counter()
    for row in rows:
        is_done = row.status in {"succeeded", "settled_manually"}
        by_reason[row.reason, row.currency] += row.amount_minor
        done[row.reason, row.currency] += row.amount_minor if is_done else 0
        by_day[str(row.created_at.date()), row.currency] += row.amount_minor
        if is_done:
            done_by_day[str(row.updated_at.date()), row.currency] += row.amount_minor
        if row.ground in {"policy", "tickets"}:
            by_tier[row.trace["percent"], row.currency] += row.amount_minor
    shown = {(each["reason"], each["currency"]): each for each in found["by_reason"]}
    assert {key: each["amount_minor"] for key, each in shown.items()} == dict(by_reason)
    assert {key: each["completed_minor"] for key, each in shown.items()} == dict(done)
    assert sum(each["count"] for each in shown.values()) == len(rows)
    tiers = {(each["percent"], each["currency"]): each["amount_minor"] for each in found["by_tier"]}
    assert tiers == dict(by_tier)
    assert {percent for percent, _ in tiers} >= {100, 50}
    days = {(each["day"], each["currency"]): each for each in found["by_day"]}
    assert {key: each["requested_minor"] for key, each in days.items()} == dict(by_day)
    assert +Counter({key: each["completed_minor"] for key, each in days.items()}) == +done_by_day
    refused = await refund.client.get(
        "/analytics/refunds?since=2026-01-02&until=2026-01-01", headers=refund.staff("viewer")
    )
    assert refused.json()["errors"][0]["field"] == "until"
