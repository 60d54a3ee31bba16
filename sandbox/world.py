"""The outside world on a laptop, in one process: a mail catcher, a CRM receiver, a sign-in issuer and a receiver of alerts.

    python -m sandbox.world --state DIR --smtp-port A --mail-port B --crm-port C --issuer-port D --alerts-port E

Everything listens on 127.0.0.1 only, unless --host names another address: in a container, of which nothing is reached but published ports.
What was received is kept in DIR and outlives any crash. Production mode is refused: the issuer gives any role to anybody.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import uvicorn
from chassis.clock import SystemClock
from chassis.ids import SystemIds
from starlette.types import ASGIApp, Receive, Scope, Send

from sandbox import alerts, crm, issuer, mail

HOST = "127.0.0.1"


class ByPort:
    """One server for several applications: the port that was called decides."""

    def __init__(self, apps: Mapping[int, ASGIApp]) -> None:
        self._apps = apps

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._apps[scope["server"][1]](scope, receive, send)


async def run(
    state: Path,
    *,
    smtp_port: int,
    mail_port: int,
    crm_port: int,
    issuer_port: int,
    alerts_port: int,
    host: str,
    issuer_url: str | None,
) -> None:
    """Until a signal says otherwise. Raises OSError where a port is taken or the folder cannot be written."""
    clock = SystemClock()
    mail_switch = mail.new_switch()
    mails = mail.Mails(state / "mail.sqlite3", clock, SystemIds())
    smtp = mail.SmtpServer(mails, mail_switch, smtp_port, host)
    deliveries = crm.Deliveries(state / "crm.sqlite3", clock)
    sign_in = issuer.Issuer(issuer_url or f"http://{host}:{issuer_port}", issuer.Keys(state / "issuer.json"), clock)
    apps: dict[int, ASGIApp] = {
        mail_port: mail.create_app(mails, smtp, mail_switch, smtp_port),
        crm_port: crm.create_app(deliveries, crm.new_switch(), crm_port),
        issuer_port: issuer.create_app(sign_in),
        alerts_port: alerts.create_app(alerts.Alerts(state / "alerts.sqlite3", clock), alerts_port),
    }
    sockets = [_bound(host, port) for port in apps]
    await smtp.obey()
    config = uvicorn.Config(
        ByPort(apps), lifespan="off", log_level="warning", access_log=False, timeout_graceful_shutdown=2
    )
    await uvicorn.Server(config).serve(sockets)


def _bound(host: str, port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise OSError(f"port {port} on {host} cannot be had: {os.strerror(error.errno or 0)}") from None
    return bound


def main() -> None:
    if os.environ.get("BOXOFFICE_MODE") != "sandbox":
        sys.exit("BOXOFFICE_MODE is not sandbox: the outside world of the sandbox does not start.")
    parser = argparse.ArgumentParser(prog="python -m sandbox.world", allow_abbrev=False)
    parser.add_argument("--state", type=Path, required=True, help="folder that keeps what was received")
    for name in ("smtp", "mail", "crm", "issuer", "alerts"):
        parser.add_argument(f"--{name}-port", type=int, required=True, metavar="PORT")
    parser.add_argument("--host", default=HOST, help="address to listen on (default: %(default)s)")
    parser.add_argument(
        "--issuer-url", help="what tokens name as their issuer, when browsers find it at another address"
    )
    arguments = parser.parse_args()
    os.umask(0o077)  # mails and keys are for this user alone
    # The library's warnings quote commands, and so addresses.
    logging.getLogger("mail.log").setLevel(logging.ERROR)
    arguments.state.mkdir(parents=True, exist_ok=True)
    with suppress(KeyboardInterrupt):
        try:
            asyncio.run(run(**vars(arguments)))
        except OSError as error:
            sys.exit(f"The outside world cannot start: {error}")


if __name__ == "__main__":
    main()
