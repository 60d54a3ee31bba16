"""The words of a name by which a booking is found, and the ticket code that somebody reads out.

Pure. Both sides of a search go through here, so that what was booked and what is asked for meet.
"""

from __future__ import annotations

import re
import unicodedata

_APOSTROPHES = re.compile(r"['`´ʹʻʼˈ‘’‛′]")  # noqa: RUF001  # what people and keyboards take for one
_PLAIN = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ħ": "h"})
"""Letters that Unicode does not take apart, as people type them who do not have them."""

_SEPARATORS = re.compile(r"[\s-]+")
_MISREAD = str.maketrans("OIL", "011")
"""Crockford's base 32 has no such letters: whoever reads one out means the digit."""
_CODE = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}")


def words(name: str) -> tuple[str, ...]:
    """The different words of a name in the order of the alphabet, without case, accents and apostrophes.

    Any character that is neither a letter nor a digit parts words: "Anne-Marie O'Neil" is anne, marie, oneil.
    """
    folded = unicodedata.normalize("NFKD", _APOSTROPHES.sub("", name).casefold()).casefold().translate(_PLAIN)
    kept = "".join(_shown(character) for character in folded)
    return tuple(sorted(set(kept.split())))


def ticket_code(text: str) -> str | None:
    """The code in `text` as it was issued, whatever its case and groups; None where it is none."""
    code = _SEPARATORS.sub("", text).upper().translate(_MISREAD)
    return code if _CODE.fullmatch(code) else None


def _shown(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Mn":
        return ""
    return character if category[0] in "LNM" else " "
