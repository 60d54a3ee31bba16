"""What booking is told: variables that begin with BOOKING_."""

from __future__ import annotations

from chassis.settings import ServiceSettings
from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict


class Settings(ServiceSettings):
    """`token_signing_key`: private Ed25519 JWK that signs the bookings' tokens. `hold_seconds`: how long unpaid seats are held."""

    model_config = SettingsConfigDict(env_prefix="BOOKING_", extra="ignore")

    token_signing_key: SecretStr
    hold_seconds: int = Field(900, ge=1, le=86_400)
