"""Identifiers in Stripe's shape: a prefix and letters and digits."""

from __future__ import annotations

import os

ALPHABET = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
CHARACTER_OF_BYTE = bytes(ALPHABET[byte % len(ALPHABET)] for byte in range(256))


def new_id(prefix: str, length: int = 24) -> str:
    """`prefix`, an underscore and `length` random characters out of 62."""
    return f"{prefix}_{os.urandom(length).translate(CHARACTER_OF_BYTE).decode()}"
