"""Refunds by the instant at which they were asked for, and at which they got where they are."""

from alembic import op

revision = "refund_0004"
down_revision = "refund_0003"


def upgrade() -> None:
    """Adds indexes only."""
    op.execute("CREATE INDEX refunds_created_at ON refunds (created_at)")
    op.execute("CREATE INDEX refunds_updated_at ON refunds (updated_at)")
