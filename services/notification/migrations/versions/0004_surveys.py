"""One question after the event and one after a refund."""

from alembic import op

revision = "notification_0004"
down_revision = "notification_0003"


def upgrade() -> None:
    """Adds a table. The code of before does not know it: whoever books meanwhile is not asked."""
    op.execute(
        """
        CREATE TABLE surveys (
            id uuid PRIMARY KEY,
            booking_id uuid NOT NULL REFERENCES bookings,
            kind text NOT NULL CHECK (kind IN ('event', 'refund')),
            status text NOT NULL CHECK (status IN ('waiting', 'asked', 'dropped')),
            reason text,
            next_attempt_at timestamptz,
            created_at timestamptz NOT NULL,
            asked_at timestamptz,
            score integer CHECK (score BETWEEN 1 AND 5),
            comment text,
            answered_at timestamptz,
            CONSTRAINT surveys_one_per_kind UNIQUE (booking_id, kind),
            CONSTRAINT surveys_due_while_waiting CHECK ((status = 'waiting') = (next_attempt_at IS NOT NULL)),
            CONSTRAINT surveys_asked_at CHECK ((status = 'asked') = (asked_at IS NOT NULL)),
            CONSTRAINT surveys_dropped_for CHECK ((status = 'dropped') = (reason IS NOT NULL)),
            CONSTRAINT surveys_answered_at CHECK ((score IS NULL) = (answered_at IS NULL)),
            CONSTRAINT surveys_answered_once_asked CHECK (score IS NULL OR status = 'asked'),
            CONSTRAINT surveys_comment_with_score CHECK (comment IS NULL OR score IS NOT NULL)
        )
        """
    )
    op.execute("CREATE INDEX surveys_due ON surveys (next_attempt_at) WHERE next_attempt_at IS NOT NULL")
    op.execute("CREATE INDEX surveys_asked ON surveys (asked_at) WHERE asked_at IS NOT NULL")
    op.execute("CREATE INDEX surveys_answered ON surveys (answered_at DESC, id DESC) WHERE answered_at IS NOT NULL")
    op.execute("GRANT SELECT, INSERT, UPDATE ON surveys TO notification")
    op.execute("REVOKE DELETE, TRUNCATE ON surveys FROM notification")
    op.execute("GRANT SELECT ON surveys TO notification_verify")
