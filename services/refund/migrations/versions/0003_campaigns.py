"""Campaigns: the refunds of cancelled events, item by item, and the pace that they share."""

from alembic import op

revision = "refund_0003"
down_revision = "refund_0002"


def upgrade() -> None:
    """Creates the tables. Their constraints repeat what refund.campaign_rules decides."""
    op.execute(
        """
        CREATE TABLE refund_campaigns (
            id uuid PRIMARY KEY,
            name text,
            cancelled_at timestamptz,
            started_at timestamptz NOT NULL,
            paused_at timestamptz,
            finished_at timestamptz,
            look_at timestamptz,
            version integer NOT NULL CHECK (version >= 0),
            CONSTRAINT announced_whole CHECK ((version = 0) = (name IS NULL) AND (name IS NULL) = (cancelled_at IS NULL)),
            CONSTRAINT unfinished_is_looked_at CHECK (finished_at IS NOT NULL OR look_at IS NOT NULL)
        )
        """
    )
    op.execute(
        """
        CREATE TABLE refund_campaign_items (
            id uuid PRIMARY KEY REFERENCES bookings,
            event_id uuid NOT NULL REFERENCES refund_campaigns,
            state text NOT NULL CHECK (state IN ('queued', 'recorded', 'skipped')),
            reason text CHECK (reason IN ('already_refunded', 'cancelled_before')),
            refund_id uuid UNIQUE,
            due_at timestamptz,
            queued_at timestamptz NOT NULL,
            handled_at timestamptz,
            done_at timestamptz,
            CONSTRAINT queued_falls_due CHECK ((state = 'queued') = (due_at IS NOT NULL)),
            CONSTRAINT recorded_has_its_refund CHECK (state <> 'recorded' OR refund_id IS NOT NULL),
            CONSTRAINT skipped_says_why CHECK ((state = 'skipped') = (reason IS NOT NULL)),
            CONSTRAINT done_is_handled CHECK (done_at IS NULL OR handled_at IS NOT NULL),
            CONSTRAINT handled_or_queued CHECK (state = 'queued' OR handled_at IS NOT NULL)
        )
        """
    )
    op.execute("CREATE INDEX refund_campaigns_look ON refund_campaigns (look_at) WHERE look_at IS NOT NULL")
    op.execute("CREATE INDEX refund_campaign_items_event ON refund_campaign_items (event_id, id)")
    op.execute("CREATE INDEX refund_campaign_items_due ON refund_campaign_items (due_at) WHERE due_at IS NOT NULL")
    op.execute(
        """
        CREATE TABLE refund_pace (
            id integer PRIMARY KEY CHECK (id = 1),
            spent_until timestamptz NOT NULL
        )
        """
    )
    op.execute("INSERT INTO refund_pace VALUES (1, '2000-01-01T00:00:00Z')")
