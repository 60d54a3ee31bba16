"""Which refunds there is one of, and refunds by the instant at which they were asked for, and at which they got where they are."""

from chassis.ddl import concurrently

revision = "refund_0005"
down_revision = "refund_0004"


def upgrade() -> None:
    """A booking that was decided on before, by a refund that failed, is refunded anew when its event is cancelled: once.

    The narrower index takes the place and the name of the wider one, so that there is one decision at every moment.
    """
    concurrently(
        """
        CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS refunds_one_for_its_event ON refunds (booking_id)
        WHERE ground = 'event_cancelled'
        """,
        """
        CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS refunds_one_decision_narrower ON refunds (booking_id)
        WHERE ground IN ('policy', 'never_confirmed', 'seats_unavailable')
        """,
        "DROP INDEX CONCURRENTLY IF EXISTS refunds_one_decision",
        "ALTER INDEX IF EXISTS refunds_one_decision_narrower RENAME TO refunds_one_decision",
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS refunds_created_at ON refunds (created_at)",
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS refunds_updated_at ON refunds (updated_at)",
    )
