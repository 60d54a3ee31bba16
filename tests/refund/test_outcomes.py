"""What payment tells of a refund: every status, in the order of the news and against it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from contracts.event import Event
from contracts.money import Money
from contracts.refund import RefundApproved, RefundCompleted, RefundFailed
from refund import watch
from refund.domain import TRANSITIONS, Status, Trigger, decide
from refund.metrics import ACCEPTED_SECONDS, AMOUNT_MINOR, OLDEST_SECONDS, OVERPAID, UNFINISHED
from refund.reads import TRACE

from tests.support.service import Running

from .story import Story
from .test_staff import act, ask, settle


async def begun(refund: Running, **other: Any) -> tuple[Story, RefundApproved]:
    """A booking that was paid and cancelled, and its refund."""
    story = Story(refund, **other)
    await story.paid()
    await story.tell(story.cancelled())
    return story, await story.says(RefundApproved)


async def status(story: Story) -> dict[str, Any]:
    """Of the booking's newest refund, as its holder sees it."""
    answer = await story.refund.client.get(
        "/refunds/status", params={"booking_id": str(story.booking_id)}, headers=story.refund.holder(story.booking_id)
    )
    assert answer.status_code == 200, answer.text
    newest: dict[str, Any] = answer.json()["refunds"][0]
    return newest


async def newest(story: Story) -> dict[str, Any]:
    return (await story.refunds())[0]


# --- on its way


async def test_a_refund_is_followed_through_all_that_it_waits_for(refund: Running) -> None:
    story, approved = await begun(refund)
    seen = [(await status(story))["state"]]
    for version, why in enumerate(("provider", "balance", "customer_action", "unknown", "unknown", "provider"), 3):
        await story.tell(story.refund_pending(approved, why, version))
        row = await newest(story)
        assert (row["status"], row["waiting_for"]) == ("unknown" if why == "unknown" else "pending", why)
        seen.append((await status(story))["state"])
    await story.tell(story.refund_pending(approved, "balance", 3), story.refunded(approved, 20))
    seen.append((await status(story))["state"])
    assert len(set(seen)) == 6, "in words of its own each"
    row = await newest(story)
    assert (row["status"], row["waiting_for"]) == ("succeeded", None)
    assert [type(said) for said in await story.said()] == [RefundApproved, RefundCompleted]


async def test_since_when_it_waits_does_not_move_while_it_waits(refund: Running) -> None:
    story, approved = await begun(refund)
    await story.tell(story.refund_pending(approved, "provider", 3))
    since = (await status(story))["since"]
    await story.tell(story.refund_pending(approved, "balance", 4))
    assert (await status(story))["since"] == since


TOLD_BY_PAYMENT = {
    Trigger.PROVIDER_WAITS: lambda story, approved, version: story.refund_pending(approved, "balance", version),
    Trigger.NO_ANSWER: lambda story, approved, version: story.refund_pending(approved, "unknown", version),
    Trigger.DISPUTED: lambda story, approved, version: story.refund_blocked(approved, version),
    Trigger.REFUNDED: lambda story, approved, version: story.refunded(approved, version),
    Trigger.REFUND_FAILED: lambda story, approved, version: story.refund_failed(approved, version),
    Trigger.REJECTED: lambda story, approved, version: story.refund_rejected(approved, 0, version),
}
ON_ITS_WAY = {
    Status.APPROVED: None,
    Status.PENDING: Trigger.PROVIDER_WAITS,
    Status.UNKNOWN: Trigger.NO_ANSWER,
    Status.BLOCKED_BY_DISPUTE: Trigger.DISPUTED,
}


@pytest.mark.parametrize("status", ON_ITS_WAY)
async def test_whatever_it_waits_for_all_that_payment_may_tell_moves_it_on(refund: Running, status: Status) -> None:
    """Every row of the table that payment's events move, by those events."""
    for trigger, event_of in TOLD_BY_PAYMENT.items():
        story, approved = await begun(refund)
        if (before := ON_ITS_WAY[status]) is not None:
            await story.tell(TOLD_BY_PAYMENT[before](story, approved, 3))
        assert (await newest(story))["status"] == status
        await story.tell(event_of(story, approved, 4))
        assert (await newest(story))["status"] == TRANSITIONS[status, trigger]


