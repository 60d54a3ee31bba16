"""Every address, credential and process id of a stack, for tests from outside."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from sandbox.launcher.credentials import SERVICES
from sandbox.launcher.services import staff_token_command
from sandbox.launcher.stack import Stack
from sandbox.launcher.supervisor import Supervised


def status(stack: Stack, processes: Mapping[str, Supervised]) -> dict[str, Any]:
    """As `boxoffice status --json` prints it."""
    at, known = stack.at, stack.known
    owners = {service: f"{service}_owner" for service in SERVICES}
    return {
        "gateway": at.http("gateway"),
        "stripe_sandbox": at.http("stripe"),
        "stripe_api_key": known.stripe_api_key,
        "stripe_publishable_key": known.stripe_publishable_key,
        "mail": at.http("mail"),
        "crm": at.http("crm"),
        "issuer": at.http("issuer"),
        "alerts": at.http("alerts"),
        "prometheus": at.http("prometheus") if "prometheus" in processes else None,
        "alertmanager": at.http("alertmanager") if "alertmanager" in processes else None,
        "rabbitmq": {
            "amqp": at.broker("admin", known.broker_passwords["admin"]),
            "management": at.http("management"),
            "user": "admin",
            "password": known.broker_passwords["admin"],
            "vhost": "boxoffice",
            "data": str(stack.broker.folder / "mnesia"),
        },
        "databases": {
            service: at.database(service, role, known.database_passwords[role]) for service, role in owners.items()
        },
        "postgres": {"url": stack.database_server.url(), "data": str(stack.database_server.folder / "data")},
        "processes": {name: _process(process) for name, process in processes.items()},
        "staff_token_command": staff_token_command(),
        "supervisor": os.getpid(),
        "home": str(stack.home.folder),
    }


def _process(process: Supervised) -> dict[str, Any]:
    return {
        "state": process.state,
        "pid": process.pid,
        "url": process.spec.url,
        "metrics": process.spec.metrics,
        "log": str(process.log),
        "restarts": process.restarts,
    }
