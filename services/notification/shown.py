"""Amounts and times as people read them, in English unless another language is named. Pure."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple
from zoneinfo import ZoneInfo

from babel.dates import format_datetime
from babel.numbers import format_currency
from contracts.money import EXPONENTS, Money

from notification.words import ENGLISH

LINE = 72
"""Characters of a line of plain text: what mail programs show without breaking it once more."""


class Forms(NamedTuple):
    """How a language writes a day and an instant (in CLDR's date fields), and from when to when something lasts."""

    day: str
    instant: str
    precise: str
    clock: str
    span: str
    overnight: str


FORMS: Mapping[str, Forms] = {
    ENGLISH: Forms(
        day="EEEE, d MMMM y",
        instant="EEE, d MMMM y, HH:mm",
        precise="EEE, d MMMM y, HH:mm:ss",
        clock="{at:%H:%M}",
        span="{start} to {end} ({zone})",
        overnight="{end} on {day}",
    ),
    "de": Forms(
        day="EEEE, d. MMMM y",
        instant="EEE, d. MMMM y, HH:mm 'Uhr'",
        precise="EEE, d. MMMM y, HH:mm:ss 'Uhr'",
        clock="{at:%H:%M} Uhr",
        span="{start} bis {end} ({zone})",
        overnight="{day}, {end}",
    ),
}


def money(amount: Money, language: str = ENGLISH) -> str:
    """`€1,234.50`, and `1.234,50 €` in German. Every minor unit is shown that there is, also where the currency usually goes without."""
    exponent = EXPONENTS[amount.currency]
    value = Decimal(amount.amount_minor).scaleb(-exponent)
    shown: str = format_currency(value, amount.currency, locale=language, currency_digits=exponent == 0)
    # CLDR's currencySpacing, which babel leaves out: a code of letters stands apart from the digits.
    return re.sub(r"(?<=[A-Z])(?=\d)", "\N{NO-BREAK SPACE}", shown)


def day(at: datetime, zone: ZoneInfo, language: str = ENGLISH) -> str:
    """`Saturday, 14 November 2026` in the event's zone."""
    return format_datetime(at.astimezone(zone), FORMS[language].day, locale=language)


def span(start: datetime, end: datetime, zone: ZoneInfo, language: str = ENGLISH) -> str:
    """`20:00 to 22:30 (UTC+01:00, Europe/Berlin)`; the end with its day and offset where they differ."""
    forms, first, last = FORMS[language], start.astimezone(zone), end.astimezone(zone)
    until = forms.clock.format(at=last)
    if last.utcoffset() != first.utcoffset():
        until += f" ({_offset(last)})"
    if last.date() != first.date():
        until = forms.overnight.format(end=until, day=day(end, zone, language))
    return forms.span.format(start=forms.clock.format(at=first), end=until, zone=f"{_offset(first)}, {zone.key}")


def instant(at: datetime, zone: ZoneInfo, language: str = ENGLISH, *, seconds: bool = False) -> str:
    """`Thu, 12 November 2026, 20:00 (UTC+01:00)`."""
    local, forms = at.astimezone(zone), FORMS[language]
    return f"{format_datetime(local, forms.precise if seconds else forms.instant, locale=language)} ({_offset(local)})"


def wrapped(text: str) -> str:
    """A paragraph in lines for plain text. Addresses and amounts are not broken."""
    return textwrap.fill(text, LINE, break_long_words=False, break_on_hyphens=False)


def _offset(local: datetime) -> str:
    digits = f"{local:%z}"
    return f"UTC{digits[:3]}:{digits[3:5]}"
