"""The ledger and the payments by day."""

from chassis.ddl import concurrently

revision = "payment_0008"
down_revision = "payment_0007"


def upgrade() -> None:
    """Adds indexes only."""
    concurrently(
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS ledger_entries_created_at ON ledger_entries (created_at)",
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS payments_created_at ON payments (created_at)",
    )
