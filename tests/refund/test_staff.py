"""What staff may do, and that of two at once one wins."""

from __future__ import annotations

import asyncio
import os
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest
from chassis.audit import AuditRow
from chassis.db import table
from contracts.booking import PolicyTier
from contracts.refund import (
    RefundApproved,
    RefundAwaitingApproval,
    RefundCompleted,
    RefundDeclined,
    RefundFailed,
    RefundSettledManually,
)
from refund.domain import decide
from refund.models import Refund
from refund.reads import SEALED_EVIDENCE, TRACE
from sqlalchemy import select

from tests.support.service import Running

from .story import Story

ROUNDS = int(os.environ.get("REFUND_RACE_ROUNDS", "25"))
"""Of each race; 500 make the thousand that the issue of races asks for."""


async def ask(story: Story, by: str = "ann", role: str = "refunder", **body: Any) -> httpx2.Response:
    headers = {**story.refund.staff(role, by), "Idempotency-Key": uuid4().hex}
    asked = {"booking_id": str(story.booking_id), "reason": "goodwill", **body}
    return await story.refund.client.post("/refunds", json=asked, headers=headers)


async def act(story: Story, refund_id: str, verb: str, by: str = "ben", role: str = "refunder") -> httpx2.Response:
    return await story.refund.client.post(f"/refunds/{refund_id}/{verb}", headers=story.refund.staff(role, by))


async def settle(story: Story, refund_id: str, role: str = "manager", **changed: Any) -> httpx2.Response:
    body = {"evidence": "Transfer 4711", "paid_at": story.now.isoformat(), **changed}
    headers = story.refund.staff(role, "max")
    return await story.refund.client.post(f"/refunds/{refund_id}/settle-manually", json=body, headers=headers)


def minor(money: dict[str, Any]) -> int:
    assert money["currency"] == "EUR"
    return int(money["amount_minor"])


# --- amounts


async def test_staff_refund_an_amount_and_then_tickets_and_then_the_rest(refund: Running) -> None:
    story = Story(refund, prices=(1000, 500, 500))
    await story.paid()
    by_amount = (await ask(story, amount_minor=200)).json()
    assert [share["refund_minor"] for share in by_amount["trace"]["lines"]] == [100, 50, 50]
    first, second = ({"line_id": str(story.line_ids[index])} for index in (0, 1))
    by_line = (await ask(story, lines=[{**second, "amount_minor": 30}, first])).json()
    assert [share["refund_minor"] for share in by_line["trace"]["lines"]] == [900, 30]
    rest = (await ask(story)).json()
    assert [minor(answer["amount"]) for answer in (by_amount, by_line, rest)] == [200, 930, 870]
    assert [said.amount.amount_minor for said in await story.said()] == [200, 930, 870]
    over = await ask(story, amount_minor=1)
    assert (over.status_code, over.json()["remaining"]) == (409, {"amount_minor": 0, "currency": "EUR"})


async def test_what_the_booking_never_had_is_refused_by_field_and_what_is_gone_with_what_is_left(
    refund: Running,
) -> None:
    story = Story(refund, prices=(1000, 500))
    await story.paid()
    known = str(story.line_ids[1])
    for body, field in (
        ({"amount_minor": 1501}, "amount_minor"),
        ({"lines": [{"line_id": known, "amount_minor": 501}]}, "lines.0.amount_minor"),
        ({"lines": [{"line_id": str(uuid4())}]}, "lines.0.line_id"),
    ):
        answer = await ask(story, **body)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)
    assert (await ask(story, amount_minor=900)).status_code == 201
    answer = await ask(story, amount_minor=601)
    assert (answer.status_code, minor(answer.json()["remaining"])) == (409, 600)
    whole = Story(refund, prices=(99_900,), currency="ISK")
    await whole.paid()
    answer = await ask(whole, amount_minor=150)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "amount_minor")


async def test_without_override_staff_give_what_the_policy_gives(refund: Running) -> None:
    story = Story(refund, prices=(1000, 1000), starts_in=timedelta(hours=30), fee_minor=100)
    await story.paid()
    refused = await ask(story)
    assert (refused.status_code, refused.json()["state"]) == (409, "above_policy")
    assert (minor(refused.json()["allowed"]), minor(refused.json()["remaining"])) == (900, 2000)
    assert (await ask(story, amount_minor=600)).status_code == 201
    assert minor((await ask(story, amount_minor=301)).json()["allowed"]) == 300
    assert (await ask(story, override=True, amount_minor=301)).status_code == 403
    assert (await ask(story, role="manager", override=True, amount_minor=301)).status_code == 201
    assert (await ask(story, reason="duplicate")).status_code == 201


