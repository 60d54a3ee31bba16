"""The refund campaign of a cancelled event, from outside: what the other services tell it, and what staff see."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import permutations
from typing import Any
from uuid import UUID, uuid4

import pytest
from chassis.audit import AuditRow
from chassis.db import table
from contracts.money import Money
from contracts.refund import (
    RefundApproved,
    RefundCampaignFinished,
    RefundCampaignStarted,
    RefundCompleted,
    RefundDeclined,
    RefundFailed,
)
from refund import campaign_watch
from refund.campaign_models import CampaignItem
from refund.campaign_run import refund_booking
from refund.models import Refund
from sqlalchemy import DateTime, column, insert, select
from sqlalchemy import table as table_named

from tests.conftest import Vhost
from tests.support.service import Running, eventually, running_service

from .test_staff import ask
from .tour import Ticket, Tour


@pytest.fixture(scope="module")
async def refund(postgres_url: str, broker_vhost: Vhost) -> AsyncIterator[Running]:
    async with running_service("refund", postgres_url, broker_vhost, REFUND_CAMPAIGN_PER_S="200") as running:
        yield running


@pytest.mark.parametrize("by", ["event", "customer"])
async def test_one_refund_whatever_the_order(refund: Running, by: str) -> None:
    """Four facts in each of their 24 orders: all of it back where the event cancelled, the policy's part where the customer had before."""

    few_at_once = asyncio.Semaphore(4)

    async def told(order: tuple[int, ...]) -> None:
        async with few_at_once:
            await one_refund(order)

    async def one_refund(order: tuple[int, ...]) -> None:
        tour = Tour(refund)
        ticket = tour.ticket(starts_in=timedelta(hours=30))
        facts = [tour.cancelled(), ticket.placed(), ticket.captured(), ticket.cancelled(by=by)]
        await tour.tell(*(facts[index] for index in order))
        approved = await ticket.approved()
        for item in await tour.items():
            await refund_booking(refund.database, UUID(item["booking_id"]))
        [row] = await ticket.refunds()
        if by == "event":
            assert (approved.amount, approved.reason) == (ticket.total, "event_cancelled"), order
            [item] = await tour.items()
            assert (item["state"], item["refund_id"]) == ("approved", row["id"]), order
        else:
            assert (approved.amount, approved.reason) == (Money(1000, "EUR"), "customer_cancelled"), order
            assert [item["reason"] for item in await tour.items()] in ([], ["cancelled_before"]), order
        assert len(await tour.said(RefundCampaignStarted)) == 1, order

    await asyncio.gather(*(told(order) for order in permutations(range(4))))


async def test_facts_that_arrive_at_once_take_every_booking_on(refund: Running) -> None:
    """Neither the campaign nor a booking may miss the other when both are told in the same moment."""
    tours = [Tour(refund) for _ in range(12)]
    tickets = [tour.ticket() for tour in tours for _ in range(3)]
    await asyncio.gather(*(ticket.tell(ticket.placed()) for ticket in tickets))
    await asyncio.gather(
        *(refund.deliver(ticket.captured()) for ticket in tickets),
        *(refund.deliver(tour.cancelled()) for tour in tours),
        *(refund.deliver(ticket.cancelled(by="event")) for ticket in tickets),
    )
    for ticket in tickets:
        assert (await ticket.approved()).amount == ticket.total
    for tour in tours:
        assert len(await tour.items()) == 3
        assert len(await tour.said(RefundCampaignStarted)) == 1


async def test_an_event_cancelled_twice_is_one_campaign(refund: Running) -> None:
    tour = Tour(refund)
    first, second = tour.ticket(prices=(2500,)), tour.ticket(prices=(4000,), currency="USD")
    await first.paid()
    await second.paid()
    await tour.tell(tour.cancelled(), tour.cancelled())
    started = await tour.says(RefundCampaignStarted)
    assert (started.version, started.bookings, started.name) == (1, 2, "Nabucco")
    assert set(started.totals) == {Money(2500, "EUR"), Money(4000, "USD")}
    assert (await tour.progress())["items"] == {"queued": 2}


