"""The stand-in's clock: the machine's time plus an offset that the control API may move forward."""

from __future__ import annotations

import time


class Clock:
    """Seconds since the epoch. `offset_seconds` ages authorisations, idempotency keys and pending balances."""

    def __init__(self, offset_seconds: int = 0) -> None:
        self.offset_seconds = offset_seconds

    def now(self) -> int:
        """The stand-in's own time in whole seconds, as it stands in `created`."""
        return int(self.real()) + self.offset_seconds

    def real(self) -> float:
        """The machine's time: deliveries and signatures must agree with their receiver's clock."""
        return time.time()  # noqa: TID251  # the one place of the stand-in that reads it
