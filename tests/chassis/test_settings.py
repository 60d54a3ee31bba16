"""A missing or wrong variable stops the process, with its name and without its value."""

from __future__ import annotations

from pathlib import Path

import pytest
from chassis.settings import Role, Shared, load

GOOD = {
    "BOXOFFICE_MODE": "sandbox",
    "BOXOFFICE_SEAL_KEYSET": "{}",
    "BOXOFFICE_BLIND_INDEX_KEY": "key",
    "BOXOFFICE_OIDC_ISSUER": "http://issuer.example",
    "BOXOFFICE_OIDC_JWKS_URL": "http://issuer.example/jwks.json",
    "BOXOFFICE_TOKEN_PUBLIC_KEYS": "{}",
}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)


def refused(capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as stopped:
        load(Shared)
    assert stopped.value.code == 78
    return capsys.readouterr().err


def test_lists_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    """As .env.example writes them."""
    monkeypatch.setenv("BOXOFFICE_ROLES", "http, relay")
    monkeypatch.setenv("BOXOFFICE_RETRY_DELAYS_MS", "10,20")
    shared = load(Shared)
    assert shared.roles == {Role.HTTP, Role.RELAY}
    assert shared.retry_delays_ms == (10, 20)


def test_a_missing_variable_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """One sentence."""
    monkeypatch.delenv("BOXOFFICE_SEAL_KEYSET")
    assert refused(capsys) == "BOXOFFICE_SEAL_KEYSET is not set.\n"


@pytest.mark.parametrize(
    ("name", "value"),
    [("MODE", "planted"), ("RETRY_DELAYS_MS", "planted"), ("ROLES", "planted"), ("OUTBOX_RETENTION_DAYS", "-7")],
)
def test_a_wrong_variable_is_named_without_its_value(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, value: str
) -> None:
    """What it holds may be a secret."""
    monkeypatch.setenv(f"BOXOFFICE_{name}", value)
    said = refused(capsys)
    assert f"BOXOFFICE_{name}" in said
    assert value not in said


def test_production_reads_keys_over_tls_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever can answer for the issuer signs staff in."""
    monkeypatch.setenv("BOXOFFICE_MODE", "production")
    assert "BOXOFFICE_OIDC_JWKS_URL is wrong" in refused(capsys)


def test_what_is_not_set_may_be_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without the line end that editors add. A variable comes first; a wrong file is named like one, without what is in it."""
    monkeypatch.delenv("BOXOFFICE_SEAL_KEYSET")
    monkeypatch.setenv("BOXOFFICE_SECRETS_DIR", str(tmp_path))
    (tmp_path / "boxoffice_seal_keyset").write_text("of the file\n")
    (tmp_path / "boxoffice_blind_index_key").write_text("of the file")
    (tmp_path / "boxoffice_roles").write_text("http,relay\n")
    shared = load(Shared)
    assert shared.seal_keyset.get_secret_value() == "of the file"
    assert shared.blind_index_key.get_secret_value() == "key"
    assert shared.roles == {Role.HTTP, Role.RELAY}
    (tmp_path / "boxoffice_outbox_retention_days").write_text("planted")
    said = refused(capsys)
    assert said.startswith("BOXOFFICE_OUTBOX_RETENTION_DAYS is wrong")
    assert "planted" not in said
