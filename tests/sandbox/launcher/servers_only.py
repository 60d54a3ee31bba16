"""The supervisor of a stack without its Python processes: the real PostgreSQL and RabbitMQ of the home that BOXOFFICE_HOME names."""

from __future__ import annotations

import asyncio

from sandbox.launcher.daemon import Daemon
from sandbox.launcher.home import Home
from sandbox.launcher.stack import Stack
from sandbox.launcher.status import status
from sandbox.launcher.supervisor import Stage, Supervisor, adopt_orphans

SERVERS = {"epmd", "postgres", "rabbitmq"}


def main() -> None:
    home = Home.chosen()
    stack = Stack.open(home)
    stages = [Stage([spec for spec in stage.specs if spec.name in SERVERS]) for stage in stack.stages()]
    supervisor = Supervisor(stages, home.log)
    adopt_orphans()
    asyncio.run(Daemon(supervisor, lambda: status(stack, supervisor.processes)).serve(home.folder))


if __name__ == "__main__":
    main()
