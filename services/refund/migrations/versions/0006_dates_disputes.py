"""The dates that a cancellation states, and disputes one by one: a booking may have several, each decided anew."""

from alembic import op

revision = "refund_0006"
down_revision = "refund_0005"


def upgrade() -> None:
    """Adds a column that may be empty, and a table.

    The service as it was before keeps a dispute on the booking alone, and `dispute_id` and `lost_minor` follow from the table now. What
    it writes on the booking is noted in the table, so that a later word about the booking's disputes does not undo it. Of what was lost
    the dispute is not known: it stands under the booking's own id. What the service of now writes is in the table before, and changes
    nothing. To be dropped with its function once no replica of the version before is left, in the version after this one.
    """
    op.execute("ALTER TABLE bookings ADD COLUMN cancelled_dates jsonb")
    op.execute(
        """
        CREATE TABLE disputes (
            id uuid PRIMARY KEY,
            booking_id uuid NOT NULL REFERENCES bookings,
            version integer NOT NULL CHECK (version >= 0),
            is_open boolean NOT NULL,
            lost_minor bigint NOT NULL CHECK (lost_minor >= 0),
            CONSTRAINT open_is_not_lost CHECK (lost_minor = 0 OR NOT is_open)
        )
        """
    )
    op.execute("CREATE INDEX disputes_booking ON disputes (booking_id)")
    op.execute(
        """
        CREATE FUNCTION note_dispute_of_the_version_before() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE unexplained bigint;
        BEGIN
            IF NEW.dispute_id IS NOT NULL THEN
                INSERT INTO disputes VALUES (NEW.dispute_id, NEW.booking_id, NEW.dispute_version, true, 0)
                ON CONFLICT (id) DO UPDATE SET is_open = true, lost_minor = 0, version = excluded.version
                WHERE NOT disputes.is_open AND excluded.version > disputes.version;
            ELSE
                UPDATE disputes SET is_open = false, version = NEW.dispute_version WHERE id = OLD.dispute_id AND is_open;
                NEW.dispute_id := (
                    SELECT id FROM disputes WHERE booking_id = NEW.booking_id AND is_open ORDER BY id LIMIT 1
                );
            END IF;
            SELECT NEW.lost_minor - coalesce(sum(lost_minor), 0) INTO unexplained
            FROM disputes WHERE booking_id = NEW.booking_id;
            IF unexplained > 0 THEN
                INSERT INTO disputes VALUES (NEW.booking_id, NEW.booking_id, NEW.dispute_version, false, unexplained)
                ON CONFLICT (id) DO UPDATE SET lost_minor = disputes.lost_minor + excluded.lost_minor;
            END IF;
            RETURN NEW;
        END $$
        """
    )
    op.execute(
        """
        CREATE TRIGGER note_dispute_of_the_version_before BEFORE UPDATE OF dispute_id, lost_minor ON bookings
        FOR EACH ROW EXECUTE FUNCTION note_dispute_of_the_version_before()
        """
    )
