"""What refund is told: variables that begin with REFUND_."""

from __future__ import annotations

from chassis.settings import ServiceSettings
from pydantic_settings import SettingsConfigDict


class Settings(ServiceSettings):
    """Database and broker; it needs nothing else."""

    model_config = SettingsConfigDict(env_prefix="REFUND_")
