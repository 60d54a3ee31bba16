import asyncio
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import httpx2
import pytest
from chassis.audit import AuditRow
from chassis.db import table
from contracts.booking import PolicyTier
from contracts.refund import RefundApproved, RefundCompleted, RefundDeclined
from refund.models import Refund
from refund.reads import SEALED_NOTE
from sqlalchemy import select

from tests.support.service import Running

from .story import Story


async def ask(refund: Running, body: object, key: str | None = None, role: str = "refunder") -> httpx2.Response:
    headers = {**refund.staff(role, f"{role}-7"), "Idempotency-Key": key or uuid4().hex}
    return await refund.client.post("/refunds", json=body, headers=headers)


def request(story: Story, **more: object) -> dict[str, object]:
    return {"booking_id": str(story.booking_id), "reason": "goodwill", **more}


# --- quotes


async def test_a_quote_says_what_a_cancellation_now_gives_and_why(refund: Running) -> None:
    story = Story(refund, prices=(999, 2500), starts_in=timedelta(hours=30), fee_minor=100)
    await story.paid()
    quote = await story.quote()
    assert (quote["state"], quote["percent"], quote["fee_minor"]) == ("paid", 50, 100)
    assert quote["amount"] == {"amount_minor": 500 + 1250 - 100, "currency": "EUR"}
    assert quote["rule"] == "Cancelled at least 24 hours before the start: 50 % is refunded."
    assert sum(share["refund_minor"] for share in quote["lines"]) == 1650
    assert all("50 % of" in share["arithmetic"] for share in quote["lines"])
    assert [quote[name]["amount_minor"] for name in ("paid", "refunded", "pending", "remaining")] == [3499, 0, 0, 3499]


async def test_a_quote_shows_the_cut_offs_still_ahead_in_the_zone_of_the_event(refund: Running) -> None:
    story = Story(refund, starts_in=timedelta(hours=30))
    await story.paid()
    [ahead] = (await story.quote())["next_cut_offs"]
    assert ahead["percent"] == 50
    assert datetime.fromisoformat(ahead["until"]) == story.now + timedelta(hours=6)
    local = datetime.fromisoformat(ahead["until_local"])
    assert local == story.now + timedelta(hours=6)
    assert local.utcoffset() in {timedelta(hours=1), timedelta(hours=2)}  # Berlin, on whatever day this runs


async def test_a_quote_is_kept_when_the_booking_is_cancelled_at_its_instant(refund: Running) -> None:
    """Rounding, fee and tiers are the same code: what was shown is what is decided."""
    story = Story(refund, prices=(999, 1, 777), starts_in=timedelta(hours=25), fee_minor=7)
    await story.paid()
    quote = await story.quote()
    await story.tell(story.cancelled(received_at=datetime.fromisoformat(quote["now"])))
    [row] = await story.refunds()
    assert row["amount"] == quote["amount"]
    assert row["trace"]["lines"] == quote["lines"]
    assert row["rule"] == quote["rule"]


async def test_quotes_of_bookings_without_money_say_so(refund: Running) -> None:
    unpaid, free, cancelled = Story(refund), Story(refund, prices=(0,)), Story(refund)
    await unpaid.tell(unpaid.placed())
    await free.tell(free.placed(), free.confirmed(free=True))
    await cancelled.paid()
    await cancelled.tell(cancelled.cancelled())
    quotes = [await story.quote() for story in (unpaid, free, cancelled)]
    assert [quote["state"] for quote in quotes] == ["unpaid", "free", "cancelled"]
    assert [quote["amount"]["amount_minor"] for quote in quotes] == [0, 0, 0]
    assert [quote["lines"] for quote in quotes] == [[], [], []]
    assert (quotes[2]["pending"]["amount_minor"], quotes[2]["remaining"]["amount_minor"]) == (1998, 0)