async def test_a_booking_waits_for_its_own_cancellation(refund: Running) -> None:
    """The customer may have cancelled a moment before, and that news may be on its way: until booking says who did, nothing is refunded."""
    tour = Tour(refund)
    by_customer, by_event = tour.ticket(starts_in=timedelta(hours=1)), tour.ticket(starts_in=timedelta(hours=1))
    await by_customer.paid()
    await by_event.paid()
    await tour.tell(tour.cancelled(), by_event.cancelled(by="event"))
    assert (await by_event.approved()).amount == by_event.total
    await tour.tell(by_customer.cancelled())
    await by_customer.says(RefundDeclined)
    await refund_booking(refund.database, by_customer.booking_id)
    [skipped] = await tour.items(state="skipped")
    assert (skipped["booking_id"], skipped["reason"]) == (str(by_customer.booking_id), "cancelled_before")
    assert await by_customer.says(RefundDeclined)
    assert len(await by_customer.refunds()) == 1


async def test_a_booking_without_a_cancellation_of_its_own_is_refunded_in_the_end(refund: Running) -> None:
    """Its message may be parked: after a grace the item falls due by itself."""
    tour = Tour(refund)
    ticket = tour.ticket()
    await ticket.paid()
    await tour.tell(tour.cancelled())
    async with refund.database.transaction() as tx:
        item = await tx.get(CampaignItem, ticket.booking_id)
        assert item is not None
        assert item.due_at is not None
        waits = item.due_at - tx.now
    assert timedelta(minutes=4) < waits <= timedelta(minutes=5)
    await refund_booking(refund.database, ticket.booking_id)
    assert (await ticket.approved()).amount == ticket.total


async def test_a_booking_that_is_paid_late_is_taken_on(refund: Running) -> None:
    """Also before booking has told anything of it."""
    tour = Tour(refund)
    ticket = tour.ticket()
    await tour.tell(tour.cancelled(), ticket.placed())
    assert await tour.items() == []
    await tour.tell(ticket.captured())
    [item] = await tour.items()
    assert (item["booking_id"], item["state"]) == (str(ticket.booking_id), "queued")
    assert item["amount"] == {"amount_minor": 1998, "currency": "EUR"}


async def test_what_was_refunded_before_is_not_refunded_twice(refund: Running) -> None:
    """All of it: the booking is skipped. A part, made at the provider by hand: the rest goes back."""
    tour = Tour(refund)
    whole, part = tour.ticket(), tour.ticket()
    for ticket in (whole, part):
        await ticket.paid()
        assert (await _refund_by_staff(refund, ticket)).status_code == 201
    await part.tell(part.refund_rejected(await part.approved(), remaining_minor=498))
    await tour.tell(tour.cancelled(), whole.cancelled(by="event"), part.cancelled(by="event"))

    async def handled() -> bool:
        return "queued" not in (await tour.progress())["items"]

    await eventually(handled)
    items = {item["booking_id"]: item for item in await tour.items()}
    assert items[str(whole.booking_id)]["reason"] == "already_refunded"
    assert items[str(part.booking_id)]["amount"] == {"amount_minor": 498, "currency": "EUR"}
    assert [said.amount.amount_minor for said in await part.said() if isinstance(said, RefundApproved)] == [1998, 498]


@pytest.mark.parametrize("order", list(permutations(range(3))))
async def test_tickets_given_back_by_policy_are_made_whole(refund: Running, order: tuple[int, ...]) -> None:
    """Half of a ticket was kept by the policy; the event is cancelled, and everything that was paid goes back, whatever comes first."""
    tour = Tour(refund)
    ticket = tour.ticket(prices=(1000, 3000), starts_in=timedelta(hours=30))
    await ticket.tell(ticket.placed())
    facts = [ticket.captured(), ticket.tickets_cancelled(0), ticket.cancelled(by="event")]
    await tour.tell(tour.cancelled(), *(facts[index] for index in order))

    async def amounts() -> list[int] | None:
        minor = [said.amount.amount_minor for said in await ticket.said() if isinstance(said, RefundApproved)]
        return minor if sum(minor) == 4000 else None

    assert await eventually(amounts) in ([500, 3500], [4000])


