"""Who may do what: one table that every way of running is made from or compared with.

PostgreSQL, by service: `<service>_owner` owns the schema and migrates; `<service>` works, without DDL; `<service>_verify` reads.
RabbitMQ: one user a service, who declares nothing, writes to its own exchanges and reads its own queues. deploy/postgres/provision.sql, the
migrations, deploy/rabbitmq, docker-compose.yml and deploy/kubernetes give these rights; tests/deploy tries each on real servers, and
`boxoffice verify` (X3) and `boxoffice doctor` compare them with the servers that run.
"""

from __future__ import annotations

from collections.abc import Mapping

from ops.settings import SERVICES

OWNER, WORKER, READER = "_owner", "", "_verify"
"""Endings of the three roles that each service has in PostgreSQL."""

EVERYTHING = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE"})
READ_ONLY = frozenset({"SELECT"})
APPEND_ONLY = frozenset({"SELECT", "INSERT"})
STAMPED = APPEND_ONLY | {"UPDATE (attempts)", "UPDATE (published_at)"}
"""An event is written once. The relay stamps it; what is older than the retention goes through `prune_outbox`, which takes no other."""

TABLES: Mapping[tuple[str, str], frozenset[str]] = {
    ("booking", "tickets"): APPEND_ONLY,
    ("booking", "booking_names"): EVERYTHING - {"UPDATE"},
    ("payment", "ledger_entries"): APPEND_ONLY,
    ("refund", "policies"): APPEND_ONLY,
    ("notification", "messages"): EVERYTHING - {"DELETE"},
    ("notification", "surveys"): EVERYTHING - {"DELETE"},
}
"""What a service may do with a table of its own, where that is less than EVERYTHING."""
TABLES_OF_ALL: Mapping[str, frozenset[str]] = {"audit": APPEND_ONLY, "inbox": APPEND_ONLY, "outbox": STAMPED}

FUNCTIONS = frozenset({"(function prune_outbox)"})
"""What runs with the owner's rights, and only the service itself may call."""


def on_table(service: str, role: str, table: str) -> frozenset[str]:
    """Privileges of `role`, the service's or its reader's. "UPDATE (column)" is the right to that column alone.

    What is no table is in parentheses: (schema), (database), (function <name>).
    """
    if table in FUNCTIONS and role == service:
        return frozenset({"EXECUTE"})
    if table.startswith("("):
        return frozenset()
    if role.endswith(READER) or table in {"chassis_schema", f"{service}_schema"}:
        return READ_ONLY
    return TABLES.get((service, table), TABLES_OF_ALL.get(table, EVERYTHING))


def in_broker(service: str) -> dict[str, str]:
    """RabbitMQ's three patterns for the user of `service`. Its name is no other's beginning, so `service.` is its own alone."""
    return {
        "configure": "^$",
        "write": rf"^{service}\.(events$|retry\.|parked$)",
        "read": rf"^{service}\.",
    }


def roles() -> tuple[str, ...]:
    """All roles of PostgreSQL."""
    return tuple(f"{service}{ending}" for service in SERVICES for ending in (OWNER, WORKER, READER))