@pytest.mark.parametrize("reason", ["customer_cancelled", "staff_cancelled"])
async def test_the_policy_does_not_give_what_staff_gave_for_the_cancellation(refund: Running, reason: str) -> None:
    story = Story(refund, prices=(10_000,), starts_in=timedelta(hours=30))
    await story.paid()
    assert (await ask(story, reason=reason, amount_minor=3000)).status_code == 201
    assert (await ask(story, role="manager", override=True, amount_minor=1000)).status_code == 201
    assert minor((await story.quote())["amount"]) == 2000
    await story.tell(story.cancelled(by="staff"))
    assert [row["amount"]["amount_minor"] for row in await story.refunds()] == [2000, 1000, 3000]
    trace = TRACE.validate_python((await story.refunds())[0]["trace"])
    assert decide(trace.case) == trace


async def test_where_staff_gave_all_that_the_policy_gives_its_decision_says_so(refund: Running) -> None:
    story = Story(refund, prices=(10_000,), starts_in=timedelta(hours=30))
    await story.paid()
    assert (await ask(story, reason="customer_cancelled", amount_minor=5000)).status_code == 201
    await story.tell(story.cancelled())
    declined = await story.says(RefundDeclined)
    assert declined.rule == "What the policy gives for this has been refunded already."
    assert (await story.row()).promised_minor == 5000


async def test_what_the_policy_gave_since_is_not_approved_as_well(refund: Running) -> None:
    """It awaited a second person when the cancellation came, which could not count on it."""
    story = Story(refund, prices=(200_000,), starts_in=timedelta(hours=30))
    await story.paid()
    awaiting = (await ask(story, reason="customer_cancelled", amount_minor=60_000)).json()
    assert awaiting["status"] == "awaiting_approval"
    await story.tell(story.cancelled())
    assert (await story.says(RefundApproved)).amount.amount_minor == 100_000
    refused = await act(story, awaiting["id"], "approve")
    assert (refused.status_code, refused.json()["state"], minor(refused.json()["allowed"])) == (409, "above_policy", 0)
    assert (await act(story, awaiting["id"], "decline")).status_code == 200
    assert (await story.row()).promised_minor == 100_000


async def test_a_booking_that_never_was_the_buyers_owes_everything_whatever_its_policy(refund: Running) -> None:
    story = Story(refund, tiers=(), starts_in=timedelta(hours=1))
    await story.tell(story.placed(), story.cancelled(was="pending_payment"), story.captured())
    await story.tell(story.refund_failed(await story.says(RefundApproved)))
    assert (await ask(story)).status_code == 201


# --- two people


async def test_above_the_limit_a_second_person_decides(refund: Running) -> None:
    story = Story(refund, prices=(40_000, 30_000))
    await story.paid()
    below = (await ask(story, amount_minor=50_000)).json()
    assert below["status"] == "approved"
    above = (await ask(story, amount_minor=1)).json()
    assert above["status"] == "awaiting_approval", "small steps of one booking add up"
    awaiting = await story.says(RefundAwaitingApproval)
    assert (str(awaiting.refund_id), awaiting.version) == (above["id"], 1)
    assert (await story.row()).remaining_minor == 19_999, "its amount is reserved at once"
    same = await act(story, above["id"], "approve", by="ann")
    assert (same.status_code, same.json()["detail"]) == (
        403,
        "You asked for this refund yourself: another person has to approve or decline it.",
    )
    assert (await act(story, above["id"], "decline", by="ann", role="manager")).status_code == 403
    assert (await act(story, above["id"], "approve", role="viewer")).status_code == 403
    approved = await act(story, above["id"], "approve")
    assert (approved.json()["status"], approved.json()["decided_by"]) == ("approved", "ben")
    said = [event for event in await story.said() if str(event.subject) == above["id"]]
    assert [(type(event), event.version) for event in said] == [(RefundAwaitingApproval, 1), (RefundApproved, 2)]
    again = await act(story, above["id"], "decline")
    assert (again.status_code, again.json()["state"]) == (409, "approved")


async def test_what_the_second_person_declines_is_left_again_and_nobody_outside_hears_of_it(refund: Running) -> None:
    story = Story(refund, prices=(70_000,))
    await story.paid()
    awaiting = (await ask(story)).json()
    assert (await act(story, awaiting["id"], "decline")).json()["status"] == "declined"
    assert (await story.row()).remaining_minor == 70_000
    assert not [said for said in await story.said() if isinstance(said, RefundDeclined)]
    shown = await refund.client.get(
        "/refunds/status", params={"booking_id": str(story.booking_id)}, headers=refund.holder(story.booking_id)
    )
    assert shown.json()["refunds"] == []


