"""What was agreed to, the instants that an event log of limited age does not keep, and whose name is still to be found."""

from alembic import op

revision = "booking_0004"
down_revision = "booking_0003"


def upgrade() -> None:
    """Adds columns that may be empty.

    `names_due_at` has a default for the bookings that are there already, and for those that the service as it was before places meanwhile.
    """
    op.execute(
        """
        ALTER TABLE bookings
            ADD COLUMN policy_accepted_at timestamptz,
            ADD COLUMN policy_hash text,
            ADD COLUMN authorized_at timestamptz,
            ADD COLUMN secured_at timestamptz,
            ADD COLUMN unavailable_at timestamptz,
            ADD COLUMN expired_at timestamptz,
            ADD COLUMN declined_at timestamptz,
            ADD COLUMN names_due_at timestamptz DEFAULT now(),
            ADD CONSTRAINT bookings_policy_hash_check CHECK (policy_hash ~ '^[0-9a-f]{64}$') NOT VALID,
            ADD CONSTRAINT bookings_check8 CHECK ((policy_accepted_at IS NULL) = (policy_hash IS NULL)) NOT VALID,
            ADD CONSTRAINT bookings_check9 CHECK (unavailable_at IS NULL OR unavailable_reason IS NOT NULL) NOT VALID
        """
    )
