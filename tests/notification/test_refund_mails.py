"""What buyers and staff read about refunds, disputes and campaigns, and that each is told once, in order, and to nobody else."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from contracts.booking import BookingCancelled, TicketsCancelled
from contracts.event import Event
from contracts.money import Money
from contracts.payment import DisputeClosed, DisputeOpened
from contracts.refund import (
    RefundAwaitingApproval,
    RefundCampaignFinished,
    RefundCampaignStarted,
    RefundCompleted,
    RefundFailed,
    RefundSettledManually,
)

from tests.conftest import Vhost
from tests.notification.conftest import (
    EMAIL,
    NAME,
    STAFF,
    STARTS_AT,
    TICKETS,
    Mailbox,
    Names,
    Office,
    html_of,
    plain,
)
from tests.notification.test_mails import too_early
from tests.support.service import running_service

GIVEN_BACK, REMAINING = (UUID(ticket["line_id"]) for ticket in TICKETS)

MONEY_PAGE = "http://localhost:8080/api/refunds/status.html?token=token-1"
"""With the token that came sealed with the confirmation."""


def refund(event: type[Event], booking_id: UUID, amount: int, version: int = 2, **more: Any) -> Any:
    return event(
        version=version,
        occurred_at=datetime.now(UTC),
        refund_id=more.pop("refund_id", uuid4()),
        payment_id=uuid4(),
        booking_id=booking_id,
        amount=Money(amount, "EUR"),
        **more,
    )


def given_back(booking_id: UUID, version: int = 4) -> TicketsCancelled:
    return TicketsCancelled(
        version=version,
        occurred_at=datetime.now(UTC),
        booking_id=booking_id,
        by="customer",
        received_at=STARTS_AT - timedelta(days=30),
        line_ids=(GIVEN_BACK,),
        remaining_line_ids=(REMAINING,),
    )


async def booked(office: Office) -> UUID:
    booking_id = await office.book()
    await office.running.deliver_and_wait(office.confirmed(booking_id))
    return booking_id


async def test_tickets_that_are_given_back_are_told_apart_from_those_that_stay_valid(office: Office) -> None:
    booking_id = await booked(office)
    await office.running.deliver_and_wait(given_back(booking_id))
    await office.running.deliver_and_wait(given_back(booking_id))  # published anew
    refunded = refund(RefundCompleted, booking_id, 4000, reason="customer_cancelled")
    await office.running.deliver_and_wait(refunded)
    _, mail, money = await office.mails(booking_id, 3)
    text = plain(mail)
    lost, valid = text[text.index("No longer valid") :].split("Still valid")
    assert TICKETS[0]["code"] in lost
    assert TICKETS[1]["code"] in valid
    assert f'src="cid:{REMAINING}@tickets"' in html_of(mail)
    assert [part["Content-ID"] for part in mail.walk() if part.get_content_type() == "image/png"] == [
        f"<{REMAINING}@tickets>"
    ]
    assert not any(part.get_content_type() == "text/calendar" for part in mail.walk())
    assert "We have sent €40.00 back for the tickets that you gave back" in plain(money)

    messages = await office.messages(booking_id)
    headers = office.running.staff("manager") | {"Idempotency-Key": str(uuid4())}
    await office.running.client.post(f"/notifications/{messages[0].id}/resend", headers=headers)
    again = (await office.mails(booking_id, 4))[-1]
    assert TICKETS[0]["code"] not in plain(again)  # a ticket that is not valid is not sent again
    assert TICKETS[1]["code"] in plain(again)


async def test_what_a_policy_keeps_is_told_with_the_refund(office: Office) -> None:
    booking_id = await booked(office)
    now = datetime.now(UTC)
    await office.running.deliver_and_wait(
        BookingCancelled(
            version=4,
            occurred_at=now,
            booking_id=booking_id,
            by="customer",
            was="confirmed",
            received_at=STARTS_AT - timedelta(hours=30),
            line_ids=(),
        )
    )
    await office.running.deliver_and_wait(refund(RefundCompleted, booking_id, 4450, reason="customer_cancelled"))
    await office.running.deliver_and_wait(refund(RefundCompleted, booking_id, 1000, reason="goodwill"))
    _, _, by_policy, goodwill = await office.mails(booking_id, 4)
    for shown in (plain(by_policy), html_of(by_policy)):
        assert "€44.50 of the €89.00" in " ".join(shown.split())
        assert "5 to 10 business days" in " ".join(shown.split())
        assert MONEY_PAGE in shown
    assert "kept" not in plain(goodwill)


async def test_a_refund_that_follows_from_a_cancellation_waits_for_it_however_long(office: Office) -> None:
    """And is told after it, once the parked event is sent back."""
    booking_id = await booked(office)
    event = refund(RefundCompleted, booking_id, 100, reason="customer_cancelled", for_cancellation=True)
    event_id = await too_early(
        office, event.model_copy(update={"occurred_at": event.occurred_at - timedelta(minutes=3)})
    )
    await office.running.deliver_and_wait(given_back(booking_id))
    await office.running.deliver(event, event_id)
    mails = await office.mails(booking_id, 3)
    assert [mail["X-Boxoffice-Template"] for mail in mails] == ["confirmation", "tickets_cancelled", "refund_sent"]


async def test_a_refund_that_no_cancellation_belongs_to_is_told_at_once(office: Office) -> None:
    """Whatever reason staff gave: its first delivery has its effect, or it would be parked here."""
    booking_id = await booked(office)
    parked = await office.running.parked(RefundCompleted)
    refunded = refund(RefundCompleted, booking_id, 100, reason="staff_cancelled", for_cancellation=False)
    await office.running.deliver_and_wait(refunded)
    await office.mails(booking_id, 2)
    assert await office.running.parked(RefundCompleted) == parked


async def test_a_reason_that_staff_gave_does_not_hold_the_mail_for_ever(office: Office) -> None:
    """Of an event that does not say whether a cancellation belongs to it: the mail comes when the wait is over."""
    booking_id = await booked(office)
    event = refund(RefundCompleted, booking_id, 100, reason="staff_cancelled")
    await office.running.deliver_and_wait(
        event.model_copy(update={"occurred_at": event.occurred_at - timedelta(minutes=3)})
    )
    await office.mails(booking_id, 2)


@pytest.mark.parametrize(
    ("had_succeeded", "said"),
    [(True, "Your bank has returned it to us"), (False, "could not be sent")],
)
async def test_a_refund_that_failed_says_what_to_do_and_is_a_case_for_staff(
    office: Office, *, had_succeeded: bool, said: str
) -> None:
    booking_id = await booked(office)
    failed = refund(RefundFailed, booking_id, 8900, 3, reason="expired_or_canceled_card", had_succeeded=had_succeeded)
    (case,) = await office.told(failed)
    _, mail = await office.mails(booking_id, 2)
    text = " ".join(plain(mail).split())
    assert said in text
    assert "choose another way" in text
    assert MONEY_PAGE in text
    assert case["To"].addresses[0].addr_spec == STAFF
    assert case["Subject"] == "A refund of €89.00 failed"
    assert str(failed.refund_id) in plain(case)
    for shown in (case.as_string(), plain(case), html_of(case)):
        assert NAME not in shown
        assert EMAIL not in shown
    settled = refund(RefundSettledManually, booking_id, 8900, 4, reason="other", refund_id=failed.refund_id)
    await office.running.deliver_and_wait(settled)
    last = (await office.mails(booking_id, 3))[-1]
    assert "€89.00 has been paid another way" in plain(last)


@pytest.mark.parametrize(
    ("reason", "subject", "said", "to_staff"),
    [
        ("dispute_lost", "has returned your money", "Your bank has given you the money", "Do not pay it a second time"),
        (
            "not_enough_left",
            "is being looked into",
            "staff have been told and look into it",
            "refund what is still owed",
        ),
    ],
)
async def test_what_the_buyer_is_not_owed_again_is_promised_to_nobody(
    office: Office, reason: str, subject: str, said: str, to_staff: str
) -> None:
    """The bank gave it back, or it had gone already: neither mail may lead to its being paid twice."""
    booking_id = await booked(office)
    (case,) = await office.told(refund(RefundFailed, booking_id, 8900, 3, reason=reason))
    _, mail = await office.mails(booking_id, 2)
    assert subject in mail["Subject"]
    for shown in (plain(mail), html_of(mail)):
        text = " ".join(shown.split())
        assert said in text
        for promise in ("still yours", "Still owed", "another way", "did not arrive"):
            assert promise not in text
    text = " ".join(plain(case).split())
    assert to_staff in text
    assert "owed this amount again" not in text
    assert "Retry" not in text


async def test_staff_hear_of_disputes_and_approvals_and_the_buyer_does_not(office: Office) -> None:
    booking_id = await booked(office)
    dispute = {
        "occurred_at": datetime.now(UTC), "payment_id": uuid4(), "booking_id": booking_id, "dispute_id": uuid4(),
        "amount": Money(8900, "EUR"),
    }  # fmt: skip
    (opened,) = await office.told(DisputeOpened(version=5, reason="fraudulent", respond_by=STARTS_AT, **dispute))
    (closed,) = await office.told(DisputeClosed(version=6, outcome="lost", **dispute))
    (approval,) = await office.told(refund(RefundAwaitingApproval, booking_id, 50000, 1, reason="goodwill"))
    assert "Evidence until: Sat, 29 March 2031, 20:00 (UTC+01:00), Europe/Berlin" in plain(opened)
    assert closed["Subject"] == "A dispute over €89.00 was lost"
    assert approval["Subject"] == "A refund of €500.00 awaits approval"
    assert [row.template for row in await office.messages(booking_id) if not row.for_staff] == ["confirmation"]
    shown = await office.running.client.get(
        f"/notifications?booking_id={booking_id}", headers=office.running.staff("viewer")
    )
    assert [item["template"] for item in shown.json()["items"] if item["for_staff"]] == [
        "staff_dispute_opened", "staff_dispute_closed", "staff_approval",
    ]  # fmt: skip


async def test_the_figures_of_a_campaign_go_to_staff_once(office: Office) -> None:
    event_id = uuid4()
    totals = (Money(1_234_500, "EUR"), Money(700, "JPY"))
    about = {"event_id": event_id, "name": "Goldberg Variations", "occurred_at": datetime.now(UTC), "totals": totals}
    started = RefundCampaignStarted(version=1, bookings=1204, **about)
    (first,) = await office.told(started)
    await office.running.deliver_and_wait(started)  # published anew
    (second,) = await office.told(RefundCampaignFinished(version=2, refunded=1203, failed=1, **about))
    for figure in ("1,204 bookings", "€12,345.00", "¥700"):
        assert figure in plain(first)
    assert "1 booking could not be refunded and is left to you" in plain(second)
    assert first["References"] == second["References"]
    assert len(office.mailbox.to_staff(event_id)) == 2


async def test_without_an_address_staff_are_not_written_to_and_the_row_says_why(
    postgres_url: str, new_vhost: Callable[[str], Vhost], mail_server: tuple[Mailbox, int]
) -> None:
    mailbox, port = mail_server
    event_id = uuid4()
    async with running_service(
        "notification",
        postgres_url,
        new_vhost("nobody"),
        NOTIFICATION_SMTP_HOST="127.0.0.1",
        NOTIFICATION_SMTP_PORT=str(port),
        NOTIFICATION_SMTP_STARTTLS="false",
        NOTIFICATION_MAIL_FROM="tickets@northlight.example",
        NOTIFICATION_STAFF_ADDRESS="",
    ) as running:
        office = Office(running, mailbox, Names())
        started = RefundCampaignStarted(
            version=1, bookings=1, event_id=event_id, name="x", occurred_at=datetime.now(UTC), totals=()
        )
        await running.deliver_and_wait(started)
        row = await office.message_once(None, status="suppressed")
        assert row.last_error == "NOTIFICATION_STAFF_ADDRESS is not set"
    assert mailbox.to_staff(event_id) == []


async def test_a_mail_to_staff_does_not_wait_for_one_to_the_buyer(office: Office) -> None:
    office.mailbox.say = lambda stage, to: "451 later" if stage == "rcpt" and to == EMAIL else None
    booking_id = await booked(office)
    (case,) = await office.told(refund(RefundFailed, booking_id, 100, 1, reason="lost"))
    assert case["X-Boxoffice-Template"] == "staff_refund_failed"
    assert office.mailbox.about(booking_id) == []
