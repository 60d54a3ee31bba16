"""A review for each payment that was in review before."""

from chassis.ddl import in_batches

revision = "payment_0006"
down_revision = "payment_0005"


def upgrade() -> None:
    """Touches them: the trigger of the revision before opens what is missing."""
    in_batches(
        """
        WITH batch AS (
            SELECT id FROM payments WHERE status = 'in_review' AND id > :after ORDER BY id LIMIT :size
        ), touched AS (
            UPDATE payments p SET status = p.status FROM batch WHERE p.id = batch.id AND p.status = 'in_review'
        )
        SELECT id FROM batch ORDER BY id DESC LIMIT 1
        """
    )
