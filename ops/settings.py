"""What the operator's command is told: variables that begin with OPS_, and the shared ones that it needs."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from chassis.settings import Configuration
from pydantic import Field, SecretStr, field_validator
from pydantic_settings import NoDecode, SettingsConfigDict

SERVICES = ("booking", "payment", "refund", "notification")


class Mode(StrEnum):
    """How strictly `verify` compares."""

    LIVE = "live"
    SETTLED = "settled"


class Settings(Configuration):
    """Addresses and credentials of an administrator.

    Databases are those of the schemas' owners, and, where one is named, of the reader that `verify` looks at them as.
    """

    model_config = SettingsConfigDict(env_prefix="OPS_", extra="ignore", validate_by_name=True)

    booking_database_url: SecretStr
    payment_database_url: SecretStr
    refund_database_url: SecretStr
    notification_database_url: SecretStr
    booking_verify_database_url: SecretStr | None = None
    payment_verify_database_url: SecretStr | None = None
    refund_verify_database_url: SecretStr | None = None
    notification_verify_database_url: SecretStr | None = None
    broker_url: SecretStr
    broker_management_url: SecretStr
    mail_url: str | None = None
    crm_url: str | None = None
    public_url: str | None = Field(None, validation_alias="BOXOFFICE_PUBLIC_URL")
    booking_url: str | None = None
    payment_url: str | None = None
    refund_url: str | None = None
    notification_url: str | None = None

    def database_url(self, service: str) -> str:
        """Address of a service's database, as its owner."""
        url: SecretStr = getattr(self, f"{service}_database_url")
        return url.get_secret_value()

    def reading_url(self, service: str) -> str:
        """Address of a service's database for looking at it: as its reader, or as its owner where no reader is named."""
        url: SecretStr | None = getattr(self, f"{service}_verify_database_url")
        return self.database_url(service) if url is None else url.get_secret_value()

    def service_url(self, service: str) -> str | None:
        """Where a service itself listens, behind the gateway."""
        url: str | None = getattr(self, f"{service}_url")
        return url

    def plain_database_url(self, service: str, *, reading: bool = False) -> str:
        """The same without the driver's name that SQLAlchemy wants."""
        url = self.reading_url(service) if reading else self.database_url(service)
        return url.replace("postgresql+asyncpg:", "postgresql:", 1)


class Shared(Configuration):
    """The services' shared variables that broker and outbox depend on, with the same defaults (chassis.settings.Shared)."""

    model_config = SettingsConfigDict(env_prefix="BOXOFFICE_", extra="ignore")

    retry_delays_ms: Annotated[tuple[int, ...], NoDecode] = (1_000, 5_000, 30_000, 120_000, 600_000)
    outbox_retention_days: int = Field(30, ge=1)

    @field_validator("retry_delays_ms", mode="before")
    @classmethod
    def _delays(cls, value: object) -> object:
        return tuple(value.split(",")) if isinstance(value, str) else value

    @property
    def retention(self) -> timedelta:
        """How long a published event is kept at least."""
        return timedelta(days=self.outbox_retention_days)


class Keys(Configuration):
    """What seals personal data, and finds it: the services' own variables. Only commands that open sealed fields need them."""

    model_config = SettingsConfigDict(env_prefix="BOXOFFICE_", extra="ignore")

    seal_keyset: SecretStr
    blind_index_key: SecretStr


class Published(Configuration):
    """The public keys that tokens of bookings are checked with, as the services have them."""

    model_config = SettingsConfigDict(env_prefix="BOXOFFICE_", extra="ignore")

    token_public_keys: str