async def test_a_finished_campaign_takes_on_a_late_booking_and_finishes_again(refund: Running) -> None:
    tour = Tour(refund)
    early, late = tour.ticket(prices=(2500,)), tour.ticket(prices=(1500,))
    await early.paid()
    await tour.tell(tour.cancelled(), early.cancelled(by="event"))
    await early.tell(early.refunded(await early.approved()))
    finished = await tour.says(RefundCampaignFinished)
    assert (finished.version, finished.refunded, finished.failed) == (2, 1, 0)
    assert finished.totals == (Money(2500, "EUR"),)
    progress = await tour.progress()
    assert (progress["state"], progress["done"], progress["items"]) == ("finished", 1, {"succeeded": 1})
    assert (await tour.post("pause")).status_code == 409

    await tour.tell(late.cancelled(by="event", was="payment_authorized"), late.placed(), late.captured())
    approved = await late.approved()
    progress = await tour.progress()
    assert (progress["state"], progress["done"], progress["bookings"]) == ("running", 1, 2)
    await late.tell(late.refunded(approved))
    finished = await tour.says(RefundCampaignFinished, times=2)
    assert (finished.version, finished.refunded, finished.totals) == (3, 2, (Money(4000, "EUR"),))
    [total] = (await tour.progress())["totals"]
    assert {name: money["amount_minor"] for name, money in total.items()} == {
        "refunded": 4000,
        "outstanding": 0,
        "failed": 0,
    }


async def test_failed_refunds_are_retried_and_done_never_goes_back(refund: Running) -> None:
    tour = Tour(refund)
    fails, succeeds = tour.ticket(prices=(2500,)), tour.ticket(prices=(1500,))
    for ticket in (fails, succeeds):
        await ticket.paid()
    await tour.tell(tour.cancelled(), fails.cancelled(by="event"), succeeds.cancelled(by="event"))
    first = await fails.approved()
    await succeeds.tell(succeeds.refunded(await succeeds.approved()))
    await fails.tell(fails.refund_failed(first))
    finished = await tour.says(RefundCampaignFinished)
    assert (finished.refunded, finished.failed, finished.totals) == (1, 1, (Money(1500, "EUR"),))
    assert [item["reason"] for item in await tour.items(state="failed")] == ["expired_or_canceled_card"]

    answer = await tour.post("retry")
    assert (answer.status_code, answer.json()["done"], answer.json()["state"]) == (200, 2, "running")

    async def approved_anew() -> list[RefundApproved]:
        return [said for said in await fails.said() if isinstance(said, RefundApproved) and said.version > 1]

    [again] = await eventually(approved_anew)
    assert (again.refund_id, again.amount, again.version) == (first.refund_id, first.amount, 3)
    assert (await tour.progress())["done"] == 2
    await fails.tell(fails.refunded(again, 5))
    finished = await tour.says(RefundCampaignFinished, times=2)
    assert (finished.refunded, finished.failed, finished.totals) == (2, 0, (Money(4000, "EUR"),))
    assert [type(said) for said in await fails.said()] == [
        RefundApproved,
        RefundFailed,
        RefundApproved,
        RefundCompleted,
    ]
    assert (await tour.post("retry")).json()["state"] == "finished"
    assert await _audited(refund, tour) == [("refund_campaign.retry", "staff-1", {"refunds": 1})]


async def test_a_retry_leaves_with_staff_what_they_could_not_retry_themselves(refund: Running) -> None:
    """One is disputed; of the other, another refund took from a ticket since, though as much as before is left in all."""
    tour = Tour(refund)
    disputed, changed = tour.ticket(prices=(2500,)), tour.ticket(prices=(1000, 1000))
    for ticket in (disputed, changed):
        await ticket.paid()
    first, second = ([{"line_id": str(line_id), "amount_minor": 500}] for line_id in changed.line_ids)
    assert (await ask(changed, reason="duplicate", lines=first)).status_code == 201
    [by_staff] = [said for said in await changed.said() if isinstance(said, RefundApproved)]
    await changed.tell(changed.refunded(by_staff, 3))
    await tour.tell(tour.cancelled(), disputed.cancelled(by="event"), changed.cancelled(by="event"))

    async def all_approved() -> bool:
        return (await tour.progress())["items"] == {"approved": 2}

    await eventually(all_approved)
    [of_campaign] = [said for said in await changed.said() if isinstance(said, RefundApproved) and said != by_staff]
    assert of_campaign.amount == Money(1500, "EUR")
    await changed.tell(changed.refund_failed(of_campaign, 4), changed.refund_failed(by_staff, 5, had_succeeded=True))
    assert (await ask(changed, reason="duplicate", lines=second)).status_code == 201
    await disputed.tell(disputed.refund_failed(await disputed.approved(), 4), disputed.dispute_opened(5))
    assert (await tour.post("retry")).status_code == 200

    async def worked_on() -> bool:
        return (await tour.progress())["items"] == {"failed": 2}

    await eventually(worked_on)
    assert (await disputed.row()).promised_minor == 0
    assert (await changed.row()).promised_minor == 500


