"""Each role may do what ops/privileges.py says and nothing else: looked up in the server's own catalogue, and tried."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest
from chassis.migrate import migrate

from ops.privileges import FUNCTIONS, OWNER, READER, WORKER, on_table, roles
from ops.settings import SERVICES
from ops.verify.reading import snapshot
from ops.verify.run import read_rights
from ops.verify.trust import privileges
from tests.deploy.privileges.conftest import Provisioned
from tests.support.service import as_role, fresh_database

TABLES = "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY 1"
COLUMNS = """
    SELECT attname::text FROM pg_attribute
    WHERE attrelid = to_regclass(quote_ident($1)) AND attnum > 0 AND NOT attisdropped
      AND attidentity = '' AND attgenerated = '' ORDER BY attnum"""
FORBIDDEN = (
    "CREATE TABLE planted (id int)",
    "CREATE TEMPORARY TABLE planted (id int)",
    "CREATE SCHEMA planted",
    "CREATE FUNCTION planted() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE EXTENSION vector",
    "CREATE ROLE planted",
    "ALTER TABLE outbox ADD COLUMN planted int",
    "ALTER TABLE audit DISABLE TRIGGER ALL",
    "DROP TABLE outbox",
    "GRANT pg_read_all_data TO CURRENT_USER",
    "SELECT setval('outbox_seq_seq', 1)",
    "COPY outbox TO '/tmp/planted'",
    "COPY outbox FROM PROGRAM 'true'",
    "SELECT pg_read_file('/etc/passwd')",
)
"""What only an owner, an administrator or nobody may do."""
OUTSIDE_TRANSACTIONS = ("CREATE DATABASE planted", "ALTER SYSTEM SET fsync = off")


async def allowed(connection: asyncpg.Connection[asyncpg.Record], statement: str) -> bool:
    """Whether the server lets it happen; what happened is taken back."""
    turn = connection.transaction()
    await turn.start()
    try:
        await connection.execute("SET TRANSACTION READ WRITE")  # whoever is only asked not to write may ask back
        await connection.execute(statement)
    except asyncpg.InsufficientPrivilegeError:
        return False
    except (asyncpg.IntegrityConstraintViolationError, asyncpg.ObjectNotInPrerequisiteStateError):
        return True  # the rights did not stand in the way, the row did
    finally:
        await turn.rollback()
    return True


async def attempts(connection: asyncpg.Connection[asyncpg.Record], table: str) -> dict[str, str]:
    """A statement for each privilege of a table, and one for each column that might be written alone."""
    columns = [column for (column,) in await connection.fetch(COLUMNS, table)]
    return {
        "SELECT": f'SELECT FROM "{table}"',
        "INSERT": f'INSERT INTO "{table}" DEFAULT VALUES',
        "DELETE": f'DELETE FROM "{table}"',
        "TRUNCATE": f'TRUNCATE "{table}"',
        "TRIGGER": f'CREATE TRIGGER planted AFTER INSERT ON "{table}" EXECUTE FUNCTION suppress_redundant_updates_trigger()',
        **{f"UPDATE ({column})": f'UPDATE "{table}" SET "{column}" = NULL' for column in columns},
    }


@pytest.mark.parametrize("service", SERVICES)
async def test_the_catalogue_says_what_is_declared(migrated: Provisioned, service: str) -> None:
    """Tables, columns, functions, schema and database; for a table that is new and not declared, too."""
    async with snapshot(service, migrated.url(service, f"{service}{READER}", "+asyncpg")) as read:
        rights = await read_rights(read)
    assert list(privileges(rights)) == []
    assert {right.table for right in rights} >= {"outbox", "audit", f"{service}_schema", "(schema)", *FUNCTIONS}


@pytest.mark.parametrize("service", SERVICES)
async def test_databases_of_tests_have_the_same_rights(postgres_url: str, service: str) -> None:
    """Or the tests would pass with rights that production lacks."""
    url = await fresh_database(service, postgres_url)
    await asyncio.to_thread(migrate, service, as_role(url, f"{service}{OWNER}"))
    async with snapshot(service, as_role(url, f"{service}{OWNER}")) as read:
        assert list(privileges(await read_rights(read))) == []


@pytest.mark.parametrize("role", [role for role in roles() if not role.endswith(OWNER)])
async def test_a_role_can_do_what_is_declared_and_nothing_else(migrated: Provisioned, role: str) -> None:
    """Every privilege of every table, and every column, is tried."""
    service = role.removesuffix(READER)
    async with migrated.session(service, role) as connection:
        tables = [table for (table,) in await connection.fetch(TABLES)]
        assert len(tables) > 6
        for table in tables:
            declared = on_table(service, role, table)
            for privilege, statement in (await attempts(connection, table)).items():
                expected = privilege in declared or privilege.partition(" ")[0] in declared
                assert await allowed(connection, statement) is expected, f"{role}: {statement}"
        for statement in OUTSIDE_TRANSACTIONS:
            with pytest.raises((asyncpg.InsufficientPrivilegeError, asyncpg.ReadOnlySQLTransactionError)):
                await connection.execute(statement)
        for statement in (*FORBIDDEN, f"SET ROLE {service}{OWNER}", "SET ROLE postgres"):
            assert not await allowed(connection, statement), f"{role}: {statement}"


@pytest.mark.parametrize("role", roles())
async def test_a_role_enters_its_own_database_only(provisioned: Provisioned, role: str) -> None:
    """Not that of another service, and not the server's own."""
    for database in (*SERVICES, "postgres"):
        if role in {f"{database}{ending}" for ending in (OWNER, WORKER, READER)}:
            async with provisioned.session(database, role) as connection:
                assert await connection.fetchval("SELECT current_user") == role
        else:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await asyncpg.connect(provisioned.url(database, role))


async def test_a_reader_stays_one_where_a_grant_slips_in(migrated: Provisioned) -> None:
    """Its transactions are read only unless it says otherwise, and verify never does."""
    async with migrated.session("booking", "booking_owner") as owner:
        await owner.execute("GRANT INSERT ON inbox TO booking_verify")
        async with migrated.session("booking", "booking_verify") as reader:
            with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
                await reader.execute("INSERT INTO inbox VALUES ('x', gen_random_uuid(), now())")
        await owner.execute("REVOKE INSERT ON inbox FROM booking_verify")


async def test_a_service_prunes_old_published_events_and_no_others(migrated: Provisioned) -> None:
    """Whatever instant it names."""
    async with migrated.session("refund", "refund") as service:
        for published in ("NULL", "now() - interval '23 hours'", "now() - interval '25 hours'"):
            await service.execute(f"""
                INSERT INTO outbox (id, type, subject, version, occurred_at, body, published_at)
                VALUES (gen_random_uuid(), 'x', gen_random_uuid(), 1, now(), '{{}}', {published})""")
        assert await service.fetchval("SELECT prune_outbox(now() - interval '30 days')") == 0
        assert await service.fetchval("SELECT prune_outbox('infinity')") == 1
        assert await service.fetchval("SELECT count(*) FROM outbox") == 2
    async with migrated.session("refund", "refund_verify") as reader:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await reader.fetchval("SELECT prune_outbox('infinity')")
