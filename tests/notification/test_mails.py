"""From an event to the buyer's mailbox, over real RabbitMQ, PostgreSQL and SMTP."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from contracts.booking import BookingCancelled, BookingExpired
from contracts.event import Event
from contracts.money import Money
from contracts.payment import PaymentAttemptFailed, PaymentFailed, PaymentHeldForReview, PaymentVoided
from contracts.refund import RefundCompleted, RefundDeclined, RefundFailed

from tests.notification.conftest import EMAIL, NAME, STARTS_AT, TICKETS, Office, html_of, plain
from tests.support.service import eventually


async def test_a_confirmation_brings_one_mail_with_tickets(office: Office) -> None:
    booking_id = await office.book()
    confirmed = office.confirmed(booking_id)
    event_id = await office.running.deliver_and_wait(confirmed)
    await office.running.deliver(confirmed, event_id)
    await office.running.deliver(confirmed)  # published anew under another id: still the same transition
    (mail,) = await office.mails(booking_id)

    assert mail["To"].addresses[0].addr_spec == EMAIL
    assert mail["Subject"] == "Your tickets for Goldberg Variations"
    row = await office.message_once(booking_id, status="sent")
    assert mail["Message-ID"] == row.message_id
    assert row.attempts == 1
    assert row.next_attempt_at is None

    text = plain(mail)
    html = html_of(mail)
    for shown in (text, html):
        assert "€89.00" in shown
        assert "20:00 to 22:00 (UTC+01:00, Europe/Berlin)" in shown
        assert "until Thu, 27 March 2031, 20:00 (UTC+01:00)" in shown
        for ticket in TICKETS:
            assert ticket["code"] in shown
    images = {part["Content-ID"]: part for part in mail.walk() if part.get_content_type() == "image/png"}
    assert len(images) == len(TICKETS)
    for ticket in TICKETS:
        assert f'src="cid:{ticket["line_id"]}@tickets"' in html
        assert images[f"<{ticket['line_id']}@tickets>"].get_content().startswith(b"\x89PNG")
    (calendar,) = [part for part in mail.iter_attachments() if part.get_content_type() == "text/calendar"]
    assert "DTSTART;TZID=Europe/Berlin:20310329T200000" in calendar.get_content()


async def test_tickets_do_not_wait_for_the_facts_of_the_booking(office: Office) -> None:
    booking_id = uuid4()
    await office.running.deliver_and_wait(office.confirmed(booking_id, total=0))
    (mail,) = await office.mails(booking_id)
    assert "Total paid: free" in plain(mail)


async def test_a_paid_confirmation_gives_the_policy_half_a_minute_to_arrive(office: Office) -> None:
    booking_id = uuid4()
    await office.running.deliver_and_wait(office.confirmed(booking_id))
    row = await office.message_once(booking_id, status="queued", attempts=0)
    assert timedelta(seconds=29) < row.next_attempt_at - row.created_at < timedelta(seconds=31)
    await office.running.deliver_and_wait(office.placed(booking_id))
    await office.make_due(booking_id=booking_id)
    (mail,) = await office.mails(booking_id)
    assert "100% back" in plain(mail)


async def test_a_cancellation_that_overtakes_its_booking_waits_and_comes_second(office: Office) -> None:
    booking_id = uuid4()
    cancelled = BookingCancelled(
        version=4,
        occurred_at=datetime.now(UTC),
        booking_id=booking_id,
        by="customer",
        was="confirmed",
        received_at=STARTS_AT - timedelta(hours=30),
        line_ids=(),
    )
    event_id = await too_early(office, cancelled)
    await office.running.deliver_and_wait(office.placed(booking_id))
    event_id = await too_early(office, cancelled, event_id)
    await office.running.deliver_and_wait(office.confirmed(booking_id))
    await office.running.deliver(cancelled, event_id)
    confirmation, cancellation = await office.mails(booking_id, 2)
    assert confirmation["X-Boxoffice-Template"] == "confirmation"
    assert cancellation["X-Boxoffice-Template"] == "booking_cancelled"
    assert "gets\n50% of the price back" in plain(cancellation)
    (calendar,) = [part for part in cancellation.iter_attachments() if part.get_content_type() == "text/calendar"]
    assert "METHOD:CANCEL" in calendar.get_content()


async def test_mails_of_a_booking_keep_their_order_while_the_server_is_down(office: Office) -> None:
    booking_id = await office.book()
    office.mailbox.say = lambda stage, _: "451 later" if stage == "rcpt" else None
    await office.running.deliver_and_wait(office.confirmed(booking_id))
    await eventually(lambda: _attempts(office, booking_id, 1))
    payment_id, refund_id = uuid4(), uuid4()
    refunded = RefundCompleted(
        version=1,
        occurred_at=datetime.now(UTC),
        refund_id=refund_id,
        booking_id=booking_id,
        payment_id=payment_id,
        amount=Money(4450, "EUR"),
        reason="goodwill",
    )
    await office.running.deliver_and_wait(refunded)
    await eventually(lambda: _postponed(office, booking_id))
    office.mailbox.say = lambda _stage, _recipient: None
    messages = await office.messages(booking_id)
    await office.make_due(id=messages[0].id)
    first, second = await office.mails(booking_id, 2)
    assert [first["X-Boxoffice-Template"], second["X-Boxoffice-Template"]] == ["confirmation", "refund_sent"]
    assert "€44.50 is on its way back to you" in plain(second)
    assert second["References"] == first["References"]


async def _attempts(office: Office, booking_id: UUID, count: int) -> bool:
    messages = await office.messages(booking_id)
    return messages[0].attempts >= count and messages[0].last_error is not None


async def _postponed(office: Office, booking_id: UUID) -> bool:
    second = (await office.messages(booking_id))[1]
    return bool(second.attempts == 0 and second.next_attempt_at > second.created_at + timedelta(seconds=30))


async def test_a_hold_that_lapses_is_written_of_only_after_a_failed_payment(office: Office) -> None:
    quiet, tried, late = [await office.book() for _ in range(3)]
    for booking_id in (quiet, tried):
        if booking_id == tried:
            await office.running.deliver_and_wait(_attempt_failed(booking_id))
        await office.running.deliver_and_wait(_expired(booking_id))
    await office.running.deliver_and_wait(_expired(late))
    await office.running.deliver_and_wait(_attempt_failed(late))
    for booking_id in (tried, late):
        (mail,) = await office.mails(booking_id)
        assert mail["X-Boxoffice-Template"] == "hold_expired"
        assert "You have not been charged" in plain(mail)
    assert await office.messages(quiet) == []


async def test_an_expiry_that_comes_after_the_confirmation_is_not_written_of(office: Office) -> None:
    booking_id = await office.book()
    await office.running.deliver_and_wait(_attempt_failed(booking_id))
    await office.running.deliver_and_wait(office.confirmed(booking_id, version=4))
    await office.running.deliver_and_wait(_expired(booking_id))
    await office.mails(booking_id)
    assert [row.template for row in await office.messages(booking_id)] == ["confirmation"]


async def test_a_void_is_written_of_only_when_seats_were_gone_for_reserved_money(office: Office) -> None:
    booking_id = await office.book()
    for was_authorized, reason in (
        (True, "booking_cancelled"),
        (False, "seats_unavailable"),
        (True, "seats_unavailable"),
    ):
        voided = PaymentVoided(
            version=1,
            occurred_at=datetime.now(UTC),
            payment_id=uuid4(),
            booking_id=booking_id,
            amount=Money(8900, "EUR"),
            was_authorized=was_authorized,
            reason=reason,
        )
        await office.running.deliver_and_wait(voided)
    (mail,) = await office.mails(booking_id)
    assert mail["Subject"] == "You have not been charged for Goldberg Variations"
    assert len(await office.messages(booking_id)) == 1


async def test_a_payment_in_review_is_staff_s_matter_until_it_is_rejected(office: Office) -> None:
    """Staff hear that they must decide, the buyer how they did; of other failures nobody is written to."""
    booking_id = await office.book()
    payment = {"payment_id": uuid4(), "booking_id": booking_id, "occurred_at": datetime.now(UTC)}
    money = Money(8900, "EUR")
    (asked,) = await office.told(
        PaymentHeldForReview(version=1, amount=money, kind="held", reasons=("declines_of_card",), **payment)
    )
    assert asked["Subject"] == "A payment of €89.00 waits for your decision"
    assert "Why: declines of card" in plain(asked)
    assert f"/staff/bookings/{booking_id}\n" in plain(asked)
    await office.running.deliver_and_wait(PaymentFailed(version=2, reason="canceled_by_provider", **payment))
    rejected = PaymentFailed(version=3, reason="canceled_by_provider", rejected_in_review=True, **payment)
    await office.running.deliver_and_wait(rejected)
    (mail,) = await office.mails(booking_id)
    assert mail["Subject"] == "Your payment for Goldberg Variations was not accepted"
    assert [row.template for row in await office.messages(booking_id)] == ["staff_payment_review", "payment_rejected"]


async def test_each_outcome_of_a_refund_is_written_of(office: Office) -> None:
    booking_id = await office.book()
    await office.running.deliver_and_wait(office.confirmed(booking_id))
    refund_id, payment_id, now = uuid4(), uuid4(), datetime.now(UTC)
    refund = {"refund_id": refund_id, "booking_id": booking_id, "occurred_at": now}
    money = {"payment_id": payment_id, "amount": Money(100, "EUR")}
    declined = RefundDeclined(version=4, rule="less than 24 hours <b>before</b> the start", **refund)
    event_id = await too_early(office, declined)  # it decides on a cancellation that is not here yet
    await office.running.deliver_and_wait(RefundCompleted(version=1, reason="other", **refund, **money))
    await office.running.deliver_and_wait(RefundFailed(version=2, reason="expired_or_canceled_card", **refund, **money))
    await office.running.deliver_and_wait(RefundCompleted(version=3, reason="other", **refund, **money))
    await office.running.deliver_and_wait(_cancelled(booking_id))
    await office.running.deliver(declined, event_id)
    mails = await office.mails(booking_id, 6)
    templates = [mail["X-Boxoffice-Template"] for mail in mails]
    assert templates == [
        "confirmation", "refund_sent", "refund_failed", "refund_sent", "booking_cancelled", "nothing_to_refund",
    ]  # fmt: skip
    assert "less than 24 hours &lt;b&gt;before&lt;/b&gt; the start" in html_of(mails[-1])
    assert len({mail["Message-ID"] for mail in mails}) == len(mails)


async def too_early(office: Office, event: Event, event_id: UUID | None = None) -> UUID:
    """Delivers an event that cannot be taken yet, and waits until all of its retries are used up."""
    before = await office.running.parked(type(event))
    event_id = await office.running.deliver(event, event_id)

    async def given_up() -> bool:
        return await office.running.parked(type(event)) > before

    await eventually(given_up)
    assert await office.running.consumed(event_id) == 0
    return event_id


def _expired(booking_id: UUID) -> BookingExpired:
    return BookingExpired(version=2, occurred_at=datetime.now(UTC), booking_id=booking_id)


def _attempt_failed(booking_id: UUID) -> PaymentAttemptFailed:
    return PaymentAttemptFailed(
        version=1, occurred_at=datetime.now(UTC), payment_id=uuid4(), booking_id=booking_id, attempts_left=4
    )


def _cancelled(booking_id: UUID) -> BookingCancelled:
    now = datetime.now(UTC)
    return BookingCancelled(
        version=4, occurred_at=now, booking_id=booking_id, by="customer", was="confirmed", received_at=now, line_ids=()
    )


async def test_a_booking_in_german_gets_german_mails_and_staff_read_english(office: Office) -> None:
    """From the tickets to a refund that fails and to no refund at all; a language that mails are not written in is English."""
    booking_id, other = uuid4(), uuid4()
    for booking, language in ((booking_id, "de"), (other, "fr")):
        contact = office.running.seal({"name": NAME, "email": EMAIL, "language": language}, "booking.contact")
        await office.running.deliver_and_wait(
            office.placed(booking, total=123450).model_copy(update={"contact": contact})
        )
        await office.running.deliver_and_wait(office.confirmed(booking, total=123450, contact=contact))
    failed = RefundFailed(
        version=1,
        occurred_at=datetime.now(UTC),
        refund_id=uuid4(),
        booking_id=booking_id,
        payment_id=uuid4(),
        amount=Money(4450, "EUR"),
        reason="expired_or_canceled_card",
        had_succeeded=True,
    )
    (case,) = await office.told(failed)
    await office.running.deliver_and_wait(_cancelled(booking_id))
    await office.running.deliver_and_wait(
        RefundDeclined(
            version=1,
            occurred_at=datetime.now(UTC),
            refund_id=uuid4(),
            booking_id=booking_id,
            rule="Cancelled less than 24 hours before the start: nothing is refunded.",
        )
    )
    mails = await office.mails(booking_id, 4)
    assert [mail["Subject"] for mail in mails] == [
        "Ihre Karten für Goldberg Variations",
        "Ihre Erstattung für Goldberg Variations ist nicht angekommen",
        "Ihre Buchung für Goldberg Variations ist abgesagt",
        "Für Goldberg Variations steht Ihnen keine Erstattung zu",
    ]
    for mail in mails:
        assert '<html lang="de"' in html_of(mail)
        assert f"Guten Tag {NAME}," in plain(mail)
    assert "Insgesamt bezahlt: 1.234,50\N{NO-BREAK SPACE}€" in plain(mails[0])
    assert "bis Do., 27. März 2031, 20:00 Uhr (UTC+01:00): 100\N{NO-BREAK SPACE}% zurück" in plain(mails[0])
    assert "weniger als 24 Stunden vor Beginn wird nichts erstattet." in " ".join(plain(mails[3]).split())
    assert case["Subject"] == "A refund of €44.50 failed"
    (english,) = await office.mails(other)
    assert english["Subject"] == "Your tickets for Goldberg Variations"
    assert '<html lang="en"' in html_of(english)
