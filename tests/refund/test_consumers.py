import asyncio
from datetime import timedelta
from itertools import permutations
from uuid import uuid4

import pytest
from chassis.db import table
from contracts.booking import BookingPlaced, PolicyTier
from contracts.money import Money
from contracts.payment import PaymentRefunded, PaymentSucceeded
from contracts.refund import RefundApproved, RefundCompleted, RefundDeclined, RefundFailed
from refund.domain import Decision, decide
from refund.models import Booking, Refund
from refund.reads import TRACE
from sqlalchemy import select

from tests.support.service import Running, eventually
from tests.support.statements import statements_of

from .story import Story


async def money(story: Story) -> tuple[int, int, int]:
    """Promised by the booking's row, promised by the refunds' own sum, and what may still be refunded."""
    bookings, refunds = table(Booking), table(Refund)
    async with story.refund.database.transaction() as tx:
        booking = await tx.get(Booking, story.booking_id)
        given = await tx.execute(
            select(refunds.c.amount_minor).where(
                refunds.c.booking_id == story.booking_id, refunds.c.status.not_in(["failed", "declined"])
            )
        )
        assert booking is not None, bookings
        return booking.promised_minor, sum(given.scalars()), booking.remaining_minor


@pytest.mark.parametrize(
    ("before", "minor"), [(timedelta(hours=48), 1998), (timedelta(hours=47), 1000), (timedelta(hours=23), 0)]
)
async def test_a_cancelled_booking_is_refunded_by_its_policy(refund: Running, before: timedelta, minor: int) -> None:
    story = Story(refund, starts_in=before)
    await story.paid()
    await story.tell(story.cancelled())
    [said] = await story.said()
    [row] = await story.refunds()
    assert (row["amount"], row["ground"]) == ({"amount_minor": minor, "currency": "EUR"}, "policy")
    if minor:
        assert isinstance(said, RefundApproved)
        assert (said.amount, said.reason, said.payment_id) == (
            Money(minor, "EUR"),
            "customer_cancelled",
            story.payment_id,
        )
        assert row["status"] == "approved"
    else:
        assert isinstance(said, RefundDeclined)
        assert said.rule == "Cancelled less than 24 hours before the start: nothing is refunded."
        assert row["status"] == "declined"
    assert await money(story) == (minor, minor, 1998 - minor)


async def test_the_decision_comes_once_whatever_the_order(refund: Running) -> None:
    """Four facts in each of their 24 orders, told twice: one refund of the same amount."""
    for order in permutations(range(4)):
        story = Story(refund, starts_in=timedelta(hours=30))
        facts = [story.placed(), story.captured(), story.confirmed(), story.cancelled()]
        await story.tell(*(facts[index] for index in order), *(facts[index] for index in order))
        [said] = await story.said()
        assert isinstance(said, RefundApproved), order
        assert said.amount == Money(1000, "EUR"), order


async def test_facts_that_arrive_at_once_decide_once(refund: Running) -> None:
    stories = [Story(refund, starts_in=timedelta(hours=30)) for _ in range(10)]
    for story in stories:
        facts = [story.placed(), story.captured(), story.confirmed(), story.cancelled()]
        await asyncio.gather(*(refund.deliver(fact) for fact in facts), *(refund.deliver(fact) for fact in facts))
    for story in stories:
        assert (await story.says(RefundApproved)).amount == Money(1000, "EUR")
        assert len(await story.refunds()) == 1


async def test_the_same_event_twice_has_its_effect_once(refund: Running) -> None:
    story = Story(refund)
    await story.paid()
    event = story.cancelled()
    event_id = uuid4()
    await asyncio.gather(*(refund.deliver(event, event_id) for _ in range(5)))
    await story.says(RefundApproved)
    assert len(await story.refunds()) == 1


