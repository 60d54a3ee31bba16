"""Idempotency keys (docs.stripe.com/api/idempotent_requests).

The status and the body of the first run are kept, a 500 included, and answered to every repetition with `Idempotent-Replayed: true`.
Nothing is kept when the parameters do not parse or while the first run still goes on. A key may be forgotten after 24 hours.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from sandbox.stripe.errors import InvalidParameter, KeyInUse, KeyReused
from sandbox.stripe.store import Store

KEY_CHARACTERS_MAX = 255
KEPT_SECONDS = 24 * 3600


@dataclass(frozen=True)
class Answer:
    """What was answered to the first request of a key."""

    status: int
    body: str
    request_id: str


def fingerprint(path: str, form: str) -> str:
    """The same for requests with the same parameters, in whatever order they are sent."""
    pairs = sorted(parse_qsl(form, keep_blank_values=True))
    return hashlib.sha256(repr((path, pairs)).encode()).hexdigest()


@dataclass
class Keys:
    """The keys in the store, and those whose first request is running."""

    store: Store
    running: set[str] = field(default_factory=set)

    def begin(self, key: str, mark: str, now: int) -> Answer | None:
        """The kept answer, or None when this request shall run: then `end` must follow.

        Raises KeyInUse while the first request runs, KeyReused when it was another one.
        """
        if len(key) > KEY_CHARACTERS_MAX:
            raise InvalidParameter(f"Idempotency keys must have at most {KEY_CHARACTERS_MAX} characters.")
        row = self.store.connection.execute(
            "SELECT fingerprint, status, body, request_id FROM answers WHERE key = ? AND created > ?",
            (key, now - KEPT_SECONDS),
        ).fetchone()
        if row is not None:
            if row[0] != mark:
                raise KeyReused(key)
            return Answer(*row[1:])
        if key in self.running:
            raise KeyInUse(key)
        self.running.add(key)
        return None

    def keep(self, key: str, mark: str, answer: Answer, now: int) -> None:
        """Within the transaction of the effects."""
        self.store.connection.execute(
            "INSERT OR REPLACE INTO answers (key, created, fingerprint, status, body, request_id) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            (key, now, mark, answer.status, answer.body, answer.request_id),
        )

    def end(self, key: str) -> None:
        self.running.discard(key)

    def prune(self, now: int) -> None:
        self.store.connection.execute("DELETE FROM answers WHERE created <= ?", (now - KEPT_SECONDS,))
