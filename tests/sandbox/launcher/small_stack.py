"""A supervisor over small real processes: `python small_stack.py FOLDER PORT` listens on FOLDER's control socket.

parent   serves HTTP on PORT and leaves a child behind that has left its process group
late     starts after parent
broken   is not part of `up` until FOLDER/broken exists; it ends at once
"""

from __future__ import annotations

import asyncio
import socket
import sys
from pathlib import Path

from sandbox.launcher.daemon import Daemon
from sandbox.launcher.programs import Program, base_environment
from sandbox.launcher.stack import silent
from sandbox.launcher.supervisor import Spec, Stage, Step, Supervisor, adopt_orphans

PARENT = """
import http.server, os, subprocess, sys
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"], start_new_session=True)
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), http.server.BaseHTTPRequestHandler).serve_forever()
"""
LATE = """
import signal, sys, time, pathlib
signal.signal(signal.SIGTERM, lambda *_: (pathlib.Path(sys.argv[1]).unlink(), sys.exit(0)))
pathlib.Path(sys.argv[1]).write_text("alive")
time.sleep(1000)
"""
BROKEN = "import sys; print('the roof is missing'); sys.exit(3)"


def python(folder: Path, code: str, *arguments: object) -> Program:
    return Program([sys.executable, "-u", "-c", code, *map(str, arguments)], base_environment(folder), folder)


def main() -> None:
    folder, port = Path(sys.argv[1]), int(sys.argv[2])
    mark = folder / "late.mark"

    def note() -> None:
        if silent(port):
            raise RuntimeError("the parent is not up")
        (folder / "noted").touch()

    def no_mark() -> str | None:
        return None if mark.exists() else "no mark"

    stages = [
        Stage(
            [
                Spec(
                    "parent",
                    lambda: python(folder, PARENT, port),
                    lambda: silent(port),
                    steps=[Step("own", note, folder / "note.log")],
                )
            ],
            [Step("note", note, folder / "note.log")],
        ),
        Stage(
            [
                Spec(
                    "late",
                    lambda: python(folder, LATE, mark),
                    lambda: None if mark.exists() else "no mark",
                    lambda: mark.unlink(missing_ok=True),
                )
            ]
        ),
    ]
    if (folder / "broken").exists():
        stages.append(Stage([Spec("broken", lambda: python(folder, BROKEN), lambda: "the roof")]))
    supervisor = Supervisor(stages, lambda name: folder / f"{name}.log")
    adopt_orphans()

    def describe() -> dict[str, object]:
        return {
            name: {"pid": process.pid, "state": process.state, "restarts": process.restarts}
            for name, process in supervisor.processes.items()
        }

    asyncio.run(Daemon(supervisor, describe).serve(folder))


if __name__ == "__main__":
    socket.setdefaulttimeout(5)
    main()
