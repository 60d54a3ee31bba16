"""SQLAlchemy's statements mean on the driver what they mean in SQLAlchemy."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from chassis import sql
from chassis.clock import SystemClock
from chassis.db import Database, table
from chassis.ids import SystemIds
from sqlalchemy import ARRAY, BigInteger, DateTime, Enum, MetaData, Text, bindparam, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.schema import CreateTable
from sqlmodel import Field, SQLModel


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Base(SQLModel):
    metadata = MetaData()


class Thing(Base, table=True):
    __tablename__ = "things"

    id: UUID = Field(primary_key=True)
    name: str
    colour: Colour = Field(
        sa_type=Enum(Colour, native_enum=False, values_callable=lambda all_: [c.value for c in all_])
    )
    facts: dict[str, Any] | None = Field(default=None, sa_type=JSONB(none_as_null=True))
    words: list[str] = Field(sa_type=ARRAY(Text))
    count: int = Field(default=7, sa_type=BigInteger)
    marks: dict[str, Any] = Field(default_factory=dict, sa_type=JSONB)
    at: datetime = Field(sa_type=DateTime(timezone=True))

    @property
    def shout(self) -> str:
        return self.name.upper()


class Part(Base, table=True):
    __tablename__ = "parts"

    id: UUID = Field(primary_key=True)
    thing_id: UUID
    name: str


AT = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
THINGS, PARTS = table(Thing), table(Part)


def thing(name: str = "lamp", **values: Any) -> dict[str, Any]:
    return {"id": uuid4(), "name": name, "colour": Colour.BLUE, "words": ["a", "b"], "at": AT, **values}


@pytest.fixture
async def database(postgres_url: str) -> AsyncIterator[Database]:
    name = f"sql_{uuid4().hex[:12]}"
    server = await asyncpg.connect(postgres_url)
    await server.execute(f"CREATE DATABASE {name}")
    made = Database(f"{postgres_url.rpartition('/')[0]}/{name}", SystemClock(), SystemIds(), pool=3)
    async with made.transaction() as tx:
        for each in (THINGS, PARTS):
            await tx.execute(text(str(CreateTable(each).compile(dialect=sql.DIALECT))))
    yield made
    await made.close()
    await server.execute(f"DROP DATABASE {name}")
    await server.close()


async def test_what_is_written_is_read_back_in_its_types(database: Database) -> None:
    """JSON, enum, array, instant, id, and the default of a column that was left out."""
    row = thing(facts={"a": [1, None, "ü"]})
    async with database.transaction() as tx:
        await tx.execute(insert(THINGS).values(row))
    async with database.transaction() as tx:
        found = (await tx.execute(select(THINGS))).mappings().one()
    assert dict(found) == {**row, "count": 7, "marks": {}}
    assert isinstance(found["colour"], Colour)


async def test_an_entity_is_a_value_with_its_methods(database: Database) -> None:
    row = thing()
    async with database.transaction() as tx:
        await tx.execute(insert(THINGS).values(row))
        found = await tx.get(Thing, row["id"])
        assert found is not None
        assert (found.shout, found.colour, found.facts) == ("LAMP", Colour.BLUE, None)
        found.name = "changed"
        again = (await tx.scalars(select(Thing).where(Thing.id == row["id"]).with_for_update())).one()
        assert again.name == "lamp"
        assert again.model_dump() == {**row, "count": 7, "marks": {}, "facts": None}
        assert await tx.get(Thing, uuid4(), with_for_update=True) is None


async def test_rows_of_several_entities_and_columns_keep_their_places(database: Database) -> None:
    """Both tables have `id` and `name`."""
    row, part = thing(), uuid4()
    async with database.transaction() as tx:
        await tx.execute(insert(THINGS).values(row))
        await tx.execute(insert(PARTS).values(id=part, thing_id=row["id"], name="bulb"))
        joined = select(Part, Thing, Thing.count).join(Thing, Part.thing_id == Thing.id)  # type: ignore[arg-type]  # a column comparison
        found = (await tx.execute(joined)).one()
    assert (found[0].id, found[0].name, found[1].id, found[1].name, found[2]) == (part, "bulb", row["id"], "lamp", 7)


@pytest.mark.parametrize("names", [[], ["lamp"], ["lamp", "chair", "none"]])
async def test_a_list_of_any_length_can_be_asked_for(database: Database, names: list[str]) -> None:
    """The text changes with the list's length, the compiled shape does not."""
    async with database.transaction() as tx:
        await tx.execute(insert(THINGS).values([thing("lamp"), thing("chair")]))
        found = await tx.scalars(select(THINGS.c.name).where(THINGS.c.name.in_(names)).order_by(THINGS.c.name))
        assert list(found) == sorted(set(names) & {"lamp", "chair"})


