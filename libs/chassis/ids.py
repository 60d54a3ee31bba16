"""The only source of ids and randomness, so that tests and a simulator can bring their own."""

from __future__ import annotations

import os
import secrets
from datetime import datetime
from typing import Protocol
from uuid import UUID


class Ids(Protocol):
    """Makes ids that nobody else makes."""

    def uuid7(self, now: datetime) -> UUID:
        """A UUIDv7 (RFC 9562, 5.7): ordered by `now`, not secret."""
        ...

    def secret(self) -> str:
        """128 random bits as 26 letters and digits that are easy to read out: ticket codes, guest links."""
        ...


ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: no I, L, O or U to misread."""


class SystemIds:
    """Ids from the operating system's random numbers."""

    def uuid7(self, now: datetime) -> UUID:
        millis = int(now.timestamp() * 1000)
        random = int.from_bytes(os.urandom(10))
        return UUID(int=millis << 80 | 0x7 << 76 | (random >> 68 << 64) | 0b10 << 62 | random & (1 << 62) - 1)

    def secret(self) -> str:
        number = secrets.randbits(128)
        return "".join(ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))
