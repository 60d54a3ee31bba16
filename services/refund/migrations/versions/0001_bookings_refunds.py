"""What is known of each booking, and the refunds."""

from alembic import op

revision = "refund_0001"
down_revision = None


def upgrade() -> None:
    """Creates the tables. Their constraints repeat what refund.domain decides."""
    op.execute(
        """
        CREATE TABLE bookings (
            booking_id uuid PRIMARY KEY,
            placed_at timestamptz,
            event_id uuid,
            starts_at timestamptz,
            timezone text,
            total_minor bigint CHECK (total_minor >= 0),
            currency char(3),
            policy jsonb,
            lines jsonb,
            payment_id uuid UNIQUE,
            captured_minor bigint CHECK (captured_minor > 0),
            captured_currency char(3),
            confirmed_at timestamptz,
            free boolean,
            cancelled_by text CHECK (cancelled_by IN ('customer', 'staff', 'event')),
            cancelled_was text CHECK (cancelled_was IN ('pending_payment', 'payment_authorized', 'confirmed')),
            cancel_received_at timestamptz,
            seats_unavailable_at timestamptz,
            decided_at timestamptz,
            promised_minor bigint NOT NULL DEFAULT 0 CHECK (promised_minor >= 0),
            unavailable_minor bigint NOT NULL DEFAULT 0 CHECK (unavailable_minor >= 0),
            CONSTRAINT placed_whole CHECK (
                num_nulls(placed_at, event_id, starts_at, timezone, total_minor, currency, policy, lines) IN (0, 8)
            ),
            CONSTRAINT captured_whole CHECK (num_nulls(payment_id, captured_minor, captured_currency) IN (0, 3)),
            CONSTRAINT cancelled_whole CHECK (num_nulls(cancelled_by, cancelled_was, cancel_received_at) IN (0, 3)),
            CONSTRAINT captured_is_what_was_owed CHECK (captured_minor = total_minor AND captured_currency = currency),
            CONSTRAINT refunds_within_captured CHECK (promised_minor + unavailable_minor <= coalesce(captured_minor, 0))
        )
        """
    )
    op.execute(
        """
        CREATE TABLE refunds (
            id uuid PRIMARY KEY,
            booking_id uuid NOT NULL REFERENCES bookings,
            payment_id uuid NOT NULL,
            status text NOT NULL CHECK (status IN (
                'requested', 'awaiting_approval', 'approved', 'submitted', 'pending', 'unknown', 'succeeded', 'failed',
                'declined', 'blocked_by_dispute', 'settled_manually'
            )),
            amount_minor bigint NOT NULL CHECK (amount_minor >= 0),
            currency char(3) NOT NULL,
            reason text NOT NULL,
            ground text NOT NULL CHECK (ground IN (
                'policy', 'event_cancelled', 'never_confirmed', 'seats_unavailable', 'staff'
            )),
            trace jsonb NOT NULL,
            requested_by text NOT NULL,
            note text,
            failure text,
            version integer NOT NULL CHECK (version >= 1),
            payment_version integer NOT NULL DEFAULT 0,
            created_at timestamptz NOT NULL,
            updated_at timestamptz NOT NULL,
            CONSTRAINT nothing_is_declined CHECK (amount_minor > 0 OR status = 'declined')
        )
        """
    )
    op.execute("CREATE INDEX refunds_booking ON refunds (booking_id)")
    op.execute("CREATE INDEX refunds_status ON refunds (status, id)")
    op.execute("CREATE UNIQUE INDEX refunds_one_decision ON refunds (booking_id) WHERE ground <> 'staff'")