async def test_a_refund_that_fails_after_the_end_is_shown_with_staff(refund: Running) -> None:
    tour = Tour(refund)
    ticket = tour.ticket()
    await ticket.paid()
    await tour.tell(tour.cancelled(), ticket.cancelled(by="event"))
    approved = await ticket.approved()
    await ticket.tell(ticket.refunded(approved))
    await tour.says(RefundCampaignFinished)
    await ticket.tell(ticket.refund_failed(approved, 5, had_succeeded=True))
    progress = await tour.progress()
    assert (progress["items"], progress["done"], progress["state"]) == ({"failed": 1}, 1, "finished")
    assert progress["totals"][0]["failed"]["amount_minor"] == 1998


async def test_the_report_adds_up_to_the_refunds(refund: Running) -> None:
    """Three currencies, one failure whose reason would be a formula in a spreadsheet."""
    tour = Tour(refund)
    tickets = [
        tour.ticket(prices=(999, 1), currency="EUR"),
        tour.ticket(prices=(2500,), currency="EUR"),
        tour.ticket(prices=(999,), currency="JPY"),
        tour.ticket(prices=(1000,), currency="HUF"),
    ]
    for ticket in tickets:
        await ticket.paid()
    await tour.tell(tour.cancelled(), *(ticket.cancelled(by="event") for ticket in tickets))
    for ticket in tickets[:3]:
        await ticket.tell(ticket.refunded(await ticket.approved()))
    failed = tickets[3].refund_failed(await tickets[3].approved())
    await tickets[3].tell(failed.model_copy(update={"reason": "=HYPERLINK(0)"}))
    await tour.says(RefundCampaignFinished)

    answer = await tour.get("/report.csv")
    assert answer.headers["content-type"].startswith("text/csv")
    assert "attachment" in answer.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    sums: dict[tuple[str, str], int] = {}
    for row in rows:
        key = (row["currency"], row["state"])
        sums[key] = sums.get(key, 0) + int(row["amount_minor"])
    refunds = table(Refund)
    async with refund.database.transaction() as tx:
        given = await tx.execute(
            select(refunds.c.currency, refunds.c.status, refunds.c.amount_minor).where(
                refunds.c.booking_id.in_([ticket.booking_id for ticket in tickets])
            )
        )
        expected: dict[tuple[str, str], int] = {}
        for currency, status, minor in given:
            expected[currency, status] = expected.get((currency, status), 0) + minor
    assert sums == expected == {("EUR", "succeeded"): 3500, ("JPY", "succeeded"): 999, ("HUF", "failed"): 1000}
    by_booking = {row["booking_id"]: row for row in rows}
    assert by_booking[str(tickets[0].booking_id)]["amount"] == "10.00"
    assert by_booking[str(tickets[2].booking_id)]["amount"] == "999"
    assert by_booking[str(tickets[3].booking_id)]["reason"] == "'=HYPERLINK(0)"
    assert by_booking[str(tickets[0].booking_id)]["payment_id"] == str(tickets[0].payment_id)


balances = table_named(
    "balances",
    *(column(name) for name in ("provider", "currency", "available_minor")),
    column("read_at", DateTime(timezone=True)),
)


async def test_a_dry_run_says_what_would_go_back_and_what_the_balance_lacks(refund: Running) -> None:
    tour = Tour(refund)
    sold = [tour.ticket(prices=(2500,)), tour.ticket(prices=(1500,)), tour.ticket(prices=(700,), currency="JPY")]
    given_back = tour.ticket(prices=(9900,))
    for ticket in (*sold, given_back):
        await ticket.paid()
    await given_back.tell(given_back.cancelled())
    unread = (await tour.get(dry_run=True)).json()
    assert unread["bookings"] == 3
    assert [total["amount"] for total in unread["totals"]] == [
        {"amount_minor": 4000, "currency": "EUR"},
        {"amount_minor": 700, "currency": "JPY"},
    ]
    assert {total["shortfall_minor"] for total in unread["totals"]} == {None}
    async with refund.database.transaction() as tx:
        for currency, minor in (("EUR", 3100), ("JPY", 700)):
            read_now = {"provider": "stripe", "currency": currency, "available_minor": minor, "read_at": tx.now}
            await tx.execute(insert(balances).values(read_now))
    read = (await tour.get(dry_run=True)).json()["totals"]
    assert [(total["available_minor"], total["shortfall_minor"]) for total in read] == [(3100, 900), (700, 0)]
    assert await tour.said(RefundCampaignStarted) == []
    assert (await tour.get()).status_code == 404
    await tour.tell(tour.cancelled())
    assert (await tour.get(dry_run=True)).status_code == 409


