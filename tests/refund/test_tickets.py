"""Tickets given back one after the other, and events that move: what refund makes of the news, in whatever order it comes."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import permutations
from uuid import uuid4

import pytest
from chassis.db import table
from contracts.money import Money
from contracts.payment import BalanceRead
from contracts.refund import RefundApproved, RefundDeclined
from refund.domain import decide
from refund.models import Balance, Refund
from refund.reads import TRACE
from sqlalchemy import select

from tests.support.service import Running

from .story import Story
from .test_staff import ask


async def approved(story: Story) -> list[int]:
    return [said.amount.amount_minor for said in await story.said() if isinstance(said, RefundApproved)]


async def test_tickets_then_the_rest_add_up_to_the_last_unit(refund: Running) -> None:
    """Two partial cancellations and the booking's end at 50 % less a fee that is kept once; then a manager gives back the rest."""
    story = Story(refund, prices=(999, 333, 1, 2501), starts_in=timedelta(hours=30), fee_minor=100)
    await story.paid()
    await story.tell(story.tickets_cancelled(1), story.tickets_cancelled(2, 0, version=5), story.cancelled(lines=(3,)))
    assert await approved(story) == [167 - 100, 500 + 1, 1251]
    assert [said.reason for said in await story.said()] == ["customer_cancelled"] * 3
    body = {"booking_id": str(story.booking_id), "reason": "goodwill", "override": True}
    headers = {**refund.staff("manager"), "Idempotency-Key": uuid4().hex}
    assert (await refund.client.post("/refunds", json=body, headers=headers)).status_code == 201
    rows = await story.refunds()
    assert sum(row["amount"]["amount_minor"] for row in rows) == story.total.amount_minor
    for line in rows[0]["trace"]["case"]["lines"]:
        shares = [share for row in rows for share in row["trace"]["lines"] if share["line_id"] == line["line_id"]]
        assert sum(share["refund_minor"] for share in shares) == line["gross_minor"]
        assert sum(share["refund_tax_minor"] for share in shares) == line["tax_minor"]
    async with refund.database.transaction() as tx:
        traces = await tx.execute(select(table(Refund).c.trace).where(table(Refund).c.booking_id == story.booking_id))
        for trace in traces.scalars():
            decision = TRACE.validate_python(trace)
            assert decide(decision.case) == decision


async def test_tickets_are_decided_on_once_in_any_order_of_the_news(refund: Running) -> None:
    for order in permutations(range(4)):
        story = Story(refund, prices=(1000, 600), starts_in=timedelta(hours=30), fee_minor=100)
        facts = [story.placed(), story.captured(), story.tickets_cancelled(0), story.cancelled(lines=(1,))]
        await story.tell(*(facts[index] for index in order), *(facts[index] for index in order[:1]))
        assert sorted(await approved(story)) in ([300, 400], [200, 500]), order
        booking = await story.row()
        assert (booking.promised_minor, booking.undecided) == (700, []), order


async def test_a_partial_cancellation_that_the_fee_eats_is_declined_and_the_booking_goes_on(refund: Running) -> None:
    story = Story(refund, prices=(100, 5000), fee_minor=300)
    await story.paid()
    await story.tell(story.tickets_cancelled(0))
    await story.says(RefundDeclined)
    assert (await story.quote())["amount"]["amount_minor"] == 5000 - 200
    assert (await story.row()).decided_at is None


async def test_a_quote_for_some_tickets_is_kept_and_the_rest_is_quoted_without_them(refund: Running) -> None:
    story = Story(refund, prices=(999, 501), starts_in=timedelta(hours=30), fee_minor=50)
    await story.paid()
    holder = refund.holder(story.booking_id)
    asked: dict[str, object] = {"booking_id": str(story.booking_id), "line_ids": [str(story.line_ids[1])]}
    quote = (await refund.client.get("/refunds/quote", params=asked, headers=holder)).json()
    assert (quote["amount"]["amount_minor"], len(quote["lines"])) == (251 - 50, 1)
    await story.tell(story.tickets_cancelled(1))
    assert (await story.refunds())[0]["trace"]["lines"] == quote["lines"]
    assert (await story.quote())["amount"]["amount_minor"] == 500
    again = await refund.client.get("/refunds/quote", params=asked, headers=holder)
    assert (again.status_code, again.json()["errors"][0]["field"]) == (422, "line_ids")


