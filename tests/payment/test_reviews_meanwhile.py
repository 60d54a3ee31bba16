"""What happens while a person looks at a payment, and after they have decided: booking's word is kept, and a rejection stands."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast
from uuid import UUID, uuid4

import httpx2
import pytest
from chassis.audit import AuditRow
from chassis.db import table
from contracts.payment import DisputeClosed, DisputeOpened, PaymentAuthorized, PaymentFailed
from payment import metrics
from payment.changes import Change
from payment.fraud import Rules
from payment.gateways import Gateway, RefundOrder, RefundView, Refused
from payment.holds import apply_look
from payment.models import LEASE, Decline, LedgerEntry, Payment, Refund, locked_payment
from payment.watch import measure
from sqlalchemy import insert, select

from tests.payment.shop import Shop
from tests.payment.test_reviews import decide, held, kinds_of, reviews_of


async def doubted(shop: Shop, payment: Payment, **seen: object) -> Payment:
    """The same with an object at the provider whose metadata is gone, for one look."""
    await shop.standin.fault("payment_intents.retrieve", "mutate", replace=seen or {"metadata": {}})
    await shop.sync(payment)
    return await shop.payment(payment.booking_id)


async def confirmed(shop: Shop) -> Payment:
    """One of which only the provider knows yet that it is authorized."""
    payment = await shop.started()
    await shop.confirm(payment)
    return payment


async def settled(shop: Shop, payment: Payment) -> Payment:
    """After as many steps as it takes."""
    for _ in range(4):
        payment = await shop.advance(payment)
    return payment


@pytest.mark.parametrize("said", ["secured", "refused", "cancelled", "expired"])
async def test_a_rejection_stands_whatever_booking_says_later(still_shop: Shop, said: str) -> None:
    payment = await (confirmed(still_shop) if said == "expired" else still_shop.authorized())
    payment = await doubted(still_shop, payment)
    assert payment.status == "in_review"
    assert (await decide(still_shop, payment, "reject")).status_code == 200
    match said:
        case "secured":
            await still_shop.secure_seats(payment)
        case "refused":
            await still_shop.refuse_seats(payment)
        case "cancelled":
            await still_shop.cancel(payment.booking_id)
        case _:
            await still_shop.expire(payment.booking_id)
    before = await kinds_of(still_shop, payment)
    payment = await settled(still_shop, payment)
    assert (payment.status, payment.release_reason, payment.captured_minor) == ("failed", "review_rejected", 0)
    assert payment.booking_version == 2
    assert (await kinds_of(still_shop, payment))[len(before) :] == ["PaymentFailed"]
    [failed] = await still_shop.told(payment, PaymentFailed)
    assert failed.rejected_in_review
    assert (await still_shop.gateway.fetch(str(payment.provider_ref))).captured.amount_minor == 0


@pytest.mark.parametrize(
    ("said", "status", "captured", "reason"),
    [
        ("secured", "succeeded", 5000, None),
        ("refused", "voided", 0, "seats_unavailable"),
        ("cancelled", "voided", 0, "booking_cancelled"),
    ],
)
async def test_what_booking_says_during_a_review_is_done_once_it_is_approved(
    still_shop: Shop, said: str, status: str, captured: int, reason: str | None
) -> None:
    payment = await doubted(still_shop, await still_shop.authorized())
    match said:
        case "secured":
            await still_shop.secure_seats(payment)
        case "refused":
            await still_shop.refuse_seats(payment)
        case _:
            await still_shop.cancel(payment.booking_id)
    payment = await settled(still_shop, payment)
    assert (payment.status, len(await reviews_of(still_shop, payment, status="open"))) == ("in_review", 1)
    assert (await still_shop.gateway.fetch(str(payment.provider_ref))).fact == "authorized"
    assert (await decide(still_shop, payment, "approve")).status_code == 200
    payment = await settled(still_shop, payment)
    assert (payment.status, payment.captured_minor, payment.release_reason) == (status, captured, reason)


async def test_a_hold_that_ends_before_a_doubted_payment_is_authorized_yields_to_it(still_shop: Shop) -> None:
    """Approved, booking is asked for seats after all; not confirmed by the buyer, it is let go."""
    payment = await doubted(still_shop, await confirmed(still_shop))
    unpaid = await doubted(still_shop, await still_shop.started())
    for each in (payment, unpaid):
        await still_shop.expire(each.booking_id)
        assert (await decide(still_shop, each, "approve")).status_code == 200
    payment, unpaid = await settled(still_shop, payment), await settled(still_shop, unpaid)
    assert (payment.status, payment.wish, payment.release_reason) == ("authorized", "collect", None)
    assert len(await still_shop.told(payment, PaymentAuthorized)) == 1
    assert (unpaid.status, unpaid.release_reason) == ("voided", "booking_expired")


async def test_what_is_doubted_of_a_held_payment_has_a_review_of_its_own(still_shop: Shop) -> None:
    """Seats secured meanwhile charge nobody before that one is approved as well."""
    payment = await held(still_shop)
    payment = await doubted(still_shop, payment, amount=4000)
    [first] = await reviews_of(still_shop, payment, status="open")
    assert (first["kind"], first["reason"], first["detail"]["doubts"]) == ("held", "amount", "amount")
    assert (first["detail"]["above_minor"], first["detail"]["provider_amount_minor"]) == (0, 4000)
    assert (await decide(still_shop, payment, "approve")).status_code == 200
    [second] = await reviews_of(still_shop, payment, status="open")
    assert (second["kind"], second["reason"]) == ("doubted", "amount")
    assert await kinds_of(still_shop, payment) == ["PaymentHeldForReview", "PaymentAuthorized", "PaymentHeldForReview"]
    await still_shop.secure_seats(payment)
    payment = await settled(still_shop, payment)
    assert (payment.status, payment.captured_minor) == ("in_review", 0)
    assert (await decide(still_shop, payment, "approve")).status_code == 409
    assert (await decide(still_shop, payment, "reject")).status_code == 200
    payment = await settled(still_shop, payment)
    assert (payment.status, payment.captured_minor) == ("failed", 0)


async def test_a_decision_is_about_the_review_that_was_seen(still_shop: Shop) -> None:
    """A page that is open on the first review approves nothing that came after it."""
    payment = await held(still_shop)
    [first] = await reviews_of(still_shop, payment, status="open")
    assert (await decide(still_shop, payment, "approve")).status_code == 200
    payment = await doubted(still_shop, payment)
    [second] = await reviews_of(still_shop, payment, status="open")
    stale = await decide(still_shop, payment, "approve", review_id=first["id"])
    assert (stale.status_code, stale.json()["state"]) == (409, "approved")
    assert [review["id"] for review in await reviews_of(still_shop, payment, status="open")] == [second["id"]]


async def test_declines_without_a_card_count_for_no_other_booking(still_shop: Shop) -> None:
    """A wallet shows no fingerprint: all of those are not one card."""
    other, payment = await still_shop.started(), await confirmed(still_shop)
    view = replace(await still_shop.gateway.fetch(str(payment.provider_ref)), card=None)
    async with still_shop.service.database.transaction() as tx:
        declined = {"payment_id": other.id, "code": "generic_decline", "card": None, "at": tx.now}
        await tx.execute(insert(table(Decline)).values([{"id": uuid4(), **declined} for _ in range(2)]))
        locked = await locked_payment(tx, payment.id)
        assert locked is not None
        change = Change(tx, locked)
        await apply_look(change, view, still_shop.gateway, Rules(declines=2))
        await change.save()
    assert (await still_shop.payment(payment.booking_id)).status == "authorized"


async def rejected_and_captured(shop: Shop) -> tuple[Payment, Refund]:
    """One that was captured at the provider and rejected, with the refund of what was taken, which is still to be sent."""
    payment = await shop.authorized()
    await shop.secure_seats(payment)
    await shop.standin.fault("payment_intents.capture", "mutate", replace={"amount_received": 4000})
    payment = await shop.advance(payment)
    assert (await decide(shop, payment, "reject")).status_code == 200
    payment = await shop.advance(payment)
    async with shop.service.database.transaction() as tx:
        refund = (await tx.scalars(select(Refund).where(table(Refund).c.payment_id == payment.id))).one()
    return payment, refund


async def test_the_ledger_never_gives_back_what_it_has_not_taken(still_shop: Shop) -> None:
    """Entry by entry, although both are written at once."""
    payment, _ = await rejected_and_captured(still_shop)
    entries = table(LedgerEntry)
    async with still_shop.service.database.transaction() as tx:
        found = await tx.scalars(
            select(entries.c.kind).where(entries.c.payment_id == payment.id).order_by(entries.c.id)
        )
        kinds = list(found)
    assert kinds.index("captured") < kinds.index("refund_started")


async def failed_refunds(shop: Shop) -> float:
    async with shop.service.database.transaction() as tx:
        await measure(tx)
    count: float = metrics.FAILED_REFUNDS._value.get()
    return count


class Refusing:
    """The provider, which makes no refund, and says so at once."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def __getattr__(self, name: str) -> Any:
        return getattr(self._gateway, name)

    async def refund(self, _: RefundOrder) -> RefundView:
        raise Refused("expired_or_canceled_card")


