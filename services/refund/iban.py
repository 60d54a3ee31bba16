"""Account numbers as ISO 13616 writes them."""

from __future__ import annotations

import re

_FORM = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}")


def is_iban(text: str) -> bool:
    """Whether country, length and check digits (ISO 7064, mod 97-10) fit. Takes capitals without blanks."""
    if not _FORM.fullmatch(text):
        return False
    digits = "".join(str(int(char, 36)) for char in text[4:] + text[:4])
    return int(digits) % 97 == 1
