"""The SQL of what is read. Column names are those of ops.verify.records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ops.verify import records

_TOLD = """(SELECT array_agg(ROW(version, type, detail) ORDER BY version) FROM (
    SELECT version, type, CASE WHEN type = 'payment.voided.v1' AND (body::jsonb ->> 'was_authorized')::boolean
                               THEN body::jsonb ->> 'reason'
                               WHEN type = 'payment.failed.v1' AND (body::jsonb ->> 'rejected_in_review')::boolean
                               THEN 'rejected_in_review' END AS detail
    FROM outbox WHERE subject = {id}) events) AS told"""

BOOKINGS = f"""
    SELECT b.id, b.event_id, b.status, b.version, b.currency::text, b.total_minor, b.refund_policy, b.placed_at, b.hold_expires_at,
           b.payment_id, b.payment_version, b.paid_at, b.confirmed_at, b.cancelled_by, b.received_at, b.unavailable_reason,
           b.refunded_minor, t.tickets, t.tickets_minor, {_TOLD.format(id="b.id")}
    FROM bookings b
    CROSS JOIN LATERAL (SELECT count(*) AS tickets, coalesce(sum(gross_minor), 0)::bigint AS tickets_minor
                        FROM tickets WHERE booking_id = b.id) t
    ORDER BY b.id"""  # noqa: S608  # a constant is filled in

PAYMENTS = f"""
    SELECT id, booking_id, amount_minor, currency::text, status, version, wish, release_reason, provider_ref, captured_minor,
           reserved_minor, refunded_minor, clearing_minor, fee_known, next_check_at, updated_at,
           withdrawn_minor, disputed_minor, double_return_minor, {_TOLD.format(id="payments.id")}
    FROM payments ORDER BY booking_id"""  # noqa: S608  # a constant is filled in

ENTRIES = """
    SELECT e.id, e.transaction_id, e.kind, e.source, e.account, e.amount_minor, e.currency::text, e.payment_id, e.refund_id, p.booking_id
    FROM ledger_entries e JOIN payments p ON p.id = e.payment_id ORDER BY p.booking_id, e.id"""

PAYMENT_REFUNDS = """
    SELECT id, payment_id, booking_id, amount_minor, currency::text, reason, status, provider_ref, updated_at, failure_code
    FROM refunds ORDER BY booking_id, id"""

DISPUTES = """
    SELECT id, payment_id, booking_id, provider_ref, status, amount_minor, currency::text, withdrawn_minor, updated_at
    FROM disputes ORDER BY booking_id, id"""

REFUND_BOOKINGS = """
    SELECT booking_id, placed_at, total_minor, currency::text, policy, lines, payment_id, captured_minor, cancelled_by, cancelled_was,
           cancel_received_at, decided_at, promised_minor, unavailable_minor
    FROM bookings ORDER BY booking_id"""

REFUNDS = f"""
    SELECT id, booking_id, payment_id, status, amount_minor, currency::text, ground, trace::text, version, updated_at,
           {_TOLD.format(id="refunds.id")}
    FROM refunds ORDER BY booking_id, id"""  # noqa: S608  # a constant is filled in

MAIL_BOOKINGS = "SELECT id, version FROM bookings ORDER BY id"

_MESSAGES = """
    SELECT id, booking_id, template, cause, facts, status, message_id, attempts, created_at, next_attempt_at FROM messages"""
MESSAGES = f"{_MESSAGES} WHERE booking_id IS NOT NULL ORDER BY booking_id, seq"
MESSAGES_TO_STAFF = f"{_MESSAGES} WHERE booking_id IS NULL ORDER BY seq"
MOVES = """
    SELECT subject AS event_id, version, occurred_at FROM outbox WHERE type = 'booking.event-rescheduled.v1' ORDER BY subject, version"""


@dataclass(frozen=True)
class Source:
    """A stream of rows in ascending order of `key`, a booking's id. `many`: a booking may have several."""

    service: str
    model: type[Any]
    sql: str
    key: str = "booking_id"
    many: bool = False


BY_BOOKING = {
    "booking": Source("booking", records.Booking, BOOKINGS, "id"),
    "payment": Source("payment", records.Payment, PAYMENTS),
    "entries": Source("payment", records.Entry, ENTRIES, many=True),
    "payment_refunds": Source("payment", records.PaymentRefund, PAYMENT_REFUNDS, many=True),
    "disputes": Source("payment", records.Dispute, DISPUTES, many=True),
    "refund_booking": Source("refund", records.RefundBooking, REFUND_BOOKINGS),
    "refunds": Source("refund", records.Refund, REFUNDS, many=True),
    "mail_booking": Source("notification", records.MailBooking, MAIL_BOOKINGS, "id"),
    "messages": Source("notification", records.Message, MESSAGES, many=True),
}
"""By the field of records.Dossier that they fill."""