async def test_a_quote_never_promises_before_the_payment_is_known(refund: Running) -> None:
    story = Story(refund)
    await story.tell(story.placed(), story.confirmed())
    answer = await refund.client.get(
        "/refunds/quote", params={"booking_id": str(story.booking_id)}, headers=refund.staff("viewer")
    )
    assert (answer.status_code, answer.headers["retry-after"]) == (409, "1")


async def test_a_foreign_booking_looks_like_one_that_does_not_exist(refund: Running) -> None:
    story = Story(refund)
    await story.paid()
    asked = {"booking_id": str(story.booking_id)}
    foreign = await refund.client.get("/refunds/quote", params=asked, headers=refund.holder(uuid4()))
    nobody = uuid4()
    absent = await refund.client.get(
        "/refunds/quote", params={"booking_id": str(nobody)}, headers=refund.holder(nobody)
    )
    assert (foreign.status_code, foreign.json()) == (404, absent.json())
    assert (await refund.client.get("/refunds/quote", params=asked)).status_code == 401
    wrong = await refund.client.get("/refunds/quote", params={"booking_id": "x"}, headers=refund.staff("viewer"))
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "booking_id")


# --- staff


async def test_staff_refund_all_that_is_left(refund: Running) -> None:
    story = Story(refund, starts_in=timedelta(hours=1), tiers=())
    await story.paid()
    answer = await ask(refund, request(story, note="Spoke with the buyer.", override=True), role="manager")
    assert answer.status_code == 201
    created = answer.json()
    assert (created["status"], created["ground"], created["reason"]) == ("approved", "staff", "goodwill")
    assert (created["requested_by"], created["note"]) == ("manager-7", "Spoke with the buyer.")
    approved = await story.says(RefundApproved)
    assert (str(approved.refund_id), approved.amount) == (created["id"], story.total)
    await story.tell(story.refunded(approved))
    await story.says(RefundCompleted)
    assert (await story.quote())["refunded"] == {"amount_minor": 1998, "currency": "EUR"}


async def test_the_rest_after_a_policy_refund_is_exact_in_every_line(refund: Running) -> None:
    story = Story(refund, prices=(999, 333, 1), starts_in=timedelta(hours=30))
    await story.paid()
    await story.tell(story.cancelled())
    await story.says(RefundApproved)
    assert (await ask(refund, request(story, override=True), role="manager")).status_code == 201
    second, first = await story.refunds()
    assert first["amount"]["amount_minor"] + second["amount"]["amount_minor"] == 1333
    for line, one, two in zip(
        first["trace"]["case"]["lines"], first["trace"]["lines"], second["trace"]["lines"], strict=True
    ):
        assert one["refund_minor"] + two["refund_minor"] == line["gross_minor"]
        assert one["refund_tax_minor"] + two["refund_tax_minor"] == line["tax_minor"]
        assert (two["kept_minor"], two["kept_tax_minor"]) == (0, 0)


async def test_a_booking_that_was_refunded_already_gives_nothing_when_it_is_cancelled(refund: Running) -> None:
    story = Story(refund)
    await story.paid()
    assert (await ask(refund, request(story))).status_code == 201
    await story.tell(story.cancelled())
    assert (await story.says(RefundDeclined)).rule == "Everything that was paid has been refunded already."
    declined = (await story.refunds())[0]
    assert [line["refunded_minor"] for line in declined["trace"]["case"]["lines"]] == [999, 999]
    assert [(share["refund_minor"], share["kept_minor"]) for share in declined["trace"]["lines"]] == [(0, 0), (0, 0)]


async def test_of_two_staff_at_once_one_wins_and_the_other_is_told_what_is_left(refund: Running) -> None:
    for _ in range(10):
        story = Story(refund)
        await story.paid()
        answers = await asyncio.gather(*(ask(refund, request(story)) for _ in range(6)))
        assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409, 409]
        told = next(answer.json() for answer in answers if answer.status_code == 409)
        assert told["remaining"] == {"amount_minor": 0, "currency": "EUR"}
        assert told["state"] == "nothing_left"
        assert len([said for said in await story.said() if isinstance(said, RefundApproved)]) == 1


