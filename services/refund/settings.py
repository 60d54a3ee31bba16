"""What refund is told: variables that begin with REFUND_."""

from __future__ import annotations

from chassis.settings import ServiceSettings
from pydantic import Field
from pydantic_settings import SettingsConfigDict


class Settings(ServiceSettings):
    """`campaign_per_s`: refunds of cancelled events a second, all replicas together; below what the provider takes."""

    model_config = SettingsConfigDict(env_prefix="REFUND_")

    campaign_per_s: int = Field(20, ge=1, le=1000)
