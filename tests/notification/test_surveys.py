"""One question after the event and one after a refund: who is asked, what the mail holds, what counts as an answer, and who sees it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx2
import pytest
from chassis.db import table
from contracts.booking import BookingCancelled, EventRescheduled
from contracts.refund import RefundCompleted, RefundFailed
from notification.models import Survey
from notification.survey_rules import OPEN_FOR, Kind, Terms
from notification.survey_watch import ANSWERS, POINTS, SENT, measure
from notification.surveys import SEALED_AS, Inquirer
from sqlalchemy import select, update

from tests.notification.conftest import EMAIL, FACTS, NAME, Office, html_of, plain
from tests.notification.test_refund_mails import refund
from tests.support.service import as_role, eventually

LINK = re.compile(r"http://localhost:8080/survey/([0-9a-f-]{36})#token=([\w-]{43})")
A_DAY = timedelta(days=1)
COMMENT = "Der Saal war zu kalt 🥶, sonst: großartig."


def ended(ago: timedelta = 2 * A_DAY) -> dict[str, datetime]:
    """Facts of an event that is over."""
    ends_at = datetime.now(UTC) - ago
    return {"starts_at": ends_at - timedelta(hours=2), "ends_at": ends_at}


async def confirmed(office: Office, language: str | None = None, **facts: Any) -> UUID:
    """A booking whose tickets were mailed."""
    booking_id = await office.book(**facts)
    contact = {"name": NAME, "email": EMAIL} | ({"language": language} if language else {})
    sealed = office.running.seal(contact, "booking.contact")
    bookings = office.placed(booking_id, **facts).model_copy(update={"contact": sealed})
    if language:
        booking_id = uuid4()
        await office.running.deliver_and_wait(bookings.model_copy(update={"booking_id": booking_id}))
    await office.running.deliver_and_wait(office.confirmed(booking_id, contact=sealed, **facts))
    await office.mails(booking_id)
    return booking_id


async def surveys(office: Office, booking_id: UUID) -> dict[str, Any]:
    """The rows of a booking's surveys by their kind."""
    rows = table(Survey)
    async with office.running.database.transaction() as tx:
        found = await tx.execute(select(rows).where(rows.c.booking_id == booking_id))
        return {row.kind: row for row in found}


async def survey_once(office: Office, booking_id: UUID, kind: Kind, status: str) -> Any:
    """The survey of a kind, once it has that status."""

    async def there() -> Any:
        row = (await surveys(office, booking_id)).get(kind)
        return row if row is not None and row.status == status else None

    return await eventually(there)


async def change(office: Office, survey_id: UUID, **values: Any) -> None:
    """Lets time pass for a survey."""
    rows = table(Survey)
    async with office.running.database.transaction() as tx:
        await tx.execute(update(rows).where(rows.c.id == survey_id).values(values))


async def asked_about_refund(office: Office, language: str | None = None) -> tuple[UUID, EmailMessage]:
    """A booking that was refunded a while ago, and the mail that asks about it."""
    booking_id = await confirmed(office, language)
    await office.running.deliver_and_wait(refund(RefundCompleted, booking_id, 100, reason="goodwill"))
    waiting = (await surveys(office, booking_id))["refund"]
    now = datetime.now(UTC)
    await change(office, waiting.id, created_at=now - 2 * A_DAY, next_attempt_at=now)
    return booking_id, (await office.mails(booking_id, 3))[-1]


def opened(mail: EmailMessage) -> tuple[str, dict[str, str]]:
    """Path and headers that the page would ask with."""
    found = LINK.search(plain(mail))
    assert found, plain(mail)
    return f"/surveys/{found[1]}", {"Authorization": f"Bearer {found[2]}"}


async def answered(office: Office, mail: EmailMessage, **body: Any) -> httpx2.Response:
    path, headers = opened(mail)
    return await office.running.client.put(f"{path}/answer", json=body, headers=headers)


