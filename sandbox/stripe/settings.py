"""What the control API can switch, kept in the store so that it outlives a restart."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from sandbox.stripe.store import Store


class Strict(BaseModel):
    """A control body: an unknown name is a mistake, and said."""

    model_config = ConfigDict(extra="forbid")


class Fault(Strict):
    """One way to fail, for the next `count` requests of an operation or with a probability.

    `*_before`: the operation does not run and its idempotency key stays unused. `*_after`: it ran, its effects stand, and its key
    remembers what was answered: for `error_after` that is the 500.
    """

    operation: str = "*"
    kind: Literal[
        "bad_gateway_after",
        "bad_gateway_before",
        "conflict",
        "cut_after",
        "delay_after",
        "delay_before",
        "drop_after",
        "drop_before",
        "error_after",
        "error_before",
        "lock_timeout",
        "mutate",
        "rate_limit",
    ]
    count: int | None = Field(default=None, ge=1)
    probability: float = Field(default=1.0, gt=0, le=1)
    seconds: float = Field(default=0.0, ge=0, le=600)
    should_retry: bool | None = None
    replace: dict[str, Any] = {}
    remove: list[str] = []


class Webhooks(Strict):
    """How deliveries misbehave. With `on` false they wait; what `loss` takes never arrives."""

    on: bool = True
    loss: float = Field(default=0.0, ge=0, le=1)
    duplicates: int = Field(default=0, ge=0, le=100)
    delay_seconds: float = Field(default=0.0, ge=0)
    reorder_seconds: float = Field(default=0.0, ge=0, le=60)
    timestamp_shift_seconds: int = 0
    forged: bool = False
    before_answer: bool = False
    replace: dict[str, Any] = {}


class Limits(Strict):
    """Searches and lists that lag behind, and a rate limit; 0 switches each off."""

    search_lag_seconds: int = Field(default=0, ge=0)
    list_lag_seconds: int = Field(default=0, ge=0)
    requests_per_second: int = Field(default=0, ge=0)


class Settings(Strict):
    """All of them. Saved as one row."""

    clock_offset_seconds: int = 0
    faults: list[Fault] = []
    webhooks: Webhooks = Webhooks()
    limits: Limits = Limits()

    def save(self, store: Store) -> None:
        store.set_setting("settings", self.model_dump())

    @classmethod
    def stored(cls, store: Store) -> Settings:
        return cls.model_validate(store.setting("settings", {}))
