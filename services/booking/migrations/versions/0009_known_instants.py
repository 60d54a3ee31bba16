"""The instants of bookings that were there before, as the event log knows them."""

from chassis.ddl import in_batches

revision = "booking_0009"
down_revision = "booking_0008"


def upgrade() -> None:
    """As far back as the log is kept. Earlier authorizations and expiries are missing in a booking's timeline."""
    in_batches(
        """
        WITH batch AS (
            SELECT id FROM bookings WHERE id > :after ORDER BY id LIMIT :size
        ), told AS (
            SELECT subject,
                   max(occurred_at) FILTER (WHERE type = 'booking.seats-secured.v1') AS secured_at,
                   max(occurred_at) FILTER (WHERE type = 'booking.seats-unavailable.v1') AS unavailable_at,
                   max(occurred_at) FILTER (WHERE type = 'booking.expired.v1') AS expired_at
            FROM outbox
            WHERE subject IN (SELECT id FROM batch)
                AND type IN ('booking.seats-secured.v1', 'booking.seats-unavailable.v1', 'booking.expired.v1')
            GROUP BY subject
        ), filled AS (
            UPDATE bookings b
            SET authorized_at = told.secured_at, secured_at = told.secured_at, expired_at = told.expired_at,
                unavailable_at = CASE WHEN b.unavailable_reason IS NOT NULL THEN told.unavailable_at END
            FROM told
            WHERE b.id = told.subject AND num_nonnulls(b.secured_at, b.unavailable_at, b.expired_at) = 0
        )
        SELECT id FROM batch ORDER BY id DESC LIMIT 1
        """
    )
