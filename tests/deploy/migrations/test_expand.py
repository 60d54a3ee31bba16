"""Migrations only expand: the code of the version before goes on working on the schema of the version after, as both run during a deploy.

What contracts (a column that nobody reads any more) is a migration of its own in a later version, named in CONTRACTS with the version whose
code no longer needs it.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.deploy.migrations.expand import faults
from tests.deploy.migrations.revisions import FILES, Revision

CONTRACTS: dict[str, str] = {}
"""By file name: since which version nothing needs what it removes."""


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parents[2].name}-{file.stem}")
def test_the_code_before_goes_on_working(file: Path) -> None:
    if file.name not in CONTRACTS:
        assert faults(Revision(file.read_text())) == []


@pytest.mark.parametrize("package", sorted({file.parents[2] for file in FILES}), ids=lambda package: package.name)
def test_revisions_are_one_line(package: Path) -> None:
    """Two with the same number, as two branches make them, are found here and not on a server."""
    before = None
    for number, file in enumerate(sorted(package.glob("migrations/versions/*.py")), 1):
        said = dict(re.findall(r"^(revision|down_revision)(?:: [^=]+)? = (.+)$", file.read_text(), re.MULTILINE))
        revision = f"{package.name}_{number:04}"
        assert file.name.startswith(f"{number:04}_"), file.name
        assert ast.literal_eval(said["revision"]) == revision, file.name
        assert ast.literal_eval(said["down_revision"]) == before, file.name
        before = revision


@pytest.mark.parametrize(
    "sql",
    [
        "DROP TABLE bookings",
        "ALTER TABLE bookings DROP COLUMN seats",
        "ALTER TABLE bookings RENAME COLUMN seats TO places",
        "ALTER TABLE bookings ALTER COLUMN seats TYPE bigint",
        "ALTER TABLE bookings ALTER COLUMN seats SET NOT NULL",
        "ALTER TABLE bookings ADD COLUMN seats integer NOT NULL",
        "ALTER TABLE bookings ADD COLUMN a integer DEFAULT 0, ADD COLUMN b numeric(3, 1) NOT NULL CHECK (b IN (1, 2))",
        "ALTER TABLE bookings DROP CONSTRAINT bookings_status_check",
        "DROP INDEX refunds_one_decision",
        "DROP INDEX CONCURRENTLY IF EXISTS refunds_one_decision",
    ],
)
def test_what_breaks_the_code_before_is_found(sql: str) -> None:
    assert faults(Revision(f'op.execute("{sql}")')), sql


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE seats (id uuid PRIMARY KEY, row text NOT NULL)",
        "ALTER TABLE bookings ADD COLUMN seats integer NOT NULL DEFAULT 0 CHECK (seats >= 0), ADD COLUMN note text",
        "ALTER TABLE bookings ALTER COLUMN note DROP NOT NULL",
        "ALTER TABLE refunds DROP CONSTRAINT refunds_status_check, ADD CONSTRAINT refunds_status_check CHECK (true)",
        "CREATE INDEX bookings_event ON bookings (event_id)",
    ],
)
def test_what_expands_passes(sql: str) -> None:
    assert faults(Revision(f'op.execute("{sql}")')) == []


def test_a_guard_may_give_its_name_to_another() -> None:
    swap = 'concurrently("DROP INDEX CONCURRENTLY IF EXISTS a", "ALTER INDEX IF EXISTS b RENAME TO a")'
    assert faults(Revision(swap)) == []
