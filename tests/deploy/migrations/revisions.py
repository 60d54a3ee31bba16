"""Migrations as they are written: the SQL of each revision, and the way in which it is run."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[3]
FILES = sorted(ROOT.glob("*/*/migrations/versions/*.py"))

WAYS = ("execute", "concurrently", "in_batches")
"""`op.execute` runs in the revision's transaction, the others (chassis.ddl) outside of one."""


@dataclass(frozen=True)
class Statement:
    """One of a revision's. What is formatted into it stands as a word, comments are left out."""

    way: str
    sql: str


@dataclass(frozen=True)
class Revision:
    """A file of migrations, or a test's idea of one."""

    source: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.source)

    @cached_property
    def statements(self) -> list[Statement]:
        """In the order in which they stand in the file."""
        return [
            Statement(way, _sql(argument))
            for node in ast.walk(self.tree)
            if isinstance(node, ast.Call) and (way := _way(node.func))
            for argument in node.args
        ]

    @cached_property
    def together(self) -> str:
        return " ; ".join(statement.sql for statement in self.statements)

    @cached_property
    def makes(self) -> set[str]:
        """The tables that are new, on which nobody waits."""
        found = re.findall(r"\bCREATE\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?(\w+)", self.together, re.IGNORECASE)
        return {table.lower() for table in found}

    def calls(self, way: str) -> int:
        """How often `way` is called."""
        return sum(isinstance(node, ast.Call) and _way(node.func) == way for node in ast.walk(self.tree))


def column_clauses(sql: str) -> list[str]:
    """Each `ADD COLUMN` up to the comma or the end that closes it."""
    found = []
    for start in (match.end() for match in re.finditer(r"\bADD\s+COLUMN\s+", sql, re.IGNORECASE)):
        depth, end = 0, len(sql)
        for at, sign in enumerate(sql[start:], start):
            depth += (sign == "(") - (sign == ")")
            if sign in ",;" and depth == 0:
                end = at
                break
        found.append(sql[start:end])
    return found


def _way(function: ast.expr) -> str | None:
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", None)
    return name if name in WAYS else None


def _sql(argument: ast.expr) -> str:
    parts = argument.values if isinstance(argument, ast.JoinedStr) else [argument]
    text = "".join(str(part.value) if isinstance(part, ast.Constant) else "placeholder" for part in parts)
    return " ".join(re.sub(r"--[^\n]*", "", text).split())
