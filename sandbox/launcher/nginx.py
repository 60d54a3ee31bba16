"""The gateway: nginx with the configuration of deploy/gateway, private to one folder."""

from __future__ import annotations

import shutil
import string
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sandbox.launcher.programs import Program, base_environment

RATES = {
    "RATE_BOOKINGS": "1000r/s",
    "RATE_BOOKINGS_BURST": "2000",
    "RATE_PAYMENTS": "1000r/s",
    "RATE_PAYMENTS_BURST": "2000",
}
"""So generous that a trial from one address (300 bookings at once, the bench) is let through."""


@dataclass(frozen=True)
class Gateway:
    """`ports` by variable of the template: LISTEN_PORT, BOOKING_PORT, ... `pages` likewise: where they lie, and what they are told."""

    folder: Path
    template: Path
    ports: Mapping[str, int]
    pages: Mapping[str, str]

    def prepare(self) -> None:
        """Writes the configuration."""
        for folder in ("logs", "tmp"):
            (self.folder / folder).mkdir(parents=True, exist_ok=True)
        ports = {name: str(port) for name, port in self.ports.items()}
        values = {**RATES, **ports, **self.pages, "STATE_DIR": str(self.folder)}
        rendered = string.Template(self.template.read_text()).safe_substitute(values)  # nginx has variables of its own
        (self.folder / "nginx.conf").write_text(rendered)

    def program(self) -> Program:
        environment = base_environment(self.folder)
        nginx = shutil.which("nginx", path=environment["PATH"])
        if nginx is None:
            raise RuntimeError("nginx is not installed.")
        return Program([nginx, "-e", "stderr", "-p", f"{self.folder}/", "-c", "nginx.conf"], environment, self.folder)
