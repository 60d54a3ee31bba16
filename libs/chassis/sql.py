"""SQLAlchemy's statements on asyncpg's connections.

Tables and statements are SQLAlchemy's; its session, connection, pool and cursor are left out: for a statement by primary key they cost
five times as much as the driver itself. A statement is compiled once for each shape, as SQLAlchemy's own cache does it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Any, NamedTuple, cast
from weakref import WeakKeyDictionary

from sqlalchemy import ARRAY, JSON, Column, Executable, Table, bindparam, column, func, insert, select
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.engine import IteratorResult, Result
from sqlalchemy.engine.result import SimpleResultMetaData
from sqlalchemy.orm import Mapper
from sqlalchemy.sql.cache_key import CacheKey
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.dml import Insert
from sqlalchemy.sql.schema import CallableColumnDefault, ScalarElementColumnDefault
from sqlalchemy.types import TypeEngine
from sqlalchemy.util import LRUCache

DIALECT = PGDialect_asyncpg()  # type: ignore[no-untyped-call]  # SQLAlchemy does not annotate it
"""What statements are compiled for: asyncpg's $1, $2 … and its types."""
_SHAPES_MAX = 1_000

Parameters = Mapping[str, Any]
Processor = Callable[[Any], Any] | None
Maker = Callable[[Sequence[Any]], Any]


class Compiled:
    """A statement as text, with what turns parameters into arguments and records into rows."""

    def __init__(self, statement: Executable, key: CacheKey | None, names: tuple[str, ...]) -> None:
        compiled = statement.compile(dialect=DIALECT, cache_key=key, column_keys=list(names) or None)  # type: ignore[attr-defined]  # every executable clause has it
        assert isinstance(compiled, SQLCompiler), "DDL is for migrations"
        assert not compiled.update_prefetch, "no column changes by itself"
        self._compiled = compiled
        self._binders: Mapping[str, Any] = compiled._bind_processors  # noqa: SLF001  # what its execution context reads
        self._expands = bool(compiled.post_compile_params or compiled.literal_execute_params)
        self._order = tuple(compiled.positiontup or ())
        self._defaults = {column.key: _default(column) for column in compiled.insert_prefetch}
        self._columns = compiled._result_columns  # noqa: SLF001  # what its execution context reads
        self._readers = [_reader(column.type) for column in self._columns]
        self._makers = _makers(statement, self._columns)
        names_shown = [maker_name for maker_name, _ in self._makers] or [column.keyname for column in self._columns]
        extra = None if self._makers else [tuple(column.objects) for column in self._columns]
        self._metadata = SimpleResultMetaData(names_shown, extra)

    def arguments(self, parameters: Parameters | None, key: CacheKey | None) -> tuple[str, list[Any]]:
        """The text with $1, $2 …, and the values in their order. An IN list changes the text with its length."""
        values = self._compiled.construct_params(
            parameters,
            extracted_parameters=key.bindparams if key else None,
            escape_names=False,
            _collected_params=key.params if key else None,
        )
        values.update((name, default()) for name, default in self._defaults.items())
        text, order, binders = self._compiled.string, self._order, self._binders
        if self._expands:
            expanded = self._compiled._process_parameters_for_postcompile(values)  # noqa: SLF001  # its public form takes no extracted parameters
            text, order = expanded.statement, tuple(expanded.positiontup or ())
            values = {**values, **expanded.parameters}
            binders = {**binders, **expanded.processors}
        return text, [bind(values[name]) if (bind := binders.get(name)) else values[name] for name in order]

    def result(self, records: Sequence[Any]) -> Result[Any]:
        """The records as SQLAlchemy shows rows: by position, name or column, or as entities."""
        if not self._columns:
            names = list(records[0].keys()) if records else []
            return IteratorResult(SimpleResultMetaData(names), iter([tuple(record) for record in records]))
        rows: Iterable[Sequence[Any]] = map(tuple, records)
        if any(self._readers):
            rows = map(self._read, records)
        if self._makers:
            makers = [make for _, make in self._makers]
            rows = [tuple(make(row) for make in makers) for row in rows]
        return IteratorResult(self._metadata, iter(list(rows)))

    def _read(self, record: Sequence[Any]) -> tuple[Any, ...]:
        return tuple([read(value) if read else value for read, value in zip(self._readers, record, strict=True)])


_shapes: LRUCache[Any, Compiled] = LRUCache(_SHAPES_MAX)
_constants: WeakKeyDictionary[Executable, tuple[CacheKey, dict[tuple[str, ...], Compiled]]] = WeakKeyDictionary()
"""Statements that were built once and are run again and again, with their shapes: to look one up by its key means to hash all of that."""


def compiled(statement: Executable, names: Iterable[str] = ()) -> tuple[Compiled, CacheKey | None]:
    """The compiled shape of a statement and the key that holds its own values. `names`: the parameters that it will be run with."""
    wanted = tuple(names)
    key, own = _constants.get(statement, (None, None))
    if key is not None and own is not None and wanted in own:
        return own[wanted], key
    is_run_again = "_generate_cache_key" in statement.__dict__
    key = cast("CacheKey | None", statement._generate_cache_key())  # type: ignore[attr-defined]  # noqa: SLF001  # SQLAlchemy's own cache asks the same
    if key is None:
        return Compiled(statement, None, wanted), None
    shape = _shapes.get((key.key, wanted))
    if shape is None:
        shape = _shapes[key.key, wanted] = Compiled(statement, key, wanted)
    if is_run_again:
        _constants.setdefault(statement, (key, {}))[1][wanted] = shape
    return shape, key


