"""The state folder of a stack: everything that one sandbox keeps lies here, and removing it makes a new sandbox."""

from __future__ import annotations

import os
import shlex
import stat
import tempfile
from pathlib import Path

CLONE = Path(__file__).parents[2]
VARIABLE = "BOXOFFICE_HOME"


class Home:
    """Paths. The folder is `.boxoffice` in the clone, or the one that BOXOFFICE_HOME names."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def chosen(cls) -> Home:
        return cls(Path(os.environ.get(VARIABLE) or CLONE / ".boxoffice").absolute())

    @property
    def logs(self) -> Path:
        return self.folder / "log"

    @property
    def environments(self) -> Path:
        return self.folder / "env"

    @property
    def supervisor_log(self) -> Path:
        return self.logs / "supervisor.log"

    def log(self, process: str) -> Path:
        return self.logs / f"{process}.log"

    @property
    def operator_file(self) -> Path:
        """Exports for the operator's commands, written at each start."""
        return self.environments / "operator.env"

    def operator_variables(self) -> dict[str, str]:
        """What the operator file sets; nothing before the first start."""
        if not self.operator_file.exists():
            return {}
        assignments = (shlex.split(line)[1] for line in self.operator_file.read_text().splitlines())
        return dict(assignment.split("=", 1) for assignment in assignments)

    def make(self) -> None:
        """Makes the folders. Others may pass through to reach what runs as another user, but read nothing."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o711)
        for private in (self.logs, self.environments):
            private.mkdir(exist_ok=True)
            private.chmod(0o700)

    def room(self) -> Path:
        """Where programs that run as another user keep their files: here, or below /var/tmp when they could not get in here.

        Only root starts programs as another user. The place below /var/tmp is made once and remembered.
        """
        if os.geteuid() != 0 or enterable(self.folder):
            return self.folder
        remembered = self.folder / "room"
        if remembered.exists() and (room := Path(remembered.read_text())).is_dir() and room.owner() == "root":
            return room
        room = Path(tempfile.mkdtemp(prefix="boxoffice-", dir="/var/tmp"))  # mkdtemp makes it private to us
        room.chmod(0o711)
        remembered.write_text(str(room))
        return room


def enterable(path: Path) -> bool:
    """Every user may enter `path` and all folders above it."""
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in (path, *path.parents))
