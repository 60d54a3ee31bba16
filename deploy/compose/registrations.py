"""What an organiser would do once by hand: tells Stripe where payment listens, or notification where the CRM system does.

python registrations.py stripe /secrets        keeps the webhook's secret for payment and the operator
python registrations.py crm
"""

from __future__ import annotations

import json
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

from sandbox.launcher import registrations
from sandbox.launcher.credentials import Credentials, kept
from sandbox.launcher.ports import Block
from sandbox.launcher.services import Addresses

PLACES = {
    "gateway": "http://gateway:8080",
    "stripe": "http://stripe:8081",
    "crm": "http://world:8083",
    "issuer": "http://world:8084",
    "notification": "http://notification:8000",
}


PORTS = Block(0, socket.socket())
"""Not asked: a container has its own."""


@dataclass(frozen=True)
class Containers(Addresses):
    """Where the parts are, by their names."""

    def http(self, name: str) -> str:
        return PLACES[name]


def main() -> None:
    """`registrations.py stripe FOLDER` or `registrations.py crm`"""
    at = Containers(PORTS, gateway_port=8080)
    if sys.argv[1] == "crm":
        registrations.crm_endpoint(at)
        return
    folder = Path(sys.argv[2])
    known: Credentials = kept(folder / "operator" / "credentials.json")
    endpoint = folder / "operator" / "stripe-webhook.json"
    registrations.stripe_endpoint(at, known, endpoint)
    secret = json.loads(endpoint.read_text())["secret"]
    for who in ("payment", "operator"):
        target = folder / who / "payment_stripe_webhook_secrets"
        target.unlink(missing_ok=True)
        target.write_text(secret)
        target.chmod(0o444)


if __name__ == "__main__":
    main()
