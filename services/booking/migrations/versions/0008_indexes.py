"""Bookings by the day on which they were confirmed and by the names that are due, and the audit by its subject."""

from chassis.ddl import concurrently

revision = "booking_0008"
down_revision = "booking_0007"


def upgrade() -> None:
    """By day a summary index, since days of confirmation follow the order of the rows, and it leaves the confirming UPDATE heap-only."""
    concurrently(
        """
        CREATE INDEX CONCURRENTLY IF NOT EXISTS bookings_confirmed_at ON bookings USING brin (confirmed_at)
        WITH (autosummarize)
        """,
        """
        CREATE INDEX CONCURRENTLY IF NOT EXISTS bookings_names_due_at ON bookings (names_due_at)
        WHERE names_due_at IS NOT NULL
        """,
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS audit_subject ON audit (subject)",
    )