async def test_who_was_there_is_asked_once(office: Office) -> None:
    """After the delay, in English where no language is known; an event that is published anew asks no second time."""
    booking_id = await confirmed(office, **ended())
    _, mail = await office.mails(booking_id, 2)
    assert mail["Subject"] == f"How was {FACTS.name}?"
    assert mail["X-Boxoffice-Template"] == "survey_event"
    assert '<html lang="en"' in html_of(mail)
    await office.running.deliver_and_wait(office.confirmed(booking_id, **ended()))
    row = await survey_once(office, booking_id, Kind.EVENT, "asked")
    assert (row.score, row.comment, row.next_attempt_at) == (None, None, None)
    assert [each.template for each in await office.messages(booking_id)] == ["confirmation", "survey_event"]


async def test_nobody_is_asked_before_the_time(office: Office) -> None:
    """An event that ended just now is looked at again a day later; one that is to come, at its end."""
    over, to_come = await confirmed(office, **ended(timedelta(seconds=1))), await confirmed(office)

    async def looked_at() -> Any:
        row = (await surveys(office, over))["event"]
        return row if row.next_attempt_at > datetime.now(UTC) + timedelta(hours=20) else None

    assert (await eventually(looked_at)).status == "waiting"
    assert (await surveys(office, to_come))["event"].next_attempt_at == FACTS.ends_at
    assert [len(await office.messages(each)) for each in (over, to_come)] == [1, 1]


async def test_who_cancelled_is_not_asked_about_the_event(office: Office) -> None:
    booking_id = await confirmed(office)
    now = datetime.now(UTC)
    cancelled = BookingCancelled(
        version=4, occurred_at=now, booking_id=booking_id, by="event", was="confirmed", received_at=now, line_ids=()
    )
    await office.running.deliver_and_wait(cancelled)
    await office.make_due(Survey, booking_id=booking_id)
    row = await survey_once(office, booking_id, Kind.EVENT, "dropped")
    assert row.reason == "the booking was cancelled"


async def test_a_survey_follows_an_event_that_is_moved(office: Office) -> None:
    """To an earlier time at once; to a later one when it is looked at, and nobody is asked before."""
    event_id = uuid4()
    booking_id = await confirmed(office, event_id=event_id)
    for version, ends_at in ((2, FACTS.ends_at - 9 * A_DAY), (3, FACTS.ends_at + 9 * A_DAY)):
        moved = FACTS.model_copy(update={"event_id": event_id, "starts_at": ends_at - A_DAY / 8, "ends_at": ends_at})
        await office.running.deliver_and_wait(
            EventRescheduled(
                version=version,
                occurred_at=datetime.now(UTC),
                event_id=event_id,
                event=moved,
                previous_starts_at=FACTS.starts_at,
            )
        )
        await office.mails(booking_id, version)
        if version == 3:
            await office.make_due(Survey, booking_id=booking_id)

        async def follows(wanted: datetime = ends_at + (A_DAY if version == 3 else timedelta(0))) -> bool:
            return bool((await surveys(office, booking_id))["event"].next_attempt_at == wanted)

        await eventually(follows)
    assert (await surveys(office, booking_id))["event"].status == "waiting"


async def test_a_refund_that_came_back_is_not_asked_about(office: Office) -> None:
    booking_id = await confirmed(office)
    failed = refund(RefundFailed, booking_id, 100, 3, reason="expired_card", had_succeeded=True)
    await office.running.deliver_and_wait(failed)
    completed = refund(RefundCompleted, booking_id, 100, 2, reason="goodwill", refund_id=failed.refund_id)
    await office.running.deliver_and_wait(completed)
    row = await survey_once(office, booking_id, Kind.REFUND, "dropped")
    assert row.reason == "a refund did not arrive"


async def test_switched_off_nobody_is_asked(office: Office) -> None:
    booking_id = await confirmed(office)
    waiting = (await surveys(office, booking_id))["event"]
    await Inquirer(office.running.database, Terms(is_on=False, delays={})).look(waiting.id)
    row = await survey_once(office, booking_id, Kind.EVENT, "dropped")
    assert row.reason == "surveys are switched off"


