"""Mails of all bookings by their order, and deliveries about one booking."""

from alembic import op

revision = "notification_0003"
down_revision = "notification_0002"


def upgrade() -> None:
    """Adds indexes only."""
    op.execute("CREATE INDEX messages_seq ON messages (seq)")
    op.execute("CREATE INDEX messages_status_seq ON messages (status, seq)")
    op.execute("CREATE INDEX webhook_deliveries_booking_id ON webhook_deliveries (booking_id)")
