"""What a buyer sees of a refund, as data and as a page, and what they may say of it."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from contracts.refund import RefundFailed
from refund.models import Refund

from tests.support.service import Running

from .test_outcomes import begun, newest, status
from .test_staff import settle


async def test_a_late_failure_is_a_case_for_staff_and_the_buyer_says_another_way(refund: Running) -> None:
    story, approved = await begun(refund)
    await story.tell(story.refunded(approved, 3))
    shown = await status(story)
    assert shown["expected_from"] < shown["expected_until"]
    assert not shown["can_choose_payout"]
    holder, path = refund.holder(story.booking_id), f"/refunds/{approved.refund_id}/payout-details"
    early = await refund.client.post(path, json={"account_holder": "Ada", "other_way": "Cheque"}, headers=holder)
    assert (early.status_code, early.json()["state"]) == (409, "succeeded")
    await story.tell(story.refund_failed(approved, 4, had_succeeded=True))
    failed = await story.says(RefundFailed)
    assert (failed.version, failed.had_succeeded) == (3, True)
    shown = await status(story)
    assert (shown["can_choose_payout"], "account that the money" in shown["what_to_do"]) == (True, True)
    details = {"account_holder": "Ada Lovelace", "iban": "de89 3704 0044 0532 0130 00"}
    for wrong, field in (
        ({**details, "iban": "DE88370400440532013000"}, "iban"),
        ({**details, "other_way": "Cheque"}, "body"),
        ({"account_holder": "Ada"}, "body"),
        ({**details, "account_holder": "A\u0000"}, "account_holder"),
    ):
        answer = await refund.client.post(path, json=wrong, headers=holder)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)
        assert "DE88" not in answer.text
    assert (await refund.client.post(path, json=details, headers=refund.holder(uuid4()))).status_code == 404
    assert (await refund.client.post(path, json=details, headers=refund.staff("manager"))).status_code == 403
    chosen = (await refund.client.post(path, json=details, headers=holder)).json()
    assert "nothing more that you need to do" in chosen["what_to_do"]
    listed = await refund.client.get(
        "/refunds", params={"status": "failed", "event_id": str(story.event_id)}, headers=refund.staff("viewer")
    )
    [case] = listed.json()["items"]
    assert (case["id"], case["has_payout_details"]) == (str(approved.refund_id), True)
    seen = {
        role: (await refund.client.get(f"/refunds/{case['id']}", headers=refund.staff(role))).json()["payout_details"]
        for role in ("viewer", "refunder")
    }
    assert seen["viewer"] is None
    assert (seen["refunder"]["iban"], seen["refunder"]["account_holder"]) == ("DE89370400440532013000", "Ada Lovelace")
    async with refund.database.transaction() as tx:
        row = await tx.get(Refund, UUID(case["id"]))
    assert row is not None
    assert row.payout_details is not None
    assert "Lovelace" not in row.payout_details
    assert (await settle(story, case["id"])).status_code == 200
    assert (await status(story))["state"] == "We have paid you another way."


async def test_the_page_says_the_same_without_script_and_is_kept_nowhere(refund: Running) -> None:
    story, approved = await begun(refund)
    token = refund.holder(story.booking_id)["Authorization"].removeprefix("Bearer ")
    page = await refund.client.get("/refunds/status.html", params={"token": token})
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert (await status(story))["state"] in page.text
    assert "<script" not in page.text
    assert "19.98 EUR" in page.text
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert "noindex" in page.headers["x-robots-tag"]
    assert "default-src 'none'" in page.headers["content-security-policy"]
    await story.tell(story.refund_failed(approved))
    page = await refund.client.get("/refunds/status.html", params={"token": token})
    path = f"/refunds/{approved.refund_id}/payout-details.html"
    assert f'action="{approved.refund_id}/payout-details.html?token=' in page.text
    wrong = await refund.client.post(path, params={"token": token}, data={"account_holder": "<b>", "iban": "x"})
    assert (wrong.status_code, "is not an IBAN" in wrong.text, "<b>" in wrong.text) == (422, True, False)
    many = await refund.client.post(path, params={"token": token}, data={f"field{n}": "x" for n in range(11)})
    assert (many.status_code, "at most 10 fields" in many.text) == (422, True)
    form = {"account_holder": "Ada", "iban": "", "other_way": "Cheque"}
    sent = await refund.client.post(path, params={"token": token}, data=form)
    assert (sent.status_code, sent.headers["location"]) == (303, f"../status.html?token={token}")
    assert (await newest(story))["has_payout_details"]


@pytest.mark.parametrize("who", ["nobody", "staff", "a stranger"])
async def test_a_link_that_is_not_a_bookings_shows_nothing(refund: Running, who: str) -> None:
    headers = {"nobody": {"Authorization": "Bearer x"}, "staff": refund.staff("manager")}
    token = headers.get(who, refund.holder(uuid4()))["Authorization"].removeprefix("Bearer ")
    page = await refund.client.get("/refunds/status.html", params={"token": token})
    assert (page.status_code, "not valid" in page.text) == (404 if who == "a stranger" else 401, True)
    assert page.headers["cache-control"] == "no-store"


async def test_a_foreign_status_looks_like_one_that_does_not_exist(refund: Running) -> None:
    story, _ = await begun(refund)
    asked = {"booking_id": str(story.booking_id)}
    foreign = await refund.client.get("/refunds/status", params=asked, headers=refund.holder(uuid4()))
    nobody = uuid4()
    absent = await refund.client.get(
        "/refunds/status", params={"booking_id": str(nobody)}, headers=refund.holder(nobody)
    )
    assert (foreign.status_code, foreign.json()) == (404, absent.json())