async def test_a_refund_is_asked_about_in_the_language_of_the_booking(office: Office) -> None:
    """Five links that choose an answer and one that chooses none; the holder's token is in none of them."""
    booking_id, mail = await asked_about_refund(office, "de")
    assert mail["Subject"] == f"Wie lief die Erstattung für {FACTS.name}?"
    page = html_of(mail)
    assert '<html lang="de"' in page
    assert f"Guten Tag {NAME}," in plain(mail)
    path, _ = opened(mail)
    links = re.findall(r'href="(http://localhost:8080/survey/[^"]+)"', page)
    assert [link.rpartition("&amp;score=")[2] for link in links] == ["1", "2", "3", "4", "5"]
    assert "token-1" not in page
    assert "token-1" not in plain(mail)
    assert path == f"/surveys/{(await surveys(office, booking_id))['refund'].id}"
    await office.running.deliver_and_wait(refund(RefundCompleted, booking_id, 200, reason="goodwill"))
    assert len(await office.messages(booking_id)) == 4  # and no second survey
    assert (await surveys(office, booking_id))["refund"].status == "asked"


async def test_the_last_answer_counts_and_looking_answers_nothing(office: Office) -> None:
    booking_id, mail = await asked_about_refund(office)
    path, headers = opened(mail)
    for _ in range(2):
        shown = (await office.running.client.get(path, headers=headers)).json()
        assert (shown["kind"], shown["event_name"], shown["is_open"]) == ("refund", FACTS.name, True)
        assert (shown["score"], shown["answered_at"]) == (None, None)
    first = await answered(office, mail, score=2, comment=f"  {COMMENT} ")
    assert first.status_code == 200, first.text
    assert first.json()["score"] == 2
    row = (await surveys(office, booking_id))["refund"]
    assert COMMENT not in str(row)
    assert office.running.sealer.unseal(row.comment, SEALED_AS) == COMMENT
    again = await office.running.client.get(path, headers=headers)
    assert again.json()["answered_at"]
    assert COMMENT not in again.text
    assert (await answered(office, mail, score=5)).json()["score"] == 5
    row = (await surveys(office, booking_id))["refund"]
    assert (row.score, row.comment) == (5, None)


async def test_it_closes_after_thirty_days(office: Office) -> None:
    booking_id, mail = await asked_about_refund(office)
    await answered(office, mail, score=4)
    row = (await surveys(office, booking_id))["refund"]
    await change(office, row.id, asked_at=datetime.now(UTC) - OPEN_FOR)
    late = await answered(office, mail, score=1)
    assert (late.status_code, late.json()["state"]) == (409, "closed")
    path, headers = opened(mail)
    shown = (await office.running.client.get(path, headers=headers)).json()
    assert (shown["is_open"], shown["score"]) == (False, 4)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"score": 0}, "score"),
        ({"score": 6}, "score"),
        ({"score": "5"}, "score"),
        ({"score": 4.5}, "score"),
        ({"score": True}, "score"),
        ({}, "score"),
        ({"score": 5, "comment": "x" * 1001}, "comment"),
        ({"score": 5, "stars": 5}, "stars"),
    ],
)
async def test_what_is_no_answer_is_refused_by_name(office: Office, body: dict[str, Any], field: str) -> None:
    answer = await office.running.client.put(f"/surveys/{uuid4()}/answer", json=body)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


