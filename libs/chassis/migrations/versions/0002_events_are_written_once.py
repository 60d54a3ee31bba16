"""Takes from a service the right to change or remove an event that it has written."""

from alembic import context, op

revision = "chassis_0002"
down_revision = "chassis_0001"


def upgrade() -> None:
    """The relay may stamp, and what is older than a day and published may be pruned; nothing else of an event changes.

    Code from before this revision prunes by DELETE: it logs that it may not, once an hour, until it is replaced.
    """
    service = context.config.attributes["service"]
    op.execute(f"REVOKE UPDATE, DELETE, TRUNCATE ON outbox FROM {service}")
    op.execute(f"GRANT UPDATE (attempts, published_at) ON outbox TO {service}")
    # With the rights of the schema's owner. A caller who lies about the time can still not remove what was published today.
    op.execute(
        """
        CREATE FUNCTION prune_outbox(before timestamptz) RETURNS bigint
        LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT
        BEGIN ATOMIC
            WITH pruned AS (
                DELETE FROM outbox WHERE published_at < least(before, now() - interval '1 day') RETURNING 1
            )
            SELECT count(*) FROM pruned;
        END
        """
    )
    op.execute("REVOKE ALL ON FUNCTION prune_outbox FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION prune_outbox TO {service}")
