"""The sandbox's part of the `boxoffice` command."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from typing import Annotated, Any, NoReturn

import httpx2
import typer

from sandbox.launcher import control, install
from sandbox.launcher.home import VARIABLE, Home
from sandbox.launcher.programs import has_ended

commands = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)

DAEMON_SECONDS_MAX = 20.0


def _know_the_sandbox() -> dict[str, str]:
    """Sets the operator's variables of the sandbox where none is set, and returns what it set."""
    if any(name.startswith("OPS_") for name in os.environ):
        return {}
    known = {name: value for name, value in Home.chosen().operator_variables().items() if name not in os.environ}
    os.environ.update(known)
    return known


# `boxoffice` loads this module before it runs a command. Without this, migrate, verify and the like would have to be told
# where the sandbox of this clone is.
ADOPTED = _know_the_sandbox()

Process = Annotated[str, typer.Argument(help="Its name in `boxoffice status`.")]


@commands.command()
def up() -> None:
    """Start what does not run, in the background."""
    began = time.monotonic()
    home = Home.chosen()
    try:
        install.ensure(_say)
        found = _ask_or_launch(home)
    except install.NotInstalled as error:
        _fail(str(error))
    _say(f"up after {time.monotonic() - began:.1f} s")
    _print_addresses(found)


@commands.command()
def down() -> None:
    """Stop everything and leave no process behind."""
    home = Home.chosen()
    try:
        _end(home)
    except (control.NotRunning, FileNotFoundError):
        _say("nothing is running")


@commands.command()
def status(
    *, as_json: Annotated[bool, typer.Option("--json", help="Every address, credential and process id.")] = False
) -> None:
    """Show what runs and where."""
    found = _asked({"do": "status"})
    if as_json:
        print(json.dumps(found, indent=2))
        return
    _print_addresses(found)
    for name, process in found["processes"].items():
        print(
            f"{name:<14} {process['state']:<9} {process['pid'] or '-':>8}  restarts {process['restarts']:<4} {process['log']}"
        )


@commands.command()
def start(process: Process) -> None:
    """Start one process and wait until it is ready."""
    _asked({"do": "start", "process": process})


@commands.command()
def stop(process: Process) -> None:
    """Stop one process; it stays down until `start` or `up`."""
    _asked({"do": "stop", "process": process})


@commands.command()
def restart(process: Process) -> None:
    """Stop one process and start it again."""
    _asked({"do": "restart", "process": process})


@commands.command()
def kill(process: Process) -> None:
    """Kill one process (-9), as a fault; the supervisor starts it again."""
    _asked({"do": "kill", "process": process})


@commands.command()
def logs(process: Process, lines: Annotated[int, typer.Option(help="How many of the last lines.")] = 50) -> None:
    """Print the end of a process's log."""
    log = Home.chosen().log(process)
    if not log.exists():
        _fail(f"There is no log {log}.")
    print("\n".join(log.read_text(errors="replace").splitlines()[-lines:]))


@commands.command()
def env() -> None:
    """Print the operator's variables as exports: eval "$(boxoffice env)"."""
    file = Home.chosen().operator_file
    if not file.exists():
        _fail("There is no stack yet; run `boxoffice up` first.")
    print(file.read_text(), end="")


@commands.command()
def token(
    role: Annotated[str, typer.Option(help="viewer, refunder or manager.")],
    subject: Annotated[str, typer.Option(help="Who signs in.")] = "sandbox-staff",
) -> None:
    """Print a staff token from the sandbox's sign-in."""
    issuer = _asked({"do": "status"})["issuer"]
    answer = httpx2.post(f"{issuer}/token", data={"role": role, "sub": subject}, timeout=10, trust_env=False)
    if not answer.is_success:
        _fail(f"The sign-in answered {answer.status_code}: {answer.text}")
    print(answer.json()["access_token"])


@commands.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def story(context: typer.Context) -> None:
    """Play one booking from seat to confirmed to refunded against the running stack."""
    raise typer.Exit(subprocess.run([sys.executable, "-m", "sandbox.story", *context.args], check=False).returncode)


def _ask_or_launch(home: Home) -> dict[str, Any]:
    home.make()
    request = {"do": "up"}
    try:
        return _ask(home, request)
    except control.NotRunning:
        _launch(home)
    return _ask(home, request)


def _launch(home: Home) -> None:
    """Starts the supervisor and waits until it answers."""
    with home.supervisor_log.open("ab") as log:
        daemon = subprocess.Popen(
            [sys.executable, "-m", "sandbox.launcher.daemon"],
            cwd=home.folder,
            env={name: value for name, value in os.environ.items() if name not in ADOPTED}
            | {VARIABLE: str(home.folder)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    deadline = time.monotonic() + DAEMON_SECONDS_MAX
    while time.monotonic() < deadline:
        try:
            control.ask(home.folder, {"do": "status"}, _say)
        except control.NotRunning:
            if daemon.poll() is not None:
                break
            time.sleep(0.05)
        else:
            return
    _fail("The supervisor did not start.", str(home.supervisor_log))


def _end(home: Home) -> None:
    pid = control.ask(home.folder, {"do": "status"}, _say)["supervisor"]
    control.ask(home.folder, {"do": "down"}, _say)
    while not has_ended(pid):
        time.sleep(0.02)


def _asked(request: dict[str, str]) -> dict[str, Any]:
    home = Home.chosen()
    try:
        return _ask(home, request)
    except (control.NotRunning, FileNotFoundError):
        _fail("Nothing is running; start it with `boxoffice up`.")


def _ask(home: Home, request: dict[str, str]) -> dict[str, Any]:
    try:
        return control.ask(home.folder, request, _say)
    except control.Refused as error:
        _fail(str(error), error.log)


def _print_addresses(found: dict[str, Any]) -> None:
    print(f"gateway          {found['gateway']}")
    print(f"Stripe stand-in  {found['stripe_sandbox']}")
    print(f"mails            {found['mail']}")
    print(f"CRM receiver     {found['crm']}")
    print(f"RabbitMQ         {found['rabbitmq']['management']}")
    print(f"alerts           {found['alerts']}")
    print(
        f"Prometheus       {found['prometheus'] or 'not installed: apt-get install prometheus prometheus-alertmanager'}"
    )
    if found["alertmanager"]:
        print(f"Alertmanager     {found['alertmanager']}")
    print(f"staff token      {shlex.join(shlex.split(found['staff_token_command']))}")


def _say(sentence: str) -> None:
    print(f"  {sentence}", file=sys.stderr, flush=True)


def _fail(sentence: str, log: str | None = None) -> NoReturn:
    print(sentence, file=sys.stderr)
    if log is not None:
        print(f"Its log: {log}", file=sys.stderr)
    raise typer.Exit(1)


if __name__ == "__main__":
    commands()
