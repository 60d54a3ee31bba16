"""The event log, the inbox, given answers and the audit chain."""

from alembic import context, op

revision = "chassis_0001"
down_revision = None


def upgrade() -> None:
    """Creates the tables that every service has."""
    op.execute(
        """
        CREATE TABLE outbox (
            id uuid PRIMARY KEY,
            seq bigint GENERATED ALWAYS AS IDENTITY,
            type text NOT NULL,
            subject uuid NOT NULL,
            version integer NOT NULL CHECK (version >= 1),
            occurred_at timestamptz NOT NULL,
            body text NOT NULL,
            traceparent text,
            attempts integer NOT NULL DEFAULT 0,
            published_at timestamptz
        )
        """
    )
    op.execute("CREATE INDEX outbox_unpublished ON outbox (attempts, seq) WHERE published_at IS NULL")
    op.execute("CREATE UNIQUE INDEX outbox_subject_version ON outbox (subject, version)")
    op.execute("CREATE INDEX outbox_published_at ON outbox (published_at)")
    op.execute(
        """
        CREATE TABLE inbox (
            consumer text NOT NULL,
            event_id uuid NOT NULL,
            consumed_at timestamptz NOT NULL,
            PRIMARY KEY (consumer, event_id)
        )
        """
    )
    op.execute(
        """
        CREATE TABLE idempotency_keys (
            scope text NOT NULL,
            key text NOT NULL,
            request_hash bytea NOT NULL,
            status integer NOT NULL,
            answer text NOT NULL,
            created_at timestamptz NOT NULL,
            PRIMARY KEY (scope, key)
        )
        """
    )
    op.execute("CREATE INDEX idempotency_keys_created_at ON idempotency_keys (created_at)")
    op.execute(
        """
        CREATE TABLE audit (
            seq bigint PRIMARY KEY CHECK (seq > 0),
            at timestamptz NOT NULL,
            actor text NOT NULL,
            action text NOT NULL,
            subject text NOT NULL,
            reason text,
            before jsonb,
            after jsonb,
            previous_hash text NOT NULL,
            hash text NOT NULL UNIQUE
        )
        """
    )
    op.execute(f"REVOKE UPDATE, DELETE, TRUNCATE ON audit FROM {context.config.attributes['service']}")
    op.execute(f"REVOKE UPDATE, DELETE, TRUNCATE ON inbox FROM {context.config.attributes['service']}")
