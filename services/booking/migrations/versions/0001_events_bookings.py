"""Events with their seats, bookings with their tickets, and what refund said about them."""

from alembic import op

revision = "booking_0001"
down_revision = None


def upgrade() -> None:
    """Creates the tables. Each CHECK repeats a rule of booking.domain, so that no path around it can break the rule."""
    events()
    bookings()
    tickets()
    refunds()


def events() -> None:
    """What is sold."""
    op.execute(
        """
        CREATE TABLE events (
            id uuid PRIMARY KEY,
            name text NOT NULL,
            venue text NOT NULL,
            local_start timestamp NOT NULL,
            local_end timestamp NOT NULL,
            timezone text NOT NULL,
            starts_at timestamptz NOT NULL,
            ends_at timestamptz NOT NULL,
            currency char(3) NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
            refund_policy jsonb NOT NULL,
            created_at timestamptz NOT NULL,
            cancelled_at timestamptz,
            CHECK (ends_at > starts_at)
        )
        """
    )
    op.execute("CREATE INDEX events_starts_at ON events (starts_at, id)")
    # Room in each page keeps the counters' updates heap-only: a sale rewrites one row thousands of times.
    op.execute(
        """
        CREATE TABLE ticket_types (
            id uuid PRIMARY KEY,
            event_id uuid NOT NULL REFERENCES events,
            position integer NOT NULL,
            name text NOT NULL,
            price_minor bigint NOT NULL CHECK (price_minor >= 0),
            tax_rate_bp integer NOT NULL CHECK (tax_rate_bp BETWEEN 0 AND 10000),
            capacity integer NOT NULL CHECK (capacity >= 0),
            held integer NOT NULL DEFAULT 0 CHECK (held >= 0),
            sold integer NOT NULL DEFAULT 0 CHECK (sold >= 0),
            UNIQUE (event_id, position),
            CHECK (held + sold <= capacity)
        ) WITH (fillfactor = 50)
        """
    )


def bookings() -> None:
    """Who bought, at which price and terms."""
    op.execute(
        """
        CREATE TABLE bookings (
            id uuid PRIMARY KEY,
            event_id uuid NOT NULL REFERENCES events,
            status text NOT NULL CHECK (
                status IN ('pending_payment', 'payment_authorized', 'confirmed', 'expired', 'cancelled')),
            version integer NOT NULL CHECK (version >= 1),
            revision integer NOT NULL CHECK (revision >= 1),
            event_facts jsonb NOT NULL,
            refund_policy jsonb NOT NULL,
            currency char(3) NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
            total_minor bigint NOT NULL CHECK (total_minor >= 0),
            tax_minor bigint NOT NULL CHECK (tax_minor BETWEEN 0 AND total_minor),
            contact text NOT NULL,
            email_index text NOT NULL,
            issued_tickets text NOT NULL,
            placed_at timestamptz NOT NULL,
            hold_expires_at timestamptz NOT NULL,
            expiry_due_at timestamptz,
            payment_id uuid,
            payment_version integer NOT NULL DEFAULT 0,
            paid_at timestamptz,
            unavailable_reason text CHECK (
                unavailable_reason IN ('sold_out', 'booking_cancelled', 'event_cancelled')),
            confirmed_at timestamptz,
            cancelled_by text CHECK (cancelled_by IN ('customer', 'staff', 'event')),
            received_at timestamptz,
            refunded_minor bigint NOT NULL DEFAULT 0 CHECK (refunded_minor BETWEEN 0 AND total_minor),
            refund_failed_minor bigint NOT NULL DEFAULT 0 CHECK (refund_failed_minor >= 0),
            refund_declined boolean NOT NULL DEFAULT false,
            CHECK ((status = 'pending_payment') = (expiry_due_at IS NOT NULL)),
            CHECK ((status = 'cancelled') = (cancelled_by IS NOT NULL)),
            CHECK ((status = 'cancelled') = (received_at IS NOT NULL)),
            CHECK (status <> 'confirmed' OR confirmed_at IS NOT NULL),
            CHECK (status <> 'confirmed' OR total_minor = 0 OR paid_at IS NOT NULL)
        ) WITH (fillfactor = 80)
        """
    )
    op.execute("CREATE INDEX bookings_expiry_due_at ON bookings (expiry_due_at) WHERE expiry_due_at IS NOT NULL")
    op.execute("CREATE INDEX bookings_event_id ON bookings (event_id, id)")
    op.execute("CREATE INDEX bookings_email_index ON bookings (email_index, id)")


def tickets() -> None:
    """The lines, which nobody changes. Their type is checked by the UPDATE that takes its seats: a foreign key would lock the one row
    that a whole sale waits for, once more and earlier.
    """
    op.execute(
        """
        CREATE TABLE tickets (
            id uuid PRIMARY KEY,
            booking_id uuid NOT NULL REFERENCES bookings,
            ticket_type_id uuid NOT NULL,
            position integer NOT NULL,
            name text NOT NULL,
            gross_minor bigint NOT NULL CHECK (gross_minor >= 0),
            tax_minor bigint NOT NULL CHECK (tax_minor BETWEEN 0 AND gross_minor),
            tax_rate_bp integer NOT NULL CHECK (tax_rate_bp BETWEEN 0 AND 10000),
            code_index text NOT NULL UNIQUE,
            UNIQUE (booking_id, position)
        )
        """
    )
    op.execute("REVOKE UPDATE, DELETE, TRUNCATE ON tickets FROM booking")


def refunds() -> None:
    """What went back, or did not."""
    op.execute(
        """
        CREATE TABLE booking_refunds (
            id uuid PRIMARY KEY,
            booking_id uuid NOT NULL REFERENCES bookings,
            version integer NOT NULL CHECK (version >= 1),
            amount_minor bigint NOT NULL CHECK (amount_minor >= 0),
            completed boolean NOT NULL
        )
        """
    )
    op.execute("CREATE INDEX booking_refunds_booking_id ON booking_refunds (booking_id)")
