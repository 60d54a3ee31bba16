"""Identifiers in Stripe's shape: a prefix and letters and digits."""

from __future__ import annotations

import os

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def new_id(prefix: str, length: int = 24) -> str:
    """`prefix`, an underscore and `length` random characters out of 62."""
    number = int.from_bytes(os.urandom(length))
    characters = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        characters.append(ALPHABET[digit])
    return f"{prefix}_{''.join(characters)}"
