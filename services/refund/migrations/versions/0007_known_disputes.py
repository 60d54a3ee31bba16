"""The disputes of bookings that were there before."""

from chassis.ddl import in_batches

revision = "refund_0007"
down_revision = "refund_0006"


def upgrade() -> None:
    """Touches the bookings that have any: the trigger of the revision before notes what is missing."""
    in_batches(
        """
        WITH batch AS (
            SELECT booking_id FROM bookings WHERE booking_id > :after ORDER BY booking_id LIMIT :size
        ), touched AS (
            UPDATE bookings b SET lost_minor = b.lost_minor FROM batch
            WHERE b.booking_id = batch.booking_id AND (b.dispute_id IS NOT NULL OR b.lost_minor > 0)
        )
        SELECT booking_id FROM batch ORDER BY booking_id DESC LIMIT 1
        """
    )