class Part(NamedTuple):
    """A statement that changes something, with its parameters, to be run together with another."""

    statement: Executable
    parameters: Parameters = {}  # noqa: RUF012  # nobody writes to it


def written(main: Part, alongside: Collection[Part]) -> tuple[Compiled, str, list[Any]]:
    """The shape of `main`, and the text and values with which all of it is one statement for PostgreSQL."""
    shape, key = compiled(main.statement, main.parameters)
    text, values = shape.arguments(main.parameters, key)
    if not alongside:
        return shape, text, values
    parts = []
    for statement, parameters in alongside:
        part, part_key = compiled(statement, parameters)
        parts.append(part.arguments(parameters, part_key))
    joined = _joined(text, len(values), *((part_text, len(part_values)) for part_text, part_values in parts))
    return shape, joined, values + [value for _, part_values in parts for value in part_values]


_PLACEHOLDER = re.compile(r"\$(\d+)")


@lru_cache(_SHAPES_MAX)
def _joined(main: str, count: int, *parts: tuple[str, int]) -> str:
    """`parts` (text and number of placeholders) as data-modifying CTEs of `main`, whose placeholders keep their numbers."""
    offsets = accumulate((number for _, number in parts), initial=count)
    ctes = [
        f"alongside_{number} AS ({_shifted(text, offset)})"
        for number, ((text, _), offset) in enumerate(zip(parts, offsets, strict=False))
    ]
    own, comma = (main.removeprefix("WITH "), ", ") if main.startswith("WITH ") else (main, " ")
    return f"WITH {', '.join(ctes)}{comma}{own}"


def _shifted(text: str, by: int) -> str:
    return _PLACEHOLDER.sub(lambda found: f"${int(found[1]) + by}", text)


def insert_rows(into: Table, names: Sequence[str]) -> Insert:
    """Writes any number of rows, given by `columns_of`: SQLAlchemy would compile several VALUES anew for each number of them."""
    columns = [into.c[name] for name in names]
    arrays = [bindparam(each.name, type_=ARRAY(each.type)) for each in columns]
    rows = func.unnest(*arrays).table_valued(*(column(each.name, each.type) for each in columns), name="row")
    return insert(into).from_select(list(names), select(*rows.render_derived().c))


def columns_of(names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Rows as one array for each column."""
    return {name: [row[name] for row in rows] for name in names}


def shapes_compiled() -> int:
    """How many statements were compiled so far: it stands still once all have been run."""
    return len(_shapes)


def _default(column: Column[Any]) -> Callable[[], Any]:
    default = column.default
    if isinstance(default, CallableColumnDefault):
        # SQLAlchemy's wrapper takes an execution context, which a model's factory does not ask for.
        make: Callable[[Any], Any] = default.arg
        return lambda: make(None)
    assert isinstance(default, ScalarElementColumnDefault), f"the default of {column} is computed by the database"
    value = default.arg
    return lambda: value


def _reader(column_type: TypeEngine[Any]) -> Processor:
    if isinstance(column_type, JSON):
        return _read_json  # SQLAlchemy leaves it to a codec that it sets on each connection
    read: Processor = column_type._cached_result_processor(DIALECT, None)  # noqa: SLF001  # its rows ask the same
    return read


def _read_json(value: str | None) -> Any:
    return None if value is None else json.loads(value)


def _makers(statement: Executable, columns: Sequence[Any]) -> list[tuple[str, Maker]]:
    """For a statement that selects entities: how each element of its rows is made of the columns."""
    described = getattr(statement, "column_descriptions", None)
    if not described or not any(_is_entity(element) for element in described):
        return []
    makers: list[tuple[str, Maker]] = []
    at = 0
    for element in described:
        if _is_entity(element):
            mapper: Mapper[Any] = element["entity"].__mapper__
            width = len(mapper.column_attrs)
            keys = [mapper.get_property_by_column(_column_of(mapper, columns[at + i])).key for i in range(width)]
            makers.append((element["name"], _entity_maker(mapper, keys, at)))
            at += width
        else:
            makers.append((element["name"], _picker(at)))
            at += 1
    return makers


def _is_entity(element: Mapping[str, Any]) -> bool:
    return element.get("entity") is not None and element["expr"] is element["entity"]


def _column_of(mapper: Mapper[Any], column: Any) -> Any:
    return next(found for found in column.objects if getattr(found, "table", None) is mapper.local_table)


def _entity_maker(mapper: Mapper[Any], keys: Sequence[str], at: int) -> Maker:
    end = at + len(keys)
    new_instance = mapper.class_manager.new_instance  # as SQLAlchemy's loading makes them: without validation

    def make(row: Sequence[Any]) -> Any:
        entity = new_instance()
        entity.__dict__.update(zip(keys, row[at:end], strict=True))
        return entity

    return make


def _picker(at: int) -> Maker:
    return lambda row: row[at]