@pytest.mark.parametrize("was", ["pending_payment", "payment_authorized"])
async def test_what_is_captured_after_a_cancellation_goes_back_in_full(refund: Running, was: str) -> None:
    story = Story(refund, starts_in=timedelta(hours=1), fee_minor=500)
    await story.tell(story.placed(), story.cancelled(was=was))
    assert await story.said() == []
    await story.tell(story.captured())
    said = await story.says(RefundApproved)
    assert said.amount == story.total
    [row] = await story.refunds()
    assert row["ground"] == "never_confirmed"


async def test_a_cancelled_event_refunds_everything_whatever_the_policy(refund: Running) -> None:
    story = Story(refund, starts_in=timedelta(hours=1), tiers=(), fee_minor=500)
    await story.paid()
    await story.tell(story.cancelled(by="event"))
    said = await story.says(RefundApproved)
    assert (said.amount, said.reason) == (story.total, "event_cancelled")


@pytest.mark.parametrize("reason", ["sold_out", "booking_cancelled"])
async def test_a_captured_payment_without_seats_goes_back_in_full(refund: Running, reason: str) -> None:
    story = Story(refund, starts_in=timedelta(hours=1))
    await story.tell(story.placed(), story.captured(), story.seats_unavailable(reason))
    said = await story.says(RefundApproved)
    assert (said.amount, said.reason) == (story.total, "seats_unavailable")
    await story.tell(story.cancelled(was="pending_payment"))
    assert len(await story.refunds()) == 1


async def test_an_authorization_without_seats_is_voided_by_payment_not_refunded(refund: Running) -> None:
    story = Story(refund)
    await story.tell(story.placed(), story.seats_unavailable())
    assert await story.said() == []


async def test_a_free_booking_has_nothing_to_refund(refund: Running) -> None:
    story = Story(refund, prices=(0,))
    await story.tell(story.placed(), story.confirmed(free=True), story.cancelled())
    assert await story.said() == []


async def test_the_instant_of_the_request_counts_not_that_of_its_arrival(refund: Running) -> None:
    """The request came exactly 48 hours ahead; its event was a day in the queue."""
    story = Story(refund, starts_in=timedelta(hours=24))
    await story.paid()
    await story.tell(story.cancelled(received_at=story.now - timedelta(hours=24)))
    assert (await story.says(RefundApproved)).amount == story.total


async def test_the_stored_trace_makes_the_same_decision_again(refund: Running) -> None:
    story = Story(refund, starts_in=timedelta(hours=30), prices=(999, 1, 3333), fee_minor=123)
    await story.paid()
    await story.tell(story.cancelled())
    await story.says(RefundApproved)
    async with refund.database.transaction() as tx:
        rows = table(Refund)
        trace = (await tx.execute(select(rows.c.trace).where(rows.c.booking_id == story.booking_id))).scalar_one()
    stored: Decision = TRACE.validate_python(trace)
    assert decide(stored.case) == stored
    assert stored.amount_minor == 500 + 1 + 1667 - 123


async def test_an_accepted_refund_is_complete(refund: Running) -> None:
    story = Story(refund)
    await story.paid()
    await story.tell(story.cancelled())
    approved = await story.says(RefundApproved)
    await story.tell(story.refunded(approved))
    completed = await story.says(RefundCompleted)
    assert (completed.version, completed.amount, completed.reason) == (2, story.total, "customer_cancelled")
    [row] = await story.refunds()
    assert row["status"] == "succeeded"


@pytest.mark.parametrize("had_succeeded", [False, True])
async def test_a_failed_refund_may_be_refunded_anew(refund: Running, *, had_succeeded: bool) -> None:
    story = Story(refund)
    await story.paid()
    await story.tell(story.cancelled())
    approved = await story.says(RefundApproved)
    if had_succeeded:
        await story.tell(story.refunded(approved))
    await story.tell(story.refund_failed(approved, had_succeeded=had_succeeded))
    failed = await story.says(RefundFailed)
    assert (failed.version, failed.reason) == (3 if had_succeeded else 2, "expired_or_canceled_card")
    [row] = await story.refunds()
    assert (row["status"], row["failure"]) == ("failed", "expired_or_canceled_card")
    assert await money(story) == (0, 0, 1998)