@pytest.mark.parametrize("news_first", [True, False])
async def test_an_event_that_moved_counts_to_the_better_start(refund: Running, *, news_first: bool) -> None:
    story = Story(refund, starts_in=timedelta(hours=30))
    moved = story.rescheduled(timedelta(hours=60))
    paid = [story.placed(), story.captured(), story.confirmed()]
    await story.tell(*([moved, *paid] if news_first else [*paid, moved]))
    quote = await story.quote()
    assert (quote["percent"], datetime.fromisoformat(quote["moved_to"])) == (100, story.now + timedelta(hours=60))
    await story.tell(story.cancelled())
    assert await approved(story) == [1998]


H = timedelta(hours=1)
MOVES = {  # when the event was to start, what the cancellation states of its dates, what the news of a move says, percent back
    "it starts later, which is better": (30 * H, (60 * H, None), (60 * H, None), 100),
    "it gives everything back for a while": (10 * H, (10 * H, 99 * H), (10 * H, 99 * H), 100),
    "it was moved after the cancellation": (30 * H, (30 * H, None), (60 * H, 99 * H), 50),
}


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("case", MOVES)
async def test_a_cancellation_goes_by_the_dates_that_it_states(refund: Running, case: str, *, whole: bool) -> None:
    """The news of a move comes before or after: it decides nothing, be the move older than the cancellation or newer."""
    starts_in, stated, told, percent = MOVES[case]
    for news_first in (True, False):
        story = Story(refund, prices=(1000, 1000), starts_in=starts_in)
        await story.paid()
        dates = story.dates(*stated)
        news = [
            story.rescheduled(*told),
            story.cancelled(dates=dates) if whole else story.tickets_cancelled(0, dates=dates),
        ]
        await story.tell(*(news if news_first else reversed(news)))
        assert await approved(story) == [(2000 if whole else 1000) * percent // 100]
        if whole:
            assert (await ask(story, amount_minor=1)).status_code == 409, "staff go by the same dates"


async def test_a_cancellation_that_waits_for_the_payment_keeps_the_dates_that_it_states(refund: Running) -> None:
    story = Story(refund, prices=(1000, 1000), starts_in=timedelta(hours=30))
    dates = story.dates(timedelta(hours=60))
    await story.tell(story.tickets_cancelled(0, dates=dates), story.cancelled(lines=(1,), dates=dates))
    await story.tell(story.rescheduled(timedelta(hours=1)), story.placed(), story.captured())
    assert await approved(story) == [1000, 1000]


async def test_a_window_stays_open_when_the_event_is_moved_again_and_old_news_changes_nothing(refund: Running) -> None:
    story = Story(refund, starts_in=timedelta(hours=2))
    await story.paid()
    await story.tell(
        story.rescheduled(timedelta(hours=1), full_refund_for=timedelta(hours=20), version=3),
        story.rescheduled(timedelta(hours=1), version=4),
        story.rescheduled(timedelta(hours=99), version=2),
    )
    quote = await story.quote()
    assert (quote["percent"], datetime.fromisoformat(quote["moved_to"])) == (100, story.now + timedelta(hours=1))
    assert quote["full_refund_until_local"] in quote["rule"]
    await story.tell(story.cancelled())
    assert await approved(story) == [1998]


async def test_the_latest_balance_of_each_currency_is_kept(refund: Running) -> None:
    account, now = uuid4(), Story(refund).now

    def read(minor: int, hours: int) -> BalanceRead:
        available = (Money(minor, "EUR"), Money(-7, "JPY"))
        at = now + timedelta(hours=hours)
        return BalanceRead(version=hours, occurred_at=at, account_id=account, provider="stripe", available=available)

    for balance in (read(500, 2), read(100, 1), read(-20, 3)):
        await refund.deliver_and_wait(balance)
    async with refund.database.transaction() as tx:
        rows = (await tx.execute(select(table(Balance)).order_by(table(Balance).c.currency))).all()
    assert [(row.provider, row.currency, row.available_minor) for row in rows] == [
        ("stripe", "EUR", -20),
        ("stripe", "JPY", -7),
    ]
