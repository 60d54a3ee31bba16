"""CSV files that staff download: written row by row while they are read, each cell safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

from contracts.money import EXPONENTS, Money
from fastapi.responses import StreamingResponse

from chassis.db import Database, Transaction

ROWS_MAX = 50_000
"""Rows of one file. One that is cut says so in its last line."""

PAGE = 500
"""Rows that are read in one statement."""

Cell = str | int | Decimal | date | UUID | None
Line = Sequence[Cell]
ReadPage = Callable[[Transaction, UUID | None], Awaitable[tuple[Sequence[Line], UUID | None]]]
"""The lines after a cursor, and the cursor of the page after them: None when there is none."""

_FORMULA = re.compile(r"(^|;|[\t\r\n]+)(?=\s*[=+\-@＝＋－＠]|[\t\r])")  # noqa: RUF001  # spreadsheets take the wide forms too
"""Where a spreadsheet may see a cell begin that it would run: some split at semicolons and tabs, whatever the quotes say."""


def as_text(cell: str) -> str:
    """The cell so that no spreadsheet runs it: what begins like a formula gets an apostrophe (owasp.org, CSV injection)."""
    return _FORMULA.sub(r"\1'", cell)


def units(money: Money) -> Decimal:
    """The amount in units of its currency, with as many decimals as the currency has."""
    return Decimal(money.amount_minor).scaleb(-EXPONENTS[money.currency])


async def pages(database: Database, read: ReadPage) -> AsyncIterator[Sequence[Line]]:
    """Every page of a list, each read in a transaction of its own: a slow download holds no connection."""
    cursor: UUID | None = None
    while True:
        async with database.transaction() as tx:
            lines, cursor = await read(tx, cursor)
        yield lines
        if cursor is None:
            return


async def whole(lines: Sequence[Line]) -> AsyncIterator[Sequence[Line]]:
    """Lines that were read at once, as the one page of a file."""
    yield lines


class CsvResponse(StreamingResponse):
    """The `response_class` of a route that answers with a file."""

    media_type = "text/csv"


async def response(name: str, columns: Sequence[str], lines: AsyncIterator[Sequence[Line]]) -> CsvResponse:
    """The file `name`.csv with its line of columns. The first page is read before the answer begins, so that its errors are problems.

    A later error ends the download without its proper end, which clients report.
    """
    written = _written(columns, lines)
    head = await anext(written)
    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"', "Cache-Control": "no-store"}
    return CsvResponse(_after(head, written), headers=headers)


async def _written(columns: Sequence[str], lines: AsyncIterator[Sequence[Line]]) -> AsyncIterator[str]:
    heading: list[Line] = [columns]
    left = ROWS_MAX
    async for page in lines:
        yield _text([*heading, *page[:left]])
        heading = []
        left -= len(page)
        if left < 0:
            cut = f"More rows match than the {ROWS_MAX} that one file holds: ask for fewer."
            yield _text([[cut, *[""] * (len(columns) - 1)]])
            return
    if heading:
        yield _text(heading)


async def _after(head: str, rest: AsyncIterator[str]) -> AsyncIterator[str]:
    yield head
    async for part in rest:
        yield part


def _text(lines: Sequence[Line]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows([_cell(cell) for cell in line] for line in lines)
    return text.getvalue()


def _cell(cell: Cell) -> str:
    """Numbers stay numbers, instants are written in UTC; everything else is text."""
    match cell:
        case None:
            return ""
        case bool():
            return str(cell).lower()
        case Decimal():
            return format(cell, "f")
        case datetime():
            return cell.astimezone(UTC).isoformat()
        case str():
            return as_text(cell)
        case _:
            return str(cell)
