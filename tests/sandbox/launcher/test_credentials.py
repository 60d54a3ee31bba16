"""A sandbox's secrets are made once and kept to their user."""

from __future__ import annotations

import subprocess
from pathlib import Path

from sandbox.launcher import credentials
from sandbox.launcher.ports import reserve
from sandbox.launcher.services import Addresses, operator_variables, own_stripe


def test_they_are_made_once_and_readable_by_their_user_only(tmp_path: Path) -> None:
    file = tmp_path / "credentials.json"
    made = credentials.kept(file)
    assert credentials.kept(file) == made
    assert file.stat().st_mode & 0o777 == 0o600
    passwords = [*made.database_passwords.values(), *made.broker_passwords.values(), made.postgres_password]
    assert len(set(passwords)) == len(passwords) == 12 + 5 + 1


def test_a_shell_reads_the_operator_s_variables_as_they_were_written(tmp_path: Path) -> None:
    block = reserve()
    variables = operator_variables(Addresses(block, 8080), credentials.kept(tmp_path / "c.json"), "whsec_'$HOME`x`\"")
    block.lock.close()
    file = tmp_path / "operator.env"
    credentials.write_private(file, credentials.environment_file(variables))
    read = subprocess.run(["sh", "-c", f". {file}; env -0"], env={}, capture_output=True, text=True, check=True).stdout
    shell = dict(entry.split("=", 1) for entry in read.split("\0") if "=" in entry)
    assert {name: shell[name] for name in variables} == variables
    assert variables["PAYMENT_STRIPE_WEBHOOK_SECRETS"].startswith("whsec_")


def test_a_stripe_key_of_one_s_own_is_noticed(tmp_path: Path) -> None:
    known = credentials.kept(tmp_path / "c.json")
    assert not own_stripe(known, {})
    assert not own_stripe(known, {"PAYMENT_STRIPE_API_KEY": known.stripe_api_key})
    assert own_stripe(known, {"PAYMENT_STRIPE_API_KEY": "sk_test_another"})