async def test_conflicts_returns_and_joined_statements(database: Database) -> None:
    """Statements that are joined state every column: SQLAlchemy looks up defaults for the last of them only."""
    row = thing(count=3, marks={"a": 1})
    part = insert(PARTS).values(id=uuid4(), thing_id=row["id"], name="bulb").cte("part")
    async with database.transaction() as tx:
        wanted = upsert(THINGS).values(row).on_conflict_do_nothing().returning(THINGS.c.id)
        assert (await tx.execute(wanted.add_cte(part))).scalar_one() == row["id"]
        assert (
            await tx.execute(upsert(THINGS).values(row).on_conflict_do_nothing().returning(THINGS.c.id))
        ).first() is None
        assert (await tx.execute(select(func.count(), func.min(PARTS.c.name)))).one() == (1, "bulb")


async def test_a_statement_runs_for_many_parameters(database: Database) -> None:
    rows = [thing(str(number)) for number in range(3)]
    renamed = update(THINGS).where(THINGS.c.id == bindparam("own")).values(name=bindparam("new_name"))
    async with database.transaction() as tx:
        await tx.execute(insert(THINGS), [{**row, "facts": {"n": 1}} for row in rows])
        await tx.execute(renamed, [{"own": row["id"], "new_name": f"no {row['name']}"} for row in rows[:2]])
        found = await tx.scalars(select(THINGS.c.name).order_by(THINGS.c.name))
        assert list(found) == ["2", "no 0", "no 1"]


async def test_a_shape_is_compiled_once_whatever_its_values(database: Database) -> None:
    async with database.transaction() as tx:
        for name in ("a", "b", "c"):
            await tx.execute(insert(THINGS).values(thing(name)))
            await tx.execute(select(THINGS.c.id).where(THINGS.c.name == name, THINGS.c.count.in_([1, 2])))
            if name == "a":
                shapes = sql.shapes_compiled()
        assert sql.shapes_compiled() == shapes


async def test_statements_run_alongside_another_as_one(database: Database) -> None:
    """Each keeps its own parameters, whatever they are called and however many they are; also beside a statement with a CTE of its own."""
    told: list[str] = []
    database.tell_statement = lambda _, text: told.append(text)
    lamp, chair, bulb = thing(facts={"a": 1}), thing("chair", facts=None, count=1, marks={}), uuid4()
    some = sql.insert_rows(PARTS, ["id", "thing_id", "name"])
    rows = [{"id": each, "thing_id": lamp["id"], "name": f"part {each}"} for each in (bulb, uuid4())]
    async with database.transaction() as tx:
        await tx.execute(
            insert(THINGS),
            lamp,
            alongside=[
                sql.Part(insert(THINGS), chair),
                sql.Part(some, sql.columns_of(["id", "thing_id", "name"], rows)),
                sql.Part(some, sql.columns_of(["id", "thing_id", "name"], [])),
            ],
        )
        renamed = update(THINGS).where(THINGS.c.name.in_(["chair", "stool"])).values(name="table")
        counted = select(func.count()).select_from(PARTS).cte("counted")
        mine = update(THINGS).where(THINGS.c.id == bindparam("own"), counted.c[0] == len(rows)).returning(THINGS.c.name)
        found = await tx.execute(mine, {"own": lamp["id"], "count": 8}, alongside=[sql.Part(renamed)])
        assert found.scalar_one() == "lamp"
        kept = await tx.execute(select(THINGS.c.name, THINGS.c.count).order_by(THINGS.c.name))
        assert kept.all() == [("lamp", 8), ("table", 1)]
        assert len((await tx.scalars(select(PARTS.c.id).where(PARTS.c.thing_id == lamp["id"]))).all()) == len(rows)
    assert len(told) == 4


async def test_a_statement_that_is_run_again_is_known_by_itself(database: Database) -> None:
    """With other parameters, and under other names of them, which make another shape."""
    known = update(THINGS).where(THINGS.c.id == bindparam("own")).returning(THINGS.c.name, THINGS.c.count)
    row = thing()
    async with database.transaction() as tx:
        await tx.execute(insert(THINGS), row)
        shapes: set[int] = set()
        for number in range(4):
            found = await tx.execute(known, {"own": row["id"], "name": f"no {number}"})
            assert found.one() == (f"no {number}", 7)
            assert (await tx.execute(known, {"own": row["id"], "count": 7})).one() == (f"no {number}", 7)
            shapes.add(sql.shapes_compiled())
    assert len(shapes) == 1
