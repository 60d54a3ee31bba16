"""Disputes: refunds wait for them, go on when they are won and end when they are lost; money never goes back twice unseen."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from chassis.metrics import REGISTRY
from contracts.money import Money
from contracts.payment import (
    DisputeClosed,
    DisputeOpened,
    PaymentRefundBlocked,
    PaymentRefunded,
    PaymentRefundedOutside,
    PaymentRefundFailed,
    PaymentRefundPending,
    PaymentRefundRejected,
)
from payment.dispute_states import DisputeFact, DisputeStatus, Told, dispute_status, disputed_of, double_return, told
from payment.disputes import apply_dispute, revision_of
from payment.gateways import Movement
from payment.models import Dispute, Payment, Refund
from sqlalchemy import select

from tests.payment.shop import Shop
from tests.payment.test_outcomes import paid, twice
from tests.payment.test_refunds import approved, paid_with
from tests.support.service import as_role, eventually

INQUIRY, OPEN, WON, LOST = DisputeStatus
OPENED, CLOSED = Told


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        (None, [(), (OPENED,), (), (OPENED, CLOSED)]),
        (INQUIRY, [(), (OPENED,), (), (OPENED, CLOSED)]),
        (OPEN, [(), (), (CLOSED,), (CLOSED,)]),
        (WON, [(), (OPENED,), (), (OPENED, CLOSED)]),
        (LOST, [(), (OPENED,), (OPENED, CLOSED), ()]),
    ],
)
def test_what_is_told_of_every_change(before: DisputeStatus | None, expected: list[tuple[Told, ...]]) -> None:
    """Opened and closed alternate, whatever was missed in between; what is told as lost was told as opened."""
    assert [told(before, after) for after in DisputeStatus] == expected


def test_what_was_prevented_is_lost_only_where_it_was_taken() -> None:
    assert dispute_status(DisputeFact.PREVENTED, is_withdrawn=True) is LOST
    assert dispute_status(DisputeFact.PREVENTED, is_withdrawn=False) is WON
    for fact in set(DisputeFact) - {DisputeFact.PREVENTED}:
        assert dispute_status(fact, is_withdrawn=True).value == fact.value


def test_what_disputes_leave() -> None:
    """Refunds, reserves and disputes never come to more than was captured; what did go back twice has a figure."""
    for refunded in range(6):
        for reserved in range(6 - refunded):
            for withdrawn in range(7):
                taken = disputed_of(5, refunded, reserved, withdrawn, is_open=False)
                assert 0 <= taken <= withdrawn
                assert refunded + reserved + taken <= 5
                assert disputed_of(5, refunded, reserved, withdrawn, is_open=True) == 0
                assert double_return(5, refunded, withdrawn) == max(0, refunded + withdrawn - 5)


async def row(shop: Shop, ref: str) -> Dispute | None:
    async with shop.service.database.transaction() as tx:
        return (await tx.scalars(select(Dispute).where(Dispute.provider_ref == ref))).one_or_none()


async def test_a_refund_waits_for_the_dispute_and_goes_on_when_it_is_won(shop: Shop) -> None:
    """By webhooks alone, from the test card to the refund that is made once."""
    payment = await paid_with(shop, "pm_card_createDisputeProductNotReceived")

    async def opened() -> list[Any]:
        return await shop.told(payment, DisputeOpened)

    [event] = await eventually(opened)
    assert (event.reason, event.amount) == ("product_not_received", Money(5000, "EUR"))
    assert event.respond_by is not None
    refund_id = await shop.approve_refund(payment, 5000)
    refund = await shop.refund(refund_id)
    assert (refund.status, refund.next_check_at) == ("blocked", None)
    [blocked] = await shop.told(payment, PaymentRefundBlocked)
    assert (blocked.refund_id, blocked.dispute_id) == (refund_id, event.dispute_id)
    assert (await shop.payment(payment.booking_id)).reserved_minor == 5000
    answer = await shop.service.client.get("/disputes?status=open&limit=1", headers=shop.service.staff("viewer"))
    [shown] = answer.json()["disputes"]
    assert (shown["id"], shown["withdrawn_minor"]) == (str(event.dispute_id), 5000)
    await shop.decide_dispute(shown["provider_ref"], "won")
    await shop.refund_in_status(refund_id, "succeeded")
    [closed] = await shop.told(payment, DisputeClosed)
    assert (closed.dispute_id, closed.outcome) == (event.dispute_id, "won")
    assert len((await shop.made("refund_id", refund_id))["refund"]) == 1

    async def reinstated() -> bool:
        return "disputes" not in await shop.balances(payment)

    await eventually(reinstated)  # the bank's money comes after its word
    balances = await shop.balances(payment)
    assert balances["provider:EUR"] == -balances["provider_fees"]
    assert balances["refunds"] == 5000


@pytest.mark.parametrize(("amount", "left"), [(None, 0), (2000, 3000)])
async def test_what_the_bank_took_cannot_be_refunded_once_more(still_shop: Shop, amount: int | None, left: int) -> None:
    """Lost: what waited is rejected with what remains, and no refund takes more than that."""
    payment = await paid(still_shop)
    ref = await still_shop.dispute(payment, **({"amount": amount} if amount else {}))
    await still_shop.look_at_dispute(ref)
    refund_id = await still_shop.approve_refund(payment, 4000)
    await still_shop.decide_dispute(ref, "lost")
    await still_shop.look_at_dispute(ref)
    [rejected] = await still_shop.told(payment, PaymentRefundRejected)
    assert (rejected.refund_id, rejected.remaining) == (refund_id, Money(left, "EUR"))
    [closed] = await still_shop.told(payment, DisputeClosed)
    assert closed.outcome == "lost"
    assert (await still_shop.refund(refund_id)).failure_code == "dispute_lost"
    payment = await still_shop.payment(payment.booking_id)
    assert (payment.reserved_minor, payment.refundable_minor) == (0, left)
    await still_shop.tell(approved(payment, left + 1))
    rejected = (await still_shop.told(payment, PaymentRefundRejected))[-1]
    assert rejected.remaining == Money(left, "EUR")
    balances = await still_shop.balances(payment)
    assert (balances["disputes"], "refunds" in balances) == (amount or 5000, False)
    assert balances["provider:EUR"] == 5000 - (amount or 5000) - balances["provider_fees"]


async def test_what_a_lost_dispute_left_is_refunded_to_who_waited_first(still_shop: Shop) -> None:
    """20.00 of 50.00 are gone: of 25.00, 10.00 and 5.00 that wait, the second is more than is left."""
    payment = await paid(still_shop)
    ref = await still_shop.dispute(payment, amount=2000)
    await still_shop.look_at_dispute(ref)
    refund_ids = [await still_shop.approve_refund(payment, amount) for amount in (2500, 1000, 500)]
    await still_shop.decide_dispute(ref, "lost")
    await still_shop.look_at_dispute(ref)
    refunds = [await still_shop.refund(refund_id) for refund_id in refund_ids]
    assert [refund.status for refund in refunds] == ["submitted", "failed", "submitted"]
    assert [told.refund_id for told in await still_shop.told(payment, PaymentRefundRejected)] == [refund_ids[1]]
    goes_on = [(told.refund_id, told.why) for told in await still_shop.told(payment, PaymentRefundPending)]
    assert goes_on == [(refund_ids[0], "provider"), (refund_ids[2], "provider")]
    payment = await still_shop.payment(payment.booking_id)
    assert (payment.reserved_minor, payment.disputed_minor, payment.refundable_minor) == (3000, 2000, 0)


async def test_what_the_provider_refuses_after_a_lost_dispute_is_owed_and_not_asked_for_again(still_shop: Shop) -> None:
    payment = await paid(still_shop)
    ref = await still_shop.dispute(payment, amount=2000)
    await still_shop.look_at_dispute(ref)
    refund_id = await still_shop.approve_refund(payment, 3000)
    await still_shop.decide_dispute(ref, "lost")
    await still_shop.look_at_dispute(ref)
    assert (await still_shop.advance_refund(refund_id)).status == "blocked"
    for _ in range(2):
        assert (await still_shop.advance_refund(refund_id)).status == "failed"
    [failed] = await still_shop.told(payment, PaymentRefundFailed)
    assert (failed.reason, failed.had_succeeded) == ("charge_disputed", False)
    assert not await still_shop.told(payment, PaymentRefundRejected)
    assert len([each for each in await still_shop.attempts(payment) if each.refund_id == refund_id]) == 1
    payment = await still_shop.payment(payment.booking_id)
    assert (payment.reserved_minor, payment.refundable_minor) == (0, 3000)
    assert "refunds" not in await still_shop.balances(payment)


async def test_a_dispute_that_is_won_does_not_give_back_what_another_took(still_shop: Shop) -> None:
    """The refund waits for the first; the second is lost meanwhile and took 40.00 of 50.00."""
    payment = await paid(still_shop)
    first = await still_shop.dispute(payment, amount=1000)
    await still_shop.look_at_dispute(first)
    refund_id = await still_shop.approve_refund(payment, 3000)
    view = await still_shop.gateway.fetch_dispute(first)
    second = replace(view, ref="du_second", fact=DisputeFact.LOST, amount=Money(4000, "EUR"), movements=())
    async with still_shop.service.database.transaction() as tx:
        assert await apply_dispute(tx, still_shop.gateway, second, 0) == "applied"
    assert (await still_shop.refund(refund_id)).status == "blocked"
    await still_shop.decide_dispute(first, "won")
    await still_shop.look_at_dispute(first)
    assert (await still_shop.refund(refund_id)).failure_code == "dispute_lost"
    [rejected] = await still_shop.told(payment, PaymentRefundRejected)
    assert rejected.remaining == Money(1000, "EUR")
    assert (await still_shop.payment(payment.booking_id)).double_return_minor == 0


async def test_a_movement_of_nothing_is_not_posted(still_shop: Shop) -> None:
    """A ledger without entries to write writes none."""
    payment = await paid(still_shop)
    ref = await still_shop.dispute(payment)
    view = await still_shop.gateway.fetch_dispute(ref)
    nothing = Movement("txn_nothing", Money(0, "EUR"), Money(0, "EUR"))
    async with still_shop.service.database.transaction() as tx:
        seen = replace(view, movements=(*view.movements, nothing))
        assert await apply_dispute(tx, still_shop.gateway, seen, 0) == "applied"
    assert (await still_shop.balances(payment))["disputes"] == 5000


async def test_the_database_refuses_to_give_back_what_a_dispute_took(still_shop: Shop) -> None:
    payment = await paid(still_shop)
    ref = await still_shop.dispute(payment)
    await still_shop.look_at_dispute(ref)
    await still_shop.decide_dispute(ref, "lost")
    await still_shop.look_at_dispute(ref)
    connection = await asyncpg.connect(as_role(still_shop.service.url, "payment").replace("+asyncpg", ""))
    try:
        for change, constraint in (
            ("reserved_minor = 1", "refunds_and_disputes_within_captured"),
            ("disputed_minor = 0, refunded_minor = 1", "twice_given_back_is_said"),
        ):
            with pytest.raises(asyncpg.CheckViolationError, match=constraint):
                await connection.execute(f"UPDATE payments SET {change} WHERE id = $1", payment.id)  # a list above
    finally:
        await connection.close()


async def test_a_dispute_fails_the_refund_that_is_pending(still_shop: Shop) -> None:
    """The provider takes it back; it waits, keeps its reserve, and is made anew when the dispute is won."""
    payment = await paid(still_shop)
    await still_shop.standin.control("PUT", "/refund-course", {"course": "succeeds_later", "after_seconds": 10**6})
    refund_id = await still_shop.approve_refund(payment, 5000)
    await still_shop.advance_refund(refund_id)
    ref = await still_shop.dispute(payment)
    refund = await still_shop.advance_refund(refund_id)
    assert (refund.status, refund.provider_ref, refund.blocked_by) == ("blocked", None, None)
    refund = await still_shop.advance_refund(refund_id)  # which dispute it is, it asks by itself
    [blocked] = await still_shop.told(payment, PaymentRefundBlocked)
    assert blocked.dispute_id == refund.blocked_by
    assert not await still_shop.told(payment, PaymentRefundFailed)
    assert (await still_shop.payment(payment.booking_id)).reserved_minor == 5000
    await still_shop.standin.control("PUT", "/refund-course", {"course": None})
    await still_shop.decide_dispute(ref, "won")
    await still_shop.look_at_dispute(ref)
    assert (await still_shop.advance_refund(refund_id)).status == "succeeded"
    made = (await still_shop.made("refund_id", refund_id))["refund"]
    assert sorted(refund["status"] for refund in made) == ["failed", "succeeded"]


async def test_one_made_by_hand_that_meets_a_dispute_is_not_made_anew(still_shop: Shop) -> None:
    """Nobody here decided it: it ends, and a dispute that is won does not bring it back."""
    payment = await paid(still_shop)
    await still_shop.standin.control("PUT", "/refund-course", {"course": "succeeds_later", "after_seconds": 10**6})
    await still_shop.standin.control("POST", "/refunds", {"payment_intent": payment.provider_ref, "amount": 1500})
    await still_shop.list_account()
    refund_id = await made_by_hand(still_shop, payment)
    ref = await still_shop.dispute(payment)
    await still_shop.look_at_dispute(ref)
    assert (await still_shop.advance_refund(refund_id)).status == "failed"
    await still_shop.decide_dispute(ref, "won")
    await still_shop.look_at_dispute(ref)
    assert (await still_shop.refund(refund_id)).status == "failed"
    assert not await still_shop.told(payment, PaymentRefundedOutside, PaymentRefundFailed, PaymentRefundBlocked)
    assert (await still_shop.payment(payment.booking_id)).refundable_minor == 5000


async def made_by_hand(shop: Shop, payment: Payment) -> UUID:
    async with shop.service.database.transaction() as tx:
        return (await tx.scalars(select(Refund).where(Refund.payment_id == payment.id))).one().id


@pytest.mark.parametrize("ended", [None, "won", "lost"])
async def test_a_refund_learns_of_a_dispute_by_its_refusal(still_shop: Shop, ended: str | None) -> None:
    """Without any webhook: refused as disputed, it asks which dispute, and does what follows from it."""
    payment = await paid(still_shop)
    refund_id = await still_shop.approve_refund(payment, 1000)
    ref = await still_shop.dispute(payment)
    assert (await still_shop.advance_refund(refund_id)).status == "blocked"
    if ended:
        await still_shop.decide_dispute(ref, ended)
    await still_shop.advance_refund(refund_id)
    expected = {None: "blocked", "won": "submitted", "lost": "failed"}[ended]
    assert (await still_shop.refund(refund_id)).status == expected
    told = [
        len(await still_shop.told(payment, kind))
        for kind in (DisputeOpened, PaymentRefundBlocked, PaymentRefundRejected)
    ]
    assert told == {None: [1, 1, 0], "won": [0, 0, 0], "lost": [1, 0, 1]}[ended]
    if ended == "won":
        assert (await still_shop.advance_refund(refund_id)).status == "succeeded"


async def test_an_inquiry_takes_nothing_and_blocks_nothing(still_shop: Shop) -> None:
    """Refunding is what ends it; only when it is escalated do refunds wait."""
    payment = await paid(still_shop)
    ref = await still_shop.dispute(payment, inquiry=True)
    await still_shop.look_at_dispute(ref)
    refund_id = await still_shop.approve_refund(payment, 1000)
    assert (await still_shop.advance_refund(refund_id)).status == "succeeded"
    assert not await still_shop.told(payment, DisputeOpened)
    counted = REGISTRY.get_sample_value("payment_disputes_opened_total") or 0.0
    await still_shop.decide_dispute(ref, "needs_response")
    await still_shop.look_at_dispute(ref)
    assert len(await still_shop.told(payment, DisputeOpened)) == 1
    assert REGISTRY.get_sample_value("payment_disputes_opened_total") == counted + 1, "once, and only now"
    refund_id = await still_shop.approve_refund(payment, 1000)
    assert (await still_shop.refund(refund_id)).status == "blocked"


async def test_a_dispute_about_what_was_refunded_raises_an_alarm(still_shop: Shop) -> None:
    """The buyer has it twice: the payment says how much, and the alarm ends when the bank gives it back."""
    payment = await paid(still_shop)
    refund_id = await still_shop.approve_refund(payment, 3000)
    await still_shop.advance_refund(refund_id)
    before = twice("refund_and_dispute")
    ref = await still_shop.dispute(payment)
    await still_shop.look_at_dispute(ref)
    payment = await still_shop.payment(payment.booking_id)
    assert (payment.double_return_minor, payment.withdrawn_minor) == (3000, 5000)
    assert twice("refund_and_dispute") == before + 1
    await still_shop.decide_dispute(ref, "won")
    await still_shop.look_at_dispute(ref)
    payment = await still_shop.payment(payment.booking_id)
    assert (payment.double_return_minor, payment.refundable_minor) == (0, 2000)


async def test_disputes_are_found_and_followed_without_any_webhook(still_shop: Shop) -> None:
    payment = await paid(still_shop)
    ref = await still_shop.dispute(payment)
    await still_shop.list_account()
    await still_shop.list_account()
    assert len(await still_shop.told(payment, DisputeOpened)) == 1
    await still_shop.decide_dispute(ref, "lost")
    found = await row(still_shop, ref)
    assert found is not None
    assert found.next_check_at is not None
    await still_shop.look_at_dispute(ref)
    found = await row(still_shop, ref)
    assert found is not None
    assert (found.status, found.next_check_at) == ("lost", None)


async def test_an_answer_that_was_asked_for_earlier_never_overwrites_a_later_one(still_shop: Shop) -> None:
    """Opened and closed within half a second: the answer that says open arrives last, and changes nothing."""
    payment = await paid(still_shop)
    ref = await still_shop.dispute(payment)
    database, gateway = still_shop.service.database, still_shop.gateway
    async with database.transaction() as tx:
        revision = await revision_of(tx, ref)
    says_open = await gateway.fetch_dispute(ref)
    await still_shop.decide_dispute(ref, "lost")
    await still_shop.look_at_dispute(ref)
    async with database.transaction() as tx:
        assert await apply_dispute(tx, gateway, says_open, revision) == "overtaken"
    found = await row(still_shop, ref)
    assert found is not None
    assert found.status == "lost"


async def test_many_looks_at_once_have_one_effect(still_shop: Shop) -> None:
    payment = await paid(still_shop)
    ref = await still_shop.dispute(payment)
    await asyncio.gather(*(still_shop.look_at_dispute(ref) for _ in range(5)))
    assert len(await still_shop.told(payment, DisputeOpened)) == 1
    assert (await still_shop.balances(payment))["disputes"] == 5000


async def test_staff_page_through_disputes(still_shop: Shop) -> None:
    refs = set()
    for _ in range(3):
        ref = await still_shop.dispute(await paid(still_shop))
        await still_shop.look_at_dispute(ref)
        refs.add(ref)
    get, staff = still_shop.service.client.get, still_shop.service.staff("viewer")
    first = (await get("/disputes?limit=2", headers=staff)).json()
    second = (await get(f"/disputes?limit=1&cursor={first['next_cursor']}", headers=staff)).json()
    assert {each["provider_ref"] for each in first["disputes"] + second["disputes"]} == refs
    payment = await paid(still_shop)
    assert (await get("/disputes", headers=still_shop.service.holder(payment.booking_id))).status_code in {401, 403}


async def test_a_dispute_of_what_is_not_ours_is_left_alone(still_shop: Shop) -> None:
    intent = await still_shop.standin.paid(5000)
    opened = await still_shop.standin.control("POST", "/disputes", {"payment_intent": intent.id})
    await still_shop.look_at_dispute(opened["id"])
    assert await row(still_shop, opened["id"]) is None


async def test_a_dispute_without_an_intent_is_of_no_payment_of_ours(still_shop: Shop) -> None:
    """Of a charge made without one: it must not be taken for one of a payment that has none yet, be that one or several."""
    ref = await still_shop.dispute(await paid(still_shop))
    view = replace(await still_shop.gateway.fetch_dispute(ref), ref="du_without_intent", intent_ref=None)
    for _ in range(2):
        booking_id = await still_shop.book()
        async with still_shop.service.database.transaction() as tx:
            assert await apply_dispute(tx, still_shop.gateway, view, 0) == "foreign"
        unpaid = await still_shop.payment(booking_id)
        assert (unpaid.provider_ref, unpaid.dispute_id, unpaid.version) == (None, None, 0)
    assert await row(still_shop, view.ref) is None


async def test_a_settled_refund_needs_no_dispute_to_end(still_shop: Shop) -> None:
    """Staff pay it another way while it is blocked; when the dispute is won, it is not sent as well."""
    payment = await paid(still_shop)
    ref = await still_shop.dispute(payment)
    await still_shop.look_at_dispute(ref)
    refund_id = await still_shop.approve_refund(payment, 5000)
    await still_shop.settle(payment, 5000, refund_id, version=2)
    await still_shop.decide_dispute(ref, "won")
    await still_shop.look_at_dispute(ref)
    assert (await still_shop.refund(refund_id)).status == "settled"
    assert not await still_shop.made("refund_id", refund_id)
    assert not await still_shop.told(payment, PaymentRefunded)
