"""What mails need to know, the mails, the webhook endpoints and their deliveries."""

from alembic import op

revision = "notification_0001"
down_revision = None

TABLES = "bookings, messages, webhook_endpoints, webhook_deliveries"


def upgrade() -> None:
    """Creates the tables of notification."""
    op.execute(
        """
        CREATE TABLE bookings (
            id uuid PRIMARY KEY,
            event jsonb NOT NULL,
            total_minor bigint NOT NULL CHECK (total_minor >= 0),
            currency char(3) NOT NULL,
            policy jsonb,
            contact text,
            tickets text,
            version integer NOT NULL CHECK (version >= 1),
            payment_attempted boolean NOT NULL,
            expired_version integer,
            confirmed boolean NOT NULL,
            cancelled boolean NOT NULL
        )
        """
    )
    op.execute(
        """
        CREATE TABLE messages (
            id uuid PRIMARY KEY,
            seq bigint GENERATED ALWAYS AS IDENTITY,
            booking_id uuid NOT NULL REFERENCES bookings,
            template text NOT NULL,
            cause text NOT NULL,
            facts jsonb NOT NULL,
            status text NOT NULL CHECK (status IN ('queued', 'sent', 'bounced', 'failed', 'suppressed')),
            message_id text UNIQUE,
            attempts integer NOT NULL CHECK (attempts >= 0),
            unsure integer NOT NULL CHECK (unsure BETWEEN 0 AND attempts),
            next_attempt_at timestamptz,
            last_error text,
            created_at timestamptz NOT NULL,
            sent_at timestamptz,
            CONSTRAINT messages_one_per_transition UNIQUE (booking_id, template, cause),
            CONSTRAINT messages_due_while_queued CHECK ((status = 'queued') = (next_attempt_at IS NOT NULL)),
            CONSTRAINT messages_sent_at CHECK ((status = 'sent') = (sent_at IS NOT NULL)),
            CONSTRAINT messages_sent_under_an_id CHECK (attempts = 0 OR message_id IS NOT NULL)
        )
        """
    )
    op.execute("CREATE INDEX messages_due ON messages (next_attempt_at) WHERE next_attempt_at IS NOT NULL")
    op.execute(
        """
        CREATE TABLE webhook_endpoints (
            id uuid PRIMARY KEY,
            url text NOT NULL,
            secret text NOT NULL,
            event_types text[] NOT NULL CHECK (cardinality(event_types) > 0),
            status text NOT NULL CHECK (status IN ('active', 'disabled')),
            disabled_reason text,
            created_at timestamptz NOT NULL,
            CONSTRAINT webhook_endpoints_disabled_for CHECK ((status = 'disabled') = (disabled_reason IS NOT NULL))
        )
        """
    )
    op.execute(
        """
        CREATE TABLE webhook_deliveries (
            id uuid PRIMARY KEY,
            endpoint_id uuid NOT NULL REFERENCES webhook_endpoints ON DELETE CASCADE,
            webhook_id text NOT NULL,
            type text NOT NULL,
            booking_id uuid NOT NULL,
            body text NOT NULL,
            status text NOT NULL CHECK (status IN ('pending', 'delivered', 'failed')),
            attempts integer NOT NULL CHECK (attempts >= 0),
            next_attempt_at timestamptz,
            last_status integer,
            last_error text,
            created_at timestamptz NOT NULL,
            delivered_at timestamptz,
            CONSTRAINT webhook_deliveries_one_per_event UNIQUE (endpoint_id, webhook_id),
            CONSTRAINT webhook_deliveries_due_while_pending CHECK ((status = 'pending') = (next_attempt_at IS NOT NULL)),
            CONSTRAINT webhook_deliveries_delivered_at CHECK (status <> 'delivered' OR delivered_at IS NOT NULL)
        )
        """
    )
    op.execute(
        "CREATE INDEX webhook_deliveries_due ON webhook_deliveries (endpoint_id, next_attempt_at) "
        "WHERE next_attempt_at IS NOT NULL"
    )
    op.execute("CREATE INDEX webhook_deliveries_newest ON webhook_deliveries (endpoint_id, created_at DESC, id)")
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {TABLES} TO notification")
    op.execute("REVOKE DELETE, TRUNCATE ON messages FROM notification")
    op.execute(f"GRANT SELECT ON {TABLES} TO notification_verify")
