"""Which metrics, labels and values a PromQL expression asks for, as far as a test of ours needs it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_SELECTOR = re.compile(r"(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)\s*(?P<matchers>\{[^}]*\})?")
_MATCHER = re.compile(r"([a-zA-Z_]+)\s*(=~|!~|!=|=)\s*\"((?:[^\"\\]|\\.)*)\"")
_LABEL_LISTS = re.compile(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)")
_WORDS = frozenset(
    {"and", "or", "unless", "by", "without", "on", "ignoring", "group_left", "group_right", "offset", "bool"}
)


@dataclass(frozen=True)
class Selector:
    """A metric and the matchers on its labels: (label, operator, value)."""

    name: str
    matchers: tuple[tuple[str, str, str], ...]


def selectors(expression: str) -> Iterator[Selector]:
    """Every metric in the expression. Functions are followed by a parenthesis, durations stand in brackets."""
    text = re.sub(r"\[[^\]]*\]", "", _LABEL_LISTS.sub("", expression))
    position = 0
    while found := _SELECTOR.search(text, position):
        position = found.end()
        before = text[found.start() - 1 : found.start()]
        is_function = text[position:].lstrip().startswith("(") and not found["matchers"]
        if before.isdigit() or before == "." or is_function or found["name"] in _WORDS:
            continue
        yield Selector(found["name"], tuple(_MATCHER.findall(found["matchers"] or "")))