# --- disputes


async def test_a_dispute_blocks_and_when_it_is_won_the_refund_goes_on(refund: Running) -> None:
    story, approved = await begun(refund)
    await story.tell(story.dispute_opened(3), story.refund_blocked(approved, 4))
    assert (await newest(story))["status"] == "blocked_by_dispute"
    assert "bank is looking into" in (await status(story))["state"]
    await story.tell(story.dispute_closed("won", 5))
    assert (await newest(story))["status"] == "approved"
    await story.tell(story.refunded(approved, 6))
    assert [type(said) for said in await story.said()] == [RefundApproved, RefundCompleted]


async def test_a_dispute_of_a_payment_that_was_rejected_in_review_is_none_of_ours(refund: Running) -> None:
    """Its capture was never told: nothing waits for it, and nothing is kept."""
    story = Story(refund)
    await story.tell(story.placed())
    await story.tell(story.dispute_opened(3, rejected_in_review=True))
    await story.tell(story.dispute_closed("lost", rejected_in_review=True))
    row = await story.row()
    assert (row.dispute_id, row.lost_minor, row.captured_minor) == (None, 0, None)


@pytest.mark.parametrize("outcome", ["pending", "unknown", "refunded", "failed"])
async def test_what_follows_a_won_dispute_may_overtake_the_news_of_it(refund: Running, outcome: str) -> None:
    story, approved = await begun(refund)
    await story.tell(story.dispute_opened(3), story.refund_blocked(approved, 4))
    news: dict[str, tuple[Event, str]] = {
        "pending": (story.refund_pending(approved, "provider", 6), "pending"),
        "unknown": (story.refund_pending(approved, "unknown", 6), "unknown"),
        "refunded": (story.refunded(approved, 6), "succeeded"),
        "failed": (story.refund_failed(approved, 6), "failed"),
    }
    event, reached = news[outcome]
    await story.tell(event, story.dispute_closed("won", 5), story.refund_blocked(approved, 4), story.dispute_opened(3))
    assert (await newest(story))["status"] == reached
    assert (await story.row()).dispute_id is None


async def test_the_news_that_it_is_blocked_may_come_after_the_dispute_is_over(refund: Running) -> None:
    story, approved = await begun(refund)
    await story.tell(story.dispute_closed("won", 5), story.dispute_opened(3), story.refund_blocked(approved, 4))
    assert (await newest(story))["status"] == "approved"
    await story.tell(story.refund_blocked(approved, 7))
    assert (await newest(story))["status"] == "blocked_by_dispute"


@pytest.mark.parametrize("lost_first", [True, False])
async def test_a_lost_dispute_takes_the_money_and_ends_the_refund(refund: Running, *, lost_first: bool) -> None:
    story, approved = await begun(refund)
    await story.tell(story.dispute_opened(3), story.refund_blocked(approved, 4))
    news: list[Event] = [story.dispute_closed("lost", 5), story.refund_rejected(approved, 0, 6)]
    await story.tell(*(news if lost_first else reversed(news)))
    assert (await story.says(RefundFailed)).reason == "dispute_lost"
    booking = await story.row()
    assert (booking.remaining_minor, booking.lost_minor, booking.unavailable_minor) == (0, 1998, 0)
    shown = await status(story)
    assert (shown["state"], shown["can_choose_payout"]) == ("Your bank has given this money back to you itself.", False)


