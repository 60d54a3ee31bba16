"""Reviews by people, the attempts that were declined, and which event a payment is for."""

from alembic import op

revision = "payment_0003"
down_revision = "payment_0002"


def upgrade() -> None:
    """Adds columns with defaults and tables, and widens what a payment may be let go for: the code before it runs on the schema."""
    payments()
    reviews()
    declines()
    op.execute("CREATE INDEX ledger_entries_created_at ON ledger_entries (created_at)")
    op.execute("CREATE INDEX payments_created_at ON payments (created_at)")


def payments() -> None:
    """Of a payment that was rejected although it had been captured, what the provider shows as captured is taken, and given back."""
    op.execute(
        """
        ALTER TABLE payments
            ADD COLUMN event_id uuid,
            ADD COLUMN accepted_doubts text[] NOT NULL DEFAULT '{}',
            DROP CONSTRAINT payments_release_reason_check,
            ADD CONSTRAINT payments_release_reason_check CHECK (release_reason IN
                ('seats_unavailable', 'booking_expired', 'booking_cancelled', 'too_many_declines', 'review_rejected')),
            DROP CONSTRAINT payments_check,
            ADD CONSTRAINT payments_check CHECK (captured_minor IN (0, amount_minor)
                OR (release_reason IS NOT DISTINCT FROM 'review_rejected' AND captured_minor > 0))
        """
    )


def reviews() -> None:
    """One is open for a payment at most. A payment that was in review before has one from now on."""
    op.execute(
        """
        CREATE TABLE reviews (
            id uuid PRIMARY KEY,
            payment_id uuid NOT NULL REFERENCES payments,
            kind text NOT NULL CHECK (kind IN ('held', 'doubted')),
            reasons text[] NOT NULL CHECK (cardinality(reasons) > 0),
            detail jsonb NOT NULL,
            status text NOT NULL CHECK (status IN ('open', 'approved', 'rejected')),
            opened_at timestamptz NOT NULL,
            decided_by text,
            decided_at timestamptz,
            note text,
            CONSTRAINT decided_by_somebody CHECK
                ((status = 'open') = (decided_by IS NULL) AND (decided_by IS NULL) = (decided_at IS NULL))
        )
        """
    )
    op.execute("CREATE UNIQUE INDEX reviews_open ON reviews (payment_id) WHERE status = 'open'")
    op.execute("CREATE INDEX reviews_payment_id ON reviews (payment_id)")
    op.execute("CREATE INDEX reviews_status ON reviews (status, id)")
    op.execute(
        "INSERT INTO reviews (id, payment_id, kind, reasons, detail, status, opened_at)"
        " SELECT gen_random_uuid(), id, 'doubted', string_to_array(review_reason, ', '), '{}', 'open', status_since"
        " FROM payments WHERE status = 'in_review'"
    )


def declines() -> None:
    """`card` is the provider's fingerprint of the card number: it tells a card again and names nobody."""
    op.execute(
        """
        CREATE TABLE declines (
            id uuid PRIMARY KEY,
            payment_id uuid NOT NULL REFERENCES payments,
            code text NOT NULL,
            card text,
            at timestamptz NOT NULL
        )
        """
    )
    op.execute("CREATE INDEX declines_payment_id ON declines (payment_id)")
    op.execute("CREATE INDEX declines_card ON declines (card, at) WHERE card IS NOT NULL")
    op.execute("CREATE INDEX declines_at ON declines (at)")
