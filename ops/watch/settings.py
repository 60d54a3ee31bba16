"""Configuration of `boxoffice watch` and `boxoffice canary`: variables that begin with WATCH_."""

from __future__ import annotations

from datetime import date
from typing import Annotated
from uuid import UUID

from chassis.settings import Configuration
from pydantic import Field, SecretStr, field_validator
from pydantic_settings import NoDecode, SettingsConfigDict


class WatchSettings(Configuration):
    """0 for an interval switches what it is of off."""

    model_config = SettingsConfigDict(env_prefix="WATCH_", extra="ignore", validate_by_name=True)

    host: str = "127.0.0.1"
    port: int = Field(9105, ge=1, le=65535)
    verify_every_s: int = Field(3600, ge=0)
    canary_every_s: int = Field(0, ge=0)
    canary_event_id: UUID | None = None
    """What the canary books. Without it, it makes an event of its own, for which it needs `staff_token_command`."""
    staff_token_command: str | None = None
    """Prints a token of a manager."""
    certificates: Annotated[tuple[str, ...], NoDecode] = ()
    """host:port of servers whose certificate is looked at, separated by commas."""
    keys_end: dict[str, date] = Field(default_factory=dict)
    """When keys are to be replaced, as whoever made them decided: {"stripe-key": "2027-03-01"}."""
    public_url: str | None = Field(None, validation_alias="BOXOFFICE_PUBLIC_URL")
    gateway_url: str | None = None
    """Where the gateway is from here, which is asked every few seconds whether it answers. The canary prefers it to `public_url`."""
    provider_url: str = Field("https://api.stripe.com", validation_alias="PAYMENT_STRIPE_API_BASE")
    provider_account: SecretStr | None = Field(None, validation_alias="PAYMENT_STRIPE_ACCOUNT")

    @field_validator("certificates", mode="before")
    @classmethod
    def _certificates(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value
