"""Files that staff open in a spreadsheet."""

import csv
import io
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import pytest
from chassis import csv_export
from chassis.csv_export import Line, as_text, response, units, whole
from contracts.money import Money
from fastapi.responses import StreamingResponse

NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)


async def read(answer: StreamingResponse) -> list[list[str]]:
    text = "".join([str(part) async for part in answer.body_iterator])
    return list(csv.reader(io.StringIO(text, newline="")))


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\tx", "\rx", " =1", "\n=1", "＝1"])  # noqa: RUF001
def test_a_cell_that_a_spreadsheet_would_run_is_text(cell: str) -> None:
    assert as_text(cell).startswith("'")
    assert as_text(cell).replace("'", "") == cell


@pytest.mark.parametrize(
    ("cell", "written"), [("a;=1", "a;'=1"), ("a\n=1", "a\n'=1"), ("a\r\n=1", "a\r\n'=1"), ("a\t@x", "a\t'@x")]
)
def test_a_cell_that_some_spreadsheets_would_split_is_text_in_each_part(cell: str, written: str) -> None:
    assert as_text(cell) == written


@pytest.mark.parametrize(
    "cell", ["", "Anna-Maria O'Neil", "a = b", "expired_or_canceled_card", "x@example.org", "a; b"]
)
def test_other_text_stays_as_it_is(cell: str) -> None:
    assert as_text(cell) == cell


async def test_numbers_stay_numbers_and_quotes_and_lines_stay_in_their_cell() -> None:
    answer = await response(
        "money",
        ("a", "b"),
        whole(
            [
                (-5, units(Money(-1999, "EUR"))),
                (True, units(Money(7, "JPY"))),
                (None, Decimal("0.10")),
                (NOW, UUID(int=1)),
                ('say "x", y', "two\nlines"),
            ]
        ),
    )
    assert answer.headers["content-disposition"] == 'attachment; filename="money.csv"'
    assert answer.headers["content-type"].startswith("text/csv")
    assert await read(answer) == [
        ["a", "b"],
        ["-5", "-19.99"],
        ["true", "7"],
        ["", "0.10"],
        ["2027-03-01T12:00:00+00:00", "00000000-0000-0000-0000-000000000001"],
        ['say "x", y', "two\nlines"],
    ]


async def numbered(*sizes: int) -> AsyncIterator[Sequence[Line]]:
    start = 0
    for size in sizes:
        yield [(number, "x") for number in range(start, start + size)]
        start += size


@pytest.mark.parametrize("sizes", [(), (0,), (3,), (3, 3, 3), (10,), (9, 1)])
async def test_every_row_is_written_once(sizes: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_export, "ROWS_MAX", 10)
    rows = await read(await response("rows", ("n", "x"), numbered(*sizes)))
    assert [row[0] for row in rows] == ["n", *map(str, range(sum(sizes)))]


@pytest.mark.parametrize("sizes", [(11,), (10, 1), (9, 2), (3,) * 6])
async def test_a_file_that_is_cut_says_so(sizes: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_export, "ROWS_MAX", 10)
    rows = await read(await response("rows", ("n", "x"), numbered(*sizes)))
    assert [row[0] for row in rows[1:11]] == [str(number) for number in range(10)]
    assert len(rows) == 12
    assert rows[11] == ["More rows match than the 10 that one file holds: ask for fewer.", ""]