async def test_a_failed_refund_that_others_have_brought_above_the_limit_is_tried_again_by_another_person(
    refund: Running,
) -> None:
    story = Story(refund, prices=(40_000, 40_000))
    await story.paid()
    failed = (await ask(story, lines=[{"line_id": str(story.line_ids[0])}])).json()
    await story.tell(story.refund_failed(await story.says(RefundApproved)))
    assert (await ask(story, lines=[{"line_id": str(story.line_ids[1])}])).json()["status"] == "approved"
    same = await act(story, failed["id"], "retry", by="ann", role="manager")
    assert (same.status_code, "another person has to try it again" in same.json()["detail"]) == (403, True)
    assert (await story.row()).promised_minor == 40_000
    retried = (await act(story, failed["id"], "retry")).json()
    assert (retried["status"], retried["decided_by"]) == ("approved", "ben")
    approved = [said for said in await story.said() if isinstance(said, RefundApproved)][-1]
    await story.tell(story.refund_failed(approved, 6))
    assert (await act(story, failed["id"], "retry", by="ann")).status_code == 200, "two have decided on it"


async def test_an_override_is_approved_by_a_manager(refund: Running) -> None:
    story = Story(refund, prices=(70_000,), tiers=())
    await story.paid()
    awaiting = (await ask(story, role="manager", override=True)).json()
    assert (await act(story, awaiting["id"], "approve")).status_code == 403
    assert (await act(story, awaiting["id"], "approve", role="manager")).status_code == 200


# --- after a failure


async def test_a_failed_refund_is_tried_again_as_the_same_refund(refund: Running) -> None:
    story = Story(refund)
    await story.paid()
    created = (await ask(story)).json()
    approved = await story.says(RefundApproved)
    assert (await act(story, created["id"], "retry")).status_code == 409
    await story.tell(story.refund_failed(approved, 4))
    retried = await act(story, created["id"], "retry")
    assert (retried.status_code, retried.json()["status"], retried.json()["failure"]) == (200, "approved", None)
    await story.tell(story.refund_failed(approved, 4), story.refunded(approved, 5))
    assert [(type(said), said.version) for said in await story.said()] == [
        (RefundApproved, 1),
        (RefundFailed, 2),
        (RefundApproved, 3),
        (RefundCompleted, 4),
    ]
    assert (await story.row()).promised_minor == 1998


async def test_a_failed_refund_is_not_tried_again_where_its_money_has_gone(refund: Running) -> None:
    story = Story(refund, prices=(1000, 1000))
    await story.paid()
    failed = (await ask(story, lines=[{"line_id": str(story.line_ids[0])}])).json()
    await story.tell(story.refund_failed(await story.says(RefundApproved)))
    assert (await ask(story, amount_minor=1500)).status_code == 201
    gone = await act(story, failed["id"], "retry")
    assert (gone.status_code, minor(gone.json()["remaining"])) == (409, 500)
    assert (await settle(story, failed["id"])).status_code == 409
    one = Story(refund, prices=(1000, 1000))
    await one.paid()
    ticket = [{"line_id": str(one.line_ids[0])}]
    failed = (await ask(one, lines=ticket)).json()
    await one.tell(one.refund_failed(await one.says(RefundApproved)))
    assert (await ask(one, lines=ticket)).status_code == 201
    changed = await act(one, failed["id"], "retry")
    assert (changed.status_code, changed.json()["state"]) == (409, "changed")


async def test_a_failed_refund_is_settled_by_hand_with_evidence(refund: Running) -> None:
    story = Story(refund)
    await story.paid()
    created = (await ask(story)).json()
    await story.tell(story.refund_failed(await story.says(RefundApproved)))
    assert (await settle(story, created["id"], role="refunder")).status_code == 403
    late = await settle(story, created["id"], paid_at=(story.now + timedelta(days=1)).isoformat())
    assert (late.status_code, late.json()["errors"][0]["field"]) == (422, "paid_at")
    settled = await settle(story, created["id"])
    assert (settled.json()["status"], settled.json()["evidence"]) == ("settled_manually", "Transfer 4711")
    said = await story.says(RefundSettledManually)
    assert (said.version, said.amount) == (3, story.total)
    assert (await story.quote())["refunded"]["amount_minor"] == 1998
    assert (await settle(story, created["id"])).json()["state"] == "settled_manually"
    async with refund.database.transaction() as tx:
        row = await tx.get(Refund, UUID(created["id"]))
        rows = table(AuditRow)
        own = rows.c.subject == f"refund/{created['id']}"
        actions = await tx.execute(select(rows.c.action).where(own).order_by(rows.c.seq))
        assert list(actions.scalars()) == ["refund.create", "refund.settle_manually"]
    assert row is not None
    assert row.evidence is not None
    assert "4711" not in row.evidence
    assert refund.sealer.unseal(row.evidence, SEALED_EVIDENCE) == "Transfer 4711"


