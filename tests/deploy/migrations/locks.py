"""What stops the readers and writers of a table that was there before, and what to write instead.

Squawk knows the statements; here stands what it does not look at, and how this project says it.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.deploy.migrations.revisions import Revision, column_clauses

CONSTRAINT = "add the constraint NOT VALID, and VALIDATE it in a later revision"
INDEX = "write CREATE INDEX CONCURRENTLY IF NOT EXISTS for chassis.ddl.concurrently, in a revision of its own"
UNIQUE = "build a unique index with chassis.ddl.concurrently, then ADD CONSTRAINT ... UNIQUE USING INDEX"
COLUMN = "add a column that may be empty, or with a constant default, and fill it with chassis.ddl.in_batches"

INSTEAD = {
    "adding-field-with-default": COLUMN,
    "adding-foreign-key-constraint": CONSTRAINT,
    "adding-serial-primary-key-field": UNIQUE.replace("UNIQUE USING", "PRIMARY KEY USING"),
    "ban-concurrent-index-creation-in-transaction": INDEX,
    "changing-column-type": "add another column, let the code write both, and fill it with chassis.ddl.in_batches",
    "constraint-missing-not-valid": CONSTRAINT,
    "disallowed-unique-constraint": UNIQUE,
    "require-concurrent-index-creation": INDEX,
    "require-concurrent-index-deletion": "write DROP INDEX CONCURRENTLY IF EXISTS for chassis.ddl.concurrently, in a revision of its own",
    "require-concurrent-reindex": INDEX,
}
"""By Squawk's rule; for another its own help is given."""

EXCLUDE = "build an index-backed guard another way: PostgreSQL cannot add EXCLUDE to a table in use"
MAY_RUN_AGAIN = (
    r"^(CREATE (UNIQUE )?INDEX CONCURRENTLY IF NOT EXISTS|DROP INDEX CONCURRENTLY IF EXISTS|ALTER INDEX IF EXISTS) \w"
)


def faults(revision: Revision, before: Sequence[Revision] = ()) -> list[str]:
    """A sentence for each; `before` are the revisions that ran earlier on the same database."""
    return [
        *_squawk(revision),
        *_outside_of_a_transaction(revision),
        *_added(revision),
        *_rows(revision),
        *_not_null(revision, before),
        *_several_tables(revision),
    ]


