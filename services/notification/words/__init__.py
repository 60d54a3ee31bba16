"""What mails to buyers say, in the languages of the pages: a module of sentences for each language, with the same names in all.

Whatever a mail says stands there once, and templates ask for it by its name. A sentence may name values as {value}. To add a language, add
a module with the names of `en`, and its way to write times to `shown`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from string import Formatter
from types import MappingProxyType

from notification.words import de, en

ENGLISH = "en"
"""The language of whoever named none, and of mails to staff."""


@dataclass(frozen=True)
class Tongue:
    """A language, by its code, and its sentences."""

    language: str
    words: Mapping[str, str]

    def say(self, name: str, /, **values: object) -> str:
        """The sentence of that name, filled in. Raises KeyError for a name or a value that is missing."""
        return self.words[name].format_map(values)

    def count(self, name: str, number: int, /, **values: object) -> str:
        """The sentence for one or for another number, which it may name as {count}."""
        return self.say(f"{name}.{'one' if number == 1 else 'other'}", count=number, **values)


def unequal(words: Mapping[str, str], like: Mapping[str, str]) -> set[str]:
    """The names that only one of two languages has, or whose sentences name different values."""
    return {name for name in words.keys() | like.keys() if values_of(words.get(name)) != values_of(like.get(name))}


def values_of(sentence: str | None) -> set[str | None] | None:
    """The values that a sentence names; None where there is no sentence."""
    return None if sentence is None else {value for _, value, _, _ in Formatter().parse(sentence)} - {None}


TONGUES: Mapping[str, Tongue] = MappingProxyType(
    {language: Tongue(language, words) for language, words in {ENGLISH: en.WORDS, "de": de.WORDS}.items()}
)
for _tongue in TONGUES.values():
    if _wrong := unequal(_tongue.words, en.WORDS):
        raise ValueError(
            f"the words in {_tongue.language} do not go with those in {ENGLISH}: {', '.join(sorted(_wrong))}"
        )


def language_of(named: object) -> str:
    """The language for a buyer who named this one: English where it is none that mails are written in, or none at all."""
    return named if isinstance(named, str) and named in TONGUES else ENGLISH
