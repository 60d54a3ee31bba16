"""What the command line and the supervisor say to each other: JSON lines over a socket in the state folder.

The caller sends one request, {"do": "up"} or {"do": "stop", "process": "booking"}. The supervisor answers with any number of
{"progress": sentence} and one last line: {"done": {...}} or {"failed": sentence, "log": path}.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SOCKET = "supervisor.sock"


class NotRunning(RuntimeError):
    """No supervisor answers."""


class Refused(RuntimeError):
    """The supervisor could not do what it was asked; `log` is the file that says more."""

    def __init__(self, sentence: str, log: str | None) -> None:
        super().__init__(sentence)
        self.log = log


def ask(folder: Path, request: dict[str, str], progress: Callable[[str], None]) -> dict[str, Any]:
    """What the supervisor answers at the end. Raises NotRunning or Refused."""
    with _connected(folder) as connection, connection.makefile("rw") as lines:
        lines.write(json.dumps(request) + "\n")
        lines.flush()
        for line in lines:
            answer: dict[str, Any] = json.loads(line)
            if "progress" in answer:
                progress(answer["progress"])
            elif "failed" in answer:
                raise Refused(answer["failed"], answer.get("log"))
            else:
                done: dict[str, Any] = answer["done"]
                return done
    raise NotRunning("The supervisor went away before it answered.")


def listening(folder: Path) -> socket.socket:
    """The supervisor's end."""
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with _short(folder) as name:
        Path(name).unlink(missing_ok=True)
        server.bind(name)
        Path(name).chmod(0o600)
    server.listen()
    return server


@contextmanager
def _connected(folder: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        try:
            with _short(folder) as name:
                client.connect(name)
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise NotRunning("Nothing is running.") from error
        yield client


@contextmanager
def _short(folder: Path) -> Iterator[str]:
    """A name for the socket below 108 bytes, which is all that the kernel takes, however deep the folder lies."""
    opened = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{opened}/{SOCKET}"
    finally:
        os.close(opened)
