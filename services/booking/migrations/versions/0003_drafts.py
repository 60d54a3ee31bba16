"""Events that are not published yet."""

from alembic import op

revision = "booking_0003"
down_revision = "booking_0002"


def upgrade() -> None:
    """Events that are there already were published when they were made, as are those of the service as it was before."""
    op.execute(
        """
        ALTER TABLE events
            ADD COLUMN description text,
            ADD COLUMN draft boolean NOT NULL DEFAULT false,
            ADD CONSTRAINT events_description_check CHECK (char_length(description) <= 5000) NOT VALID,
            ADD CONSTRAINT events_check2 CHECK (NOT draft OR (version = 0 AND cancelled_at IS NULL)) NOT VALID
        """
    )
