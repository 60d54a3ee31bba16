"""Configuration by environment. A missing or wrong variable stops the process and is named.

What must not stand in an environment may stand in a file: BOXOFFICE_SECRETS_DIR names a folder whose files are called like variables, in
small letters (`payment_stripe_api_key`). A variable that is set comes first.
"""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from typing import Annotated, Literal, TypeVar

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
)


class Role(StrEnum):
    """A part of a service that one process may leave to another."""

    HTTP = "http"
    CONSUMERS = "consumers"
    RELAY = "relay"
    SWEEPS = "sweeps"


SECRETS_DIR = "BOXOFFICE_SECRETS_DIR"


class Configuration(BaseSettings):
    """Read from variables, and from files in the folder that BOXOFFICE_SECRETS_DIR names."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # pydantic names it
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # likewise
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The folder is read now; pydantic would fix it when a class is defined."""
        folder = os.environ.get(SECRETS_DIR)
        files = [] if folder is None else [SecretsSettingsSource(settings_cls, secrets_dir=folder)]
        return init_settings, env_settings, *files


class Shared(Configuration):
    """What all services are told alike: variables that begin with BOXOFFICE_."""

    model_config = SettingsConfigDict(env_prefix="BOXOFFICE_", extra="ignore")

    mode: Literal["production", "sandbox"] = "production"
    seal_keyset: SecretStr
    blind_index_key: SecretStr
    oidc_issuer: str
    oidc_audience: str = "boxoffice"
    oidc_jwks_url: str
    token_public_keys: str
    retry_delays_ms: Annotated[tuple[int, ...], NoDecode] = (1_000, 5_000, 30_000, 120_000, 600_000)
    outbox_retention_days: int = Field(30, ge=1)
    roles: Annotated[frozenset[Role], NoDecode] = frozenset(Role)
    otlp_endpoint: str | None = None
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    public_url: str = "http://localhost:8080"

    @field_validator("retry_delays_ms", mode="before")
    @classmethod
    def _delays(cls, value: object) -> object:
        return tuple(value.split(",")) if isinstance(value, str) else value

    @field_validator("oidc_jwks_url")
    @classmethod
    def _keys_over_tls(cls, value: str, info: ValidationInfo) -> str:
        if info.data.get("mode") == "production" and not value.startswith("https://"):
            raise ValueError("must begin with https:// in production")
        return value

    @field_validator("roles", mode="before")
    @classmethod
    def _roles(cls, value: object) -> object:
        return frozenset(part.strip() for part in value.split(",")) if isinstance(value, str) else value


class ServiceSettings(Configuration):
    """What one service is told: variables that begin with its own name."""

    model_config = SettingsConfigDict(extra="ignore")

    database_url: SecretStr
    broker_url: SecretStr
    database_pool: int = Field(20, ge=1)
    prefetch: int = Field(50, ge=1, le=1000)


S = TypeVar("S", bound=BaseSettings)


def load(settings: type[S]) -> S:
    """The settings from the environment. Exits with one sentence a variable when one is missing or wrong; the value is not shown."""
    try:
        return settings()
    except ValidationError as error:
        prefix = settings.model_config.get("env_prefix", "")
        for found in error.errors(include_input=False, include_url=False):
            variable = f"{prefix}{'_'.join(str(part) for part in found['loc'])}".upper()
            state = "is not set" if found["type"] == "missing" else f"is wrong: {found['msg']}"
            print(f"{variable} {state}.", file=sys.stderr)  # noqa: T201  # logging is not configured yet
        sys.exit(78)  # EX_CONFIG of sysexits.h
