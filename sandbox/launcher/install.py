"""What the sandbox needs from the system, what it can do without (Prometheus and Alertmanager), and the browser that tests drive."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sandbox.launcher import monitoring, rabbitmq
from sandbox.launcher.programs import base_environment

POLICY = Path("/usr/sbin/policy-rc.d")
Report = Callable[[str], None]
TOLD_EVERY_SECONDS = 5
TRIED = Path(sys.prefix) / ".monitoring-tried"
"""Once in an environment: where apt cannot be reached, trying again would hold up every start."""


class NotInstalled(RuntimeError):
    """Something is missing and could not be installed; the message says what to run."""


def ensure(report: Report) -> None:
    """Installs what is missing with apt when we are root. Raises NotInstalled with the command to run otherwise.

    Of what the sandbox can do without it is only told that it is not there.
    """
    needed, useful = missing(), monitoring.missing()
    packages = needed + useful
    if not packages:
        return
    command = f"apt-get install -y --no-install-recommends {' '.join(packages)}"
    if needed and not _may_install():
        raise NotInstalled(f"{' and '.join(needed)} are needed and not installed. Run: sudo {command}")
    if _may_install() and (needed or not TRIED.exists()):
        _install(packages, report, must_succeed=bool(needed))
    if missing():
        raise NotInstalled(f"{' and '.join(missing())} are still missing after: {command}")
    if useful := monitoring.missing():
        TRIED.touch()
        report(f"without {' and '.join(useful)} nothing is measured and no alert is sent. Run: sudo {command}")


def ensure_browser(report: Report) -> None:
    """The same for the browser that tests drive."""
    if not (packages := missing_browser()):
        return
    command = f"apt-get install -y --no-install-recommends {' '.join(packages)}"
    if not _may_install():
        raise NotInstalled(f"{' and '.join(packages)} is not installed. Run: sudo {command}")
    _install(packages, report, must_succeed=True)
    if missing_browser():
        raise NotInstalled(f"{' and '.join(packages)} is still missing after: {command}")


def _may_install() -> bool:
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def _install(packages: list[str], report: Report, *, must_succeed: bool) -> None:
    with no_service_starts():
        # One stale source is no obstacle.
        _apt(["update", "-qq"], "reading the package lists (apt)", report, must_succeed=False)
        arguments = ["install", "-y", "-q", "--no-install-recommends", *packages]
        _apt(arguments, f"installing {' and '.join(packages)} (apt)", report, must_succeed=must_succeed)


def missing() -> list[str]:
    """Names of Debian packages."""
    path = base_environment(Path("/"))["PATH"]
    packages = []
    if not rabbitmq.installed() or shutil.which("epmd", path=path) is None:
        packages.append("rabbitmq-server")
    if shutil.which("nginx", path=path) is None:
        packages.append("nginx-light")
    return packages


def missing_browser() -> list[str]:
    """Names of Debian packages."""
    return [] if shutil.which("chromium") else ["chromium"]


@contextmanager
def no_service_starts() -> Iterator[None]:
    """A server package starts its service when it is installed, unless this file says no. A file that is there already is left alone."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()


def _apt(arguments: list[str], doing: str, report: Report, *, must_succeed: bool) -> None:
    began, told = time.monotonic(), 0.0
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(  # fixed arguments
            ["apt-get", "-o", "DPkg::Lock::Timeout=300", *arguments],
            env={**base_environment(Path("/root")), **_proxies(), "DEBIAN_FRONTEND": "noninteractive"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        while process.returncode is None:
            passed = time.monotonic() - began
            if passed - told >= TOLD_EVERY_SECONDS:
                report(f"{doing} ... {passed:.0f} s")
                told = passed
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.5)
        output.seek(0)
        if process.returncode != 0 and must_succeed:
            raise NotInstalled(f"{doing} failed: {output.read().strip()[-1000:]}")
    report(f"{doing}: done ({time.monotonic() - began:.0f} s)")


def _proxies() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}


def main() -> None:
    """`python -m sandbox.launcher.install`: what tests need, too."""
    try:
        ensure(lambda sentence: print(f"  {sentence}", file=sys.stderr, flush=True))
    except NotInstalled as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
