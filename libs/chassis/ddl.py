"""What a migration does outside of a transaction, so that the service goes on working on its tables meanwhile."""

from __future__ import annotations

import re
from uuid import UUID

from alembic import op
from sqlalchemy import text

BATCH_ROWS = 500
"""What one transaction of a backfill may hold locked."""

_BROKEN_OFF = text(
    """
    SELECT quote_ident(c.relname)
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    WHERE NOT i.indisvalid AND c.relnamespace = current_schema()::regnamespace AND c.relname = ANY(:named)
    """
)


def concurrently(*statements: str) -> None:
    """Builds, drops and renames indexes, each statement by itself. A revision that calls this does nothing else.

    Each statement must be one that may run again (IF EXISTS, IF NOT EXISTS): a revision that broke off begins anew, and an index that
    was left half-built is not valid, is found by its name in the statement, and is dropped first.
    """
    with op.get_context().autocommit_block():
        # Building one waits for every transaction that may not see it yet, for as long as that takes: nobody waits behind it.
        op.execute("SET lock_timeout = 0")
        for statement in statements:
            named = re.findall(r"\w+", statement)
            for index in op.get_bind().scalars(_BROKEN_OFF, {"named": named}).all():
                op.execute(f"DROP INDEX CONCURRENTLY {index}")
            op.execute(statement)
        op.execute("RESET lock_timeout")


def in_batches(statement: str) -> None:
    """Runs `statement` over and over, each time in a transaction of its own, until it answers with no row.

    It takes `:size` rows with an id above `:after`, in the order of their ids, and answers with the last id that it took. What it has
    done already it must leave alone: where it broke off, it begins with the first id anew.
    """
    with op.get_context().autocommit_block():
        after: UUID | None = UUID(int=0)
        while after is not None:
            after = op.get_bind().scalar(text(statement), {"after": after, "size": BATCH_ROWS})
