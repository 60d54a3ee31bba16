"""A campaign's items name refunds that are there."""

from alembic import op

revision = "refund_0004"
down_revision = "refund_0003"


def upgrade() -> None:
    """After the tables: one that references two others locks both, and the service locks them in another order."""
    op.execute(
        """
        ALTER TABLE refund_campaign_items
            ADD CONSTRAINT refund_campaign_items_refund_id_fkey FOREIGN KEY (refund_id) REFERENCES refunds NOT VALID
        """
    )
