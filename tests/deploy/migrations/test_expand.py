"""Migrations only expand: the code of the version before goes on working on the schema of the version after, as both run during a deploy.

What contracts (a column that nobody reads any more) is a migration of its own in a later version, named in CONTRACTS with the version whose
code no longer needs it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FILES = sorted(ROOT.glob("*/*/migrations/versions/*.py"))
CONTRACTS: dict[str, str] = {}
"""By file name: since which version nothing needs what it removes."""

BREAKS = {
    r"\bDROP\s+TABLE\b": "removes a table",
    r"\bDROP\s+COLUMN\b": "removes a column",
    r"\bDROP\s+(VIEW|FUNCTION|SEQUENCE|SCHEMA|TYPE)\b": "removes what the code before may use",
    r"\bRENAME\b": "renames what the code before uses",
    r"\bALTER\s+COLUMN\s+\w+\s+(SET\s+DATA\s+)?TYPE\b": "changes a column's type, and rewrites the table under a lock",
    r"\bALTER\s+COLUMN\s+\w+\s+SET\s+NOT\s+NULL\b": "refuses rows that the code before writes",
    r"\bALTER\s+COLUMN\s+\w+\s+DROP\s+DEFAULT\b": "refuses rows that the code before writes",
    r"\bTRUNCATE\s+(TABLE\s+)?\w+\s*$": "removes rows",
    r"\bLOCK\s+TABLE\b": "stops everybody",
}


def statements(source: str) -> list[str]:
    """The SQL of a migration, one string for each `op.execute`, without comments; what is formatted in stands as a word."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "execute":
            (argument,) = node.args
            parts = argument.values if isinstance(argument, ast.JoinedStr) else [argument]
            text = "".join(str(part.value) if isinstance(part, ast.Constant) else "placeholder" for part in parts)
            found.append(" ".join(re.sub(r"--[^\n]*", "", text).split()))
    return found


def added_columns(statement: str) -> Iterator[str]:
    """Each `ADD COLUMN` up to the comma or the end that closes it."""
    for start in (match.end() for match in re.finditer(r"\bADD\s+COLUMN\s+", statement, re.IGNORECASE)):
        depth = 0
        for at, sign in enumerate(statement[start:], start):
            depth += (sign == "(") - (sign == ")")
            if sign in ",;" and depth == 0:
                yield statement[start:at]
                break
        else:
            yield statement[start:]


def faults(source: str) -> list[str]:
    """What a migration does that the code before it would not survive."""
    found = []
    every = statements(source)
    together = " ; ".join(every)
    for statement in every:
        broken = (why for pattern, why in BREAKS.items() if re.search(pattern, statement, re.IGNORECASE))
        found += [f"{why}: {statement[:80]}" for why in broken]
        for column in added_columns(statement):
            if re.search(r"\bNOT\s+NULL\b", column, re.IGNORECASE) and not re.search(
                r"\b(DEFAULT|GENERATED)\b", column, re.IGNORECASE
            ):
                found.append(f"refuses rows that the code before writes: ADD COLUMN {column[:60]}")
        for kind, name in re.findall(
            r"\bDROP\s+(CONSTRAINT|INDEX)\s+(?:IF\s+EXISTS\s+)?(\w+)", statement, re.IGNORECASE
        ):
            again = (
                r"\bADD\s+CONSTRAINT\s+"
                if kind.upper() == "CONSTRAINT"
                else r"\bCREATE\s+(UNIQUE\s+)?INDEX\s+(IF\s+NOT\s+EXISTS\s+)?"
            )
            if not re.search(again + name + r"\b", together, re.IGNORECASE):
                found.append(f"takes away a guard and puts none in its place: {name}")
    tree = ast.parse(source)
    if any(isinstance(node, ast.FunctionDef) and node.name == "downgrade" for node in tree.body):
        found.append("has a way back, which would lose what was written meanwhile: deploy the code before instead")
    operations = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "op"
    }
    if other := operations - {"execute"}:
        found.append(f"is not plain SQL: op.{', op.'.join(sorted(other))}")
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parents[2].name}-{file.stem}")
def test_the_code_before_goes_on_working(file: Path) -> None:
    if file.name not in CONTRACTS:
        assert faults(file.read_text()) == []


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
    ],
)
def test_what_breaks_the_code_before_is_found(sql: str) -> None:
    assert faults(f'op.execute("{sql}")'), sql


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
    assert faults(f'op.execute("{sql}")') == []