async def test_a_late_failure_that_overtakes_the_success_is_final(refund: Running) -> None:
    story = Story(refund)
    await story.paid()
    await story.tell(story.cancelled())
    approved = await story.says(RefundApproved)
    await story.tell(story.refund_failed(approved, 4, had_succeeded=True), story.refunded(approved, 3))
    [row] = await story.refunds()
    assert row["status"] == "failed"
    assert [type(said) for said in await story.said()] == [RefundApproved, RefundFailed]


async def test_a_rejected_refund_fails_and_what_payment_says_is_left_counts(refund: Running) -> None:
    """Somebody refunded 15.00 at the provider by hand: 4.98 is left, and that is what can be refunded."""
    story = Story(refund)
    await story.paid()
    await story.tell(story.cancelled())
    approved = await story.says(RefundApproved)
    await story.tell(story.refund_rejected(approved, remaining_minor=498))
    assert (await story.says(RefundFailed)).reason == "not_enough_left"
    assert await money(story) == (0, 0, 498)
    assert (await story.quote())["remaining"]["amount_minor"] == 498


async def test_a_refund_of_another_amount_than_decided_is_parked(refund: Running) -> None:
    story = Story(refund)
    await story.paid()
    await story.tell(story.cancelled())
    approved = await story.says(RefundApproved)
    before = await refund.parked(PaymentRefunded)
    await refund.deliver(story.refunded(approved, amount=Money(1, "EUR")))
    await eventually(lambda: _more_parked(refund, PaymentRefunded, before))
    [row] = await story.refunds()
    assert row["status"] == "approved"


@pytest.mark.parametrize("amount", [Money(1997, "EUR"), Money(1998, "USD")])
async def test_a_capture_of_something_else_than_was_owed_is_parked(refund: Running, amount: Money) -> None:
    story = Story(refund)
    await story.tell(story.placed())
    before = await refund.parked(PaymentSucceeded)
    await refund.deliver(story.captured(amount=amount))
    await eventually(lambda: _more_parked(refund, PaymentSucceeded, before))
    assert (await story.quote())["state"] == "unpaid"


async def test_a_second_payment_of_a_booking_is_parked(refund: Running) -> None:
    story = Story(refund)
    await story.paid()
    before = await refund.parked(PaymentSucceeded)
    await refund.deliver(story.captured(payment_id=uuid4()))
    await eventually(lambda: _more_parked(refund, PaymentSucceeded, before))


async def test_a_booking_with_a_policy_that_contradicts_itself_is_parked(refund: Running) -> None:
    story = Story(refund, tiers=(PolicyTier(hours_before=1, percent=10), PolicyTier(hours_before=2, percent=20)))
    before = await refund.parked(BookingPlaced)
    await refund.deliver(story.placed())
    await eventually(lambda: _more_parked(refund, BookingPlaced, before))


async def test_a_consumed_event_is_at_most_four_statements(refund: Running) -> None:
    """Also where an earlier refund has to be looked up, and where a refund fails."""
    story = Story(refund)
    await story.paid()
    answer = await refund.client.post(
        "/refunds",
        json={"booking_id": str(story.booking_id), "reason": "goodwill"},
        headers={**refund.staff("refunder"), "Idempotency-Key": uuid4().hex},
    )
    assert answer.status_code == 201
    approved = await story.says(RefundApproved)
    with statements_of(refund.app.state.database) as statements:
        await story.tell(story.cancelled(), story.refund_failed(approved))
        await story.says(RefundFailed)
    consuming = [number for number, statement in statements if "INSERT INTO inbox" in statement]
    each = [sum(other == number for other, _ in statements) for number in consuming]
    assert len(each) == 2
    assert max(each) == 4


async def _more_parked(refund: Running, event: type, before: int) -> bool:
    return await refund.parked(event) > before
