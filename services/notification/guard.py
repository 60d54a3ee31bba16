"""Where a webhook may go. Whoever registers an endpoint chooses its address, so it must never lead into our own network.

An address is judged when it is registered and again at each call, by what its name resolves to at that moment, and the call goes to the
very address that was judged: a name that changes its mind in between gains nothing.
"""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass
from typing import Protocol

import httpx2
from chassis.errors import Invalid

from notification.addresses import is_public

LONGEST_URL = 2000
PORTS = frozenset({443, 8443})
_DEFAULT_PORTS = {"https": 443, "http": 80}


class Resolver(Protocol):
    """Turns a host's name into addresses; a port, so that tests can resolve as an attacker would."""

    async def addresses(self, host: str, port: int, /) -> list[str]:
        """Every address of `host`. Raises OSError or UnicodeError where there is none."""
        ...


class SystemResolver:
    """The machine's resolver."""

    async def addresses(self, host: str, port: int, /) -> list[str]:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))


@dataclass(frozen=True)
class Target:
    """An address that may be called: `url` as registered, `addresses` as resolved and judged just now."""

    url: httpx2.URL
    addresses: tuple[str, ...]


class Guard:
    """Judges webhook addresses. `allowed_hosts` (host:port) are exempt from the rules on scheme, port and address: a sandbox's own."""

    def __init__(self, allowed_hosts: frozenset[str], resolver: Resolver) -> None:
        self._allowed_hosts = allowed_hosts
        self._resolver = resolver

    async def judge(self, text: str) -> Target:
        """The target, if every address of its host is public. Raises Invalid, also when the name cannot be resolved.

        The sentence is the same for what does not exist and what is internal: it must not tell who asks what our network holds.
        """
        url, exempt = self._read(text)
        port = _port(url)
        try:
            addresses = await self._resolver.addresses(url.host, port)
        except (OSError, UnicodeError):
            addresses = []
        if not addresses or not (exempt or all(is_public(address) for address in addresses)):
            raise Invalid("url", "its host has no address that is public")
        return Target(url, tuple(addresses))

    def _read(self, text: str) -> tuple[httpx2.URL, bool]:
        if len(text) > LONGEST_URL or not text.isprintable() or " " in text:
            raise Invalid("url", f"must be an address of at most {LONGEST_URL} visible characters")
        try:
            url = httpx2.URL(text)
        except (httpx2.InvalidURL, ValueError):
            raise Invalid("url", "is not an address") from None
        if url.scheme not in _DEFAULT_PORTS or not url.host:
            raise Invalid("url", "must begin with https:// and name a host")
        if url.userinfo or url.fragment:
            raise Invalid("url", "must hold neither credentials nor a fragment")
        exempt = f"{url.host}:{_port(url)}".lower() in self._allowed_hosts
        if not exempt and url.scheme != "https":
            raise Invalid("url", "must begin with https://")
        if not exempt and _port(url) not in PORTS:
            raise Invalid("url", "must use port 443 or 8443")
        return url, exempt


def _port(url: httpx2.URL) -> int:
    return url.port or _DEFAULT_PORTS[url.scheme]
