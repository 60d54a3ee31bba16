"""Payments, what was asked of the provider about them, the ledger, and what the provider's webhooks said."""

from alembic import op

revision = "payment_0001"
down_revision = None


def upgrade() -> None:
    """Creates the tables. Each CHECK repeats a rule of payment.domain, so that no path around it can break the rule."""
    payments()
    refunds()
    attempts()
    ledger()
    receipts()


def payments() -> None:
    """What is owed for a booking. `clearing_minor` is the balance of the payment's own clearing account."""
    op.execute(
        """
        CREATE TABLE payments (
            id uuid PRIMARY KEY,
            booking_id uuid NOT NULL UNIQUE,
            amount_minor bigint NOT NULL CHECK (amount_minor > 0),
            currency char(3) NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
            status text NOT NULL CHECK (status IN ('created', 'requires_payment_method', 'requires_action', 'processing',
                'authorized', 'capturing', 'succeeded', 'voided', 'failed', 'unknown', 'in_review')),
            status_since timestamptz NOT NULL,
            version integer NOT NULL CHECK (version >= 0),
            wish text NOT NULL CHECK (wish IN ('collect', 'capture', 'release')),
            release_reason text CHECK (release_reason IN
                ('seats_unavailable', 'booking_expired', 'booking_cancelled', 'too_many_declines')),
            booking_version integer NOT NULL,
            hold_expires_at timestamptz NOT NULL,
            provider text NOT NULL,
            provider_ref text,
            authorized_at timestamptz,
            captured_minor bigint NOT NULL DEFAULT 0 CHECK (captured_minor IN (0, amount_minor)),
            reserved_minor bigint NOT NULL DEFAULT 0 CHECK (reserved_minor >= 0),
            refunded_minor bigint NOT NULL DEFAULT 0 CHECK (refunded_minor >= 0),
            clearing_minor bigint NOT NULL DEFAULT 0 CHECK (clearing_minor IN (0, amount_minor)),
            fee_known boolean NOT NULL DEFAULT false,
            method_kind text,
            method_brand text,
            method_last4 text CHECK (method_last4 ~ '^[0-9]{4}$'),
            declines integer NOT NULL DEFAULT 0 CHECK (declines >= 0),
            last_decline_ref text,
            review_reason text,
            checks integer NOT NULL DEFAULT 0,
            next_check_at timestamptz,
            created_at timestamptz NOT NULL,
            updated_at timestamptz NOT NULL,
            UNIQUE (provider, provider_ref),
            CONSTRAINT never_refunded_beyond_captured CHECK (refunded_minor + reserved_minor <= captured_minor),
            CONSTRAINT captured_is_succeeded CHECK ((captured_minor > 0) = (status = 'succeeded')),
            CONSTRAINT clearing_ends_at_zero CHECK
                (clearing_minor = 0 OR status NOT IN ('succeeded', 'voided', 'failed')),
            CONSTRAINT release_has_a_reason CHECK ((wish = 'release') = (release_reason IS NOT NULL)),
            CONSTRAINT review_has_a_reason CHECK (status <> 'in_review' OR review_reason IS NOT NULL)
        ) WITH (fillfactor = 85)
        """
    )
    op.execute("CREATE INDEX payments_next_check_at ON payments (next_check_at) WHERE next_check_at IS NOT NULL")
    op.execute("CREATE INDEX payments_status ON payments (status, id)")
    op.execute("CREATE TABLE free_bookings (booking_id uuid PRIMARY KEY)")


def refunds() -> None:
    """Refunds as the provider sees them."""
    op.execute(
        """
        CREATE TABLE refunds (
            id uuid PRIMARY KEY,
            payment_id uuid NOT NULL REFERENCES payments,
            booking_id uuid NOT NULL,
            amount_minor bigint NOT NULL CHECK (amount_minor > 0),
            currency char(3) NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
            reason text NOT NULL,
            status text NOT NULL CHECK (status IN ('submitted', 'pending', 'unknown', 'succeeded', 'failed')),
            status_since timestamptz NOT NULL,
            provider_ref text UNIQUE,
            failure_code text,
            checks integer NOT NULL DEFAULT 0,
            next_check_at timestamptz,
            created_at timestamptz NOT NULL,
            updated_at timestamptz NOT NULL
        ) WITH (fillfactor = 85)
        """
    )
    op.execute("CREATE INDEX refunds_payment_id ON refunds (payment_id)")
    op.execute("CREATE INDEX refunds_next_check_at ON refunds (next_check_at) WHERE next_check_at IS NOT NULL")


