"""Rows as the version before left them, and what its replicas go on doing: statements that name no new column."""

from __future__ import annotations

from dataclasses import dataclass

ROWS = 3000

_EVENT = "00000000-0000-7000-8000-000000000001"
_PLACED = """
    INSERT INTO bookings (id, event_id, status, version, revision, event_facts, refund_policy, currency, total_minor, tax_minor,
        contact, email_index, issued_tickets, placed_at, hold_expires_at)"""
_PLACED_VALUES = "'expired', 2, 2, '{}', '{}', 'EUR', 100, 0, 'sealed', 'blind', 'sealed', now(), now()"
_OWED = """
    INSERT INTO payments (id, booking_id, amount_minor, currency, status, status_since, version, wish, booking_version, hold_expires_at,
        provider, captured_minor, review_reason, created_at, updated_at)"""
_REFUND = """
    INSERT INTO refunds (id, booking_id, payment_id, status, amount_minor, currency, reason, ground, trace, requested_by, version,
        created_at, updated_at)"""
_REFUND_VALUES = "'succeeded', 10, 'EUR', 'requested_by_customer', 'policy', '{}', 'customer', 1, now(), now()"
_MAIL = """
    INSERT INTO messages (id, booking_id, template, cause, facts, status, message_id, attempts, unsure, created_at, sent_at)"""
_KNOWN = """
    INSERT INTO bookings (id, event, total_minor, currency, version, payment_attempted, confirmed, cancelled)"""


@dataclass(frozen=True)
class Before:
    """`writes` and `reads` are what a replica goes on doing; `missing` counts the rows that lack what the new version looks for."""

    rows: tuple[str, ...]
    writes: tuple[str, ...]
    reads: tuple[str, ...]
    missing: str = "SELECT 0"


BOOKING = Before(
    rows=(
        f"""
        INSERT INTO events (id, name, venue, local_start, local_end, timezone, starts_at, ends_at, currency, refund_policy, created_at)
        SELECT CASE WHEN n = 1 THEN '{_EVENT}' ELSE gen_random_uuid() END, 'Tosca', 'Oper', '2031-01-01', '2031-01-02', 'UTC',
               '2031-01-01', '2031-01-02', 'EUR', '{{}}', now()
        FROM generate_series(1, {ROWS}) n
        """,
        f"{_PLACED} SELECT gen_random_uuid(), '{_EVENT}', {_PLACED_VALUES} FROM generate_series(1, {ROWS})",
        """
        INSERT INTO outbox (id, type, subject, version, occurred_at, body)
        SELECT gen_random_uuid(), 'booking.expired.v1', id, 2, now(), '{}' FROM bookings
        """,
        "INSERT INTO booking_refunds SELECT gen_random_uuid(), id, 1, 10, true FROM bookings",
        f"""
        INSERT INTO audit (seq, at, actor, action, subject, previous_hash, hash)
        SELECT n, now(), 'staff', 'look', 'booking', n - 1, n FROM generate_series(1, {ROWS}) n
        """,
    ),
    writes=(
        f"{_PLACED} VALUES (gen_random_uuid(), '{_EVENT}', {_PLACED_VALUES})",
        "UPDATE bookings SET revision = revision + 1 WHERE id = (SELECT id FROM bookings ORDER BY id LIMIT 1)",
        f"UPDATE events SET version = version + 1 WHERE id = '{_EVENT}'",
        "INSERT INTO booking_refunds SELECT gen_random_uuid(), id, 1, 10, true FROM bookings LIMIT 1",
    ),
    reads=(
        "SELECT count(*) FROM bookings JOIN events ON events.id = event_id",
        "SELECT * FROM booking_refunds ORDER BY id LIMIT 9",
        "SELECT * FROM audit ORDER BY seq LIMIT 9",
    ),
    missing="""
        SELECT count(*) FROM bookings b JOIN outbox o ON o.subject = b.id
        WHERE b.expired_at IS DISTINCT FROM o.occurred_at OR b.names_due_at IS NULL
    """,
)