async def test_a_dispute_that_took_a_part_does_not_end_what_the_buyer_is_owed(refund: Running) -> None:
    """Of 19.98 it took 5.00: the refund of all is more than is left, a smaller one goes on."""
    story, approved = await begun(refund)
    part = {"amount": Money(500, "EUR")}
    await story.tell(story.dispute_opened(3, **part), story.refund_blocked(approved, 4))
    await story.tell(story.dispute_closed("lost", 5, **part), story.refund_rejected(approved, 1498, 6))
    assert (await story.says(RefundFailed)).reason == "not_enough_left"
    assert "staff look into it" in (await status(story))["state"]
    assert (await story.row()).remaining_minor == 1498
    one = Story(refund)
    await one.paid()
    assert (await ask(one, amount_minor=1000)).status_code == 201
    approved = await one.says(RefundApproved)
    await one.tell(one.dispute_opened(3, **part), one.refund_blocked(approved, 4))
    await one.tell(one.dispute_closed("lost", 5, **part), one.refund_pending(approved, "provider", 6))
    assert (await newest(one))["status"] == "pending"
    await one.tell(one.refunded(approved, 7))
    assert ((await newest(one))["status"], (await one.row()).remaining_minor) == ("succeeded", 498)


@pytest.mark.parametrize("in_order", [True, False])
async def test_a_bank_that_decides_anew_takes_what_it_took_once_or_not_at_all(
    refund: Running, *, in_order: bool
) -> None:
    """Lost twice is lost once, and what is won in the end is there again: the newest word counts, whatever comes last."""
    story = Story(refund, prices=(2000, 3000))
    await story.paid()
    part = {"amount": Money(2000, "EUR")}
    words: list[Event] = [
        story.dispute_opened(3, **part),
        story.dispute_closed("lost", 4, **part),
        story.dispute_opened(5, **part),
        story.dispute_closed("lost", 6, **part),
    ]
    await story.tell(*(words if in_order else reversed(words)))
    booking = await story.row()
    assert (booking.lost_minor, booking.remaining_minor, booking.dispute_id) == (2000, 3000, None)
    other = {"dispute_id": uuid4(), "amount": Money(500, "EUR")}
    await story.tell(story.dispute_opened(7, **other), story.dispute_closed("lost", 8, **other))
    assert (await story.row()).remaining_minor == 2500, "another dispute takes its own"
    words = [story.dispute_opened(9, **part), story.dispute_closed("won", 10, **part)]
    await story.tell(*(words if in_order else reversed(words)))
    booking = await story.row()
    assert (booking.lost_minor, booking.remaining_minor, booking.dispute_id) == (500, 4500, None)


async def test_a_dispute_in_another_currency_counts_as_all_that_was_paid(refund: Running) -> None:
    story = Story(refund, prices=(5000,))
    await story.paid()
    settled = {"amount": Money(900, "GBP")}
    await story.tell(story.dispute_opened(3, **settled), story.dispute_closed("lost", 4, **settled))
    assert (await story.row()).lost_minor == 5000


@pytest.mark.parametrize("ended", ["won", "lost"])
async def test_a_booking_is_disputed_until_the_last_of_its_disputes_is_closed(refund: Running, ended: str) -> None:
    story, approved = await begun(refund, prices=(40_000, 30_000))
    second = {"dispute_id": uuid4(), "amount": Money(1000, "EUR")}
    await story.tell(story.dispute_opened(3), story.refund_blocked(approved, 4), story.dispute_opened(5, **second))
    await story.tell(story.dispute_closed(ended, 6, **second))
    assert (await newest(story))["status"] == "blocked_by_dispute"
    assert (await story.row()).dispute_id == story.dispute_id
    await story.tell(story.dispute_closed("won", 7))
    assert (await story.row()).dispute_id is None
    assert (await newest(story))["status"] == "approved"


async def test_while_disputed_staff_refund_only_with_override(refund: Running) -> None:
    story = Story(refund, prices=(70_000,))
    await story.paid()
    awaiting = (await ask(story, amount_minor=60_000)).json()
    await story.tell(story.dispute_opened(3))
    refused = await ask(story, amount_minor=1000)
    assert (refused.status_code, refused.json()["state"]) == (409, "disputed")
    assert refused.json()["remaining"] == {"amount_minor": 10_000, "currency": "EUR"}
    assert (await act(story, awaiting["id"], "approve")).json()["state"] == "disputed"
    assert (await act(story, awaiting["id"], "decline")).status_code == 200
    assert (await ask(story, role="manager", override=True, amount_minor=1000)).status_code == 201
    await story.tell(story.dispute_closed("won", 4))
    assert (await ask(story, amount_minor=1000)).status_code == 201


