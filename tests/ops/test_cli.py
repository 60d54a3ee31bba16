"""The command as a process: what it says of missing variables and wrong arguments."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

NAMES = ("BOOKING", "PAYMENT", "REFUND", "NOTIFICATION")
BOXOFFICE = Path(sys.executable).parent / "boxoffice"


def boxoffice(folder: Path, *arguments: str, **variables: str) -> tuple[int, str, str]:
    """In a folder without a sandbox."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    environment = {**kept, "BOXOFFICE_HOME": str(folder), **variables}
    done = subprocess.run(
        [BOXOFFICE, *arguments], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout, done.stderr


def test_missing_variables_are_named_one_a_line(tmp_path: Path) -> None:
    code, _, said = boxoffice(tmp_path, "verify", OPS_BROKER_URL="amqp://x")
    assert code == 78
    assert said.splitlines() == [
        "OPS_BOOKING_DATABASE_URL is not set.",
        "OPS_PAYMENT_DATABASE_URL is not set.",
        "OPS_REFUND_DATABASE_URL is not set.",
        "OPS_NOTIFICATION_DATABASE_URL is not set.",
        "OPS_BROKER_MANAGEMENT_URL is not set.",
    ]


def test_republish_wants_one_of_two(tmp_path: Path) -> None:
    code, _, said = boxoffice(tmp_path, "republish")
    assert (code, "say either --from or --all" in said) == (2, True)
    code, _, said = boxoffice(tmp_path, "republish", "--from", "2027-01-31T12:00:00")
    assert (code, "offset" in said) == (2, True)
    code, _, said = boxoffice(tmp_path, "republish", "--all", "--service", "billing")
    assert (code, "must be one of" in said) == (2, True)


def test_every_command_is_listed(tmp_path: Path) -> None:
    code, out, _ = boxoffice(tmp_path, "--help")
    assert code == 0
    for command in ("migrate", "doctor", "verify", "parked", "republish", "audit", "up"):
        assert command in out


def test_a_server_that_is_away_is_one_sentence(tmp_path: Path) -> None:
    urls = {
        f"OPS_{name}_DATABASE_URL": f"postgresql+asyncpg://u:secret-word@127.0.0.1:1/{name.lower()}" for name in NAMES
    }
    broker = {"OPS_BROKER_URL": "amqp://u:secret-word@127.0.0.1:1/x", "OPS_BROKER_MANAGEMENT_URL": "http://127.0.0.1:1"}
    for arguments in (["migrate"], ["parked", "list"], ["republish", "--all"]):
        code, _, said = boxoffice(tmp_path, *arguments, **urls, **broker)
        assert code == 1
        assert len(said.splitlines()) == 1
        assert "secret-word" not in said