async def test_a_token_opens_its_own_survey_and_no_other_says_why_not(office: Office) -> None:
    """Forged, another survey's, the booking's, none; unknown, not asked yet, erased: the answer is the same."""
    booking_id, mail = await asked_about_refund(office)
    other, _ = await asked_about_refund(office)
    path, headers = opened(mail)
    another = f"/surveys/{(await surveys(office, other))['refund'].id}"
    waiting = (await surveys(office, booking_id))["event"].id
    signed = {"Authorization": f"Bearer {office.running.sealer.sign(str(waiting), 'notification.survey')}"}
    forged = {"Authorization": headers["Authorization"][:-2] + "AA"}
    client = office.running.client
    refused = [
        (path, forged),
        (path, {}),
        (path, {"Authorization": f"Basic {headers['Authorization'].split()[1]}"}),
        (path, office.running.holder(booking_id)),
        (path, office.running.staff("manager")),
        (another, headers),
        (f"/surveys/{uuid4()}", headers),
        (f"/surveys/{waiting}", signed),
    ]
    answers = [await client.get(at, headers=given) for at, given in refused]
    answers += [await client.put(f"{at}/answer", json={"score": 1}, headers=given) for at, given in refused]
    await office.erase(booking_id)
    answers += [await client.get(path, headers=headers), await answered(office, mail, score=1)]
    assert {(each.status_code, each.text) for each in answers} == {(404, answers[0].text)}
    assert (await surveys(office, booking_id))["refund"].score is None


async def test_staff_see_what_was_answered(office: Office) -> None:
    """Newest first, a page at a time, the low ones apart; nothing without signing in."""
    told = []
    for score in (5, 1, 2):
        booking_id, mail = await asked_about_refund(office)
        await answered(office, mail, score=score, comment=COMMENT)
        told.append(str(booking_id))
    client, viewer = office.running.client, office.running.staff("viewer")
    assert (await client.get("/surveys")).status_code == 401
    first = (await client.get("/surveys?limit=1&max_score=2", headers=viewer)).json()
    second = (await client.get(f"/surveys?limit=1&max_score=2&cursor={first['next_cursor']}", headers=viewer)).json()
    assert [item["booking_id"] for item in first["items"] + second["items"]] == [told[2], told[1]]
    (shown,) = (await client.get(f"/surveys?booking_id={told[0]}", headers=viewer)).json()["items"]
    assert (shown["kind"], shown["score"], shown["comment"]) == ("refund", 5, COMMENT)


async def test_what_is_measured_is_what_the_rows_say(office: Office) -> None:
    """An answer that is changed counts once; what is older than thirty days does not count."""

    async def read() -> tuple[float, float, float, float]:
        async with office.running.database.transaction() as tx:
            await measure(tx)
        kind = Kind.REFUND
        low, high = (ANSWERS.labels(kind, score)._value.get() for score in (1, 5))
        return SENT.labels(kind)._value.get(), low, high, POINTS.labels(kind)._value.get()

    before = await read()
    booking_id, mail = await asked_about_refund(office)
    await asked_about_refund(office)
    await answered(office, mail, score=1)
    await answered(office, mail, score=5)
    after = await read()
    assert [now - then for now, then in zip(after, before, strict=True)] == [2, 0, 1, 5]
    row = (await surveys(office, booking_id))["refund"]
    await change(office, row.id, asked_at=datetime.now(UTC) - OPEN_FOR)
    assert [now - then for now, then in zip(await read(), before, strict=True)] == [1, 0, 0, 0]


@pytest.mark.parametrize(
    "values",
    [
        "score = 6, answered_at = now()",
        "score = 3",
        "comment = 'x'",
        "next_attempt_at = now()",
        "status = 'waiting'",
        "status = 'dropped', asked_at = NULL",
    ],
)
async def test_the_database_holds_the_rules(office: Office, values: str) -> None:
    booking_id, _ = await asked_about_refund(office)
    row = (await surveys(office, booking_id))["refund"]
    connection = await asyncpg.connect(as_role(office.running.url, "notification").replace("+asyncpg", ""))
    try:
        with pytest.raises(asyncpg.CheckViolationError):
            await connection.execute(f"UPDATE surveys SET {values} WHERE id = $1", row.id)  # ours
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("DELETE FROM surveys")
    finally:
        await connection.close()
