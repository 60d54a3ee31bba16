"""The words of a name, and codes as they are read out."""

from __future__ import annotations

import pytest
from booking.words import ticket_code, words
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("Ada Lovelace", ("ada", "lovelace")),
        ("  LOVELACE,   ada ", ("ada", "lovelace")),
        ("José Müller", ("jose", "muller")),
        ("JOSE\u0301 MU\u0308LLER", ("jose", "muller")),
        ("Weiß", ("weiss",)),
        ("Łukasz Sørensen", ("lukasz", "sorensen")),
        ("Anne-Marie O'Neil", ("anne", "marie", "oneil")),
        ("Anne Marie O’Neil", ("anne", "marie", "oneil")),  # noqa: RUF001
        ("İstanbul Işık", ("istanbul", "isık")),  # noqa: RUF001
        ("山田 太郎", ("太郎", "山田")),
        ("Ada Ada", ("ada",)),
        ("!!! 🎫", ()),
    ],
)
def test_a_name_is_its_words(name: str, found: tuple[str, ...]) -> None:
    assert words(name) == found


@given(st.text(max_size=40))
def test_words_have_the_same_words(name: str) -> None:
    """Whoever searches for what was found finds it, in any case and order."""
    found = words(name)
    assert words(" ".join(reversed(found)).upper()) == words(" ".join(found).upper())
    assert words(" ".join(found)) == found
    assert not [word for word in found if not word or word.split() != [word]]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("12WAQ24F6PY9MQK0D90X7VAR8Q", "12WAQ24F6PY9MQK0D90X7VAR8Q"),
        (" 12waq24f6p y9mqk0d9-0x7var8q ", "12WAQ24F6PY9MQK0D90X7VAR8Q"),
        ("I2WAQ24F6PY9MQKOD9OX7VAR8Q", "12WAQ24F6PY9MQK0D90X7VAR8Q"),
        ("12WAQ24F6PY9MQK0D90X7VAR8", None),
        ("Ada Lovelace", None),
    ],
)
def test_a_code_is_read_as_people_write_it(text: str, code: str | None) -> None:
    assert ticket_code(text) == code
