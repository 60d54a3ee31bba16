"""What stops the service at start, and that the sentence names the variable."""

from __future__ import annotations

import pytest
from chassis.crypto import new_index_key, new_keyset
from chassis.settings import Shared, load
from notification.settings import Settings, refuse_in_production, sender_of

WORKING = {
    "NOTIFICATION_DATABASE_URL": "postgresql+asyncpg://x",
    "NOTIFICATION_BROKER_URL": "amqp://x",
    "NOTIFICATION_SMTP_HOST": "mail.example",
    "NOTIFICATION_MAIL_FROM": "Tickets <tickets@northlight.example>",
    "BOXOFFICE_SEAL_KEYSET": new_keyset(),
    "BOXOFFICE_BLIND_INDEX_KEY": new_index_key(),
    "BOXOFFICE_OIDC_ISSUER": "https://sign-in.example",
    "BOXOFFICE_OIDC_JWKS_URL": "https://sign-in.example/jwks.json",
    "BOXOFFICE_TOKEN_PUBLIC_KEYS": "{}",
    "BOXOFFICE_PUBLIC_URL": "https://tickets.example",
}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in WORKING.items():
        monkeypatch.setenv(name, value)


def test_the_rest_has_defaults() -> None:
    settings = load(Settings)
    assert (settings.smtp_port, settings.smtp_starttls, settings.webhook_allowed_hosts) == (587, True, frozenset())
    assert settings.sender.display_name == "Tickets"
    assert settings.sender.addr_spec == "tickets@northlight.example"
    assert settings.staff is None


def test_staff_have_an_address_where_it_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFICATION_STAFF_ADDRESS", "Box office <desk@northlight.example>")
    staff = load(Settings).staff
    assert staff is not None
    assert staff.addr_spec == "desk@northlight.example"
    monkeypatch.setenv("NOTIFICATION_STAFF_ADDRESS", "")
    assert load(Settings).staff is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("NOTIFICATION_SMTP_HOST", None),
        ("NOTIFICATION_MAIL_FROM", None),
        ("NOTIFICATION_MAIL_FROM", "nobody"),
        ("NOTIFICATION_MAIL_FROM", "Tickets <tickets@x.example>\r\nBcc: eve@x.example"),
        ("NOTIFICATION_SMTP_PORT", "0"),
        ("NOTIFICATION_STAFF_ADDRESS", "the box office"),
        ("NOTIFICATION_WEBHOOK_ALLOWED_HOSTS", "localhost"),
        ("NOTIFICATION_WEBHOOK_ALLOWED_HOSTS", ":80"),
    ],
)
def test_a_wrong_variable_is_named(
    name: str, value: str | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if value is None:
        monkeypatch.delenv(name)
    else:
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as stopped:
        load(Settings)
    assert stopped.value.code == 78
    assert capsys.readouterr().err.startswith(name)


def test_internal_webhook_hosts_are_a_sandbox_matter(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NOTIFICATION_WEBHOOK_ALLOWED_HOSTS", "127.0.0.1:9000, crm.test:443")
    settings = load(Settings)
    assert settings.webhook_allowed_hosts == {"127.0.0.1:9000", "crm.test:443"}
    monkeypatch.setenv("BOXOFFICE_MODE", "sandbox")
    refuse_in_production(settings, load(Shared))
    monkeypatch.setenv("BOXOFFICE_MODE", "production")
    with pytest.raises(SystemExit) as stopped:
        refuse_in_production(settings, load(Shared))
    assert stopped.value.code == 78
    assert capsys.readouterr().err.startswith("NOTIFICATION_WEBHOOK_ALLOWED_HOSTS")


def test_a_sender_without_a_name_is_called_by_its_domain() -> None:
    assert sender_of("tickets@northlight.example").display_name == "northlight.example"
