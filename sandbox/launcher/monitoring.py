"""Prometheus and Alertmanager: the configuration of deploy/, with the sandbox's addresses and with times that a person can wait for.

Neither is needed: where they are not installed the sandbox runs without them.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sandbox.launcher.programs import Program, base_environment

PROGRAMS = {"prometheus": "prometheus", "alertmanager": "prometheus-alertmanager"}
"""What the Debian packages of the same names call their programs."""

_IN_MINUTES = re.compile(r"\[\d+m\]")
_FOR = re.compile(r"^(\s+(?:keep_firing_)?for: )\S+$", re.MULTILINE)
_RUNBOOK = re.compile(r"^(\s+runbook: )docs/runbooks/", re.MULTILINE)
_RECEIVER = "http://alert-receiver:9099"


def installed() -> bool:
    """Whether both programs are there."""
    return not missing()


def missing() -> list[str]:
    """Debian packages that are not installed."""
    path = base_environment(Path("/"))["PATH"]
    return [
        {"alertmanager": "prometheus-alertmanager"}.get(name, name)
        for name, program in PROGRAMS.items()
        if shutil.which(program, path=path) is None
    ]


@dataclass(frozen=True)
class Prometheus:
    """`targets` by the name of their file in deploy/prometheus/targets: who is asked, with the labels that they get.

    `runbooks` is where the pages of docs/runbooks open.
    """

    folder: Path
    deploy: Path
    port: int
    targets: Mapping[str, list[dict[str, object]]]
    runbooks: str

    def prepare(self) -> None:
        """Writes configuration, rules and targets."""
        for name in ("rules", "targets"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        config = (self.deploy / "prometheus.yml").read_text()
        (self.folder / "prometheus.yml").write_text(config.replace("_interval: 15s", "_interval: 5s"))
        for rules in (self.deploy / "rules").glob("*.yml"):
            text = hurried(rules.read_text(), windows=rules.stem == "alerts")
            (self.folder / "rules" / rules.name).write_text(_RUNBOOK.sub(rf"\g<1>{self.runbooks}/", text))
        for name, groups in self.targets.items():
            (self.folder / "targets" / f"{name}.json").write_text(json.dumps(groups))

    def program(self) -> Program:
        return Program(
            [
                _found("prometheus"),
                f"--config.file={self.folder}/prometheus.yml",
                f"--storage.tsdb.path={self.folder}/data",
                "--storage.tsdb.retention.time=3d",
                "--enable-feature=exemplar-storage",
                f"--web.listen-address=127.0.0.1:{self.port}",
                "--log.level=warn",
            ],
            base_environment(self.folder),
            self.folder,
        )


@dataclass(frozen=True)
class Alertmanager:
    """`receiver` is where alerts go."""

    folder: Path
    deploy: Path
    port: int
    receiver: str

    def prepare(self) -> None:
        """Writes the configuration."""
        self.folder.mkdir(parents=True, exist_ok=True)
        config = (self.deploy / "alertmanager.yml").read_text().replace(_RECEIVER, self.receiver)
        config = config.replace("group_wait: 30s", "group_wait: 1s").replace("group_interval: 5m", "group_interval: 5s")
        (self.folder / "alertmanager.yml").write_text(config)

    def program(self) -> Program:
        return Program(
            [
                _found("alertmanager"),
                f"--config.file={self.folder}/alertmanager.yml",
                f"--storage.path={self.folder}/data",
                f"--web.listen-address=127.0.0.1:{self.port}",
                "--cluster.listen-address=",  # no gossip: it is alone
                "--log.level=warn",
            ],
            base_environment(self.folder),
            self.folder,
        )


def hurried(rules: str, *, windows: bool) -> str:
    """Rules that fire after 15 s. With `windows` those in minutes look back one minute; hours and days stay."""
    shorter = _FOR.sub(r"\g<1>15s", rules)
    return _IN_MINUTES.sub("[1m]", shorter) if windows else shorter


def _found(name: str) -> str:
    program = shutil.which(PROGRAMS[name], path=base_environment(Path("/"))["PATH"])
    if program is None:
        raise RuntimeError(f"{PROGRAMS[name]} is not installed.")
    return program
