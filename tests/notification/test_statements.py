"""What an event may cost here: at most four statements, the inbox's included."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from contracts.booking import BookingCancelled, BookingExpired
from contracts.event import Event
from contracts.money import Money
from contracts.payment import PaymentAttemptFailed, PaymentVoided
from contracts.refund import RefundCompleted, RefundFailed

from tests.notification.conftest import Office, Receiver
from tests.support.statements import statements_of

STATEMENTS_MAX = 4
NOW = datetime(2031, 1, 1, tzinfo=UTC)
MONEY = Money(100, "EUR")

EVENTS: dict[str, Callable[[Office, UUID], Event]] = {
    "placed": lambda office, booking_id: office.placed(booking_id),
    "confirmed": lambda office, booking_id: office.confirmed(booking_id),
    "expired": lambda _, booking_id: BookingExpired(version=2, occurred_at=NOW, booking_id=booking_id),
    "cancelled": lambda _, booking_id: BookingCancelled(
        version=2,
        occurred_at=NOW,
        booking_id=booking_id,
        by="staff",
        was="pending_payment",
        received_at=NOW,
        line_ids=(),
    ),
    "attempt_failed": lambda _, booking_id: PaymentAttemptFailed(
        version=1, occurred_at=NOW, payment_id=uuid4(), booking_id=booking_id, attempts_left=0
    ),
    "voided": lambda _, booking_id: PaymentVoided(
        version=1,
        occurred_at=NOW,
        payment_id=uuid4(),
        booking_id=booking_id,
        amount=MONEY,
        was_authorized=True,
        reason="seats_unavailable",
    ),
    "refunded": lambda _, booking_id: RefundCompleted(
        version=1,
        occurred_at=NOW,
        refund_id=uuid4(),
        payment_id=uuid4(),
        booking_id=booking_id,
        amount=MONEY,
        reason="goodwill",
    ),
    "refund_failed": lambda _, booking_id: RefundFailed(
        version=1,
        occurred_at=NOW,
        refund_id=uuid4(),
        payment_id=uuid4(),
        booking_id=booking_id,
        amount=MONEY,
        reason="lost",
    ),
}


@pytest.mark.parametrize("name", EVENTS)
async def test_an_event_takes_four_statements(office: Office, crm: Receiver, name: str) -> None:
    await office.register(crm.url)
    booking_id = await office.book() if name != "placed" else uuid4()
    if name == "expired":
        await office.running.deliver_and_wait(EVENTS["attempt_failed"](office, booking_id))
    with statements_of(office.running.app.state.database) as found:
        await office.running.deliver_and_wait(EVENTS[name](office, booking_id))
    seen: dict[int, list[str]] = {}
    for transaction, statement in found:
        seen.setdefault(transaction, []).append(statement)
    consuming = [_transaction(statements) for statements in seen.values() if _transaction(statements)]
    assert len(consuming) == 1
    assert 2 <= len(consuming[0]) <= STATEMENTS_MAX, consuming


def _transaction(statements: list[str]) -> list[str]:
    """From the inbox's insert to the webhooks', which is the last of every handler."""
    first = next((index for index, text in enumerate(statements) if text.startswith("INSERT INTO inbox")), None)
    if first is None:
        return []
    last = next(
        index for index, text in enumerate(statements) if index > first and "INSERT INTO webhook_deliveries" in text
    )
    return statements[first : last + 1]
