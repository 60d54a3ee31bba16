"""Reviews by people, and the attempts that were declined."""

from alembic import op

revision = "payment_0004"
down_revision = "payment_0003"


def upgrade() -> None:
    """One review is open for a payment at most. `card` is the provider's fingerprint of the card number: it tells a card again and names
    nobody.
    """
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