async def test_a_blocked_refund_is_settled_by_hand_and_later_news_about_it_changes_nothing(refund: Running) -> None:
    story, approved = await begun(refund)
    await story.tell(story.dispute_opened(3), story.refund_blocked(approved, 4))
    overpaid = OVERPAID._value.get()
    assert (await settle(story, str(approved.refund_id))).json()["status"] == "settled_manually"
    await story.tell(story.refund_pending(approved, "provider", 5), story.refund_rejected(approved, 0, 6))
    await story.tell(story.refund_failed(approved, 7), story.refund_blocked(approved, 8))
    assert (await newest(story))["status"] == "settled_manually"
    assert (await story.row()).promised_minor == 1998
    await story.tell(story.refunded(approved, 9))
    assert OVERPAID._value.get() == overpaid + 1


# --- made outside


async def test_a_refund_made_at_the_provider_is_one_of_ours(refund: Running) -> None:
    story = Story(refund)
    await story.tell(story.placed(), story.captured())
    made = story.refunded_outside(500)
    await story.tell(made, story.refunded_outside(500, refund_id=made.refund_id))
    completed = await story.says(RefundCompleted)
    assert (completed.refund_id, completed.reason, completed.version) == (made.refund_id, "made_outside", 1)
    row = await newest(story)
    assert (row["status"], row["ground"], row["reason"]) == ("succeeded", "outside", "made_outside")
    trace = TRACE.validate_python(row["trace"])
    assert decide(trace.case) == trace
    assert (await story.quote())["remaining"]["amount_minor"] == 1498
    await story.tell(story.cancelled())
    assert (await story.says(RefundApproved)).amount.amount_minor == 1498
    failed = story.refund_failed(RefundApproved(**(made.model_dump() | {"reason": "other"})), 9, had_succeeded=True)
    await story.tell(failed)
    booking = await story.row()
    assert (booking.remaining_minor, booking.outside_minor, booking.promised_minor) == (500, 0, 1498)
    assert (await act(story, str(made.refund_id), "retry")).json()["state"] == "made_outside"


@pytest.mark.parametrize("rejected_first", [True, False])
async def test_what_was_made_outside_may_exceed_what_we_thought_was_left(
    refund: Running, *, rejected_first: bool
) -> None:
    """All was promised when somebody gave back 15.00 at the provider: payment rejects ours, and 4.98 is left, in either order."""
    story, approved = await begun(refund)
    news: list[Event] = [story.refunded_outside(1500, 3), story.refund_rejected(approved, 498, 4)]
    if rejected_first:
        news.reverse()
    await story.tell(news[0])
    assert (await story.row()).remaining_minor >= 0
    await story.tell(news[1])
    booking = await story.row()
    assert (booking.promised_minor, booking.remaining_minor, booking.unavailable_minor) == (1500, 498, 0)
    assert (await story.quote())["remaining"]["amount_minor"] == 498
    assert (await ask(story)).json()["amount"]["amount_minor"] == 498


# --- what an operator sees


async def test_an_operator_sees_what_is_unfinished_and_how_long_acceptance_took(refund: Running) -> None:
    amount = AMOUNT_MINOR.labels("succeeded", "EUR")._value.get()
    accepted = ACCEPTED_SECONDS._sum.get()
    story = Story(refund)
    await story.paid()
    await story.tell(story.cancelled(received_at=story.now - timedelta(hours=2)))
    approved = await story.says(RefundApproved)
    async with refund.database.transaction() as tx:
        await watch.measure(tx)
    assert UNFINISHED.labels("approved")._value.get() >= 1
    created = datetime.fromisoformat((await newest(story))["created_at"])
    assert OLDEST_SECONDS.labels("approved")._value.get() >= (tx.now - created).total_seconds()
    await story.tell(story.refunded(approved))
    assert AMOUNT_MINOR.labels("succeeded", "EUR")._value.get() == amount + 1998
    assert ACCEPTED_SECONDS._sum.get() - accepted >= timedelta(hours=2).total_seconds()