async def test_a_customer_who_cancels_while_staff_refund_gets_the_money_once(refund: Running) -> None:
    for _ in range(10):
        story = Story(refund)
        await story.paid()
        await asyncio.gather(ask(refund, request(story)), story.tell(story.cancelled()))
        approved = [said for said in await story.said() if isinstance(said, RefundApproved)]
        assert [said.amount for said in approved] == [story.total]


async def test_the_same_key_gives_the_same_answer_and_one_refund(refund: Running) -> None:
    story = Story(refund)
    await story.paid()
    key = uuid4().hex
    answers = await asyncio.gather(*(ask(refund, request(story), key) for _ in range(10)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    other = await ask(refund, request(story, note="another"), key)
    assert other.status_code == 422


async def test_a_refund_that_failed_is_asked_for_anew(refund: Running) -> None:
    story = Story(refund)
    await story.paid()
    await story.tell(story.cancelled())
    approved = await story.says(RefundApproved)
    await story.tell(story.refund_failed(approved))
    again = await ask(refund, request(story, reason="customer_cancelled"))
    assert (again.status_code, again.json()["amount"]["amount_minor"]) == (201, 1998)


async def test_what_cannot_be_refunded_is_refused_with_its_reason(refund: Running) -> None:
    unpaid = Story(refund)
    await unpaid.tell(unpaid.placed())
    answer = await ask(refund, request(unpaid))
    assert (answer.status_code, answer.json()["state"]) == (409, "unpaid")
    captured_only = Story(refund)
    await captured_only.tell(captured_only.captured())
    assert (await ask(refund, request(captured_only))).status_code == 404
    assert (await ask(refund, request(Story(refund)))).status_code == 404


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"reason": "because"}, "reason"),
        ({"reason": "seats_unavailable"}, "reason"),
        ({"booking_id": "17"}, "booking_id"),
        ({"amount_minor": 0}, "amount_minor"),
        ({"amount_minor": -5}, "amount_minor"),
        ({"amount_minor": 5.0}, "amount_minor"),
        ({"amount_minor": "5"}, "amount_minor"),
        ({"amount_minor": 5, "lines": [{"line_id": str(UUID(int=1))}]}, "lines"),
        ({"lines": []}, "lines"),
        ({"lines": [{"line_id": str(UUID(int=1))}] * 2}, "lines"),
        ({"currency": "EUR"}, "currency"),
        ({"override": "yes"}, "override"),
        ({"note": "a\u0000b"}, "note"),
        ({"note": "a\u0085b"}, "note"),
        ({"note": "  "}, "note"),
        ({"note": "x" * 1001}, "note"),
    ],
)
async def test_a_wrong_field_is_named(refund: Running, changed: dict[str, object], field: str) -> None:
    answer = await ask(refund, request(Story(refund), **changed))
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


async def test_half_a_surrogate_pair_is_refused(refund: Running) -> None:
    body = b'{"booking_id": "%s", "reason": "other", "note": "\\ud800"}' % str(uuid4()).encode()
    headers = {**refund.staff("refunder"), "Idempotency-Key": "k", "Content-Type": "application/json"}
    assert (await refund.client.post("/refunds", content=body, headers=headers)).status_code == 422


async def test_roles(refund: Running) -> None:
    story = Story(refund)
    await story.paid()
    assert (await ask(refund, request(story), role="viewer")).status_code == 403
    as_holder = {**refund.holder(story.booking_id), "Idempotency-Key": "k"}
    assert (await refund.client.post("/refunds", json=request(story), headers=as_holder)).status_code == 403
    assert (await refund.client.get("/refunds", headers=refund.holder(story.booking_id))).status_code == 403
    assert (await refund.client.post("/refunds", json=request(story))).status_code == 401
    assert (await ask(refund, request(story), role="manager")).status_code == 201


