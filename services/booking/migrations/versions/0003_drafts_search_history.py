"""Events that are not published yet, bookings that are found by name, what was agreed to, and when what happened."""

from alembic import op

revision = "booking_0003"
down_revision = "booking_0002"


def upgrade() -> None:
    """Adds columns with defaults, and a table: the service as it was before goes on with them."""
    events()
    bookings()
    refunds()
    names()
    known_instants()


def events() -> None:
    """Events that are there already were published when they were made."""
    op.execute(
        """
        ALTER TABLE events
            ADD COLUMN description text CHECK (char_length(description) <= 5000),
            ADD COLUMN draft boolean NOT NULL DEFAULT false,
            ADD CHECK (NOT draft OR (version = 0 AND cancelled_at IS NULL))
        """
    )


def bookings() -> None:
    """What was agreed to, and the instants that an event log of limited age does not keep.

    A summary index, since days of confirmation follow the order of the rows, and it leaves the confirming UPDATE heap-only.
    """
    op.execute(
        """
        ALTER TABLE bookings
            ADD COLUMN policy_accepted_at timestamptz,
            ADD COLUMN policy_hash text CHECK (policy_hash ~ '^[0-9a-f]{64}$'),
            ADD COLUMN authorized_at timestamptz,
            ADD COLUMN secured_at timestamptz,
            ADD COLUMN unavailable_at timestamptz,
            ADD COLUMN expired_at timestamptz,
            ADD COLUMN declined_at timestamptz,
            ADD CHECK ((policy_accepted_at IS NULL) = (policy_hash IS NULL)),
            ADD CHECK (unavailable_at IS NULL OR unavailable_reason IS NOT NULL)
        """
    )
    op.execute("CREATE INDEX bookings_confirmed_at ON bookings USING brin (confirmed_at) WITH (autosummarize)")


def refunds() -> None:
    """When refund said what. What it said before this migration has no instants, and is missing in a booking's timeline."""
    op.execute(
        """
        ALTER TABLE booking_refunds
            ADD COLUMN completed_at timestamptz,
            ADD COLUMN failed_at timestamptz,
            ADD COLUMN settled_at timestamptz
        """
    )
    op.execute("CREATE INDEX audit_subject ON audit (subject)")


def names() -> None:
    """Keyed blind indexes of the words of each buyer's name; the words themselves rest nowhere.

    The database has no key to make them, so they are a job of the service, `names_due_at`: of every booking that is there already, and of
    those that the service as it was before places meanwhile. Until it is done these are not found by name; by e-mail, ticket code and id
    they are.
    """
    op.execute(
        """
        CREATE TABLE booking_names (
            word_index text NOT NULL CHECK (word_index ~ '^[0-9a-f]{64}$'),
            booking_id uuid NOT NULL REFERENCES bookings,
            PRIMARY KEY (word_index, booking_id)
        )
        """
    )
    # An erasure deletes, by the words of the name that it erases: no index by booking, which every sale would pay for.
    op.execute("REVOKE UPDATE, TRUNCATE ON booking_names FROM booking")
    op.execute("ALTER TABLE bookings ADD COLUMN names_due_at timestamptz DEFAULT now()")
    op.execute("CREATE INDEX bookings_names_due_at ON bookings (names_due_at) WHERE names_due_at IS NOT NULL")


def known_instants() -> None:
    """From the event log, as far back as it is kept. Earlier authorizations and expiries are missing in a booking's timeline."""
    op.execute(
        """
        UPDATE bookings b
        SET authorized_at = told.secured_at, secured_at = told.secured_at, expired_at = told.expired_at,
            unavailable_at = CASE WHEN b.unavailable_reason IS NOT NULL THEN told.unavailable_at END
        FROM (
            SELECT subject,
                   max(occurred_at) FILTER (WHERE type = 'booking.seats-secured.v1') AS secured_at,
                   max(occurred_at) FILTER (WHERE type = 'booking.seats-unavailable.v1') AS unavailable_at,
                   max(occurred_at) FILTER (WHERE type = 'booking.expired.v1') AS expired_at
            FROM outbox
            WHERE type IN ('booking.seats-secured.v1', 'booking.seats-unavailable.v1', 'booking.expired.v1')
            GROUP BY subject
        ) told
        WHERE b.id = told.subject
        """
    )