def attempts() -> None:
    """Operations asked of the provider, each with the idempotency key that it was sent with; one of a kind is open at a time."""
    op.execute(
        """
        CREATE TABLE attempts (
            id uuid PRIMARY KEY,
            payment_id uuid NOT NULL REFERENCES payments,
            refund_id uuid REFERENCES refunds,
            operation text NOT NULL CHECK (operation IN ('create', 'capture', 'cancel', 'refund')),
            outcome text CHECK (outcome IN ('done', 'refused', 'absent', 'moot')),
            code text,
            sent_at timestamptz,
            created_at timestamptz NOT NULL,
            closed_at timestamptz,
            CHECK ((operation = 'refund') = (refund_id IS NOT NULL)),
            CHECK ((outcome IS NULL) = (closed_at IS NULL))
        )
        """
    )
    op.execute(
        "CREATE UNIQUE INDEX attempts_open ON attempts (payment_id, operation)"
        " WHERE closed_at IS NULL AND refund_id IS NULL"
    )
    op.execute("CREATE UNIQUE INDEX attempts_open_refund ON attempts (refund_id) WHERE closed_at IS NULL")


def ledger() -> None:
    """The double-entry ledger. What an entry is about (`kind`, `source`) can be posted to an account only once."""
    op.execute(
        """
        CREATE TABLE ledger_entries (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            transaction_id uuid NOT NULL,
            kind text NOT NULL,
            source text NOT NULL,
            account text NOT NULL,
            amount_minor bigint NOT NULL CHECK (amount_minor <> 0),
            currency char(3) NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
            payment_id uuid NOT NULL REFERENCES payments,
            refund_id uuid REFERENCES refunds,
            created_at timestamptz NOT NULL,
            UNIQUE (kind, source, account)
        )
        """
    )
    op.execute("CREATE INDEX ledger_entries_transaction_id ON ledger_entries (transaction_id)")
    op.execute("CREATE INDEX ledger_entries_payment_id ON ledger_entries (payment_id)")
    op.execute(
        """
        CREATE FUNCTION ledger_sums_to_zero() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF EXISTS (
                SELECT FROM ledger_entries WHERE transaction_id = NEW.transaction_id
                GROUP BY currency HAVING sum(amount_minor) <> 0
            ) THEN
                RAISE EXCEPTION 'ledger transaction % does not sum to zero', NEW.transaction_id
                    USING ERRCODE = 'check_violation';
            END IF;
            RETURN NULL;
        END $$
        """
    )
    op.execute(
        """
        CREATE CONSTRAINT TRIGGER ledger_sums_to_zero AFTER INSERT ON ledger_entries
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION ledger_sums_to_zero()
        """
    )
    op.execute("REVOKE UPDATE, DELETE, TRUNCATE ON ledger_entries FROM payment")


def receipts() -> None:
    """Webhooks as they were received."""
    op.execute(
        """
        CREATE TABLE receipts (
            id uuid PRIMARY KEY,
            provider text NOT NULL,
            event_id text NOT NULL,
            type text NOT NULL,
            object_ref text,
            body text NOT NULL,
            tries integer NOT NULL DEFAULT 0,
            outcome text CHECK (outcome IN ('applied', 'known', 'ignored', 'foreign')),
            next_attempt_at timestamptz,
            received_at timestamptz NOT NULL,
            processed_at timestamptz,
            UNIQUE (provider, event_id),
            CHECK ((outcome IS NULL) = (processed_at IS NULL)),
            CHECK ((outcome IS NULL) = (next_attempt_at IS NOT NULL))
        )
        """
    )
    op.execute("CREATE INDEX receipts_next_attempt_at ON receipts (next_attempt_at) WHERE next_attempt_at IS NOT NULL")
    op.execute("CREATE INDEX receipts_received_at ON receipts (received_at)")
