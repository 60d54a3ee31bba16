"""What the code of the version before would not survive."""

from __future__ import annotations

import ast
import re

from tests.deploy.migrations.revisions import Revision, column_clauses

BREAKS = {
    r"\bDROP\s+TABLE\b": "removes a table",
    r"\bDROP\s+COLUMN\b": "removes a column",
    r"\bDROP\s+(VIEW|FUNCTION|SEQUENCE|SCHEMA|TYPE)\b": "removes what the code before may use",
    r"^(?!ALTER\s+INDEX\b).*\bRENAME\b": "renames what the code before uses",
    r"\bALTER\s+COLUMN\s+\w+\s+(SET\s+DATA\s+)?TYPE\b": "changes a column's type, and rewrites the table under a lock",
    r"\bALTER\s+COLUMN\s+\w+\s+SET\s+NOT\s+NULL\b": "refuses rows that the code before writes",
    r"\bALTER\s+COLUMN\s+\w+\s+DROP\s+DEFAULT\b": "refuses rows that the code before writes",
    r"\bTRUNCATE\s+(TABLE\s+)?\w+\s*$": "removes rows",
}

AGAIN = {
    "CONSTRAINT": r"\bADD\s+CONSTRAINT\s+",
    "INDEX": r"(\bCREATE\s+(UNIQUE\s+)?INDEX\s+(CONCURRENTLY\s+)?(IF\s+NOT\s+EXISTS\s+)?|\bRENAME\s+TO\s+)",
}
"""How what was dropped is put in place anew, up to its name."""


def faults(revision: Revision) -> list[str]:
    """A sentence for each."""
    found = []
    for sql in (statement.sql for statement in revision.statements):
        broken = (why for pattern, why in BREAKS.items() if re.search(pattern, sql, re.IGNORECASE))
        found += [f"{why}: {sql[:80]}" for why in broken]
        found += [
            f"refuses rows that the code before writes: ADD COLUMN {column[:60]}"
            for column in column_clauses(sql)
            if re.search(r"\bNOT\s+NULL\b", column, re.IGNORECASE)
            and not re.search(r"\b(DEFAULT|GENERATED)\b", column, re.IGNORECASE)
        ]
        dropped = r"\bDROP\s+(CONSTRAINT|INDEX)\s+(?:CONCURRENTLY\s+)?(?:IF\s+EXISTS\s+)?(\w+)"
        found += [
            f"takes away a guard and puts none in its place: {name}"
            for kind, name in re.findall(dropped, sql, re.IGNORECASE)
            if not re.search(AGAIN[kind.upper()] + name + r"\b", revision.together, re.IGNORECASE)
        ]
    if any(isinstance(node, ast.FunctionDef) and node.name == "downgrade" for node in revision.tree.body):
        found.append("has a way back, which would lose what was written meanwhile: deploy the code before instead")
    operations = {
        node.attr
        for node in ast.walk(revision.tree)
        if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "op"
    }
    if other := operations - {"execute"}:
        found.append(f"is not plain SQL: op.{', op.'.join(sorted(other))}")
    return found
