"""The rules of the new columns, for the rows that were there before."""

from alembic import op

revision = "booking_0007"
down_revision = "booking_0006"


def upgrade() -> None:
    """Reads the tables under a lock that stops neither readers nor writers."""
    op.execute("ALTER TABLE events VALIDATE CONSTRAINT events_description_check, VALIDATE CONSTRAINT events_check2")
    op.execute(
        """
        ALTER TABLE bookings
            VALIDATE CONSTRAINT bookings_policy_hash_check,
            VALIDATE CONSTRAINT bookings_check8,
            VALIDATE CONSTRAINT bookings_check9
        """
    )
