"""A block of TCP ports on loopback that belongs to one stack for as long as its supervisor lives.

The first port of a block is its lock: whoever has bound it owns the rest. The kernel gives it back when the owner dies, and it
works between users too, which a lock file in a shared folder would not.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass

NAMES = (
    "lock",
    "gateway",
    "booking",
    "payment",
    "refund",
    "notification",
    "stripe",
    "smtp",
    "mail",
    "crm",
    "issuer",
    "postgres",
    "amqp",
    "management",
    "broker_metrics",
    "distribution",
    "epmd",
    "alerts",
    "watch",
    "prometheus",
    "alertmanager",
)
SIZE = 32
FIRST, LAST = 21_000, 31_000
"""Below 32768, where Linux begins to hand out ports to outgoing connections."""


class NoPortsLeft(RuntimeError):
    """Every block is taken."""


@dataclass(frozen=True)
class Block:
    """Ports by name. Close `lock` to give them back."""

    base: int
    lock: socket.socket

    def __getitem__(self, name: str) -> int:
        return self.base + NAMES.index(name)


def reserve(preferred: int | None = None) -> Block:
    """The block at `preferred` when it is free, else the first free one. Raises NoPortsLeft."""
    for base in _bases(preferred):
        lock = _bound(base)
        if lock is None:
            continue
        if all(is_free(base + offset) for offset in range(1, len(NAMES))):
            return Block(base, lock)
        lock.close()
    raise NoPortsLeft(f"No {SIZE} consecutive free ports between {FIRST} and {LAST} on 127.0.0.1.")


def is_free(port: int) -> bool:
    """Nobody listens on 127.0.0.1:`port`. Connections of the past that linger there do not count."""
    probe = _bound(port)
    if probe is None:
        return False
    probe.close()
    return True


def _bases(preferred: int | None) -> Iterator[int]:
    if preferred is not None:
        yield preferred
    yield from (base for base in range(FIRST, LAST, SIZE) if base != preferred)


def _bound(port: int) -> socket.socket | None:
    """Listening, as two sockets with SO_REUSEADDR may both bind a port on which neither listens."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(("127.0.0.1", port))
        bound.listen(1)
    except OSError:
        bound.close()
        return None
    return bound


def claim(port: int) -> socket.socket | None:
    """A claim on a well-known `port` among supervisors, or None when it is in use or another has claimed it. Close it to let go.

    The name is abstract: it lives in the kernel and dies with its owner. The port itself stays free for the server to bind.
    """
    claimed = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        claimed.bind(f"\0boxoffice-port-{port}")
    except OSError:
        claimed.close()
        return None
    if not is_free(port):
        claimed.close()
        return None
    return claimed
