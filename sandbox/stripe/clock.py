"""The stand-in's clock: the machine's time plus an offset that the control API may move forward."""

from __future__ import annotations

import time


class Clock:
    """Seconds since the epoch. `offset_seconds` ages authorisations, idempotency keys and pending balances.

    `now` never goes back, also when the machine's clock does, and never behind `latest`, the newest object's time.
    """

    def __init__(self, offset_seconds: int = 0, latest: int = 0) -> None:
        self.offset_seconds = offset_seconds
        self.latest = latest

    def now(self) -> int:
        """The stand-in's own time in whole seconds, as it stands in `created`."""
        self.latest = max(self.latest, int(self.real()) + self.offset_seconds)
        return self.latest

    def restart(self) -> None:
        """Back to the machine's time."""
        self.offset_seconds = self.latest = 0

    def real(self) -> float:
        """The machine's time: deliveries and signatures must agree with their receiver's clock."""
        return time.time()  # noqa: TID251  # the one place of the stand-in that reads it
