"""The service as it was before leaves a payment in review without a review, which nobody would see."""

from alembic import op

revision = "payment_0005"
down_revision = "payment_0004"


def upgrade() -> None:
    """Opens it where the transaction that put the payment in review has opened none until its end.

    To be dropped with its function once no replica of the version before is left, in the version after this one.
    """
    op.execute(
        """
        CREATE FUNCTION open_missing_review() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO reviews (id, payment_id, kind, reasons, detail, status, opened_at)
            SELECT gen_random_uuid(), id, 'doubted', string_to_array(review_reason, ', '), '{}', 'open', status_since
            FROM payments WHERE id = NEW.id AND status = 'in_review'
            ON CONFLICT (payment_id) WHERE status = 'open' DO NOTHING;
            RETURN NULL;
        END $$
        """
    )
    op.execute(
        """
        CREATE CONSTRAINT TRIGGER open_missing_review AFTER UPDATE OF status ON payments
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.status = 'in_review') EXECUTE FUNCTION open_missing_review()
        """
    )
