"""The dates that a cancellation states, and disputes one by one: a booking may have several, each decided anew."""

from alembic import op

revision = "refund_0005"
down_revision = "refund_0004"


def upgrade() -> None:
    """Adds a column that may be empty, and a table: the code before it runs on the schema.

    That code keeps the end of a dispute on the booking alone: what it is told after this has run, a later word about the booking's
    disputes may undo. Stop its replicas before new ones start.
    """
    op.execute("ALTER TABLE bookings ADD COLUMN cancelled_dates jsonb")
    op.execute(
        """
        CREATE TABLE disputes (
            id uuid PRIMARY KEY,
            booking_id uuid NOT NULL REFERENCES bookings,
            version integer NOT NULL CHECK (version >= 0),
            is_open boolean NOT NULL,
            lost_minor bigint NOT NULL CHECK (lost_minor >= 0),
            CONSTRAINT open_is_not_lost CHECK (lost_minor = 0 OR NOT is_open)
        )
        """
    )
    op.execute("CREATE INDEX disputes_booking ON disputes (booking_id)")
    op.execute(
        """
        INSERT INTO disputes SELECT dispute_id, booking_id, dispute_version, true, 0 FROM bookings WHERE dispute_id IS NOT NULL
        """
    )
    # Of what was lost before, the disputes are not known: it stands under the booking's own id.
    op.execute(
        """
        INSERT INTO disputes SELECT booking_id, booking_id, dispute_version, false, lost_minor FROM bookings WHERE lost_minor > 0
        """
    )
