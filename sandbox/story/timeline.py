"""How the story is shown: a line for each thing that was observed, with who said it and when."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from datetime import datetime

from rich.console import Console

COLOURS = {"booking": "cyan", "payment": "green", "refund": "magenta", "notification": "yellow"}


@dataclass(frozen=True)
class Line:
    """`at` is the instant that the one who said it gives."""

    at: str
    who: str
    what: str


class Timeline:
    """Prints as it goes: with colours on a terminal, plain lines elsewhere."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet
        self.lines: list[Line] = []
        self._console = Console(highlight=False, soft_wrap=True)
        self._began: datetime | None = None

    def say(self, who: str, at: datetime, what: str) -> None:
        """One thing that `who` told."""
        self._began = self._began or at
        self.lines.append(Line(at.isoformat(), who, what))
        passed = max((at - self._began).total_seconds(), 0.0)
        clock = at.astimezone().strftime("%H:%M:%S.%f")[:-3]
        if self.quiet:
            return
        if self._console.is_terminal:
            self._console.print(
                f"[dim]{clock} {passed:+7.2f} s[/]  [{COLOURS.get(who, 'blue')}]{who:<13}[/] {what}", markup=True
            )
        else:
            print(f"{clock} {passed:+7.2f} s  {who:<13} {what}", flush=True)

    def dump(self) -> None:
        """All of it as JSON."""
        json.dump([asdict(line) for line in self.lines], sys.stdout, indent=2)
        print()
