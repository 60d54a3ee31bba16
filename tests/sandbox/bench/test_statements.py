from __future__ import annotations

from pathlib import Path

import asyncpg

from sandbox.bench.statements import Transaction, statement_log, transactions

LOG = """\
2026-05-01 10:00:00.000 UTC [11] booking@booking LOG:  statement: BEGIN ISOLATION LEVEL READ COMMITTED;
2026-05-01 10:00:00.001 UTC [12] payment@payment LOG:  statement: BEGIN;
2026-05-01 10:00:00.001 UTC [11] booking@booking LOG:  execute __asyncpg_stmt_1__: INSERT INTO inbox
\t    (consumer)
\tVALUES ($1)
2026-05-01 10:00:00.001 UTC [11] booking@booking WARNING:  something else
2026-05-01 10:00:00.002 UTC [12] payment@payment LOG:  execute __asyncpg_stmt_2__: SELECT 1
2026-05-01 10:00:00.002 UTC [11] booking@booking LOG:  execute __asyncpg_stmt_3__: UPDATE bookings SET status=$1
2026-05-01 10:00:00.003 UTC [11] booking@booking LOG:  statement: COMMIT;
2026-05-01 10:00:00.003 UTC [12] payment@payment LOG:  statement: ROLLBACK;
2026-05-01 10:00:00.004 UTC [11] booking@booking LOG:  statement: BEGIN;
2026-05-01 10:00:00.004 UTC [11] booking@booking LOG:  statement: COMMIT;
2026-05-01 10:00:00.005 UTC [13] booking_owner@booking LOG:  statement: BEGIN;
2026-05-01 10:00:00.005 UTC [13] booking_owner@booking LOG:  statement: CREATE TABLE x ()
2026-05-01 10:00:00.005 UTC [13] booking_owner@booking LOG:  statement: COMMIT;
2026-05-01 10:00:00.006 UTC [11] booking@booking LOG:  statement: BEGIN;
2026-05-01 10:00:00.006 UTC [11] booking@booking LOG:  execute __asyncpg_stmt_4__: SELECT a FROM b FOR UPDATE SKIP LOCKED
2026-05-01 10:00:00.007 UTC [11] booking@booking LOG:  statement: COMMIT;
"""


def test_sessions_are_told_apart_and_what_had_no_effect_is_left_out() -> None:
    consumed, claim = list(transactions(LOG.splitlines(keepends=True)))
    assert consumed == Transaction(
        "booking", ("INSERT INTO inbox (consumer) VALUES ($1)", "UPDATE bookings SET status=$1")
    )
    assert consumed.is_consumed_event
    assert not consumed.is_shared
    assert claim.is_shared


async def test_the_servers_log_is_switched_on_and_off_again(postgres_url: str, tmp_path: Path) -> None:
    log = tmp_path / "postgres.log"
    log.write_text(LOG)
    server = await asyncpg.connect(postgres_url)
    try:
        async with statement_log(postgres_url, log) as found:
            assert await server.fetchval("SHOW log_statement") == "all"
            with log.open("a") as lines:
                lines.write(LOG)
        assert await server.fetchval("SHOW log_statement") == "none"
    finally:
        await server.close()
    assert len(found.transactions) == 2
    assert len(found.own) == 1