def _squawk(revision: Revision) -> Iterator[str]:
    in_transaction = not revision.calls("concurrently")
    sql = ";\n".join(statement.sql for statement in revision.statements if statement.way != "in_batches") + ";"
    here = Path(__file__)
    command = [str(Path(sys.executable).with_name("squawk")), "--config", str(here.with_name("squawk.toml"))]
    assumed = ["--assume-in-transaction"] if in_transaction else []
    told = subprocess.run(
        [*command, *assumed, "--reporter", "json", "--stdin-filepath", "revision.sql"],
        input=sql,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode in {0, 1}, told.stderr
    for found in json.loads(told.stdout or "[]"):
        instead = INSTEAD.get(found["rule_name"], found["help"] or "write what takes no such lock")
        yield f"{found['message']} Instead: {instead} ({found['rule_name']}, {sql.splitlines()[found['line']][:80]})"


def _outside_of_a_transaction(revision: Revision) -> Iterator[str]:
    """What runs statement by statement stays half-done where it breaks off, so it stands alone and may run again."""
    outside = revision.calls("concurrently") + revision.calls("in_batches")
    if outside > 1 or (outside and revision.calls("execute")):
        yield "mixes what runs outside of a transaction with something else. Instead: give it a revision of its own"
    for statement in revision.statements:
        if statement.way == "execute" and re.search(r"\bCONCURRENTLY\b", statement.sql, re.IGNORECASE):
            yield f"runs in a transaction. Instead: {INDEX}: {statement.sql[:80]}"
        if statement.way == "concurrently" and not re.search(MAY_RUN_AGAIN, statement.sql, re.IGNORECASE):
            yield f"may not run again after it broke off. Instead: write IF [NOT] EXISTS: {statement.sql[:80]}"
        if statement.way == "in_batches" and not re.search(r":after\b.*\bLIMIT :size\b", statement.sql, re.IGNORECASE):
            yield f"takes every row at once. Instead: take LIMIT :size of those above :after: {statement.sql[:80]}"


def _added(revision: Revision) -> Iterator[str]:
    """Squawk passes over a column's own CHECK, for which the whole table is read under ACCESS EXCLUSIVE."""
    for sql in _on_what_was_there(revision):
        for column in column_clauses(sql):
            if re.search(r"\bCHECK\b", column, re.IGNORECASE):
                yield f"reads the table while nobody may use it. Instead: {CONSTRAINT}: ADD COLUMN {column[:60]}"
        if re.search(r"\bADD\s+(CONSTRAINT\s+\w+\s+)?EXCLUDE\b", sql, re.IGNORECASE):
            yield f"builds an index while nobody may use the table. Instead: {EXCLUDE}: {sql[:80]}"
        if re.search(r"\bLOCK\s+TABLE\b|^(CLUSTER|VACUUM|REFRESH)\b", sql, re.IGNORECASE):
            yield f"stops everybody. Instead: leave it to a maintenance that was announced: {sql[:80]}"


def _rows(revision: Revision) -> Iterator[str]:
    """Rows that are changed stay locked until the end of the revision, and as many as there are."""
    for sql in _on_what_was_there(revision):
        if re.match(r"(UPDATE|DELETE|MERGE|WITH)\b|INSERT\b.*\bSELECT\b", sql, re.IGNORECASE):
            yield f"holds every row that it changes until its transaction ends. Instead: use chassis.ddl.in_batches: {sql[:80]}"


def _not_null(revision: Revision, before: Sequence[Revision]) -> Iterator[str]:
    """SET NOT NULL reads the table under ACCESS EXCLUSIVE, but for a valid CHECK that says the same."""
    earlier = " ; ".join(each.together for each in before)
    for sql in _on_what_was_there(revision):
        for column in re.findall(r"\bALTER\s+(?:COLUMN\s+)?(\w+)\s+SET\s+NOT\s+NULL\b", sql, re.IGNORECASE):
            same = rf"{_table(sql)}\b[^;]*\bADD\s+CONSTRAINT\s+(\w+)\s+CHECK\s*\(\s*{column}\s+IS\s+NOT\s+NULL\s*\)"
            checks = re.findall(same, earlier, re.IGNORECASE)
            if not any(re.search(rf"\bVALIDATE\s+CONSTRAINT\s+{check}\b", earlier, re.IGNORECASE) for check in checks):
                yield (
                    "reads the table while nobody may use it. Instead: in earlier revisions add"
                    f" CHECK ({column} IS NOT NULL) NOT VALID, and VALIDATE it: {sql[:80]}"
                )


def _several_tables(revision: Revision) -> Iterator[str]:
    """Whoever locks a second table while holding the first meets a transaction of the service that does it the other way round."""
    if len(revision.statements) == 1:
        return
    tables = set()
    for sql in (statement.sql for statement in revision.statements if statement.way == "execute"):
        if re.match(r"CREATE\s+(OR\s+REPLACE\s+)?FUNCTION\b", sql, re.IGNORECASE):
            continue
        if not re.fullmatch(r"ALTER TABLE \w+( VALIDATE CONSTRAINT \w+,?)+", sql, re.IGNORECASE):
            tables |= {_table(sql)} - {""}
            tables |= {table.lower() for table in re.findall(r"\bREFERENCES\s+(\w+)", sql, re.IGNORECASE)}
    if len(there := tables - revision.makes) > 1:
        yield f"locks {' and '.join(sorted(there))} until its end. Instead: write a revision for each"


def _on_what_was_there(revision: Revision) -> Iterator[str]:
    """The statements of the transaction that are not about a table that it makes itself."""
    for statement in revision.statements:
        if statement.way == "execute" and _table(statement.sql) not in revision.makes:
            yield statement.sql


def _table(sql: str) -> str:
    """Which table a statement changes or locks; nothing where it is another kind of statement."""
    found = re.match(
        r"ALTER\s+TABLE\s+(?:IF\s+EXISTS\s+)?(?:ONLY\s+)?(\w+)|INSERT\s+INTO\s+(\w+)|UPDATE\s+(\w+)|DELETE\s+FROM\s+(\w+)"
        r"|CREATE\s+(?:CONSTRAINT\s+)?TRIGGER\b.*?\bON\s+(\w+)",
        sql,
        re.IGNORECASE,
    )
    return next((name.lower() for name in found.groups() if name), "") if found else ""
