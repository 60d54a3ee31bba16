"""Tickets given back, staff's decisions, disputes, refunds made outside; policies, moved events and the provider's balance."""

from alembic import op

revision = "refund_0002"
down_revision = "refund_0001"


def upgrade() -> None:
    """Adds columns and tables, and widens the rules that a refund made outside or a lost dispute would break."""
    op.execute(
        """
        ALTER TABLE bookings
            ADD COLUMN cancelled_line_ids jsonb,
            ADD COLUMN given_back jsonb NOT NULL DEFAULT '[]',
            ADD COLUMN undecided jsonb NOT NULL DEFAULT '[]',
            ADD COLUMN outside_minor bigint NOT NULL DEFAULT 0 CHECK (outside_minor >= 0),
            ADD COLUMN lost_minor bigint NOT NULL DEFAULT 0 CHECK (lost_minor >= 0),
            ADD COLUMN fee_kept_minor bigint NOT NULL DEFAULT 0 CHECK (fee_kept_minor >= 0),
            ADD COLUMN dispute_id uuid,
            ADD COLUMN dispute_version integer NOT NULL DEFAULT 0,
            DROP CONSTRAINT refunds_within_captured,
            ADD CONSTRAINT refunds_within_captured CHECK (
                outside_minor <= promised_minor
                AND promised_minor - outside_minor + unavailable_minor <= coalesce(captured_minor, 0)
            )
        """
    )
    op.execute("CREATE INDEX bookings_event ON bookings (event_id)")
    op.execute(
        """
        ALTER TABLE refunds
            ADD COLUMN waiting_for text
                CHECK (waiting_for IN ('provider', 'balance', 'customer_action', 'unknown')),
            ADD COLUMN override boolean NOT NULL DEFAULT false,
            ADD COLUMN decided_by text,
            ADD COLUMN evidence text,
            ADD COLUMN paid_at timestamptz,
            ADD COLUMN payout_details text,
            ADD COLUMN payout_details_at timestamptz,
            DROP CONSTRAINT refunds_ground_check,
            ADD CONSTRAINT refunds_ground_check CHECK (ground IN (
                'policy', 'tickets', 'event_cancelled', 'never_confirmed', 'seats_unavailable', 'staff', 'outside'
            )),
            ADD CONSTRAINT waits_for_something CHECK (waiting_for IS NULL OR status IN ('pending', 'unknown')),
            ADD CONSTRAINT decided_by_another CHECK (decided_by <> requested_by),
            ADD CONSTRAINT settled_is_paid CHECK (status <> 'settled_manually' OR paid_at IS NOT NULL)
        """
    )
    op.execute("DROP INDEX refunds_one_decision")
    op.execute(
        """
        CREATE UNIQUE INDEX refunds_one_decision ON refunds (booking_id)
        WHERE ground IN ('policy', 'event_cancelled', 'never_confirmed', 'seats_unavailable')
        """
    )
    op.execute(
        """
        CREATE TABLE policies (
            policy_id text NOT NULL CHECK (policy_id <> ''),
            version integer NOT NULL CHECK (version >= 1),
            tiers jsonb NOT NULL,
            fee_minor bigint NOT NULL CHECK (fee_minor >= 0),
            valid_from timestamptz NOT NULL,
            created_by text NOT NULL,
            created_at timestamptz NOT NULL CHECK (created_at <= valid_from),
            PRIMARY KEY (policy_id, version)
        )
        """
    )
    op.execute("REVOKE UPDATE, DELETE, TRUNCATE ON policies FROM refund")
    op.execute(
        """
        CREATE TABLE reschedules (
            event_id uuid PRIMARY KEY,
            version integer NOT NULL CHECK (version >= 1),
            starts_at timestamptz NOT NULL,
            full_refund_until timestamptz
        )
        """
    )
    op.execute(
        """
        CREATE TABLE balances (
            provider text NOT NULL,
            currency char(3) NOT NULL,
            available_minor bigint NOT NULL,
            read_at timestamptz NOT NULL,
            PRIMARY KEY (provider, currency)
        )
        """
    )
