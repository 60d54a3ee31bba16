"""Mails of all bookings by their order, and deliveries about one booking."""

from chassis.ddl import concurrently

revision = "notification_0003"
down_revision = "notification_0002"


def upgrade() -> None:
    """Adds indexes only."""
    concurrently(
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS messages_seq ON messages (seq)",
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS messages_status_seq ON messages (status, seq)",
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS webhook_deliveries_booking_id ON webhook_deliveries (booking_id)",
    )
