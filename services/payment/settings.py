"""Configuration of payment: variables that begin with PAYMENT_."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from chassis.settings import ServiceSettings
from contracts.money import EXPONENTS
from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from payment.fraud import Rules

_KEY = re.compile(r"(sk|rk|pk)_(live|test)_\w+")


class Settings(ServiceSettings):
    """Live keys and production mode belong together: a live key elsewhere would charge real cards, a test key there would charge none.

    `review_above_minor`: by currency, above which amount an authorized payment waits for a person; `{"EUR": 50000}`. `review_declines`:
    after so many declines within an hour, of one card or for one booking, it waits as well.
    """

    model_config = SettingsConfigDict(env_prefix="PAYMENT_", extra="ignore", validate_by_name=True)

    mode: Literal["production", "sandbox"] = Field("production", validation_alias="BOXOFFICE_MODE")
    stripe_api_key: SecretStr
    stripe_publishable_key: str
    stripe_webhook_secrets: Annotated[tuple[SecretStr, ...], NoDecode]
    stripe_api_base: str | None = None
    stripe_account: str | None = None
    provider_refunds_per_s: int = Field(24, ge=1, le=100)
    balance_every_s: int = Field(300, ge=1)
    provider_listing_every_s: int = Field(300, ge=1)
    review_above_minor: dict[str, Annotated[int, Field(ge=0)]] = Field(default_factory=dict)
    review_declines: int = Field(5, ge=1)

    @property
    def review_rules(self) -> Rules:
        """Which authorized payments wait for a person."""
        return Rules(self.review_above_minor, self.review_declines)

    @field_validator("review_above_minor")
    @classmethod
    def _enabled_currencies(cls, value: dict[str, int]) -> dict[str, int]:
        if unknown := sorted(set(value) - set(EXPONENTS)):
            raise ValueError(f"{', '.join(unknown)} is no enabled currency")
        return value

    @field_validator("stripe_webhook_secrets", mode="before")
    @classmethod
    def _secrets(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value

    @field_validator("stripe_webhook_secrets")
    @classmethod
    def _no_empty_secret(cls, secrets: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if not secrets or not all(secret.get_secret_value().startswith("whsec_") for secret in secrets):
            raise ValueError("it must be one webhook signing secret (whsec_…), or two separated by a comma")
        return secrets

    @field_validator("stripe_api_key")
    @classmethod
    def _secret_key_of_the_mode(cls, key: SecretStr, info: ValidationInfo) -> SecretStr:
        _check_key(key.get_secret_value(), ("sk", "rk"), info.data.get("mode", "production"))
        return key

    @field_validator("stripe_publishable_key")
    @classmethod
    def _publishable_key_of_the_mode(cls, key: str, info: ValidationInfo) -> str:
        _check_key(key, ("pk",), info.data.get("mode", "production"))
        return key

    @field_validator("stripe_api_base")
    @classmethod
    def _stand_in_only_in_the_sandbox(cls, base: str | None, info: ValidationInfo) -> str | None:
        if base and info.data.get("mode", "production") == "production":
            raise ValueError("it points away from Stripe, which production mode does not allow")
        return base or None


def _check_key(key: str, kinds: tuple[str, ...], mode: str) -> None:
    found = _KEY.fullmatch(key)
    if found is None or found[1] not in kinds:
        raise ValueError(f"it is not a Stripe key that begins with {' or '.join(f'{kind}_' for kind in kinds)}")
    wanted = "live" if mode == "production" else "test"
    if found[2] != wanted:
        raise ValueError(f"{mode} mode takes a {wanted} key only")
