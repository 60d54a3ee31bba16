"""Which event a payment is for, what staff accepted of its doubts, and that they may let it go."""

from alembic import op

revision = "payment_0003"
down_revision = "payment_0002"


def upgrade() -> None:
    """Adds columns, and widens what a payment may be let go for.

    Of a payment that was rejected although it had been captured, what the provider shows as captured is taken, and given back.
    """
    op.execute(
        """
        ALTER TABLE payments
            ADD COLUMN event_id uuid,
            ADD COLUMN accepted_doubts text[] NOT NULL DEFAULT '{}',
            DROP CONSTRAINT payments_release_reason_check,
            ADD CONSTRAINT payments_release_reason_check CHECK (release_reason IN
                ('seats_unavailable', 'booking_expired', 'booking_cancelled', 'too_many_declines', 'review_rejected')) NOT VALID,
            DROP CONSTRAINT payments_check,
            ADD CONSTRAINT payments_check CHECK (captured_minor IN (0, amount_minor)
                OR (release_reason IS NOT DISTINCT FROM 'review_rejected' AND captured_minor > 0)) NOT VALID
        """
    )
