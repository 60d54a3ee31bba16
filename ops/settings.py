"""What the operator's command is told: variables that begin with OPS_."""

from __future__ import annotations

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

SERVICES = ("booking", "payment", "refund", "notification")


class Settings(BaseSettings):
    """Addresses and credentials of an administrator. Databases are those of the schemas' owners."""

    model_config = SettingsConfigDict(env_prefix="OPS_", extra="ignore")

    booking_database_url: SecretStr
    payment_database_url: SecretStr
    refund_database_url: SecretStr
    notification_database_url: SecretStr
    broker_url: SecretStr
    broker_management_url: SecretStr
    mail_url: str | None = None
    crm_url: str | None = None

    def database_url(self, service: str) -> str:
        """Address of a service's database, as its owner."""
        url: SecretStr = getattr(self, f"{service}_database_url")
        return url.get_secret_value()
