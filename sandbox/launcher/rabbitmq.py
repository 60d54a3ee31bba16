"""One RabbitMQ node with its own epmd, from the system's package, private to its folder and to loopback."""

from __future__ import annotations

import base64
import hashlib
import secrets
import string
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx2

from sandbox.launcher.ports import Block
from sandbox.launcher.programs import Program, base_environment

SERVICES = ("booking", "payment", "refund", "notification")
ADMIN = "admin"
VHOST = "boxoffice"
SCRIPTS = Path("/usr/lib/rabbitmq/lib")


class RabbitFailed(RuntimeError):
    """The node is not installed, or did not answer as it should."""


@dataclass(frozen=True)
class Node:
    """`passwords` by user: admin and the four services. `deploy` is the folder with the templates."""

    folder: Path
    ports: Block
    passwords: Mapping[str, str]
    deploy: Path

    @property
    def management_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['management']}"

    def url(self, user: str, vhost: str = VHOST) -> str:
        """An AMQP address with the user's password in it."""
        return f"amqp://{user}:{self.passwords[user]}@127.0.0.1:{self.ports['amqp']}/{vhost}?heartbeat=10"

    def prepare(self) -> None:
        """Writes the node's configuration. Its data folder `mnesia` may be missing: the node makes a new one."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        definitions = self.folder / "definitions.json"
        hashes = {f"{user.upper()}_PASSWORD_HASH": hashed(password) for user, password in self.passwords.items()}
        _render(self.deploy / "definitions.json.template", definitions, hashes)
        definitions.chmod(0o600)
        config = self.folder / "rabbitmq.conf"
        _render(self.deploy / "rabbitmq.conf.template", config, {"DEFINITIONS": str(definitions)})
        with config.open("a") as more:
            more.write(
                f"listeners.tcp.default = 127.0.0.1:{self.ports['amqp']}\n"
                f"management.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {self.ports['management']}\n"
                f"prometheus.tcp.ip = 127.0.0.1\nprometheus.tcp.port = {self.ports['broker_metrics']}\n"
            )
        (self.folder / "enabled_plugins").write_text((self.deploy / "enabled_plugins").read_text())

    def program(self) -> Program:
        """The package's own script, not the wrapper in /usr/sbin: that one switches to the system's node and user.

        With RABBITMQ_ALLOW_INPUT the script becomes the Erlang machine instead of waiting for it, so the process id is the node's.
        """
        return Program(
            argv=[str(server_script()), "-noinput"],
            env={
                **self._environment(),
                "RABBITMQ_ALLOW_INPUT": "1",
                "RABBITMQ_BASE": str(self.folder),
                "RABBITMQ_CONF_ENV_FILE": "/dev/null",
                "RABBITMQ_NODENAME": f"rabbit{self.ports['amqp']}@localhost",
                "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
                "RABBITMQ_LOG_BASE": str(self.folder / "log"),
                "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
                "RABBITMQ_ADVANCED_CONFIG_FILE": str(self.folder / "advanced.config"),
                "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "enabled_plugins"),
                "RABBITMQ_GENERATED_CONFIG_DIR": str(self.folder / "generated"),
                "RABBITMQ_SCHEMA_DIR": str(self.folder / "schema"),
                "RABBITMQ_PID_FILE": str(self.folder / "rabbit.pid"),
                "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
                "RABBITMQ_NODE_PORT": str(self.ports["amqp"]),
                "RABBITMQ_DIST_PORT": str(self.ports["distribution"]),
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1} +S 2:2 +A 8 +sbwt none",
            },
            cwd=self.folder,
        )

    def name_server(self) -> Program:
        """The node's own epmd, in the foreground. Without it the node would start one that outlives it."""
        return Program(
            argv=["epmd", "-port", str(self.ports["epmd"]), "-address", "127.0.0.1"],
            env=self._environment(),
            cwd=self.folder,
        )

    def answers(self) -> bool:
        """Booted: management lists the virtual host as running, and the AMQP port listens."""
        try:
            with self.management() as management:
                vhost = management.get(f"/api/vhosts/{VHOST}")
                health = management.get(f"/api/health/checks/port-listener/{self.ports['amqp']}")
        except httpx2.TransportError:
            return False
        return health.is_success and vhost.is_success and "running" in vhost.json().get("cluster_state", {}).values()

    def management(self) -> httpx2.Client:
        """A client of the management API, signed in as the administrator."""
        return httpx2.Client(
            base_url=self.management_url, auth=(ADMIN, self.passwords[ADMIN]), timeout=10, trust_env=False
        )

    def _environment(self) -> dict[str, str]:
        return {  # HOME decides where the Erlang cookie lies
            **base_environment(self.folder),
            "ERL_EPMD_PORT": str(self.ports["epmd"]),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
        }


def server_script() -> Path:
    """The start script of the newest installed RabbitMQ. Raises RabbitFailed when there is none."""
    found = sorted(SCRIPTS.glob("rabbitmq_server-*/sbin/rabbitmq-server"))
    if not found:
        raise RabbitFailed("RabbitMQ is not installed.")
    return found[-1]


def installed() -> bool:
    return any(SCRIPTS.glob("rabbitmq_server-*/sbin/rabbitmq-server"))


def version() -> str:
    """For example 3.10.8, from the folder's name."""
    return server_script().parents[1].name.partition("-")[2]


def hashed(password: str) -> str:
    """As RabbitMQ stores it: base64(salt + SHA-256(salt + password)), 4 bytes of salt (rabbitmq.com/docs/passwords)."""
    salt = secrets.token_bytes(4)
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


def _render(template: Path, target: Path, values: Mapping[str, str]) -> None:
    target.write_text(string.Template(template.read_text()).substitute(values))
