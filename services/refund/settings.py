"""What refund is told: variables that begin with REFUND_."""

from __future__ import annotations

from typing import Annotated

from chassis.settings import ServiceSettings
from contracts.money import EXPONENTS
from pydantic import Field, field_validator
from pydantic_settings import SettingsConfigDict


class Settings(ServiceSettings):
    """`approval_above_minor`: by currency, above which amount of one booking staff need a second person; `{"EUR": 50000}`.

    `campaign_per_s`: refunds of cancelled events a second, all replicas together; below what the provider takes.
    """

    model_config = SettingsConfigDict(env_prefix="REFUND_")

    approval_above_minor: dict[str, Annotated[int, Field(ge=0)]] = Field(default_factory=dict)
    campaign_per_s: int = Field(24, ge=1, le=1000)

    @field_validator("approval_above_minor")
    @classmethod
    def _enabled_currencies(cls, value: dict[str, int]) -> dict[str, int]:
        if unknown := sorted(set(value) - set(EXPONENTS)):
            raise ValueError(f"{', '.join(unknown)} is no enabled currency")
        return value
