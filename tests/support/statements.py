"""What a service asks its database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from chassis.db import Database, Transaction


@contextmanager
def statements_of(database: Database, *without: str) -> Iterator[list[tuple[int, str]]]:
    """Each statement that is run in the block, with a number for its transaction, but for those that hold one of the words `without`."""
    found: list[tuple[int, str]] = []
    transactions: list[Transaction] = []

    def note(tx: Transaction, text: str) -> None:
        if not any(tx is known for known in transactions):
            transactions.append(tx)
        if not any(word in text for word in without):
            found.append((next(number for number, known in enumerate(transactions) if known is tx), text))

    before, database.tell_statement = database.tell_statement, note
    try:
        yield found
    finally:
        database.tell_statement = before