async def test_a_refund_that_fails_for_a_rejected_payment_is_seen_and_sent_anew(still_shop: Shop) -> None:
    """Nobody else knows of it, and so nobody else can approve it once more."""
    payment, refund = await rejected_and_captured(still_shop)
    refusing = cast("Gateway", Refusing(still_shop.gateway))
    for _ in range(2):
        refund = await still_shop.advance_refund(refund.id, refusing)
        payment = await still_shop.payment(payment.booking_id)
        assert (refund.status, payment.reserved_minor, payment.refunded_minor) == ("failed", 0, 0)
        assert await failed_refunds(still_shop) == 1
    assert refund.next_check_at is not None
    refund = await still_shop.advance_refund(refund.id)
    payment = await still_shop.payment(payment.booking_id)
    assert (refund.status, payment.reserved_minor, payment.refunded_minor) == ("succeeded", 0, 5000)
    assert await failed_refunds(still_shop) == 0
    balances = await still_shop.balances(payment)
    assert (balances["revenue"], balances["refunds"]) == (-5000, 5000)
    assert f"clearing:{refund.id}" not in balances


async def retried(shop: Shop, payment: Payment, refund_id: UUID, role: str = "refunder") -> httpx2.Response:
    path = f"/payments/{payment.id}/refunds/{refund_id}/retry"
    return await shop.service.client.post(path, headers=shop.service.staff(role, "carol"))


