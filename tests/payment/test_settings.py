"""A wrong key stops the service before it can charge anybody, and the sentence names the variable and not the value."""

from __future__ import annotations

import pytest
from chassis.settings import load
from payment.fraud import Rules
from payment.settings import Settings

GOOD = {
    "BOXOFFICE_MODE": "sandbox",
    "PAYMENT_DATABASE_URL": "postgresql+asyncpg://payment:pw@127.0.0.1/payment",
    "PAYMENT_BROKER_URL": "amqp://payment:pw@127.0.0.1/boxoffice",
    "PAYMENT_STRIPE_API_KEY": "sk_test_0123456789",
    "PAYMENT_STRIPE_PUBLISHABLE_KEY": "pk_test_0123456789",
    "PAYMENT_STRIPE_WEBHOOK_SECRETS": "whsec_new,whsec_old",
    "PAYMENT_STRIPE_API_BASE": "http://127.0.0.1:1",
}
LIVE = {
    "BOXOFFICE_MODE": "production",
    "PAYMENT_STRIPE_API_KEY": "rk_live_0123456789",
    "PAYMENT_STRIPE_PUBLISHABLE_KEY": "pk_live_0123456789",
    "PAYMENT_STRIPE_API_BASE": "",
}


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)


def test_two_secrets_while_rotating() -> None:
    settings = load(Settings)
    assert [secret.get_secret_value() for secret in settings.stripe_webhook_secrets] == ["whsec_new", "whsec_old"]
    assert "sk_test" not in repr(settings)
    assert "whsec" not in repr(settings)


def test_which_payments_wait_for_a_person(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    assert load(Settings).review_rules == Rules({}, 5)
    monkeypatch.setenv("PAYMENT_REVIEW_ABOVE_MINOR", '{"EUR": 50000, "JPY": 0}')
    monkeypatch.setenv("PAYMENT_REVIEW_DECLINES", "3")
    assert load(Settings).review_rules == Rules({"EUR": 50_000, "JPY": 0}, 3)


def test_live_keys_in_production(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in LIVE.items():
        monkeypatch.setenv(name, value)
    assert load(Settings).stripe_api_base is None


@pytest.mark.parametrize(
    ("base", "variable", "value"),
    [
        (GOOD, "PAYMENT_STRIPE_API_KEY", "sk_live_0123456789"),
        (GOOD, "PAYMENT_STRIPE_API_KEY", "pk_test_0123456789"),
        (GOOD, "PAYMENT_STRIPE_API_KEY", "nonsense"),
        (GOOD, "PAYMENT_STRIPE_API_KEY", None),
        (GOOD, "PAYMENT_STRIPE_PUBLISHABLE_KEY", "pk_live_0123456789"),
        (GOOD, "PAYMENT_STRIPE_PUBLISHABLE_KEY", "sk_test_0123456789"),
        (GOOD, "PAYMENT_STRIPE_WEBHOOK_SECRETS", ""),
        (GOOD, "PAYMENT_STRIPE_WEBHOOK_SECRETS", "whsec_new,"),
        (GOOD, "PAYMENT_STRIPE_WEBHOOK_SECRETS", "wh_0123456789"),
        (GOOD, "PAYMENT_REVIEW_ABOVE_MINOR", '{"XXX": 1}'),
        (GOOD, "PAYMENT_REVIEW_ABOVE_MINOR", '{"EUR": -1}'),
        (GOOD, "PAYMENT_REVIEW_DECLINES", "0"),
        (LIVE, "PAYMENT_STRIPE_API_KEY", "sk_test_0123456789"),
        (LIVE, "PAYMENT_STRIPE_PUBLISHABLE_KEY", "pk_test_0123456789"),
        (LIVE, "PAYMENT_STRIPE_API_BASE", "http://127.0.0.1:1"),
    ],
)
def test_a_wrong_variable_is_named(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    base: dict[str, str],
    variable: str,
    value: str | None,
) -> None:
    for name, good in base.items():
        monkeypatch.setenv(name, good)
    monkeypatch.delenv(variable) if value is None else monkeypatch.setenv(variable, value)
    with pytest.raises(SystemExit) as stopped:
        load(Settings)
    said = capsys.readouterr().err
    assert stopped.value.code == 78
    assert variable in said
    assert not value or value not in said
