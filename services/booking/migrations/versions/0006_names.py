"""Bookings that are found by name."""

from alembic import op

revision = "booking_0006"
down_revision = "booking_0005"


def upgrade() -> None:
    """Keyed blind indexes of the words of each buyer's name; the words themselves rest nowhere.

    The database has no key to make them, so they are a job of the service, `names_due_at`. Until it is done these bookings are not found
    by name; by e-mail, ticket code and id they are.
    """
    op.execute(
        """
        CREATE TABLE booking_names (
            word_index text NOT NULL CHECK (word_index ~ '^[0-9a-f]{64}$'),
            booking_id uuid NOT NULL REFERENCES bookings,
            PRIMARY KEY (word_index, booking_id)
        )
        """
    )
    # An erasure deletes, by the words of the name that it erases: no index by booking, which every sale would pay for.
    op.execute("REVOKE UPDATE, TRUNCATE ON booking_names FROM booking")
