"""Moved events, tickets given back, mails to staff, and webhooks about events instead of bookings."""

from alembic import op

revision = "notification_0002"
down_revision = "notification_0001"


def upgrade() -> None:
    """Adds what the mails about refunds need. The code of before goes on running on it."""
    op.execute(
        """
        ALTER TABLE bookings
            ADD COLUMN event_id uuid GENERATED ALWAYS AS ((event ->> 'event_id')::uuid) STORED,
            ADD COLUMN access text,
            ADD COLUMN valid_tickets uuid[] CHECK (cardinality(valid_tickets) > 0),
            ADD COLUMN tickets_version integer NOT NULL DEFAULT 0
        """
    )
    op.execute("CREATE INDEX bookings_of_event ON bookings (event_id, id) WHERE confirmed AND NOT cancelled")
    op.execute(
        """
        CREATE TABLE moved_events (
            id uuid PRIMARY KEY,
            version integer NOT NULL CHECK (version >= 1),
            facts jsonb NOT NULL,
            moved_at timestamptz NOT NULL,
            next_attempt_at timestamptz
        )
        """
    )
    op.execute("CREATE INDEX moved_events_due ON moved_events (next_attempt_at) WHERE next_attempt_at IS NOT NULL")
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON moved_events TO notification")
    op.execute("GRANT SELECT ON moved_events TO notification_verify")
    op.execute(
        """
        ALTER TABLE messages
            ALTER COLUMN booking_id DROP NOT NULL,
            ADD COLUMN for_staff boolean NOT NULL DEFAULT false,
            ADD CONSTRAINT messages_of_buyers_are_about_bookings CHECK (for_staff OR booking_id IS NOT NULL),
            DROP CONSTRAINT messages_one_per_transition,
            ADD CONSTRAINT messages_one_per_transition UNIQUE NULLS NOT DISTINCT (booking_id, template, cause)
        """
    )
    op.execute("ALTER TABLE webhook_deliveries ALTER COLUMN booking_id DROP NOT NULL")
