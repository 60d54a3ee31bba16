"""Disputes, refunds that wait for them or were settled another way, and the account at the provider."""

from alembic import op

revision = "payment_0002"
down_revision = "payment_0001"


def upgrade() -> None:
    """Adds columns with defaults and widens the statuses of a refund: the code before it runs on the schema."""
    payments()
    refunds()
    disputes()
    accounts()


def payments() -> None:
    """What disputes have taken is not refundable any more."""
    op.execute(
        """
        ALTER TABLE payments
            ADD COLUMN dispute_id uuid,
            ADD COLUMN withdrawn_minor bigint NOT NULL DEFAULT 0 CHECK (withdrawn_minor >= 0),
            ADD COLUMN disputed_minor bigint NOT NULL DEFAULT 0 CHECK (disputed_minor >= 0),
            ADD COLUMN double_return_minor bigint NOT NULL DEFAULT 0 CHECK (double_return_minor >= 0),
            ADD CONSTRAINT refunds_and_disputes_within_captured
                CHECK (refunded_minor + reserved_minor + disputed_minor <= captured_minor),
            ADD CONSTRAINT twice_given_back_is_said
                CHECK (refunded_minor + withdrawn_minor - captured_minor <= double_return_minor)
        """
    )


def refunds() -> None:
    """Blocked by a dispute, settled another way, or paid twice."""
    op.execute(
        """
        ALTER TABLE refunds
            ADD COLUMN approved_version integer NOT NULL DEFAULT 0,
            ADD COLUMN waits_for text CHECK (waits_for IN ('provider', 'balance', 'customer_action', 'unknown')),
            ADD COLUMN blocked_by uuid,
            DROP CONSTRAINT refunds_status_check,
            ADD CONSTRAINT refunds_status_check CHECK (status IN
                ('submitted', 'pending', 'unknown', 'blocked', 'succeeded', 'failed', 'settled', 'overpaid')),
            ADD CONSTRAINT waits_while_it_is_open CHECK (waits_for IS NULL OR status IN ('pending', 'unknown'))
        """
    )


def disputes() -> None:
    """Disputes as the provider sees them."""
    op.execute(
        """
        CREATE TABLE disputes (
            id uuid PRIMARY KEY,
            payment_id uuid NOT NULL REFERENCES payments,
            booking_id uuid NOT NULL,
            provider_ref text NOT NULL UNIQUE,
            status text NOT NULL CHECK (status IN ('inquiry', 'open', 'won', 'lost')),
            status_since timestamptz NOT NULL,
            reason text NOT NULL,
            amount_minor bigint NOT NULL CHECK (amount_minor >= 0),
            currency char(3) NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
            withdrawn_minor bigint NOT NULL DEFAULT 0 CHECK (withdrawn_minor >= 0),
            movements integer NOT NULL DEFAULT 0,
            respond_by timestamptz,
            revision integer NOT NULL CHECK (revision >= 1),
            checks integer NOT NULL DEFAULT 0,
            next_check_at timestamptz,
            created_at timestamptz NOT NULL,
            updated_at timestamptz NOT NULL,
            CONSTRAINT won_takes_nothing CHECK (withdrawn_minor = 0 OR status IN ('open', 'lost'))
        )
        """
    )
    op.execute("CREATE INDEX disputes_payment_id ON disputes (payment_id)")
    op.execute("CREATE INDEX disputes_status ON disputes (status, id)")
    op.execute("CREATE INDEX disputes_next_check_at ON disputes (next_check_at) WHERE next_check_at IS NOT NULL")
    op.execute("ALTER TABLE payments ADD FOREIGN KEY (dispute_id) REFERENCES disputes")


def accounts() -> None:
    """One row for each account at a provider; its id stands for it in events. What happened there in the month before is looked for."""
    op.execute(
        """
        CREATE TABLE provider_accounts (
            id uuid PRIMARY KEY,
            provider text NOT NULL UNIQUE,
            version integer NOT NULL CHECK (version >= 0),
            available jsonb NOT NULL,
            read_at timestamptz,
            next_balance_at timestamptz NOT NULL,
            listed_until timestamptz NOT NULL,
            next_listing_at timestamptz NOT NULL,
            next_refund_at timestamptz NOT NULL
        )
        """
    )
    op.execute(
        "INSERT INTO provider_accounts (id, provider, version, available, next_balance_at, listed_until, next_listing_at, next_refund_at)"
        " VALUES ('0192f0c1-0000-7000-8000-000000000001', 'stripe', 0, '{}', now(), now() - interval '30 days', now(), now())"
    )