INBOX = "SELECT event_id, consumer, discarded IS TRUE AS discarded FROM inbox WHERE event_id >= $1 ORDER BY event_id"
OUTBOX = """
    SELECT id, $2::text AS service, type, subject, version, occurred_at, published_at
    FROM outbox WHERE id >= $1 ORDER BY id"""

SEATS = """
    SELECT y.id, y.event_id, y.capacity, y.held, y.sold,
           count(*) FILTER (WHERE b.status IN ('pending_payment', 'payment_authorized')) AS counted_held,
           count(*) FILTER (WHERE b.status = 'confirmed' AND NOT b.given_back ? t.id::text) AS counted_sold
    FROM ticket_types y LEFT JOIN tickets t ON t.ticket_type_id = y.id LEFT JOIN bookings b ON b.id = t.booking_id
    GROUP BY y.id, y.event_id, y.capacity, y.held, y.sold ORDER BY y.id"""

RECEIPTS = "SELECT event_id, outcome, received_at FROM receipts WHERE provider = 'stripe' AND received_at >= $1"

ENDPOINTS = "SELECT id, url, event_types, status, created_at FROM webhook_endpoints ORDER BY id"
DELIVERIES = """
    SELECT endpoint_id, webhook_id, type, status, created_at, next_attempt_at FROM webhook_deliveries ORDER BY endpoint_id, webhook_id"""

RIGHTS = """
    SELECT $1::text AS service, r.rolname::text AS role, c.relname::text AS table,
           ARRAY(SELECT p FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) p
                 WHERE has_table_privilege(r.oid, c.oid, p))
           || ARRAY(SELECT format('%s (%s)', p, a.attname)
                    FROM pg_attribute a, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'REFERENCES']) p
                    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                      AND has_column_privilege(r.oid, c.oid, a.attnum, p) AND NOT has_table_privilege(r.oid, c.oid, p)) AS privileges
    FROM pg_class c, pg_roles r
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND r.rolname IN ($1, $1 || '_verify')
    ORDER BY r.rolname, c.relname"""
DDL = """
    SELECT $1::text AS service, r.rolname::text AS role, '(schema)' AS table,
           array_remove(ARRAY[CASE WHEN has_schema_privilege(r.oid, current_schema(), 'CREATE') THEN 'CREATE' END,
                              CASE WHEN has_database_privilege(r.oid, current_database(), 'CREATE') THEN 'CREATE DATABASE' END,
                              CASE WHEN r.rolsuper THEN 'SUPERUSER' END, CASE WHEN r.rolcreaterole THEN 'CREATEROLE' END,
                              CASE WHEN pg_has_role(r.oid, $1 || '_owner', 'MEMBER') THEN 'OWNER' END], NULL) AS privileges
    FROM pg_roles r WHERE r.rolname IN ($1, $1 || '_verify') ORDER BY r.rolname"""
DEFINERS = """
    SELECT $1::text AS service, r.rolname::text AS role, '(function ' || p.proname || ')' AS table,
           array_remove(ARRAY[CASE WHEN has_function_privilege(r.oid, p.oid, 'EXECUTE') THEN 'EXECUTE' END], NULL) AS privileges
    FROM pg_proc p, pg_roles r
    WHERE p.pronamespace = current_schema()::regnamespace AND p.prosecdef AND r.rolname IN ($1, $1 || '_verify')
    ORDER BY r.rolname, p.proname"""
STRANGERS = """
    SELECT $1::text AS service, r.rolname::text AS role, '(database)' AS table, ARRAY['CONNECT'] AS privileges
    FROM pg_roles r
    WHERE NOT r.rolsuper AND r.rolcanlogin AND r.rolname NOT IN ($1, $1 || '_owner', $1 || '_verify')
      AND r.rolname IN (SELECT s || x FROM unnest(ARRAY['booking', 'payment', 'refund', 'notification']) s,
                        unnest(ARRAY['', '_owner', '_verify']) x)
      AND has_database_privilege(r.oid, current_database(), 'CONNECT')"""

SETTINGS = "SELECT name, setting FROM pg_settings WHERE name IN ('fsync', 'synchronous_commit', 'full_page_writes')"

TEXTS = """
    SELECT table_name::text, column_name::text, data_type::text FROM information_schema.columns
    WHERE table_schema = current_schema() AND data_type IN ('text', 'jsonb', 'json', 'bytea', 'ARRAY', 'character varying')
    ORDER BY table_name, ordinal_position"""
