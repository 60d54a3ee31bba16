"""Everything the stand-in remembers, in one SQLite file: what was answered is still there after a kill -9.

One request is one transaction, committed before its answer leaves. The journal is written to the operating system at each commit and
not forced to the disk: it outlives the process, not a power cut, which is what a sandbox needs.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.stripe.values import Object, decoded, encoded

SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE, kind TEXT, created INTEGER, facets TEXT, body TEXT);
CREATE INDEX IF NOT EXISTS objects_by_kind ON objects (kind, seq);
CREATE INDEX IF NOT EXISTS objects_by_time ON objects (kind, created, seq);
CREATE TABLE IF NOT EXISTS facets (kind TEXT, name TEXT, value TEXT, seq INTEGER, PRIMARY KEY (kind, name, value, seq))
    WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY, created INTEGER, fingerprint TEXT, status INTEGER, body TEXT, request_id TEXT);
CREATE TABLE IF NOT EXISTS deliveries (
    id INTEGER PRIMARY KEY AUTOINCREMENT, event_id TEXT, endpoint_id TEXT, attempts INTEGER, next_at REAL, state TEXT,
    last_outcome TEXT);
CREATE INDEX IF NOT EXISTS deliveries_due ON deliveries (next_at) WHERE state = 'pending';
CREATE INDEX IF NOT EXISTS deliveries_by_event ON deliveries (event_id);
CREATE TABLE IF NOT EXISTS due (id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER, verb TEXT, object_id TEXT);
CREATE INDEX IF NOT EXISTS due_by_time ON due (at);
CREATE TABLE IF NOT EXISTS funds (id TEXT PRIMARY KEY, currency TEXT, net INTEGER, available_on INTEGER);
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT);
"""

TABLES = ("objects", "facets", "answers", "deliveries", "due", "funds", "settings")

FACETS: Mapping[str, Sequence[str]] = {
    "payment_intent": ("customer",),
    "charge": ("payment_intent", "customer"),
    "refund": ("payment_intent", "charge"),
    "dispute": ("payment_intent", "charge"),
    "balance_transaction": ("source", "type", "currency"),
    "event": ("type",),
    "payment_method": ("customer", "type"),
    "customer": ("email",),
}
"""The attributes by which objects of a kind can be listed; metadata can always be searched."""


@dataclass(frozen=True)
class Page:
    """Which objects of a list are wanted, newest first (docs.stripe.com/api/pagination)."""

    limit: int = 10
    starting_after: str | None = None
    ending_before: str | None = None
    created: Mapping[str, int] = field(default_factory=dict)
    created_at_most: int | None = None


FIRST_SINCE = "SELECT seq FROM objects WHERE kind = ? AND created >= ? ORDER BY created, seq LIMIT 1"
SEQ_OF_ID = "SELECT seq FROM objects WHERE id = ?"
SEQ_MAX = 2**63 - 1


