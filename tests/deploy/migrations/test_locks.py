"""Migrations run while the installation serves: no statement stops the readers or writers of a table for longer than a moment."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.deploy.migrations.locks import COLUMN, CONSTRAINT, INDEX, UNIQUE, faults
from tests.deploy.migrations.revisions import FILES, Revision

RELEASED = {
    "booking-0002_cancellations",
    "notification-0002_moves_and_staff",
    "payment-0002_disputes_settled_refunds_account",
    "refund-0002_parts_disputes_policies",
}
"""Older than these rules, and run wherever there are rows: what is released is not rewritten."""


def _name(file: Path) -> str:
    return f"{file.parents[2].name}-{file.stem}"


@pytest.mark.parametrize("file", FILES, ids=_name)
def test_nobody_waits_for_a_migration(file: Path) -> None:
    before = [Revision(each.read_text()) for each in FILES if each.parent == file.parent and each.name < file.name]
    found = faults(Revision(file.read_text()), before)
    assert (found != []) if _name(file) in RELEASED else (found == [])


def _execute(*statements: str) -> str:
    return "\n".join(f'op.execute("""{sql}""")' for sql in statements)


WRONG = {
    "index": (_execute("CREATE INDEX seats ON bookings (seats)"), INDEX),
    "index dropped": (_execute("DROP INDEX seats"), "DROP INDEX CONCURRENTLY IF EXISTS"),
    "check": (_execute("ALTER TABLE bookings ADD CONSTRAINT has_seats CHECK (seats > 0)"), CONSTRAINT),
    "check without a name": (_execute("ALTER TABLE bookings ADD CHECK (seats > 0)"), CONSTRAINT),
    "check of a column": (_execute("ALTER TABLE bookings ADD COLUMN seats integer CHECK (seats > 0)"), CONSTRAINT),
    "foreign key": (
        _execute("ALTER TABLE bookings ADD CONSTRAINT of_event FOREIGN KEY (a) REFERENCES events"),
        CONSTRAINT,
    ),
    "foreign key of a column": (_execute("ALTER TABLE bookings ADD COLUMN a uuid REFERENCES events"), CONSTRAINT),
    "validated at once": (
        _execute(
            "ALTER TABLE bookings ADD CONSTRAINT has_seats CHECK (seats > 0) NOT VALID",
            "ALTER TABLE bookings VALIDATE CONSTRAINT has_seats",
        ),
        CONSTRAINT,
    ),
    "unique": (_execute("ALTER TABLE bookings ADD CONSTRAINT one UNIQUE (event_id)"), UNIQUE),
    "unique column": (_execute("ALTER TABLE bookings ADD COLUMN code text UNIQUE"), UNIQUE),
    "exclude": (_execute("ALTER TABLE bookings ADD CONSTRAINT one EXCLUDE USING gist (a WITH =)"), "EXCLUDE"),
    "primary key": (_execute("ALTER TABLE bookings ADD PRIMARY KEY (id)"), "PRIMARY KEY USING INDEX"),
    "not null": (
        _execute("ALTER TABLE bookings ALTER COLUMN seats SET NOT NULL"),
        "CHECK (seats IS NOT NULL) NOT VALID",
    ),
    "type": (_execute("ALTER TABLE bookings ALTER COLUMN seats TYPE bigint"), "add another column"),
    "default that is computed for each row": (
        _execute("ALTER TABLE bookings ADD COLUMN a uuid NOT NULL DEFAULT gen_random_uuid()"),
        COLUMN,
    ),
    "generated column": (_execute("ALTER TABLE bookings ADD COLUMN a int GENERATED ALWAYS AS (b + 1) STORED"), COLUMN),
    "update": (
        _execute("ALTER TABLE bookings ADD COLUMN seats integer", "UPDATE bookings SET seats = 1"),
        "chassis.ddl.in_batches",
    ),
    "insert of rows from a table": (
        _execute("CREATE TABLE a (id uuid PRIMARY KEY)", "INSERT INTO b SELECT id FROM bookings"),
        "chassis.ddl.in_batches",
    ),
    "concurrently in a transaction": (
        _execute("CREATE INDEX CONCURRENTLY IF NOT EXISTS seats ON bookings (seats)"),
        INDEX,
    ),
    "dropped concurrently in a transaction": (_execute("DROP INDEX CONCURRENTLY IF EXISTS seats"), INDEX),
    "concurrently beside something else": (
        'concurrently("CREATE INDEX CONCURRENTLY IF NOT EXISTS a ON b (c)")\nop.execute("ALTER TABLE b ADD COLUMN d text")',
        "a revision of its own",
    ),
    "batches beside something else": (
        'in_batches("UPDATE b SET c = 1 WHERE id > :after LIMIT :size")\nop.execute("ALTER TABLE b ADD COLUMN d text")',
        "a revision of its own",
    ),
    "index that cannot be built again": ('concurrently("CREATE INDEX CONCURRENTLY a ON b (c)")', "IF [NOT] EXISTS"),
    "index beside readers only": ('concurrently("CREATE INDEX a ON b (c)")', INDEX),
    "batch without an end": ('in_batches("UPDATE b SET c = 1 RETURNING id")', "LIMIT :size"),
    "two tables": (
        _execute("ALTER TABLE bookings ADD COLUMN a text", "ALTER TABLE events ADD COLUMN b text"),
        "a revision for each",
    ),
    "two tables that a new one refers to": (
        _execute("CREATE TABLE a (b uuid REFERENCES bookings, c uuid REFERENCES events)", "CREATE INDEX d ON a (c)"),
        "a revision for each",
    ),
    "lock": (_execute("LOCK TABLE bookings"), "announced"),
    "rewritten": (_execute("CLUSTER bookings USING bookings_pkey"), "announced"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_stops_the_traffic_is_found_and_says_what_to_write_instead(case: str) -> None:
    source, instead = WRONG[case]
    assert any(instead in found.partition("Instead: ")[2] for found in faults(Revision(source))), faults(
        Revision(source)
    )


RIGHT = {
    "new table": _execute(
        "CREATE TABLE seats (id uuid PRIMARY KEY, booking_id uuid UNIQUE REFERENCES bookings, CHECK (true))",
        "CREATE INDEX seats_booking ON seats (booking_id)",
        "INSERT INTO seats VALUES (gen_random_uuid())",
    ),
    "column": _execute(
        "ALTER TABLE bookings ADD COLUMN a text NOT NULL DEFAULT '', ADD COLUMN b timestamptz DEFAULT now()"
    ),
    "constraint": _execute("ALTER TABLE bookings ADD CONSTRAINT has_seats CHECK (seats > 0) NOT VALID"),
    "validated": _execute(
        "ALTER TABLE bookings VALIDATE CONSTRAINT has_seats, VALIDATE CONSTRAINT has_rows",
        "ALTER TABLE a VALIDATE CONSTRAINT b",
    ),
    "unique": _execute("ALTER TABLE bookings ADD CONSTRAINT one UNIQUE USING INDEX one"),
    "indexes": """concurrently(
        "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS b ON bookings (c)",
        "DROP INDEX CONCURRENTLY IF EXISTS a",
        "ALTER INDEX IF EXISTS b RENAME TO a",
    )""",
    "batches": 'in_batches("WITH b AS (SELECT id FROM a WHERE id > :after ORDER BY id LIMIT :size) SELECT id FROM b")',
}


@pytest.mark.parametrize("case", RIGHT)
def test_what_stops_nobody_passes(case: str) -> None:
    assert faults(Revision(RIGHT[case])) == []


def test_not_null_passes_after_a_check_that_was_validated() -> None:
    added = Revision(_execute("ALTER TABLE b ADD CONSTRAINT has_a CHECK (a IS NOT NULL) NOT VALID"))
    validated = Revision(_execute("ALTER TABLE b VALIDATE CONSTRAINT has_a"))
    then = Revision(_execute("ALTER TABLE b ALTER COLUMN a SET NOT NULL"))
    assert faults(then, [added])
    assert faults(then, [added, validated]) == []
