"""What the self-test plants: one thing that must never be, and the check that must find it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from ops.verify.records import Movement, Outside, Provider


def _nothing(_outside: Outside) -> None:
    """Leaves what lies outside as it is."""


@dataclass(frozen=True)
class Corruption:
    """Statements on the database of `service` and a change outside.

    `:confirmed` and the like are the specimen's bookings, `:confirmed_payment` and `:half_back_refund` what belongs to them.
    """

    check: str
    what: str
    service: str = "booking"
    sql: str = ""
    outside: Callable[[Outside], None] = _nothing


def _shown(outside: Outside) -> Provider:
    assert outside.shown is not None, "the specimen has a provider"
    return outside.shown


def _intent_of_another_amount(outside: Outside) -> None:
    _shown(outside).intents[0] = replace(_shown(outside).intents[0], amount_minor=4999)


def _intent_gone(outside: Outside) -> None:
    _shown(outside).intents.pop(0)


def _intent_of_nobody(outside: Outside) -> None:
    _shown(outside).intents.append(replace(_shown(outside).intents[0], ref="pi_x", payment_id="x", booking_id="x"))


def _second_intent(outside: Outside) -> None:
    _shown(outside).intents.append(replace(_shown(outside).intents[0], ref="pi_twice"))


def _second_refund(outside: Outside) -> None:
    _shown(outside).refunds.append(replace(_shown(outside).refunds[0], ref="re_twice"))


def _refund_still_pending(outside: Outside) -> None:
    _shown(outside).refunds[0] = replace(_shown(outside).refunds[0], status="pending")


def _dispute_of_nobody(outside: Outside) -> None:
    _shown(outside).disputes.append(replace(_shown(outside).disputes[0], ref="du_unseen"))


def _dispute_decided(outside: Outside) -> None:
    _shown(outside).disputes[0] = replace(_shown(outside).disputes[0], status="lost")


def _refund_in_dashboard(outside: Outside) -> None:
    made = replace(_shown(outside).refunds[0], ref="re_by_hand", refund_id=None, attempt_id=None)
    _shown(outside).refunds.append(made)


def _fee_one_off(outside: Outside) -> None:
    charge = _shown(outside).movements[0]
    _shown(outside).movements[0] = replace(charge, fee_minor=charge.fee_minor + 1)


def _charged_once_more(outside: Outside) -> None:
    charge = _shown(outside).movements[0]
    _shown(outside).movements.append(
        Movement("txn_again", "charge", charge.source, charge.amount_minor, 0, charge.currency, converted=False)
    )


def _live_object(outside: Outside) -> None:
    _shown(outside).intents[0] = replace(_shown(outside).intents[0], livemode=True)


def _event_forgotten(outside: Outside) -> None:
    _shown(outside).events.pop()


def _parked(outside: Outside) -> None:
    _queue(outside, ".parked", ready=1)


def _left_over(outside: Outside) -> None:
    _queue(outside, "payment.booking-placed", unacknowledged=1)


def _classic_queue(outside: Outside) -> None:
    _queue(outside, "payment.booking-placed", arguments={})


def _queue_gone(outside: Outside) -> None:
    assert outside.queues is not None, "the specimen has queues"
    outside.queues = [queue for queue in outside.queues if queue.name != "payment.booking-placed"]


def _queue(outside: Outside, suffix: str, **changed: object) -> None:
    assert outside.queues is not None, "the specimen has queues"
    index = next(number for number, queue in enumerate(outside.queues) if queue.name.endswith(suffix))
    outside.queues[index] = replace(outside.queues[index], **changed)  # type: ignore[arg-type]  # fields by name


def _wide_permission(outside: Outside) -> None:
    assert outside.permissions is not None, "the specimen has permissions"
    outside.permissions[0]["write"] = ".*"


def _mail_gone(outside: Outside) -> None:
    assert outside.mailbox is not None, "the specimen has a mailbox"
    outside.mailbox.popitem()


def _mail_twice(outside: Outside) -> None:
    assert outside.mailbox is not None, "the specimen has a mailbox"
    outside.mailbox[next(iter(outside.mailbox))] += 1


def _mail_of_nobody(outside: Outside) -> None:
    assert outside.mailbox is not None, "the specimen has a mailbox"
    outside.mailbox["<x@boxoffice.example>"] = 1


def _crm_never_called(outside: Outside) -> None:
    assert outside.calls is not None, "the specimen has a CRM"
    outside.calls.pop(0)


MONEY = (
    Corruption(
        "M1",
        "a ledger entry is one unit off",
        "payment",
        "UPDATE ledger_entries SET amount_minor = amount_minor + 1"
        " WHERE kind = 'captured' AND payment_id = :confirmed_payment AND account LIKE 'provider:%'",
    ),
    Corruption(
        "M1",
        "a ledger entry is gone",
        "payment",
        "DELETE FROM ledger_entries"
        " WHERE kind = 'captured' AND payment_id = :confirmed_payment AND account LIKE 'clearing:%'",
    ),
    Corruption(
        "M1",
        "a ledger entry has another currency",
        "payment",
        "UPDATE ledger_entries SET currency = 'USD'"
        " WHERE kind = 'captured' AND payment_id = :confirmed_payment AND account LIKE 'provider:%'",
    ),
    Corruption(
        "M2",
        "a refund's second posting was never made",
        "payment",
        "DELETE FROM ledger_entries WHERE kind = 'refunded' AND refund_id = :half_back_refund",
    ),
    Corruption(
        "M2",
        "a payment has something in flight after its end",
        "payment",
        "DELETE FROM ledger_entries WHERE kind = 'captured' AND payment_id = :confirmed_payment",
    ),
    Corruption(
        "M3",
        "a confirmed booking's payment was never captured",
        "payment",
        "DELETE FROM ledger_entries WHERE kind = 'captured' AND payment_id = :confirmed_payment; "
        "UPDATE payments SET captured_minor = 0, status = 'voided' WHERE booking_id = :confirmed",
    ),
    Corruption(
        "M3",
        "a payment is for another booking",
        "payment",
        "UPDATE payments SET booking_id = gen_random_uuid() WHERE booking_id = :confirmed",
    ),
    Corruption(
        "M3",
        "a payment is in another currency",
        "payment",
        "UPDATE payments SET currency = 'USD' WHERE booking_id = :confirmed",
    ),
    Corruption(
        "M3",
        "the price is not what was paid",
        "booking",
        "UPDATE bookings SET total_minor = total_minor - 1 WHERE id = :confirmed",
    ),
    Corruption(
        "M3", "a ticket is gone", "booking", "DELETE FROM tickets WHERE booking_id = :confirmed AND position = 1"
    ),
    Corruption(
        "M3",
        "a cancelled booking was paid and nobody decided",
        "refund",
        "DELETE FROM refunds WHERE booking_id = :half_back",
    ),
    Corruption(
        "M3", "a refund was decided and never made", "payment", "DELETE FROM refunds WHERE booking_id = :half_back"
    ),
    Corruption(
        "M3",
        "payment returned another amount than was decided",
        "payment",
        "UPDATE refunds SET amount_minor = amount_minor - 1 WHERE booking_id = :half_back",
    ),
    Corruption(
        "M3",
        "a refund failed and refund calls it succeeded",
        "refund",
        "UPDATE refunds SET status = 'succeeded' WHERE booking_id = :failed_later",
    ),
    Corruption(
        "M3",
        "booking shows another sum as refunded",
        "booking",
        "UPDATE bookings SET refunded_minor = 0 WHERE id = :half_back",
    ),
    Corruption(
        "M4",
        "more went back than the refunds say",
        "payment",
        "UPDATE payments SET refunded_minor = refunded_minor + 1 WHERE booking_id = :half_back",
    ),
    Corruption(
        "M4",
        "more was refunded than captured",
        "payment",
        "UPDATE ledger_entries SET amount_minor = amount_minor * 3 WHERE refund_id = :half_back_refund",
    ),
    Corruption(
        "M5",
        "a payment was captured twice",
        "payment",
        "INSERT INTO ledger_entries SELECT id + 100000, gen_random_uuid(), kind, 'pi_again', "
        "account, amount_minor, currency, payment_id, refund_id, created_at FROM ledger_entries"
        " WHERE kind = 'captured' AND payment_id = :confirmed_payment",
    ),
    Corruption(
        "M4",
        "a dispute took money that the payment knows nothing of",
        "payment",
        "UPDATE payments SET withdrawn_minor = 0 WHERE booking_id = :disputed",
    ),
    Corruption(
        "M7",
        "a dispute took what had been refunded, and no row says so",
        "payment",
        "UPDATE payments SET double_return_minor = 0 WHERE booking_id = :disputed",
    ),
    Corruption(
        "M7",
        "a refund counts as sent twice, and the ledger has it once",
        "payment",
        "UPDATE refunds SET status = 'overpaid' WHERE booking_id = :half_back",
    ),
    Corruption(
        "M6",
        "a refund is one unit more than its policy gives",
        "refund",
        "UPDATE refunds SET amount_minor = amount_minor + 1 WHERE booking_id = :half_back",
    ),
    Corruption(
        "M6",
        "a refund rests on another policy than was frozen",
        "booking",
        "UPDATE bookings SET refund_policy = jsonb_set(refund_policy, '{fee_minor}', '100') WHERE id = :half_back",
    ),
    Corruption(
        "M6",
        "a cancellation was received at another instant",
        "booking",
        "UPDATE bookings SET received_at = received_at + interval '1 hour' WHERE id = :half_back",
    ),
)

PROVIDER = (
    Corruption("P1", "the provider's payment has another amount", outside=_intent_of_another_amount),
    Corruption("P1", "the provider does not have a payment of ours", outside=_intent_gone),
    Corruption("P1", "the provider has a payment that we do not", outside=_intent_of_nobody),
    Corruption("P1", "the provider says that a refund is pending, we that it succeeded", outside=_refund_still_pending),
    Corruption("P1", "a refund was made by hand and never seen here", outside=_refund_in_dashboard),
    Corruption("P1", "a test payment is live at the provider", outside=_live_object),
    Corruption("P1", "a dispute was opened and never seen here", outside=_dispute_of_nobody),
    Corruption("P1", "the provider says that a dispute is lost, we that it is open", outside=_dispute_decided),
    Corruption(
        "P2",
        "a dispute's withdrawal was never posted",
        "payment",
        "DELETE FROM ledger_entries WHERE kind = 'dispute_withdrawn'",
    ),
    Corruption("P2", "the provider kept one unit more", outside=_fee_one_off),
    Corruption("P2", "the provider's balance has one charge more", outside=_charged_once_more),
    Corruption("P3", "one payment has two intents that took money", outside=_second_intent),
    Corruption("P3", "one refund was made twice", outside=_second_refund),
    Corruption("P4", "a webhook was received that the provider never sent", outside=_event_forgotten),
    Corruption(
        "P4",
        "a webhook was received and never applied",
        "payment",
        "UPDATE receipts SET outcome = NULL WHERE id = (SELECT min(id::text)::uuid FROM receipts)",
    ),
)

SEATS = (
    Corruption("S1", "an event has one seat less than was sold", sql="UPDATE ticket_types SET capacity = capacity - 1"),
    Corruption("S2", "a seat counter is one too high", sql="UPDATE ticket_types SET held = held + 1"),
    Corruption(
        "S2",
        "a cancelled booking came back to life",
        sql="UPDATE bookings SET status = 'confirmed' WHERE id = :half_back",
    ),
    Corruption(
        "S3", "a hold outlived its time", sql="UPDATE bookings SET status = 'pending_payment' WHERE id = :expired"
    ),
)

MESSAGES = (
    Corruption(
        "Q1",
        "an event was never published",
        "payment",
        "UPDATE outbox SET published_at = NULL WHERE type = 'payment.succeeded.v1'",
    ),
    Corruption(
        "Q2",
        "an event was lost on its way to one consumer",
        "refund",
        "DELETE FROM inbox WHERE event_id = (SELECT max(event_id::text)::uuid FROM inbox)",
    ),
    Corruption(
        "Q3",
        "a consumer had an event that nobody wrote",
        "refund",
        "INSERT INTO inbox VALUES ('refund.payment-succeeded', 'ffffffff-ffff-7fff-bfff-ffffffffffff', now())",
    ),
    Corruption(
        "Q3",
        "an event reached a queue that is not for it",
        "booking",
        "UPDATE inbox SET consumer = 'booking.payment-failed' WHERE consumer = 'booking.payment-succeeded'",
    ),
    Corruption(
        "Q4", "an event is gone from the log", "booking", "DELETE FROM outbox WHERE type = 'booking.seats-secured.v1'"
    ),
    Corruption(
        "Q4",
        "a row counts an event that is not there",
        "booking",
        "UPDATE bookings SET version = version + 1 WHERE id = :confirmed",
    ),
    Corruption(
        "Q4",
        "a consumer applied a version that never was",
        "notification",
        "UPDATE bookings SET version = version + 1 WHERE id = :confirmed",
    ),
    Corruption("Q5", "a message is parked", outside=_parked),
    Corruption("Q5", "a message is still being worked on", outside=_left_over),
    Corruption("Q5", "a queue is gone", outside=_queue_gone),
)

PEOPLE = (
    Corruption(
        "V1", "a confirmation has no mail", "notification", "DELETE FROM messages WHERE booking_id = :confirmed"
    ),
    Corruption(
        "V1",
        "a mail was given up",
        "notification",
        "UPDATE messages SET status = 'failed' WHERE booking_id = :confirmed",
    ),
    Corruption(
        "V1",
        "a mail names another amount",
        "notification",
        "UPDATE messages SET facts = jsonb_set(facts, '{amount,amount_minor}', '1')"
        " WHERE template = 'refund_sent' AND booking_id = :half_back",
    ),
    Corruption(
        "V1",
        "a confirmed booking was not told of a move",
        "notification",
        "DELETE FROM messages WHERE booking_id = :confirmed AND template = 'event_moved'",
    ),
    Corruption("V1", "a sent mail never arrived", outside=_mail_gone),
    Corruption("V1", "a mail arrived twice", outside=_mail_twice),
    Corruption(
        "V2",
        "a mail tells of what never happened",
        "notification",
        "UPDATE messages SET template = 'booking_cancelled' WHERE booking_id = :confirmed",
    ),
    Corruption("V2", "a mail arrived that nobody wrote", outside=_mail_of_nobody),
    Corruption(
        "V3",
        "an event was never owed to the CRM",
        "notification",
        "DELETE FROM webhook_deliveries WHERE type = 'booking.confirmed' AND booking_id = :confirmed",
    ),
    Corruption("V3", "the CRM never had what counts as delivered", outside=_crm_never_called),
)

TRUST = (
    Corruption("X1", "an audit row was changed", "refund", "UPDATE audit SET actor = 'somebody-else' WHERE seq = 2"),
    Corruption("X1", "an audit row is gone", "refund", "DELETE FROM audit WHERE seq = 2"),
    Corruption("X3", "a service may change the ledger", "payment", "GRANT UPDATE ON ledger_entries TO payment"),
    Corruption("X3", "a reader may write", "booking", "GRANT DELETE ON bookings TO booking_verify"),
    Corruption("X3", "a service may write to any exchange", outside=_wide_permission),
    Corruption(
        "X4",
        "an address stands in clear",
        "booking",
        "UPDATE bookings SET contact = 'jo@example.com' WHERE id = :confirmed",
    ),
    Corruption(
        "X4",
        "a card number stands in clear",
        "refund",
        "UPDATE refunds SET note = 'card 4242 4242 4242 4242' WHERE booking_id = :half_back",
    ),
    Corruption(
        "X4",
        "a client secret stands in a kept webhook",
        "payment",
        "UPDATE receipts SET body = convert_to('pi_3Q_secret_9x', 'UTF8')",
    ),
    Corruption("X5", "commits are not waited for", "payment", "SET LOCAL synchronous_commit TO off"),
    Corruption("X5", "a queue is not replicated", outside=_classic_queue),
)

CORRUPTIONS = (*MONEY, *PROVIDER, *SEATS, *MESSAGES, *PEOPLE, *TRUST)