async def test_the_stream_shows_progress_until_the_end(refund: Running) -> None:
    tour = Tour(refund)
    tickets = [tour.ticket() for _ in range(3)]
    for ticket in tickets:
        await ticket.paid()
    await tour.tell(tour.cancelled())
    streamed = asyncio.create_task(tour.get("/stream"))
    for ticket in tickets:
        await ticket.tell(ticket.cancelled(by="event"))
        await ticket.tell(ticket.refunded(await ticket.approved()))
    answer = await asyncio.wait_for(streamed, 20)
    assert answer.headers["content-type"].startswith("text/event-stream")
    shown: list[dict[str, Any]] = [
        json.loads(line.removeprefix("data: ")) for line in answer.text.splitlines() if line.startswith("data: ")
    ]
    done = [progress["done"] for progress in shown]
    assert done == sorted(done)
    assert (shown[-1]["state"], shown[-1]["done"]) == ("finished", 3)


async def test_items_are_listed_by_pages_and_by_state(refund: Running) -> None:
    tour = Tour(refund)
    tickets = [tour.ticket() for _ in range(5)]
    for ticket in tickets:
        await ticket.paid()
    await tour.tell(tour.cancelled())
    pages, cursor = [], None
    while True:
        page = (await tour.get("/items", limit=2, **({"cursor": cursor} if cursor else {}))).json()
        pages.append([item["booking_id"] for item in page["items"]])
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert [len(page) for page in pages] == [2, 2, 1]
    assert sorted(booking_id for page in pages for booking_id in page) == sorted(
        str(ticket.booking_id) for ticket in tickets
    )
    assert await tour.items(state="succeeded") == []
    assert (await tour.get("/items", state="gone")).status_code == 422


async def test_who_may_do_what(refund: Running) -> None:
    tour = Tour(refund)
    await tour.tell(tour.cancelled())
    path = f"/refund-campaigns/{tour.event_id}"
    for verb in ("pause", "resume", "retry"):
        assert (await tour.post(verb, role="refunder")).status_code == 403
        assert (await refund.client.post(f"{path}/{verb}")).status_code == 401
        assert (await Tour(refund).post(verb)).status_code == 404
    for part in ("", "/items", "/report.csv", "/stream"):
        assert (await refund.client.get(path + part, headers=refund.holder(uuid4()))).status_code == 403
        assert (await Tour(refund).get(part)).status_code == 404
    assert await _audited(refund, tour) == []


async def test_an_operator_sees_what_is_open(refund: Running) -> None:
    tour = Tour(refund)
    ticket = tour.ticket()
    await ticket.paid()
    await tour.tell(tour.cancelled())
    async with refund.database.transaction() as tx:
        await campaign_watch.measure(tx)
    page = (await refund.client.get("/metrics")).text
    values = {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in page.splitlines() if line[0] != "#"}
    assert values['refund_campaign_items{state="queued"}'] >= 1
    assert values['refund_campaign_items{state="blocked_by_dispute"}'] == 0
    assert values["refund_campaign_oldest_unfinished_seconds"] > 0


async def _refund_by_staff(refund: Running, ticket: Ticket) -> Any:
    return await refund.client.post(
        "/refunds",
        json={"booking_id": str(ticket.booking_id), "reason": "goodwill"},
        headers={**refund.staff("refunder"), "Idempotency-Key": uuid4().hex},
    )


async def _audited(refund: Running, tour: Tour) -> list[tuple[str, str, Any]]:
    rows = table(AuditRow)
    async with refund.database.transaction() as tx:
        found = await tx.execute(
            select(rows.c.action, rows.c.actor, rows.c.after)
            .where(rows.c.subject == f"refund-campaign/{tour.event_id}")
            .order_by(rows.c.seq)
        )
        return [(row.action, row.actor, row.after) for row in found]
