"""The dates that a cancellation states."""

from alembic import op

revision = "refund_0004"
down_revision = "refund_0003"


def upgrade() -> None:
    """Adds a column that may be empty: the code before it runs on the schema."""
    op.execute("ALTER TABLE bookings ADD COLUMN cancelled_dates jsonb")
