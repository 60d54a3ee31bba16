"""A whole stack of one's own, by the command that a newcomer uses.

with running_stack(tmp_path) as stack:
    stack.status["gateway"]; stack.boxoffice("kill", "payment")
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BOXOFFICE = Path(sys.executable).with_name("boxoffice")
UNASKED = {f"NOTIFICATION_SURVEY_{what}_DELAY_S": "86400" for what in ("EVENT", "REFUND")}
"""No test has a survey's mail that it does not wait for."""


@dataclass(frozen=True)
class RunningStack:
    """A stack, its state folder, and what `boxoffice status --json` said once it was up."""

    home: Path
    environment: dict[str, str]
    status: dict[str, Any]

    def run(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        """Runs any command against this stack; how it ended is for the caller to judge."""
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)

    def boxoffice(self, *arguments: str) -> str:
        """Runs `boxoffice` against this stack and gives what it printed. Fails with what it said when it fails."""
        ended = self.run(BOXOFFICE, *arguments)
        assert ended.returncode == 0, f"boxoffice {' '.join(arguments)}: {ended.stdout}{ended.stderr}"
        return ended.stdout


@contextmanager
def running_stack(home: Path, **variables: str) -> Iterator[RunningStack]:
    """Starts everything in `home`, with `variables` for the services, and leaves no process behind."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("OPS_")}
    stack = RunningStack(home, {**UNASKED, **ours, **variables, "BOXOFFICE_HOME": str(home)}, {})
    try:
        stack.boxoffice("up")
        stack.status.update(json.loads(stack.boxoffice("status", "--json")))
        yield stack
    finally:
        stack.boxoffice("down")
        if (room := home / "room").exists():  # kept elsewhere where other users may not enter the home
            shutil.rmtree(room.read_text())
