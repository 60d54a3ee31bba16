"""The rule that decided on a refund, in a buyer's language: refund tells it in English. Pure."""

from __future__ import annotations

import re

from notification.words import ENGLISH, TONGUES, Tongue, values_of

_SENTENCE_END = re.compile(r"(?<=\.) (?=[A-Z])")


def rule_in(tongue: Tongue, rule: str) -> str:
    """The rule as `tongue` says it. One that has no words yet is told in general: nothing goes back, by the policy of the booking."""
    if tongue.language == ENGLISH:
        return rule
    said = [_said(tongue, sentence) for sentence in _SENTENCE_END.split(rule)]
    known = [sentence for sentence in said if sentence is not None]
    return " ".join(known) if len(known) == len(said) else tongue.say("rule.other")


def _said(tongue: Tongue, sentence: str) -> str | None:
    for name, pattern in _PATTERNS.items():
        if found := pattern.fullmatch(sentence):
            return tongue.say(name, **found.groupdict())
    return None


def _pattern(sentence: str) -> re.Pattern[str]:
    """Matches the English sentence with any numbers for its values."""
    values = {value: rf"(?P<{value}>\d+)" for value in values_of(sentence) or () if value}
    marked = {value: f"\0{value}\0" for value in values}
    escaped = re.escape(sentence.format_map(marked))
    for value, digits in values.items():
        escaped = escaped.replace(re.escape(f"\0{value}\0"), digits)
    return re.compile(escaped)


_PATTERNS = {name: _pattern(sentence) for name, sentence in TONGUES[ENGLISH].words.items() if name.startswith("rule.")}
