"""The widened rules, for the rows that were there before."""

from alembic import op

revision = "payment_0007"
down_revision = "payment_0006"


def upgrade() -> None:
    """Reads the table under a lock that stops neither readers nor writers."""
    op.execute(
        """
        ALTER TABLE payments
            VALIDATE CONSTRAINT payments_release_reason_check,
            VALIDATE CONSTRAINT payments_check
        """
    )
