"""All processes of a sandbox, in the order in which they start."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import httpx2

from sandbox.launcher import credentials, monitoring, postgres, rabbitmq, registrations
from sandbox.launcher.credentials import SERVICES
from sandbox.launcher.home import CLONE, Home
from sandbox.launcher.nginx import Gateway
from sandbox.launcher.ports import claim, reserve
from sandbox.launcher.programs import Program, base_environment
from sandbox.launcher.services import Addresses, operator_variables, own_stripe, page_variables, service_variables
from sandbox.launcher.supervisor import Spec, Stage, Step

DEPLOY = CLONE / "deploy"
BUILT_PAGES = CLONE / "frontend" / "dist"
GATEWAY_PORT = 8080


@dataclass(frozen=True)
class Stack:
    """The parts of one sandbox. Ports are held until the process ends."""

    home: Home
    at: Addresses
    known: credentials.Credentials
    gateway_claim: socket.socket | None = None

    @classmethod
    def open(cls, home: Home) -> Stack:
        """Takes ports (those of the last time, when they are free) and reads or makes the credentials. Raises NoPortsLeft."""
        home.make()
        remembered = home.folder / "ports.json"
        block = reserve(json.loads(remembered.read_text())["base"] if remembered.exists() else None)
        remembered.write_text(json.dumps({"base": block.base}))
        gateway_claim = claim(GATEWAY_PORT)
        at = Addresses(block, block["gateway"] if gateway_claim is None else GATEWAY_PORT)
        return cls(home, at, credentials.kept(home.folder / "credentials.json"), gateway_claim)

    @cached_property
    def database_server(self) -> postgres.Server:
        room = self.home.room()
        binaries = postgres.enterable_binaries(room)
        return postgres.Server(room / "postgres", binaries, self.at.ports["postgres"], self.known.postgres_password)

    @cached_property
    def broker(self) -> rabbitmq.Node:
        folder = self.home.folder / "rabbitmq"
        return rabbitmq.Node(folder, self.at.ports, self.known.broker_passwords, DEPLOY / "rabbitmq")

    def stages(self) -> list[Stage]:
        """What starts side by side, and what is done in between."""
        return [
            Stage([self._name_server()]),
            Stage(
                [self._postgres(), self._rabbitmq(), self._stripe(), self._world()],
                [Step("migrations and broker topology", self._migrate, self.home.log("migrate"))],
            ),
            Stage(
                [self._service(name) for name in SERVICES],
                [
                    Step(
                        "CRM receiver at notification",
                        lambda: registrations.crm_endpoint(self.at),
                        self.home.log("notification"),
                    )
                ],
            ),
            # Last, so that they take nothing that still starts for something that is down.
            Stage([self._gateway(), self._watch(), *self._monitoring()]),
        ]

    @property
    def webhook_secret(self) -> str | None:
        file = self._webhook_file
        return str(json.loads(file.read_text())["secret"]) if file.exists() else None

    @property
    def _webhook_file(self) -> Path:
        return self.home.folder / "stripe-webhook.json"

    def _name_server(self) -> Spec:
        return Spec("epmd", self.broker.name_server, lambda: silent(self.at.ports["epmd"]), self.broker.prepare)

    def _postgres(self) -> Spec:
        server = self.database_server
        provision = Step("databases and roles", self._provision, self.home.log("postgres"))
        return Spec(
            "postgres",
            server.program,
            lambda: None if server.answers() else "it takes no connections",
            server.prepare,
            steps=[provision],
        )

    def _rabbitmq(self) -> Spec:
        return Spec(
            "rabbitmq",
            self.broker.program,
            lambda: None if self.broker.answers() else "it has not booted",
            self.broker.prepare,
            stop_seconds_max=30,
            url=self.broker.management_url,
            metrics=f"http://127.0.0.1:{self.at.ports['broker_metrics']}/metrics",
        )

    def _stripe(self) -> Spec:
        known, folder, url = self.known, self.home.folder / "stripe", self.at.http("stripe")
        arguments = {
            "--port": str(self.at.ports["stripe"]),
            "--state": str(folder),
            "--api-key": known.stripe_api_key,
            "--publishable-key": known.stripe_publishable_key,
        }
        account = f"{url}/v1/account"
        return Spec(
            "stripe",
            lambda: self._python("sandbox.stripe", arguments),
            lambda: refusal(account, auth=(known.stripe_api_key, "")),
            lambda: folder.mkdir(mode=0o700, exist_ok=True),
            url=url,
            steps=[Step("webhook endpoint at Stripe", self._register_at_stripe, self.home.log("stripe"))],
        )

    def _world(self) -> Spec:
        folder, ports = self.home.folder / "world", self.at.ports
        arguments = {
            "--state": str(folder),
            "--smtp-port": str(ports["smtp"]),
            "--mail-port": str(ports["mail"]),
            "--crm-port": str(ports["crm"]),
            "--issuer-port": str(ports["issuer"]),
            "--alerts-port": str(ports["alerts"]),
        }
        return Spec(
            "world",
            lambda: self._python("sandbox.world", arguments),
            lambda: silent(*(ports[name] for name in ("smtp", "mail", "crm", "issuer", "alerts"))),
            lambda: folder.mkdir(mode=0o700, exist_ok=True),
            url=self.at.http("mail"),
        )

    def _service(self, name: str) -> Spec:
        url = self.at.http(name)

        def program() -> Program:
            variables = service_variables(name, self.at, self.known, self.webhook_secret)
            credentials.write_private(self.home.environments / f"{name}.env", credentials.environment_file(variables))
            server = ["uvicorn", f"{name}.app:create_app", "--factory", "--loop", "uvloop", "--http", "httptools"]
            address = ["--no-access-log", "--host", "127.0.0.1", "--port", str(self.at.ports[name])]
            ending = ["--timeout-graceful-shutdown", "5"]  # an event stream would keep it for ever
            return Program(
                [sys.executable, "-m", *server, *address, *ending],
                {**self._environment(), **variables},
                self.home.folder,
            )

        return Spec(
            name,
            program,
            lambda: refusal(f"{url}/readyz"),
            url=url,
            metrics=f"{url}/metrics",
            early=lambda: self.home.operator_file.exists() and self.webhook_secret is not None,
        )

    def _gateway(self) -> Spec:
        ports = {
            "LISTEN_PORT": self.at.gateway_port,
            **{f"{name.upper()}_PORT": self.at.ports[name] for name in SERVICES},
        }
        pages = self.home.room() / "pages"
        variables = page_variables(self.at, self.known, pages)
        gateway = Gateway(self.home.room() / "gateway", DEPLOY / "gateway" / "nginx.conf.template", ports, variables)

        def prepare() -> None:
            gateway.prepare()
            shutil.copytree(BUILT_PAGES, pages, dirs_exist_ok=True)

        url = self.at.http("gateway")
        return Spec("gateway", gateway.program, lambda: refusal(f"{url}/api/events"), prepare, url=url)

    def _watch(self) -> Spec:
        """Nothing waits for it: it begins to look minutes later."""

        def program() -> Program:
            variables = operator_variables(self.at, self.known, self.webhook_secret)
            command = [str(Path(sys.executable).with_name("boxoffice")), "watch"]
            return Program(
                command, {**self._environment(), "BOXOFFICE_HOME": str(self.home.folder), **variables}, self.home.folder
            )

        url = self.at.http("watch")
        return Spec("watch", program, lambda: None, url=url, metrics=f"{url}/metrics")

    def _monitoring(self) -> list[Spec]:
        if not monitoring.installed():
            return []
        ports, folder = self.at.ports, self.home.folder

        def target(port: str, **labels: str) -> dict[str, object]:
            return {"targets": [f"127.0.0.1:{ports[port]}"], "labels": labels}

        prometheus = monitoring.Prometheus(
            folder / "prometheus",
            DEPLOY / "prometheus",
            ports["prometheus"],
            {
                "services": [target(name, service=name) for name in SERVICES],
                "watch": [target("watch")],
                "rabbitmq": [target("broker_metrics")],
                "alertmanager": [target("alertmanager")],
            },
            f"{self.at.http('alerts')}/runbooks",
        )
        alertmanager = monitoring.Alertmanager(
            folder / "alertmanager", DEPLOY / "alertmanager", ports["alertmanager"], self.at.http("alerts")
        )
        return [
            self._monitor("prometheus", prometheus),
            self._monitor("alertmanager", alertmanager),
        ]

    def _monitor(self, name: str, server: monitoring.Prometheus | monitoring.Alertmanager) -> Spec:
        url = self.at.http(name)
        return Spec(
            name, server.program, lambda: refusal(f"{url}/-/ready"), server.prepare, url=url, metrics=f"{url}/metrics"
        )

    def _python(self, module: str, arguments: dict[str, str]) -> Program:
        flat = [part for pair in arguments.items() for part in pair]
        return Program([sys.executable, "-m", module, *flat], self._environment(), self.home.folder)

    def _environment(self) -> dict[str, str]:
        return {**base_environment(self.home.folder), "PYTHONUNBUFFERED": "1", "BOXOFFICE_MODE": "sandbox"}

    def _provision(self) -> None:
        passwords = {f"{role}_password": password for role, password in self.known.database_passwords.items()}
        self.database_server.run_script(DEPLOY / "postgres" / "provision.sql", passwords)

    def _migrate(self) -> None:
        variables = operator_variables(self.at, self.known, self.webhook_secret)
        credentials.write_private(self.home.operator_file, credentials.environment_file(variables))
        log = self.home.log("migrate")
        with log.open("wb") as output:
            command = [str(Path(sys.executable).with_name("boxoffice")), "migrate"]
            ended = subprocess.run(  # the project's own command
                command, env={**self._environment(), **variables}, stdout=output, stderr=subprocess.STDOUT, check=False
            )
        if ended.returncode != 0:
            said = log.read_text().strip().splitlines()
            raise RuntimeError(said[-1] if said else f"it ended with {ended.returncode}")

    def _register_at_stripe(self) -> None:
        if not own_stripe(self.known, os.environ):
            registrations.stripe_endpoint(self.at, self.known, self._webhook_file)


def silent(*ports: int) -> str | None:
    """Which of the ports on 127.0.0.1 takes no connections."""
    for port in ports:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            return f"nothing listens on port {port}"
    return None


def refusal(url: str, auth: tuple[str, str] | None = None) -> str | None:
    """Why GET gives no 2xx."""
    try:
        answer = httpx2.get(url, auth=auth, timeout=3, trust_env=False)
    except httpx2.TransportError:
        return f"{url} does not answer"
    return None if answer.is_success else f"{url} answers {answer.status_code} {answer.text[:300]}"