async def test_what_is_not_there_is_not_found(refund: Running) -> None:
    story = Story(refund)
    for verb in ("approve", "decline", "retry"):
        assert (await act(story, str(uuid4()), verb)).status_code == 404
    assert (await settle(story, str(uuid4()))).status_code == 404


# --- races


@pytest.mark.timeout(120 + ROUNDS)
@pytest.mark.parametrize("amount", [None, 60])
async def test_of_two_refunds_at_once_one_wins_and_the_other_is_told_what_is_left(
    refund: Running, amount: int | None
) -> None:
    """Full and full, 60 % and 60 %: never above what was captured, at any moment that the database has seen."""
    for _ in range(ROUNDS):
        story = Story(refund, prices=(70, 30))
        await story.tell(story.placed(), story.captured())
        body = {} if amount is None else {"amount_minor": amount}
        answers = await asyncio.gather(*(ask(story, by=by, **body) for by in ("ann", "ben")))
        won, lost = sorted(answers, key=lambda answer: answer.status_code)
        assert (won.status_code, lost.status_code) == (201, 409)
        assert minor(lost.json()["remaining"]) == 100 - minor(won.json()["amount"])
        booking = await story.row()
        assert (booking.promised_minor, len(await story.said())) == (amount or 100, 1)


async def test_staff_against_the_customer(refund: Running) -> None:
    """Whoever is first gets it; together they never get more than the policy gives."""
    for _ in range(min(ROUNDS, 10)):
        story = Story(refund, starts_in=timedelta(hours=30), prices=(100,))
        await story.paid()
        answer, _ = await asyncio.gather(ask(story, amount_minor=50), story.tell(story.cancelled()))
        given = (await story.row()).promised_minor
        assert (answer.status_code, given) in {(201, 100), (409, 50)}
        if answer.status_code == 409:
            assert minor(answer.json()["remaining"]) == 50


# --- policies


async def test_policies_are_versions_that_never_change(refund: Running) -> None:
    path = f"/refund-policies/generous-{uuid4().hex[:8]}"
    manager, tiers = refund.staff("manager", "max"), [{"hours_before": 48, "percent": 100}]
    assert (await refund.client.get(path, headers=manager)).status_code == 404
    first = (await refund.client.put(path, json={"tiers": tiers}, headers=manager)).json()
    again = (await refund.client.put(path, json={"tiers": tiers}, headers=manager)).json()
    assert first == again
    later = (Story(refund).now + timedelta(days=30)).isoformat()
    draft = {"tiers": [*tiers, {"hours_before": 1, "percent": 10}], "fee_minor": 50, "valid_from": later}
    second = (await refund.client.put(path, json=draft, headers=manager)).json()
    assert (first["version"], second["version"], second["created_by"]) == (1, 2, "max")
    history = (await refund.client.get(path, headers=refund.staff("viewer"))).json()
    assert (history["valid"], history["versions"]) == (first, [first, second])
    before = await refund.client.put(path, json={"tiers": []}, headers=manager)
    assert before.json()["valid_from"] == second["valid_from"], "it follows the version before"
    assert (await refund.client.put(path, json=draft, headers=refund.staff("refunder"))).status_code == 403
    async with refund.database.transaction() as tx:
        rows = table(AuditRow)
        audited = await tx.execute(select(rows).where(rows.c.subject == path.lstrip("/").replace("policies", "policy")))
        assert [(row.actor, row.action, row.after["version"]) for row in audited] == [
            ("max", "refund_policy.put", version) for version in (1, 2, 3)
        ]


async def test_a_policy_that_cannot_be_applied_names_every_field(refund: Running) -> None:
    async def wrong(**draft: Any) -> list[str]:
        answer = await refund.client.put("/refund-policies/wrong", json=draft, headers=refund.staff("manager"))
        assert answer.status_code == 422, answer.text
        return [error["field"] for error in answer.json()["errors"]]

    rising = [{"hours_before": 24, "percent": 50}, {"hours_before": 48, "percent": 100}]
    assert await wrong(tiers=rising, fee_minor=-1) == ["fee_minor", "tiers.1.hours_before", "tiers.1.percent"]
    assert await wrong(tiers=[], valid_from="2020-01-01T00:00:00Z") == ["valid_from"]
    assert await wrong(tiers=[{"hours_before": 1.5, "percent": 50}]) == ["tiers.0.hours_before"]
    assert await wrong() == ["tiers"]


async def test_a_booking_keeps_the_policy_that_it_was_sold_with(refund: Running) -> None:
    story = Story(refund, tiers=(PolicyTier(hours_before=1, percent=80),), prices=(1000,))
    await story.paid()
    strict = {"tiers": [], "fee_minor": 10}
    await refund.client.put("/refund-policies/default", json=strict, headers=refund.staff("manager"))
    assert (await story.quote())["percent"] == 80
