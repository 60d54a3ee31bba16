"""A provider's client whose process dies at a chosen moment."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Literal

from payment.gateways import Gateway


class Died(Exception):
    """The process has ended here: nothing after it happens."""


class Mortal:
    """Passes everything on to a real gateway, and dies right before or right after one operation reached the provider."""

    def __init__(self, gateway: Gateway, operation: str, when: Literal["before", "after"]) -> None:
        self._gateway = gateway
        self._operation = operation
        self._when = when

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._gateway, name)
        return self._dying(found) if name == self._operation else found

    def _dying(self, call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def die(*args: object) -> None:
            if self._when == "after":
                await call(*args)
            raise Died

        return die