async def test_a_staff_refund_is_in_the_audit_with_its_actor(refund: Running) -> None:
    story = Story(refund)
    await story.paid()
    created = (await ask(refund, request(story))).json()
    rows = table(AuditRow)
    async with refund.database.transaction() as tx:
        [row] = await tx.execute(select(rows).where(rows.c.subject == f"refund/{created['id']}"))
    assert (row.actor, row.action, row.reason) == ("refunder-7", "refund.create", "goodwill")
    assert row.after == {"booking_id": str(story.booking_id), "amount_minor": 1998, "currency": "EUR"} | {
        "status": "approved",
        "override": False,
    }


async def test_a_note_rests_sealed(refund: Running) -> None:
    story = Story(refund)
    await story.paid()
    created = (await ask(refund, request(story, note="Her mother fell ill."))).json()
    async with refund.database.transaction() as tx:
        row = await tx.get(Refund, UUID(created["id"]))
    assert row is not None
    assert row.note is not None
    assert "mother" not in row.note
    assert refund.sealer.unseal(row.note, SEALED_NOTE) == "Her mother fell ill."


# --- reading


async def test_the_holder_sees_the_trace_but_not_who_decided(refund: Running) -> None:
    story = Story(refund)
    await story.paid()
    created = (await ask(refund, request(story, note="internal"))).json()
    path = f"/refunds/{created['id']}"
    seen = (await refund.client.get(path, headers=refund.holder(story.booking_id))).json()
    assert seen["trace"] == created["trace"]
    assert (seen["requested_by"], seen["note"]) == (None, None)
    assert (await refund.client.get(path, headers=refund.holder(uuid4()))).status_code == 404
    assert (await refund.client.get(f"/refunds/{uuid4()}", headers=refund.staff("viewer"))).status_code == 404


async def test_lists_are_paged_newest_first_and_filtered(refund: Running) -> None:
    stories = [Story(refund, starts_in=timedelta(hours=hours)) for hours in (1, 60, 60, 60)]
    for story in stories:
        await story.paid()
        await story.tell(story.cancelled())
    viewer = refund.staff("viewer")
    pages: list[list[str]] = []
    params: dict[str, str] = {"limit": "2", "status": "approved"}
    while len(pages) < 2:
        page = (await refund.client.get("/refunds", params=params, headers=viewer)).json()
        assert {item["status"] for item in page["items"]} == {"approved"}
        pages.append([item["booking_id"] for item in page["items"]])
        params["cursor"] = page["next_cursor"]
    assert [pages[0][0], pages[0][1], pages[1][0]] == [str(story.booking_id) for story in reversed(stories[1:])]
    declined = {"status": "declined", "booking_id": str(stories[0].booking_id)}
    last = (await refund.client.get("/refunds", params=declined, headers=viewer)).json()
    assert ([item["amount"]["amount_minor"] for item in last["items"]], last["next_cursor"]) == ([0], None)


@pytest.mark.parametrize("wrong", [{"status": "gone"}, {"limit": "0"}, {"limit": "201"}, {"cursor": "x"}])
async def test_a_wrong_filter_is_named(refund: Running, wrong: dict[str, str]) -> None:
    answer = await refund.client.get("/refunds", params=wrong, headers=refund.staff("viewer"))
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"].partition(".")[0] == next(iter(wrong))


async def test_whole_unit_currencies_are_refunded_in_whole_units(refund: Running) -> None:
    story = Story(
        refund,
        prices=(99_900,),
        currency="ISK",
        starts_in=timedelta(hours=30),
        tiers=(PolicyTier(hours_before=24, percent=33),),
    )
    await story.paid()
    assert (await story.quote())["amount"] == {"amount_minor": 33_000, "currency": "ISK"}
