"""The reference from campaigns' items to refunds, for the rows that were there before."""

from alembic import op

revision = "refund_0008"
down_revision = "refund_0007"


def upgrade() -> None:
    """Reads the table under a lock that stops neither readers nor writers."""
    op.execute("ALTER TABLE refund_campaign_items VALIDATE CONSTRAINT refund_campaign_items_refund_id_fkey")