class Store:
    """Objects by id and by their facets, and the tables of the stand-in's own work (`connection`)."""

    def __init__(self, path: Path) -> None:
        self.connection = sqlite3.connect(path, isolation_level=None)
        self.connection.execute("PRAGMA locking_mode = EXCLUSIVE")  # two stand-ins on one folder would undo each other
        self.connection.execute("PRAGMA journal_mode = WAL")
        self.connection.execute("PRAGMA synchronous = OFF")
        self.connection.executescript(SCHEMA)

    def close(self) -> None:
        self.connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside, or nothing."""
        self.connection.execute("BEGIN")
        try:
            yield
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")

    def clear(self) -> None:
        """Forget everything."""
        with self.transaction():
            for table in TABLES:
                self.connection.execute(f"DELETE FROM {table}")  # noqa: S608  # names from the list above

    def put(self, value: Object) -> None:
        """Write an object under its id, new or changed."""
        kind = value["object"]
        names = [(name, value.get(name)) for name in FACETS.get(kind, ())]
        names += [(f"metadata.{key}", inner) for key, inner in (value.get("metadata") or {}).items()]
        facets = encoded(names)
        body = encoded(value)
        row = self.connection.execute("SELECT seq, facets FROM objects WHERE id = ?", (value["id"],)).fetchone()
        if row is None:
            seq = self.connection.execute(
                "INSERT INTO objects (id, kind, created, facets, body) VALUES (?, ?, ?, ?, ?)",
                (value["id"], kind, value.get("created", 0), facets, body),
            ).lastrowid
        else:
            seq = row[0]
            self.connection.execute("UPDATE objects SET facets = ?, body = ? WHERE seq = ?", (facets, body, seq))
            if row[1] == facets:
                return
            self.connection.executemany(
                "DELETE FROM facets WHERE kind = ? AND name = ? AND value = ? AND seq = ?",
                [(kind, name, inner, seq) for name, inner in decoded(row[1])],
            )
        self.connection.executemany(
            "INSERT INTO facets (kind, name, value, seq) VALUES (?, ?, ?, ?)",
            [(kind, name, inner, seq) for name, inner in names if inner is not None],
        )

    def get(self, kind: str, identifier: str) -> Object | None:
        row = self.connection.execute("SELECT kind, body FROM objects WHERE id = ?", (identifier,)).fetchone()
        if row is None or row[0] != kind:
            return None
        value: Object = decoded(row[1])
        return value

    def delete(self, value: Object) -> None:
        row = self.connection.execute("SELECT seq, facets FROM objects WHERE id = ?", (value["id"],)).fetchone()
        self.connection.executemany(
            "DELETE FROM facets WHERE kind = ? AND name = ? AND value = ? AND seq = ?",
            [(value["object"], name, inner, row[0]) for name, inner in decoded(row[1])],
        )
        self.connection.execute("DELETE FROM objects WHERE seq = ?", (row[0],))

    def find(
        self, kind: str, facets: Sequence[tuple[str, Sequence[str]]] = (), page: Page | None = None
    ) -> tuple[list[Object], bool]:
        """Objects of a kind whose facets each have one of the given values, and whether more follow."""
        page = page or Page(limit=-1)
        # The first facet leads to its few objects, newest first by its own index; the others are looked up for each of them.
        leads = next((place for place, (_, allowed) in enumerate(facets) if len(allowed) == 1), None)
        source, seq = (
            ("objects o", "o.seq") if leads is None else ("facets f CROSS JOIN objects o ON o.seq = f.seq", "f.seq")
        )
        where: list[str] = ["o.kind = ?"]
        values: list[str | int] = [kind]
        for place, (name, allowed) in enumerate(facets):
            matches = f"f.kind = ? AND f.name = ? AND f.value IN ({', '.join('?' * len(allowed))})"
            other = f"EXISTS (SELECT 1 FROM facets f WHERE {matches} AND f.seq = o.seq)"  # noqa: S608  # question marks only
            where.append(matches if place == leads else other)
            values += [kind, name, *allowed]
        for condition, facts in _bounds(kind, page):
            where.append(f"{seq} {condition}")
            values += facts
        order = "ASC" if page.ending_before is not None else "DESC"
        rows = self.connection.execute(
            f"SELECT o.body FROM {source} WHERE {' AND '.join(where)} ORDER BY {seq} {order} LIMIT ?",  # noqa: S608  # no value stands in the text
            (*values, page.limit + 1 if page.limit > 0 else -1),
        ).fetchall()
        more = 0 < page.limit < len(rows)
        found = [decoded(body) for (body,) in (rows[: page.limit] if more else rows)]
        return (found[::-1] if page.ending_before is not None else found), more

    def newest(self) -> int:
        """`created` of the newest object, in seconds; 0 when there is none."""
        return int(self.connection.execute("SELECT COALESCE(MAX(created), 0) FROM objects").fetchone()[0])

    def setting(self, name: str, default: Object) -> Object:
        row = self.connection.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
        value: Object = default if row is None else decoded(row[0])
        return value

    def set_setting(self, name: str, value: Object) -> None:
        self.connection.execute(
            "INSERT INTO settings (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            (name, encoded(value)),
        )


def _bounds(kind: str, page: Page) -> list[tuple[str, tuple[str | int, ...]]]:
    """Conditions on `seq` and their values: by moment, since it grows with `created` as the clock never goes back, and by cursor."""
    lowest = [page.created[name] + (name == "gt") for name in ("gt", "gte") if name in page.created]
    beyond = [page.created[name] + (name == "lte") for name in ("lt", "lte") if name in page.created]
    if page.created_at_most is not None:
        beyond.append(page.created_at_most + 1)
    cursors = (("<", page.starting_after), (">", page.ending_before))
    return [
        *((f">= ({FIRST_SINCE})", (kind, moment)) for moment in lowest),
        *((f"< COALESCE(({FIRST_SINCE}), {SEQ_MAX})", (kind, moment)) for moment in beyond),
        *((f"{comparison} ({SEQ_OF_ID})", (cursor,)) for comparison, cursor in cursors if cursor is not None),
    ]