async def test_staff_need_not_wait_a_day_to_send_it_anew(still_shop: Shop) -> None:
    """Only once it has failed, only what no refund of the refund service is, and who asked is audited."""
    payment, refund = await rejected_and_captured(still_shop)
    assert (await retried(still_shop, payment, refund.id)).json()["state"] == "submitted"
    refund = await still_shop.advance_refund(refund.id, cast("Gateway", Refusing(still_shop.gateway)))
    assert (await retried(still_shop, payment, refund.id, "viewer")).status_code == 403
    assert (await retried(still_shop, payment, uuid4())).status_code == 404
    other = await still_shop.started()
    assert (await retried(still_shop, other, refund.id)).status_code == 404

    answer = await retried(still_shop, payment, refund.id)
    assert (answer.status_code, answer.json()["failure_code"]) == (200, "expired_or_canceled_card"), answer.text
    audited, refunds = table(AuditRow), table(Refund)
    async with still_shop.service.database.transaction() as tx:
        due_at = (await tx.execute(select(refunds.c.next_check_at).where(refunds.c.id == refund.id))).scalar_one()
        assert due_at <= tx.now + LEASE
        [row] = await tx.execute(select(audited).where(audited.c.action == "payment_refund.retry"))
    assert (row.actor, row.subject, row.after["refund_id"]) == ("carol", f"payment/{payment.id}", str(refund.id))
    refund = await still_shop.advance_refund(refund.id)
    assert refund.status == "succeeded"
    assert (await retried(still_shop, payment, refund.id)).status_code == 409


async def test_others_need_not_know_a_rejected_payment_to_hear_of_its_dispute(still_shop: Shop) -> None:
    payment, _ = await rejected_and_captured(still_shop)
    ref = await still_shop.dispute(payment)
    await still_shop.look_at_dispute(ref)
    await still_shop.decide_dispute(ref, "lost")
    await still_shop.look_at_dispute(ref)
    told = await still_shop.told(payment, DisputeOpened, DisputeClosed)
    assert [(type(event), event.rejected_in_review) for event in told] == [(DisputeOpened, True), (DisputeClosed, True)]
