"""When refund said what."""

from alembic import op

revision = "booking_0005"
down_revision = "booking_0004"


def upgrade() -> None:
    """What it said before this migration has no instants, and is missing in a booking's timeline."""
    op.execute(
        """
        ALTER TABLE booking_refunds
            ADD COLUMN completed_at timestamptz,
            ADD COLUMN failed_at timestamptz,
            ADD COLUMN settled_at timestamptz
        """
    )