PAYMENT = Before(
    rows=(
        f"""
        {_OWED} SELECT gen_random_uuid(), gen_random_uuid(), 100, 'EUR', 'succeeded', now(), 3, 'capture', 1, now(), 'stripe', 100, NULL,
            now(), now() FROM generate_series(1, {ROWS})
        """,
        f"""
        {_OWED} SELECT gen_random_uuid(), gen_random_uuid(), 100, 'EUR', 'in_review', now(), 3, 'collect', 1, now(), 'stripe', 0,
            'amount, currency', now(), now() FROM generate_series(1, {ROWS // 3})
        """,
        """
        INSERT INTO ledger_entries (transaction_id, kind, source, account, amount_minor, currency, payment_id, created_at)
        SELECT id, 'captured', id::text, side, CASE side WHEN 'clearing' THEN 100 ELSE -100 END, 'EUR', id, now()
        FROM payments, unnest(ARRAY['clearing', 'owed']) side WHERE status = 'succeeded'
        """,
    ),
    writes=(
        f"""
        {_OWED} VALUES (gen_random_uuid(), gen_random_uuid(), 100, 'EUR', 'created', now(), 1, 'collect', 1, now(), 'stripe', 0, NULL,
            now(), now())
        """,
        "UPDATE payments SET status = 'in_review', review_reason = 'amount' WHERE status = 'created'",
    ),
    reads=(
        "SELECT count(*) FROM payments JOIN ledger_entries ON payments.id = payment_id",
        "SELECT * FROM payments WHERE status = 'in_review' ORDER BY id LIMIT 9",
    ),
    missing="""
        SELECT count(*) FROM payments p WHERE status = 'in_review'
        AND (SELECT count(*) FROM reviews r WHERE r.payment_id = p.id AND r.status = 'open') <> 1
    """,
)

REFUND = Before(
    rows=(
        f"""
        INSERT INTO bookings (booking_id, payment_id, captured_minor, captured_currency, promised_minor, dispute_id, dispute_version,
            lost_minor)
        SELECT gen_random_uuid(), gen_random_uuid(), 100, 'EUR', 10, CASE WHEN n % 10 = 0 THEN gen_random_uuid() END, n % 10,
               CASE WHEN n % 15 = 0 THEN 40 ELSE 0 END
        FROM generate_series(1, {ROWS}) n
        """,
        f"{_REFUND} SELECT gen_random_uuid(), booking_id, payment_id, {_REFUND_VALUES} FROM bookings",
    ),
    writes=(
        f"""
        WITH booked AS (
            INSERT INTO bookings (booking_id, payment_id, captured_minor, captured_currency, promised_minor)
            VALUES (gen_random_uuid(), gen_random_uuid(), 100, 'EUR', 10) RETURNING *
        ) {_REFUND} SELECT gen_random_uuid(), booking_id, payment_id, {_REFUND_VALUES} FROM booked
        """,
        """
        UPDATE bookings SET dispute_id = gen_random_uuid(), dispute_version = dispute_version + 1
        WHERE booking_id = (SELECT booking_id FROM bookings WHERE dispute_id IS NULL ORDER BY booking_id LIMIT 1)
        """,
        """
        UPDATE bookings SET dispute_id = NULL, lost_minor = lost_minor + 5, dispute_version = dispute_version + 1
        WHERE booking_id = (SELECT booking_id FROM bookings WHERE dispute_id IS NOT NULL ORDER BY booking_id DESC LIMIT 1)
        """,
    ),
    reads=(
        "SELECT count(*) FROM bookings JOIN refunds USING (booking_id)",
        "SELECT * FROM refunds WHERE status = 'succeeded' ORDER BY id LIMIT 9",
    ),
    missing="""
        SELECT count(*) FROM bookings b
        WHERE lost_minor <> (SELECT coalesce(sum(d.lost_minor), 0) FROM disputes d WHERE d.booking_id = b.booking_id)
           OR dispute_id IS DISTINCT FROM (SELECT d.id FROM disputes d WHERE d.booking_id = b.booking_id AND is_open)
    """,
)

NOTIFICATION = Before(
    rows=(
        f"{_KNOWN} SELECT gen_random_uuid(), '{{}}', 100, 'EUR', 1, false, true, false FROM generate_series(1, {ROWS})",
        f"{_MAIL} SELECT gen_random_uuid(), id, 'confirmed', 'v1', '{{}}', 'sent', id, 1, 0, now(), now() FROM bookings",
        """
        INSERT INTO webhook_endpoints VALUES (gen_random_uuid(), 'https://crm.example', 'sealed', '{a}', 'active', NULL, now())
        """,
        """
        INSERT INTO webhook_deliveries (id, endpoint_id, webhook_id, type, booking_id, body, status, attempts, created_at, delivered_at)
        SELECT gen_random_uuid(), e.id, b.id, 'a', b.id, 'sealed', 'delivered', 1, now(), now() FROM bookings b, webhook_endpoints e
        """,
    ),
    writes=(
        f"""
        WITH known AS ({_KNOWN} VALUES (gen_random_uuid(), '{{}}', 100, 'EUR', 1, false, true, false) RETURNING id)
        {_MAIL} SELECT gen_random_uuid(), id, 'confirmed', 'v1', '{{}}', 'sent', id, 1, 0, now(), now() FROM known
        """,
        "UPDATE webhook_deliveries SET attempts = attempts + 1 WHERE id = (SELECT id FROM webhook_deliveries ORDER BY id LIMIT 1)",
    ),
    reads=("SELECT count(*) FROM messages JOIN webhook_deliveries USING (booking_id)",),
)

SERVICES = {"booking": BOOKING, "payment": PAYMENT, "refund": REFUND, "notification": NOTIFICATION}
